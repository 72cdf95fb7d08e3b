"""Folders as they are downloaded from the Hugging Face hub: shards, configurations, names, lists of pictures."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ot3l_core.data.readers import columns
from ot3l_core.data.reading import open_dataset
from ot3l_core.data.spec import DatasetSpec
from ot3l_core.errors import DatasetLayoutError, DatasetNotFoundError, UnsafeDataError
from ot3l_core.names import DatasetFormat
from tests.generators.pictures import (
    encoded,
    random_pictures,
    random_tree,
    write_image_folder,
    write_parquet,
    write_shards,
)

TRAIN, TEST = random_tree({"ant": 7, "bee": 6}), random_tree({"ant": 2, "bee": 3}, seed=1)
SPLITS = {"train": TRAIN, "test": TEST}
NAMES = """\
dataset_info:
  features:
  - name: image
    dtype: image
  - name: label
    dtype:
      class_label:
        names:
          '0': ant
          '1': bee
"""


def read(path, **settings):
    return open_dataset(DatasetSpec(DatasetFormat.HUGGINGFACE, path, **{"test_fraction": 0} | settings))


def describe(root, front, body="# A dataset"):
    root.mkdir(parents=True, exist_ok=True)
    (root / "README.md").write_text(f"---\n{front}---\n{body}\n")
    return root


def test_shards_give_the_dataset_that_one_table_gives(tmp_path):
    dataset = read(write_shards(tmp_path / "hub", SPLITS))
    one = open_dataset(DatasetSpec(DatasetFormat.PARQUET, write_parquet(tmp_path / "one", SPLITS)))
    assert dataset.digest == one.digest
    assert dataset.pool.sample_ids == one.pool.sample_ids
    assert (dataset.classes, len(dataset.pool), len(dataset.test)) == (("ant", "bee"), 13, 5)


def test_only_a_few_groups_of_rows_are_in_memory(tmp_path, monkeypatch):
    loads = []
    real = columns.read_group
    monkeypatch.setattr("ot3l_core.data.readers.shards.read_group", lambda *a: loads.append(a[0].name) or real(*a))
    pool = read(write_shards(tmp_path, {"train": TRAIN})).pool
    assert loads == []
    assert [len(pool.images.payload(index)) > 0 for index in range(13)] == [True] * 13
    # Two shards of 7 and 6 rows, three rows a group: each once, in order.
    assert loads == ["train-00000-of-00002.parquet"] * 3 + ["train-00001-of-00002.parquet"] * 2


def test_several_threads_read_what_one_reads(tmp_path):
    pool = read(write_shards(tmp_path, {"train": TRAIN}, rows=1)).pool
    order = np.random.default_rng(0).integers(0, 13, 200).tolist()
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(pool.images.payload, order))
    assert found == [pool.images.payload(index) for index in order]


@pytest.mark.parametrize("folder", ["data", ".", "default", "plain_text"])
def test_splits_are_told_by_names(tmp_path, folder):
    dataset = read(write_shards(tmp_path, {"train": TRAIN, "validation": TEST}, folder=folder))
    assert (len(dataset.pool), len(dataset.test)) == (13, 5)


def test_folders_may_be_named_after_splits(tmp_path):
    for split, tree in SPLITS.items():
        write_parquet(tmp_path / "default" / split, {"0000": tree})
    assert len(read(tmp_path).test) == 5


def test_a_test_split_wins_over_validation_unless_its_labels_are_secret(tmp_path):
    write_shards(tmp_path, {"train": TRAIN, "validation": random_tree({"ant": 1, "bee": 1}), "test": TEST})
    assert len(read(tmp_path).test) == 5
    secret = pa.table({"image": pa.array([encoded(p) for p in random_pictures(4)]), "label": [-1] * 4})
    for file in (tmp_path / "data").glob("test-*"):
        pq.write_table(secret, file)
    assert len(read(tmp_path).test) == 2


def test_the_readme_says_which_files_belong_to_which_split(tmp_path):
    write_shards(tmp_path, {"one": TRAIN, "two": TEST}, folder="parts")
    describe(
        tmp_path,
        "configs:\n- config_name: default\n  data_files:\n  - split: train\n    path: parts/one-*\n"
        "  - split: test\n    path:\n    - '**/two-*.parquet'\n",
    )
    dataset = read(tmp_path)
    assert (len(dataset.pool), len(dataset.test)) == (13, 5)


def test_a_configuration_is_chosen_by_name_or_by_being_the_default(tmp_path):
    for config in ("large", "small"):
        write_shards(tmp_path, {"train": TRAIN if config == "large" else TEST}, folder=config)
    with pytest.raises(DatasetLayoutError, match="large, small") as refusal:
        read(tmp_path)
    assert refusal.value.field == "config"
    assert len(read(tmp_path, config="small").pool) == 5
    with pytest.raises(DatasetNotFoundError, match="'huge'"):
        read(tmp_path, config="huge")
    stated = "- config_name: {0}\n  data_files: {0}/*.parquet\n"
    describe(tmp_path, f"configs:\n{stated.format('large')}{stated.format('small')}  default: true\n")
    assert len(read(tmp_path).pool) == 5
    assert len(read(tmp_path, config="large").pool) == 13


def test_the_readme_names_classes_that_the_schema_does_not(tmp_path):
    write_shards(tmp_path, SPLITS, named=False)
    assert read(tmp_path).classes == ("0", "1")
    assert read(describe(tmp_path, NAMES)).classes == ("ant", "bee")
    write_shards(tmp_path, SPLITS)
    assert read(describe(tmp_path, NAMES.replace("bee", "wasp"))).classes == ("ant", "bee")


def test_an_archive_may_enclose_it_in_one_folder(tmp_path):
    write_shards(describe(tmp_path / "outer" / "inner", NAMES), SPLITS, named=False)
    assert read(tmp_path / "outer").classes == ("ant", "bee")


def test_without_labels_the_training_shards_are_one_pool(tmp_path):
    dataset = read(write_shards(tmp_path, SPLITS), labelled=False)
    assert (dataset.classes, len(dataset.pool), dataset.test) == ((), 13, None)


def test_a_missing_shard_is_noticed(tmp_path):
    write_shards(tmp_path, SPLITS, shards=3)
    (tmp_path / "data" / "train-00001-of-00003.parquet").unlink()
    with pytest.raises(DatasetNotFoundError, match="train-00001-of-00003 is missing"):
        read(tmp_path)


def test_a_pointer_in_place_of_a_file_is_named(tmp_path):
    write_shards(tmp_path, SPLITS)
    (tmp_path / "data" / "train-00000-of-00002.parquet").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(DatasetLayoutError, match="Git LFS"):
        read(tmp_path)


def test_class_folders_of_pictures_are_read_as_such(tmp_path):
    write_image_folder(describe(tmp_path, NAMES), SPLITS)
    by_folder = open_dataset(DatasetSpec(DatasetFormat.IMAGE_FOLDER, tmp_path))
    assert read(tmp_path).digest == by_folder.digest


def listed(root, kind, columns=("file_name", "label")):
    """Pictures beside a list, one for each split."""
    for split, tree in SPLITS.items():
        (root / split / "pictures").mkdir(parents=True)
        rows = []
        for name, pictures in tree.items():
            for number, picture in enumerate(pictures):
                file = f"pictures/{name}{number}.png"
                (root / split / file).write_bytes(encoded(picture))
                rows.append({columns[0]: file, columns[1]: name, "caption": f"a {name}"})
        text = "".join(json.dumps(row) + "\n" for row in rows)
        if kind == "csv":
            text = "\n".join([",".join(rows[0]), *(",".join(row.values()) for row in rows)])
        (root / split / f"metadata.{kind}").write_text(text)
    return root


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_lists_name_pictures_and_their_labels(tmp_path, kind):
    dataset = read(listed(tmp_path, kind))
    assert (dataset.classes, len(dataset.pool), len(dataset.test)) == (("ant", "bee"), 13, 5)
    assert dataset.pool.file_names[0] == "train/pictures/ant0.png"
    assert np.array_equal(np.asarray(dataset.pool.images.picture(0)), TRAIN["ant"][0])
    assert len(read(tmp_path, labelled=False).pool) == 18


def test_the_column_of_a_list_can_be_chosen(tmp_path):
    listed(tmp_path, "jsonl", ("file_name", "what"))
    with pytest.raises(DatasetLayoutError, match="what, caption"):
        read(tmp_path)
    assert read(tmp_path, label_column="what").classes == ("ant", "bee")


@pytest.mark.parametrize(
    ("row", "error"),
    [
        ({"file_name": "../../secret.png", "label": "ant"}, UnsafeDataError),
        ({"file_name": "/etc/passwd", "label": "ant"}, UnsafeDataError),
        ({"file_name": "absent.png", "label": "ant"}, DatasetNotFoundError),
        ({"file_name": 7, "label": "ant"}, DatasetLayoutError),
        ({"file_name": "pictures/ant0.png", "label": None}, DatasetLayoutError),
        ({"file_name": "pictures/ant0.png", "label": "a" * 300}, DatasetLayoutError),
        (["file_name"], DatasetLayoutError),
    ],
)
def test_a_list_that_names_anything_else_is_refused(tmp_path, row, error):
    listed(tmp_path, "jsonl")
    with (tmp_path / "train" / "metadata.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")
    with pytest.raises(error):
        read(tmp_path)


@pytest.mark.parametrize(
    ("front", "error"),
    [
        ("configs: [\n", DatasetLayoutError),
        ("[" * 5000 + "\n", DatasetLayoutError),
        ("configs: 7\n", DatasetLayoutError),
        ("configs:\n- data_files: {a: b}\n", DatasetLayoutError),
        ("configs:\n- data_files: ../../other/*.parquet\n", UnsafeDataError),
        ("configs:\n- data_files: /etc/*\n", UnsafeDataError),
        ("configs:\n- data_files: https://example.com/x.parquet\n", UnsafeDataError),
        ("configs:\n- data_files: [" + "a, " * 1001 + "]\n", UnsafeDataError),
        ("configs:\n- data_files: data/absent-*\n", DatasetNotFoundError),
        ("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n", UnsafeDataError),
        ("#" * 2**20 + "\n", UnsafeDataError),
        (NAMES.replace("'1'", "'7'"), DatasetLayoutError),
    ],
)
def test_a_hostile_readme_is_refused(tmp_path, front, error):
    write_shards(describe(tmp_path, front), SPLITS)
    with pytest.raises(error):
        read(tmp_path)


def test_tags_of_yaml_build_nothing(tmp_path):
    harmful = f"x: !!python/object/apply:os.system ['touch {tmp_path}/harm']\n"
    write_shards(describe(tmp_path, harmful), SPLITS)
    (tmp_path / "script.py").write_text("raise SystemExit")
    assert len(read(tmp_path).pool) == 13
    assert not (tmp_path / "harm").exists()


def test_patterns_of_stars_take_no_longer(tmp_path):
    write_shards(tmp_path, SPLITS)
    describe(tmp_path, "configs:\n- data_files: '" + "**/" * 300 + "*" * 50 + "q.parquet'\n")
    with pytest.raises(DatasetNotFoundError):
        read(tmp_path)


def test_a_link_that_leaves_the_folder_is_refused(tmp_path):
    (tmp_path / "outside.parquet").write_bytes(b"PAR1")
    write_shards(tmp_path / "hub", SPLITS)
    (tmp_path / "hub" / "data" / "train-00002-of-00003.parquet").symlink_to(tmp_path / "outside.parquet")
    with pytest.raises(UnsafeDataError):
        read(tmp_path / "hub")


def test_shards_must_be_alike(tmp_path):
    write_shards(tmp_path, SPLITS)
    table = pq.read_table(tmp_path / "data" / "train-00001-of-00002.parquet").rename_columns(["image", "labels"])
    pq.write_table(table, tmp_path / "data" / "train-00001-of-00002.parquet")
    with pytest.raises(DatasetLayoutError, match="different names"):
        read(tmp_path)


def test_rows_that_are_not_there_are_noticed(tmp_path):
    root = write_shards(tmp_path, {"train": TRAIN})
    file = root / "data" / "train-00000-of-00002.parquet"
    table = pq.read_table(file)
    holes = pa.array([{"bytes": None, "path": "x.png"}] * len(table), table.schema.field("image").type)
    pq.write_table(table.set_column(0, "image", holes), file)
    with pytest.raises(DatasetLayoutError, match="rows hold no picture"):
        read(root).pool.images.picture(0)
