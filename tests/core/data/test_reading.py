"""What holds for every storage format."""

import os
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from ot3l_core.data.reading import open_dataset
from ot3l_core.data.spec import DatasetSpec
from ot3l_core.errors import (
    DatasetLayoutError,
    DatasetNotFoundError,
    InvalidSettingError,
    MissingClassError,
    TooFewSamplesError,
)
from ot3l_core.names import DatasetFormat
from tests.generators.pictures import (
    random_tree,
    write_image_folder,
    write_mnist_layout,
    write_npz,
    write_parquet,
    write_zip,
)

COUNTS = {"ant": 5, "bee": 3, "cat": 4}
DIVIDED = {"train": random_tree(COUNTS), "test": random_tree({"ant": 2, "cat": 1}, seed=1)}
UNDIVIDED = {"": random_tree(COUNTS)}


def folder(root, splits):
    return DatasetSpec(DatasetFormat.IMAGE_FOLDER, write_image_folder(root / "tree", splits))


def archive(root, splits):
    return DatasetSpec(DatasetFormat.ZIP, write_zip(root / "tree.zip", splits, top="top"))


def parquet(root, splits):
    return DatasetSpec(DatasetFormat.PARQUET, write_parquet(root / "tables", splits))


def npz(root, splits):
    return DatasetSpec(DatasetFormat.NPZ, write_npz(root / "arrays.npz", splits))


ENCODED = [folder, archive, parquet]
WRITERS = [*ENCODED, npz]


def pixels_by_class(dataset, split):
    found = {name: [] for name in dataset.classes}
    for index, label in enumerate(split.labels.tolist()):
        found[dataset.classes[label]].append(np.asarray(split.images.picture(index)).tolist())
    return {name: pictures for name, pictures in found.items() if pictures}


def as_lists(tree):
    return {name: [picture.tolist() for picture in pictures] for name, pictures in tree.items()}


@pytest.mark.parametrize("write", WRITERS)
def test_a_divided_dataset_gives_back_its_pictures(tmp_path, write):
    dataset = open_dataset(write(tmp_path, DIVIDED))
    assert dataset.classes == ("ant", "bee", "cat")
    assert pixels_by_class(dataset, dataset.pool) == as_lists(DIVIDED["train"])
    assert pixels_by_class(dataset, dataset.test) == as_lists(DIVIDED["test"])


pictures = st.tuples(st.integers(1, 5), st.integers(1, 5)).flatmap(
    lambda side: st.lists(npst.arrays(np.uint8, (*side, 3)), min_size=2, max_size=4)
)


@pytest.mark.parametrize("write", WRITERS)
@given(pictures=pictures)
@settings(deadline=None, max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_undivided_dataset_gives_back_its_pictures(tmp_path_factory, write, pictures):
    splits = {"": {"a": pictures[:1], "b": pictures[1:]}}
    spec = write(tmp_path_factory.mktemp("data"), splits)
    dataset = open_dataset(DatasetSpec(spec.format, spec.path, test_fraction=0))
    assert dataset.test is None
    assert pixels_by_class(dataset, dataset.pool) == as_lists(splits[""])


@pytest.mark.parametrize("splits", [DIVIDED, UNDIVIDED], ids=["divided", "undivided"])
def test_the_digest_does_not_depend_on_the_packaging(tmp_path, splits):
    opened = [open_dataset(write(tmp_path, splits)) for write in ENCODED]
    assert len({dataset.digest for dataset in opened}) == 1
    assert len({dataset.pool.digest for dataset in opened}) == 1
    assert len({dataset.test.digest for dataset in opened}) == 1


def test_the_digest_of_arrays_is_that_of_the_same_arrays_elsewhere(tmp_path):
    grey = {
        "train": random_tree({"0 - zero": 3, "1 - one": 2}, shape=(4, 4)),
        "test": random_tree({"1 - one": 1}, shape=(4, 4)),
    }
    mnist = open_dataset(DatasetSpec(DatasetFormat.TORCHVISION, write_mnist_layout(tmp_path, grey), dataset="MNIST"))
    assert mnist.pool.digest == open_dataset(npz(tmp_path, grey)).pool.digest


def test_the_order_of_files_on_disk_does_not_matter(tmp_path):
    forward = folder(tmp_path / "forward", UNDIVIDED)
    backward = tmp_path / "backward"
    for file in sorted(forward.path.rglob("*.png"), reverse=True):
        target = backward / file.relative_to(forward.path)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
        os.utime(target, (0, 0))
    there = open_dataset(DatasetSpec(DatasetFormat.IMAGE_FOLDER, backward))
    here = open_dataset(forward)
    assert there.digest == here.digest
    assert there.test.sample_ids == here.test.sample_ids


@pytest.mark.parametrize("write", WRITERS)
def test_a_held_out_test_split_shares_no_sample_with_the_pool(tmp_path, write):
    dataset = open_dataset(write(tmp_path, UNDIVIDED))
    assert not set(dataset.pool.sample_ids) & set(dataset.test.sample_ids)
    assert len(dataset.pool) + len(dataset.test) == sum(COUNTS.values())
    assert np.bincount(dataset.test.labels).tolist() == [round(0.2 * count) for count in COUNTS.values()]


@pytest.mark.parametrize("write", WRITERS)
def test_reading_twice_finds_the_same(tmp_path, write):
    spec = write(tmp_path, UNDIVIDED)
    one, two = open_dataset(spec), open_dataset(spec)
    assert one.digest == two.digest
    assert one.pool.sample_ids == two.pool.sample_ids


@pytest.mark.parametrize("write", WRITERS)
def test_small_classes_are_dropped_before_splitting(tmp_path, write):
    spec = write(tmp_path, UNDIVIDED)
    dataset = open_dataset(DatasetSpec(spec.format, spec.path, min_class_size=4))
    assert dataset.classes == ("ant", "cat")
    assert np.bincount(np.concatenate([dataset.pool.labels, dataset.test.labels])).tolist() == [5, 4]
    everything = pixels_by_class(dataset, dataset.pool)["cat"] + pixels_by_class(dataset, dataset.test)["cat"]
    assert sorted(everything) == sorted(as_lists(UNDIVIDED[""])["cat"])


@pytest.mark.parametrize("write", WRITERS)
def test_a_test_class_that_cannot_be_learnt_is_refused(tmp_path, write):
    splits = {"train": random_tree({"ant": 2, "bee": 2}), "test": random_tree({"ant": 1, "wasp": 1}, seed=1)}
    with pytest.raises(MissingClassError, match="'wasp'"):
        open_dataset(write(tmp_path, splits))


@pytest.mark.parametrize("write", WRITERS)
def test_one_class_is_too_few(tmp_path, write):
    with pytest.raises(TooFewSamplesError, match="at least 2"):
        open_dataset(write(tmp_path, {"": random_tree({"ant": 4})}))


def test_dropping_too_many_classes_blames_the_setting(tmp_path):
    spec = folder(tmp_path, UNDIVIDED)
    with pytest.raises(TooFewSamplesError) as refusal:
        open_dataset(DatasetSpec(spec.format, spec.path, min_class_size=5))
    assert refusal.value.field == "min_class_size"


def test_classes_too_small_to_divide_leave_no_test_split(tmp_path):
    assert open_dataset(folder(tmp_path, {"": random_tree({"ant": 1, "bee": 2})})).test is None


FILES = [DatasetFormat.ZIP, DatasetFormat.PARQUET, DatasetFormat.NPZ]


@pytest.mark.parametrize("data_format", [*FILES, DatasetFormat.IMAGE_FOLDER])
def test_a_missing_path_is_named_without_its_folders(tmp_path, data_format):
    with pytest.raises(DatasetNotFoundError, match="'nowhere'") as refusal:
        open_dataset(DatasetSpec(data_format, tmp_path / "nowhere"))
    assert refusal.value.field == "path"
    assert str(tmp_path) not in str(refusal.value)


@pytest.mark.parametrize("data_format", FILES)
@pytest.mark.parametrize("content", [b"", b"neither", b"PK\x03\x04 and no more", b"PAR1 and no more PAR1"])
def test_a_file_of_another_kind_is_a_layout_error(tmp_path, data_format, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(DatasetLayoutError, match="'file'"):
        open_dataset(DatasetSpec(data_format, path))


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"format": DatasetFormat.ZIP}, "path"),
        ({"format": DatasetFormat.BUILTIN}, "dataset"),
        ({"format": DatasetFormat.TORCHVISION, "dataset": "MNIST"}, "path"),
        ({"format": DatasetFormat.COCO, "path": "here"}, "annotations"),
        ({"format": DatasetFormat.BUILTIN, "dataset": "digits", "test_fraction": 1.0}, "test_fraction"),
        ({"format": DatasetFormat.BUILTIN, "dataset": "digits", "test_fraction": float("nan")}, "test_fraction"),
        ({"format": DatasetFormat.BUILTIN, "dataset": "digits", "min_class_size": 0}, "min_class_size"),
    ],
)
def test_a_description_that_cannot_be_read_is_refused_at_once(settings, field):
    with pytest.raises(InvalidSettingError) as refusal:
        DatasetSpec(**settings)
    assert refusal.value.field == field
