"""Image tables: columns found by name and type, classes named by the schema."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ot3l_core.data.reading import open_dataset
from ot3l_core.data.spec import DatasetSpec
from ot3l_core.errors import DatasetLayoutError, DatasetNotFoundError, UnsafeDataError
from ot3l_core.names import DatasetFormat
from tests.generators.pictures import encoded, random_pictures, random_tree, write_parquet

PICTURES = random_pictures(4)
BYTES = [encoded(picture) for picture in PICTURES]
STRUCTS = pa.array(
    [{"bytes": content, "path": None} for content in BYTES], pa.struct({"bytes": pa.binary(), "path": pa.string()})
)


def write(path, metadata=None, **columns):
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), path)
    return path


def read(path, **settings):
    return open_dataset(DatasetSpec(DatasetFormat.PARQUET, path, **{"test_fraction": 0} | settings))


def named(label, names):
    return {"huggingface": json.dumps({"info": {"features": {label: {"names": names}}}})}


@pytest.mark.parametrize("image", ["image", "img", "whatever"])
@pytest.mark.parametrize("label", ["label", "fine_label", "anything"])
def test_columns_are_found_by_name_or_by_being_the_only_ones(tmp_path, image, label):
    pool = read(write_parquet(tmp_path, {"": random_tree({"a": 5, "b": 6})}, image=image, label=label)).pool
    assert pool.labels.tolist() == [0] * 5 + [1] * 6
    assert pool.sample_ids[0] == "train/000000"


def test_rows_are_found_across_row_groups_and_files(tmp_path):
    pictures = random_pictures(11)
    for part, chosen in (("train-0-of-2", pictures[:7]), ("train-1-of-2", pictures[7:])):
        content = pa.array([encoded(picture) for picture in chosen])
        table = pa.table({"image": content, "label": np.arange(len(chosen)) % 2})
        pq.write_table(table, tmp_path / f"{part}.parquet", row_group_size=3)
    pool = read(tmp_path).pool
    assert [np.asarray(pool.images.picture(i)).tolist() for i in range(11)] == [p.tolist() for p in pictures]


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
def test_pictures_may_be_plain_bytes(tmp_path, kind):
    pool = read(write(tmp_path / "t.parquet", image=pa.array(BYTES, kind), label=[0, 1, 0, 1])).pool
    assert [pool.images.payload(i) for i in range(4)] == BYTES


@pytest.mark.parametrize("labels", [["x", "y", "x", "z"], pa.array(["x", "y", "x", "z"]).dictionary_encode()])
def test_strings_are_their_own_class_names(tmp_path, labels):
    dataset = read(write(tmp_path / "t.parquet", image=STRUCTS, label=labels))
    assert dataset.classes == ("x", "y", "z")
    assert dataset.pool.labels.tolist() == [0, 1, 0, 2]


@pytest.mark.parametrize("metadata", [None, {"huggingface": "{broken"}, {"huggingface": "[]"}, named("label", [1, 2])])
def test_numbers_without_names_are_their_own_in_numerical_order(tmp_path, metadata):
    dataset = read(write(tmp_path / "t.parquet", metadata, image=STRUCTS, label=[10, 9, 10, -3]))
    assert dataset.classes == ("-3", "9", "10")
    assert dataset.pool.labels.tolist() == [2, 1, 2, 0]


def test_named_classes_without_rows_are_dropped(tmp_path):
    metadata = named("label", ["zebra", "ant", "bee"])
    dataset = read(write(tmp_path / "t.parquet", metadata, image=STRUCTS, label=[2, 0, 2, 0]))
    assert dataset.classes == ("zebra", "bee")
    assert dataset.pool.labels.tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize("label", [-1, 2])
def test_a_label_without_a_name_is_refused(tmp_path, label):
    path = write(tmp_path / "t.parquet", named("label", ["a", "b"]), image=STRUCTS, label=[0, 1, 0, label])
    with pytest.raises(DatasetLayoutError, match=r"\[0, 2\)"):
        read(path)


def test_the_label_column_can_be_chosen(tmp_path):
    path = write(tmp_path / "t.parquet", image=STRUCTS, label=[0, 1, 0, 1], coarse=[7, 7, 8, 9])
    assert read(path).classes == ("0", "1")
    assert read(path, label_column="coarse").classes == ("7", "8", "9")


@pytest.mark.parametrize("wanted", [None, "image", "absent", "score"])
def test_a_doubtful_label_column_is_the_users_to_name(tmp_path, wanted):
    path = write(tmp_path / "t.parquet", image=STRUCTS, one=[0, 1, 0, 1], two=[0, 1, 0, 1], score=[0.5] * 4)
    with pytest.raises(DatasetLayoutError, match="one, two") as refusal:
        read(path, label_column=wanted)
    assert refusal.value.field == "label_column"


def test_a_table_without_pictures_is_refused(tmp_path):
    with pytest.raises(DatasetLayoutError, match="found label, url"):
        read(write(tmp_path / "t.parquet", label=[0, 1], url=["a", "b"]))


def test_rows_without_bytes_or_label_are_refused(tmp_path):
    absent = pa.array([{"bytes": None, "path": "x.png"}, *STRUCTS[1:].to_pylist()], STRUCTS.type)
    with pytest.raises(DatasetLayoutError, match="1 rows hold no picture"):
        read(write(tmp_path / "p.parquet", image=absent, label=[0, 1, 0, 1]))
    with pytest.raises(DatasetLayoutError, match="1 rows have no value"):
        read(write(tmp_path / "l.parquet", image=STRUCTS, label=[0, 1, None, 1]))


def test_a_test_file_can_be_given(tmp_path):
    folder = write_parquet(tmp_path, {"train": random_tree({"a": 3, "b": 3}), "test": random_tree({"a": 1}, seed=1)})
    by_folder = read(folder)
    by_files = read(folder / "train.parquet", test_path=folder / "test.parquet")
    assert by_files.digest == by_folder.digest
    assert len(by_files.test) == 1
    assert read(folder / "train.parquet").test is None


def test_a_missing_test_file_blames_its_setting(tmp_path):
    folder = write_parquet(tmp_path, {"": random_tree({"a": 3, "b": 3})})
    with pytest.raises(DatasetNotFoundError) as refusal:
        read(folder / "train.parquet", test_path=folder / "test.parquet")
    assert refusal.value.field == "test_path"


def test_a_folder_without_training_files_is_refused(tmp_path):
    with pytest.raises(DatasetNotFoundError, match=r"train\*\.parquet"):
        read(tmp_path)


def test_a_table_that_would_grow_beyond_reason_is_refused(tmp_path):
    content = pa.array([bytes(2**20)] * 80)
    labels = np.arange(80) % 2
    path = tmp_path / "bomb.parquet"
    pq.write_table(pa.table({"image": content, "label": labels}), path, compression="gzip", use_dictionary=False)
    with pytest.raises(UnsafeDataError, match="unpacked"):
        read(path)
