"""Image tables as Hugging Face stores them."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ot3l_core.data.images import EncodedImages, ImageDataset, Images, ImageSplit, Indices, unlabelled_dataset
from ot3l_core.data.readers.columns import (
    bytes_of,
    class_names,
    image_column,
    label_column_of,
    labels_of,
    opened_table,
    read_groups,
)
from ot3l_core.data.readers.folder import require_file
from ot3l_core.data.readers.labelling import Stored, encode_labels, positions
from ot3l_core.data.spec import DatasetSpec
from ot3l_core.errors import DatasetNotFoundError

if TYPE_CHECKING:
    import pyarrow as pa


def open_parquet(spec: DatasetSpec) -> ImageDataset:
    """Read one parquet file, two, or a folder with ``train*.parquet`` and ``test*.parquet``.

    Pictures are in a column of structs ``{bytes, path}`` or of plain bytes, labels in one of integers or strings. Both
    are found by name and type. Classes are named by the schema's ``huggingface`` metadata, otherwise by their values.
    Without labels, only the column of pictures is read, and of a folder only ``train*.parquet``.

    Raises:
        DatasetNotFoundError: If a file is missing.
        DatasetLayoutError: If a file is no parquet, or its columns are others.
        UnsafeDataError: If a file would grow beyond reason.
    """
    files = _files_of_splits(spec)
    if not spec.labelled:
        pictures = [chunk for path in files["train"] for chunk in _read_pictures(path)]
        ids = positions("train", sum(map(len, pictures)))
        return unlabelled_dataset(_images(pictures, ids), ids)
    tables = {split: [_read(path, spec.label_column) for path in paths] for split, paths in files.items()}
    stored = [np.concatenate([table.labels for table in parts]) for parts in tables.values()]
    classes, encoded = encode_labels(stored, tables["train"][0].names, field="label_column")
    splits = [_split(split, parts, labels) for (split, parts), labels in zip(tables.items(), encoded, strict=True)]
    return ImageDataset(classes, splits[0], splits[1] if len(splits) > 1 else None)


def _files_of_splits(spec: DatasetSpec) -> Mapping[str, Sequence[Path]]:
    path = spec.required_path
    if not path.is_dir():
        train = {"train": [require_file(path)]}
        return train if spec.test_path is None else train | {"test": [require_file(spec.test_path, field="test_path")]}
    found = {split: sorted(path.glob(f"{split}*.parquet")) for split in ("train", "test")}
    if not found["train"]:
        raise DatasetNotFoundError(
            f"folder {path.name!r} has no train*.parquet: name the files train*.parquet and test*.parquet, "
            "or give the path of one file",
            field="path",
        )
    return {split: paths for split, paths in found.items() if paths}


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """One file: its pictures as Arrow arrays of bytes, its labels, and class names where the schema has them."""

    pictures: "list[pa.Array]"
    labels: Stored
    names: list[str] | None


def _read(path: Path, label_column: str | None) -> _Table:
    with opened_table(path) as file:
        schema = file.schema_arrow
        image = image_column(schema)
        label = label_column_of(schema, image.name, label_column)
        groups = read_groups(path, file, [image, label])
        pictures = [chunk for group in groups for chunk in bytes_of(group[image.name])]
        labels = [labels_of(group[label.name], label.name) for group in groups]
        names = class_names(schema.metadata, label.name)
    return _Table(pictures, np.concatenate([np.empty(0, np.int64), *labels]), names)


def _read_pictures(path: Path) -> "list[pa.Array]":
    with opened_table(path) as file:
        image = image_column(file.schema_arrow)
        return [chunk for group in read_groups(path, file, [image]) for chunk in bytes_of(group[image.name])]


def _split(name: str, parts: Sequence[_Table], labels: Indices) -> ImageSplit:
    ids = positions(name, len(labels))
    return ImageSplit(_images([chunk for part in parts for chunk in part.pictures], ids), labels, ids)


def _images(pictures: "Sequence[pa.Array]", ids: tuple[str, ...]) -> Images:
    starts = list(accumulate(map(len, pictures), initial=0))

    def read(index: int) -> bytes:
        chunk = bisect_right(starts, index) - 1
        return bytes(pictures[chunk][index - starts[chunk]].as_py())

    return EncodedImages(read, ids)
