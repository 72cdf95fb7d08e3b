"""Pools without labels: the same pictures, and nothing that could be a label is read."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ot3l_core.data.images import UNLABELLED
from ot3l_core.data.reading import open_dataset
from ot3l_core.data.spec import DatasetSpec
from ot3l_core.errors import DatasetLayoutError, InvalidSettingError, TooFewSamplesError, UnsafeDataError
from ot3l_core.names import DatasetFormat
from tests.generators.pictures import (
    encoded,
    random_pictures,
    random_tree,
    write_image_folder,
    write_npz,
    write_parquet,
    write_zip,
)

TREE = {"": random_tree({"ant": 4, "bee": 3})}


def folder(root):
    return DatasetFormat.IMAGE_FOLDER, write_image_folder(root / "tree", TREE)


def archive(root):
    return DatasetFormat.ZIP, write_zip(root / "tree.zip", TREE)


def parquet(root):
    return DatasetFormat.PARQUET, write_parquet(root / "tables", TREE)


def npz(root):
    return DatasetFormat.NPZ, write_npz(root / "arrays.npz", TREE)


def pixels(split):
    return [np.asarray(split.images.picture(index)).tolist() for index in range(len(split))]


@pytest.mark.parametrize("write", [folder, archive, parquet, npz])
def test_a_pool_is_the_labelled_dataset_without_its_labels(tmp_path, write):
    place = write(tmp_path)
    labelled = open_dataset(DatasetSpec(*place, test_fraction=0))
    pool = open_dataset(DatasetSpec(*place, labelled=False))
    assert (pool.classes, pool.labelled, pool.test) == ((), False, None)
    assert pool.pool.labels.tolist() == [UNLABELLED] * 7
    assert pool.pool.sample_ids == labelled.pool.sample_ids
    assert pool.pool.file_names == labelled.pool.file_names
    assert pixels(pool.pool) == pixels(labelled.pool)
    assert pool.pool.digest == labelled.pool.digest
    assert pool.digest != labelled.digest


def test_only_samples_in_image_files_have_file_names(tmp_path):
    named = open_dataset(DatasetSpec(*folder(tmp_path), test_fraction=0.4))
    assert named.pool.file_names == named.pool.sample_ids
    assert named.test.file_names == named.test.sample_ids
    assert open_dataset(DatasetSpec(*npz(tmp_path))).pool.file_names is None


@pytest.mark.parametrize("write", [write_image_folder, write_zip])
def test_pictures_may_lie_anywhere(tmp_path, write):
    first, second, third = random_pictures(3)
    tree = {"": {"": [first], "2024/june": [second], "train/ant": [third]}}
    path = write(tmp_path / "pile.zip", tree)
    kind = DatasetFormat.ZIP if path.is_file() else DatasetFormat.IMAGE_FOLDER
    pool = open_dataset(DatasetSpec(kind, path, labelled=False)).pool
    assert pool.sample_ids == ("0000.png", "2024/june/0000.png", "train/ant/0000.png")
    assert pixels(pool) == [picture.tolist() for picture in (first, second, third)]


def test_labels_that_could_not_be_read_do_no_harm(tmp_path):
    pictures = np.stack(random_pictures(3))
    np.savez(tmp_path / "x.npz", x=pictures, y=np.array([object()] * 3))
    assert len(open_dataset(DatasetSpec(DatasetFormat.NPZ, tmp_path / "x.npz", labelled=False)).pool) == 3
    table = pa.table({"image": [encoded(picture) for picture in pictures], "label": pa.array([None] * 3, pa.int64())})
    pq.write_table(table, tmp_path / "x.parquet")
    assert len(open_dataset(DatasetSpec(DatasetFormat.PARQUET, tmp_path / "x.parquet", labelled=False)).pool) == 3


def test_a_pool_of_less_than_two_pictures_leaves_no_choice(tmp_path):
    write_image_folder(tmp_path / "one", {"": {"": random_pictures(1)}})
    with pytest.raises(TooFewSamplesError, match="at least 2"):
        open_dataset(DatasetSpec(DatasetFormat.IMAGE_FOLDER, tmp_path / "one", labelled=False))


def test_a_pool_without_pictures_says_what_was_expected(tmp_path):
    (tmp_path / "empty").mkdir()
    spec = DatasetSpec(DatasetFormat.IMAGE_FOLDER, tmp_path / "empty", labelled=False)
    with pytest.raises(DatasetLayoutError, match="in any folders"):
        open_dataset(spec)
    (tmp_path / "empty" / "samples.pkl").write_bytes(b"\x80")
    with pytest.raises(UnsafeDataError):
        open_dataset(spec)
    np.savez(tmp_path / "y.npz", y=np.arange(3))
    with pytest.raises(DatasetLayoutError, match="expected an array x"):
        open_dataset(DatasetSpec(DatasetFormat.NPZ, tmp_path / "y.npz", labelled=False))


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"format": DatasetFormat.BUILTIN, "dataset": "digits"}, "labelled"),
        ({"format": DatasetFormat.COCO, "annotations": "objects.json"}, "labelled"),
        ({"format": DatasetFormat.PARQUET, "label_column": "label"}, "label_column"),
        ({"format": DatasetFormat.PARQUET, "test_path": "test.parquet"}, "test_path"),
    ],
)
def test_settings_that_need_labels_are_refused_without_them(tmp_path, settings, field):
    with pytest.raises(InvalidSettingError) as caught:
        DatasetSpec(path=tmp_path, labelled=False, **settings)
    assert caught.value.field == field
