"""Pictures in folders with their labels in a list beside them: the hub's ``metadata.csv`` and ``metadata.jsonl``."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final, TypeAlias

import numpy as np

from ot3l_core.data.archives import is_writable
from ot3l_core.data.images import EncodedImages, ImageDataset, ImageSplit, Indices
from ot3l_core.data.limits import refuse_large_description, refuse_too_many, require_class_names, some_of
from ot3l_core.data.readers.columns import LABEL_COLUMNS
from ot3l_core.data.readers.folder import read_image_file
from ot3l_core.data.readers.hub_files import split_of
from ot3l_core.data.readers.labelling import Stored, encode_labels
from ot3l_core.data.readers.trees import Listing
from ot3l_core.errors import DatasetLayoutError, DatasetNotFoundError, UnsafeDataError

Row: TypeAlias = Mapping[str, object]

LIST_NAMES: Final = frozenset({"metadata.csv", "metadata.jsonl"})
_FILE_NAME: Final = "file_name"


def listed_dataset(
    root: Path,
    listing: Listing,
    label_column: str | None,
    class_names: Mapping[tuple[str, str], Sequence[str]],
) -> ImageDataset:
    """The pictures that lists name, divided into splits by the folders that the lists lie in.

    Args:
        root: A real folder.
        listing: What is below it.
        label_column: The column of labels, where its name leaves a doubt.
        class_names: Names of the classes 0, 1, ... by configuration and column.

    Raises:
        DatasetNotFoundError: If a list names a picture that is not there.
        DatasetLayoutError: If a list has no column of labels, or is no list.
        UnsafeDataError: If a list names a file elsewhere, or is too long.
    """
    lists = sorted(name for name in listing.files if PurePosixPath(name).name in LIST_NAMES)
    splits: dict[str, list[str]] = {}
    for name in lists:
        words = [split for part in PurePosixPath(name).parts[:-1] if (split := split_of(part)) is not None]
        splits.setdefault(words[-1] if words else "train", []).append(name)
    if "train" not in splits:
        raise DatasetLayoutError(f"no list is for the split 'train': found {some_of(lists)}", field="path")
    test = next((name for name in ("test", "validation") if name in splits), None)
    there = frozenset(listing.files)
    parts = [
        [entry for name in splits[split] for entry in _entries(root, name, label_column, there)]
        for split in ("train", *([test] if test else []))
    ]
    column, labels = _labels(parts)
    names = next((names for (_, own), names in class_names.items() if own == column), None)
    classes, encoded = encode_labels(labels, names, field="label_column")
    require_class_names(classes)
    made = [_split(root, [file for file, _, _ in part], own) for part, own in zip(parts, encoded, strict=True)]
    return ImageDataset(classes, made[0], made[1] if test else None)


Entry: TypeAlias = tuple[str, str, object]
"""A picture's file, the column of its label, and the label."""


def _entries(root: Path, name: str, label_column: str | None, there: frozenset[str]) -> list[Entry]:
    rows = _rows(root / name, name)
    refuse_too_many(name, len(rows))
    if not rows:
        return []
    column = _label_column(name, rows[0], label_column)
    folder = PurePosixPath(name).parent
    return [(_file(folder, name, row, there), column, row.get(column)) for row in rows]


def _rows(path: Path, name: str) -> Sequence[Row]:
    refuse_large_description(name, path.stat().st_size)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if path.suffix == ".csv":
                return list(csv.DictReader(file, strict=True))
            rows = [json.loads(line) for line in file if line.strip()]
    except (OSError, ValueError, csv.Error, RecursionError) as error:
        raise DatasetLayoutError(f"{name!r} is no readable list: write it anew, in UTF-8", field="path") from error
    if not all(isinstance(row, dict) for row in rows):
        raise DatasetLayoutError(f"{name!r} must hold one JSON object a line", field="path")
    return rows


def _label_column(name: str, row: Row, wanted: str | None) -> str:
    columns: list[str] = [str(column) for column in row if column != _FILE_NAME]
    only = columns if wanted is None and len(columns) == 1 else []
    preferred: tuple[str, ...] = LABEL_COLUMNS if wanted is None else (wanted,)
    for column in (*preferred, *only):
        if column in columns:
            return column
    raise DatasetLayoutError(
        f"{name!r} has the columns {some_of(columns)}: name the one of labels", field="label_column"
    )


def _file(folder: PurePosixPath, name: str, row: Row, there: frozenset[str]) -> str:
    written = row.get(_FILE_NAME)
    if not isinstance(written, str) or not written or not is_writable(written):
        raise DatasetLayoutError(f"{name!r} must have the path of a picture in {_FILE_NAME!r}", field="path")
    if written.startswith("/") or ".." in PurePosixPath(written).parts or "\\" in written:
        raise UnsafeDataError(
            f"{name!r} names {written[:200]!a}, which leads out of its folder: name pictures below it", field="path"
        )
    file = (folder / written).as_posix()
    if file not in there:
        raise DatasetNotFoundError(f"{name!r} names {written[:200]!r}, and there is no such file", field="path")
    return file


def _labels(parts: Sequence[Sequence[Entry]]) -> tuple[str, list[Stored]]:
    """The one column that all lists have their labels in, and what is in it: all numbers, or all text."""
    columns = {column for part in parts for _, column, _ in part}
    if len(columns) != 1:
        raise DatasetLayoutError(
            f"the lists have labels in {some_of(sorted(columns))}: name one column that all have", field="label_column"
        )
    values = [[label for _, _, label in part] for part in parts]
    flat = [label for part in values for label in part]
    if all(type(label) is int and abs(label) < 2**63 for label in flat):
        return columns.pop(), [np.array(part, dtype=np.int64) for part in values]
    if not all(isinstance(label, str) and label for label in flat):
        raise DatasetLayoutError(
            "some rows have no label, or labels of different kinds: give every picture a name or a number",
            field="label_column",
        )
    # An array of strings takes as much for each as for the longest.
    require_class_names(tuple(set(map(str, flat))))
    return columns.pop(), [np.array(part, dtype=np.str_) for part in values]


def _split(root: Path, files: Sequence[str], labels: Indices) -> ImageSplit:
    ids = tuple(files)
    return ImageSplit(EncodedImages(lambda index: read_image_file(root, ids[index]), ids), labels, ids, ids)
