"""One picture per object, cut by its box."""

import json

import numpy as np
import pytest

from ot3l_core.data.reading import open_dataset
from ot3l_core.data.spec import DatasetSpec
from ot3l_core.errors import CorruptImageError, DatasetLayoutError, DatasetNotFoundError, UnsafeDataError
from ot3l_core.names import DatasetFormat
from tests.generators.pictures import encoded, random_pictures, write_coco

PHOTOGRAPHS = random_pictures(2, shape=(10, 8, 3))
ANT = {"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}
BEE = {"image_id": 2, "category_id": 2, "bbox": [0, 0, 8, 10]}


def read(annotations):
    folder = annotations.parent / "photographs"
    return open_dataset(DatasetSpec(DatasetFormat.COCO, folder, annotations=annotations, test_fraction=0))


def read_objects(root, *objects, categories=("ant", "bee")):
    return read(write_coco(root, PHOTOGRAPHS, objects, categories))


def edit(annotations, change):
    content = json.loads(annotations.read_text())
    change(content)
    annotations.write_text(json.dumps(content))
    return annotations


def test_objects_are_cut_from_their_photographs(tmp_path):
    dataset = read_objects(tmp_path, BEE, ANT)
    assert dataset.classes == ("ant", "bee")
    assert dataset.pool.sample_ids == ("1/2", "2/1")
    assert dataset.pool.labels.tolist() == [0, 1]
    assert np.array_equal(np.asarray(dataset.pool.images.picture(0)), PHOTOGRAPHS[0][2:6, 1:4])
    assert np.array_equal(np.asarray(dataset.pool.images.picture(1)), PHOTOGRAPHS[1])


@pytest.mark.parametrize(
    ("bbox", "rows", "columns"),
    [
        ([-5, -5, 8, 9], slice(0, 4), slice(0, 3)),
        ([6, 7, 100, 100], slice(7, 10), slice(6, 8)),
        ([1.5, 2.5, 2.2, 1.2], slice(2, 4), slice(1, 4)),
    ],
)
def test_boxes_are_clipped_and_widened_to_whole_pixels(tmp_path, bbox, rows, columns):
    pool = read_objects(tmp_path, ANT | {"bbox": bbox}, BEE).pool
    assert np.array_equal(np.asarray(pool.images.picture(0)), PHOTOGRAPHS[0][rows, columns])


@pytest.mark.parametrize(
    "left_out",
    [
        {"iscrowd": 1},
        {"bbox": [1, 1, 0.9, 5]},
        {"bbox": [1, 1, 5, -2]},
        {"bbox": [7.5, 1, 5, 5]},
        {"bbox": [50, 50, 5, 5]},
        {"bbox": [float("nan"), 1, 5, 5]},
    ],
)
def test_crowds_and_boxes_of_less_than_a_pixel_are_left_out(tmp_path, left_out):
    assert read_objects(tmp_path, ANT, BEE, ANT | left_out).pool.sample_ids == ("1/1", "2/2")


def test_categories_without_objects_are_not_classes(tmp_path):
    cat = ANT | {"category_id": 3}
    assert read_objects(tmp_path, ANT, cat, categories=("ant", "bee", "cat")).classes == ("ant", "cat")


def test_a_file_name_that_leads_out_is_refused(tmp_path):
    annotations = write_coco(tmp_path, PHOTOGRAPHS, [ANT, BEE], ["ant", "bee"])
    for name in ("../annotations.json", "/etc/passwd"):
        edit(annotations, lambda content, name=name: content["images"][0].update(file_name=name))
        with pytest.raises(UnsafeDataError, match="leads out"):
            read(annotations)


def test_a_photograph_that_links_out_is_refused(tmp_path):
    dataset = read_objects(tmp_path, ANT, BEE)
    photograph = tmp_path / "photographs" / "000000000001.png"
    photograph.rename(tmp_path / "outside.png")
    photograph.symlink_to(tmp_path / "outside.png")
    with pytest.raises(UnsafeDataError, match="leads out"):
        dataset.pool.images.picture(0)


def test_a_photograph_of_another_size_is_noticed(tmp_path):
    dataset = read_objects(tmp_path, ANT, BEE)
    (tmp_path / "photographs" / "000000000002.png").write_bytes(encoded(PHOTOGRAPHS[1][:5]))
    with pytest.raises(CorruptImageError, match="'2/2' leaves its picture of 8 x 5"):
        dataset.pool.images.picture(1)


def test_a_missing_photograph_is_named(tmp_path):
    dataset = read_objects(tmp_path, ANT, BEE)
    (tmp_path / "photographs" / "000000000001.png").unlink()
    with pytest.raises(DatasetNotFoundError, match=r"'000000000001\.png'"):
        dataset.pool.images.picture(0)


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.pop("images"),
        lambda content: content.update(annotations={}),
        lambda content: content["categories"].append(3),
        lambda content: content["images"][0].pop("width"),
        lambda content: content["images"][0].update(height="tall"),
        lambda content: content["categories"][0].update(name=None),
        lambda content: content["categories"][0].update(name="bee"),
        lambda content: content["annotations"][0].update(bbox=[1, 2, 3]),
        lambda content: content["annotations"][0].update(bbox="everything"),
        lambda content: content["annotations"][0].update(image_id=77),
        lambda content: content["annotations"][0].update(category_id=77),
    ],
)
def test_malformed_annotations_blame_their_setting(tmp_path, change):
    annotations = edit(write_coco(tmp_path, PHOTOGRAPHS, [ANT, BEE], ["ant", "bee"]), change)
    with pytest.raises(DatasetLayoutError) as refusal:
        read(annotations)
    assert refusal.value.field == "annotations"


@pytest.mark.parametrize("content", ["", "[]", "[" * 100_000, "\x80"])
def test_what_is_no_annotation_file_is_refused(tmp_path, content):
    annotations = write_coco(tmp_path, PHOTOGRAPHS, [ANT, BEE], ["ant", "bee"])
    annotations.write_bytes(content.encode("latin-1"))
    with pytest.raises(DatasetLayoutError, match=r"'annotations\.json'"):
        read(annotations)


def test_missing_annotations_blame_their_setting(tmp_path):
    (tmp_path / "photographs").mkdir()
    with pytest.raises(DatasetNotFoundError) as refusal:
        read(tmp_path / "annotations.json")
    assert refusal.value.field == "annotations"
