"""Datasets in the layout of the Hugging Face hub: a README, and parquet shards or pictures in folders.

Nothing in the folder is run, loading scripts included, and nothing is fetched.
"""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Final

import numpy as np

from ot3l_core.data.images import ImageDataset, ImageSplit, Indices, unlabelled_dataset
from ot3l_core.data.limits import refuse_too_many
from ot3l_core.data.readers.folder import list_folder, read_image_file, require_folder
from ot3l_core.data.readers.front_matter import DEFAULT_CONFIG, FrontMatter, read_front_matter
from ot3l_core.data.readers.hub_files import Splits, files_of_splits
from ot3l_core.data.readers.labelling import Stored, encode_labels, positions
from ot3l_core.data.readers.picture_lists import LIST_NAMES, listed_dataset
from ot3l_core.data.readers.shards import Shard, open_shard, pictures_of
from ot3l_core.data.readers.trees import Listing, pile_dataset, tree_dataset
from ot3l_core.data.spec import DatasetSpec
from ot3l_core.errors import DatasetLayoutError

_README: Final = "README.md"
_TESTS: Final = ("test", "validation")
"""A test split wins over a validation split, unless its labels are kept secret."""


def open_huggingface(spec: DatasetSpec) -> ImageDataset:
    """Read a folder as it is downloaded from the hub, perhaps in one enclosing folder.

    Parquet shards are divided into splits as the README says, or by their names; ``train`` becomes the pool, ``test``
    or else ``validation`` the test split. Classes are named by the shards' schema or by the README. Rows are read group
    by group when they are needed. Without parquet, pictures are read from class folders, or as ``metadata.csv`` or
    ``metadata.jsonl`` lists them.

    Raises:
        DatasetNotFoundError: If the folder, a configuration or a shard is missing.
        DatasetLayoutError: If its files are others, or there are several configurations and none is named.
        UnsafeDataError: If a link or a name leads out, the README is made to harm, or a file would grow beyond reason.
    """
    root, listing = _inside(require_folder(spec.required_path))
    said = read_front_matter(root / _README) if _README in listing.files else FrontMatter()
    tables = [name for name in listing.files if PurePosixPath(name).suffix == ".parquet"]
    if tables:
        config, splits = files_of_splits(tables, said, spec.config)
        return _table_dataset(root, splits, spec, said, config)
    if spec.labelled and any(PurePosixPath(name).name in LIST_NAMES for name in listing.files):
        return listed_dataset(root, listing, spec.label_column, said.class_names)
    dataset_of = tree_dataset if spec.labelled else pile_dataset
    return dataset_of(listing, lambda name: read_image_file(root, name))


def _inside(root: Path) -> tuple[Path, Listing]:
    """The folder that has the files, and what is below it."""
    listing = list_folder(root)
    tops = {name.split("/", 1)[0] for name in (*listing.files, *listing.folders)}
    if len(tops) == 1 and (top := tops.pop()) in listing.folders and f"{top}/{_README}" in listing.files:
        return _inside(root / top)
    return root, listing


def _table_dataset(root: Path, splits: Splits, spec: DatasetSpec, said: FrontMatter, config: str) -> ImageDataset:
    pool_name = _pool_of(splits)
    pool = _open(root, splits[pool_name], spec)
    if not spec.labelled:
        ids = positions(pool_name, sum(shard.metadata.num_rows for shard in pool))
        return unlabelled_dataset(pictures_of(pool, ids), ids)
    test_name, test = _test_of(root, splits, spec)
    parts = [pool, test] if test else [pool]
    refuse_too_many("the dataset", sum(len(shard.labels) for part in parts for shard in part))
    _require_one_kind([shard for part in parts for shard in part])
    classes, encoded = encode_labels(
        [_labels(part) for part in parts], _names(pool[0], said, config), field="label_column"
    )
    made = [_split(name, part, own) for name, part, own in zip((pool_name, test_name), parts, encoded, strict=False)]
    return ImageDataset(classes, made[0], made[1] if test else None)


def _pool_of(splits: Splits) -> str:
    if "train" in splits:
        return "train"
    if len(splits) == 1:
        return next(iter(splits))
    raise DatasetLayoutError(
        f"there is no split 'train' among {', '.join(sorted(splits))[:200]}: name one in the README's data_files",
        field="path",
    )


def _open(root: Path, files: Sequence[str], spec: DatasetSpec) -> list[Shard]:
    return [open_shard(root / name, label_column=spec.label_column, labelled=spec.labelled) for name in files]


def _test_of(root: Path, splits: Splits, spec: DatasetSpec) -> tuple[str, list[Shard]]:
    """The split to test on; one whose labels are all negative has none that anybody may know."""
    for name in _TESTS:
        if name in splits and name != _pool_of(splits):
            shards = _open(root, splits[name], spec)
            labels = _labels(shards)
            if labels.dtype.kind != "i" or not len(labels) or labels.max() >= 0:
                return name, shards
    return "", []


def _labels(shards: Sequence[Shard]) -> Stored:
    return np.concatenate([shard.labels for shard in shards])


def _require_one_kind(shards: Sequence[Shard]) -> None:
    if len({(shard.label_name, shard.labels.dtype.kind) for shard in shards if len(shard.labels)}) > 1:
        raise DatasetLayoutError(
            "the shards have labels of different kinds, or in columns of different names: write them alike",
            field="label_column",
        )


def _names(shard: Shard, said: FrontMatter, config: str) -> Sequence[str] | None:
    if shard.names is not None or shard.label_name is None:
        return shard.names
    told = said.class_names
    return told.get((config, shard.label_name)) or told.get((DEFAULT_CONFIG, shard.label_name))


def _split(name: str, shards: Sequence[Shard], labels: Indices) -> ImageSplit:
    ids = positions(name, len(labels))
    return ImageSplit(pictures_of(shards, ids), labels, ids)
