"""Image tables as Hugging Face stores them."""

import json
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ot3l_core.data.images import EncodedImages, ImageDataset, Images, ImageSplit, Indices, unlabelled_dataset
from ot3l_core.data.limits import refuse_bomb
from ot3l_core.data.readers.folder import require_file
from ot3l_core.data.readers.labelling import Stored, encode_labels, positions
from ot3l_core.data.spec import DatasetSpec
from ot3l_core.errors import DatasetLayoutError, DatasetNotFoundError

if TYPE_CHECKING:
    import pyarrow as pa

_IMAGE_COLUMNS = ("image", "img", "picture", "photo")
_LABEL_COLUMNS = ("label", "labels", "fine_label", "class", "target", "category", "coarse_label")


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
    def columns_of(schema: "pa.Schema") -> list[str]:
        image = _image_column(schema)
        return [image, _label_column(schema, image, label_column)]

    schema, (image, label), groups = _read_groups(path, columns_of)
    pictures = [chunk for group in groups for chunk in _bytes_of(group[image])]
    labels = np.concatenate([np.empty(0, np.int64), *(_labels(group[label], label) for group in groups)])
    return _Table(pictures, labels, _class_names(schema.metadata, label))


def _read_pictures(path: Path) -> "list[pa.Array]":
    _, (image,), groups = _read_groups(path, lambda schema: [_image_column(schema)])
    return [chunk for group in groups for chunk in _bytes_of(group[image])]


def _read_groups(
    path: Path, columns_of: "Callable[[pa.Schema], list[str]]"
) -> "tuple[pa.Schema, list[str], list[pa.Table]]":
    import pyarrow as pa  # noqa: PLC0415 - optional
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        with pq.ParquetFile(path) as file:
            groups = range(file.metadata.num_row_groups)
            unpacked = sum(file.metadata.row_group(group).total_byte_size for group in groups)
            refuse_bomb(path.name, stored=path.stat().st_size, declared=unpacked)
            schema = file.schema_arrow
            columns = columns_of(schema)
            # Group by group, because Arrow cannot read nested columns of more than 2 GiB at once.
            return schema, columns, [file.read_row_group(group, columns=columns) for group in groups]
    except (pa.ArrowException, OSError) as error:
        raise DatasetLayoutError(f"{path.name!r} is no readable parquet file", field="path") from error


def _image_column(schema: "pa.Schema") -> str:
    candidates = [field.name for field in schema if _holds_bytes(field.type)]
    for name in (*_IMAGE_COLUMNS, *candidates[:1]):
        if name in candidates:
            return str(name)
    raise DatasetLayoutError(
        f"no column holds pictures as bytes or structs {{bytes, path}}: found {', '.join(schema.names)}", field="path"
    )


def _holds_bytes(kind: "pa.DataType") -> bool:
    import pyarrow as pa  # noqa: PLC0415

    if pa.types.is_struct(kind):
        return any(field.name == "bytes" and _holds_bytes(field.type) for field in kind)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _label_column(schema: "pa.Schema", image: str, wanted: str | None) -> str:
    import pyarrow as pa  # noqa: PLC0415

    def is_string(kind: "pa.DataType") -> bool:
        inner = kind.value_type if pa.types.is_dictionary(kind) else kind
        return bool(pa.types.is_string(inner) or pa.types.is_large_string(inner))

    candidates = [f.name for f in schema if f.name != image and (pa.types.is_integer(f.type) or is_string(f.type))]
    preferred = _LABEL_COLUMNS if wanted is None else (wanted,)
    only = candidates if wanted is None and len(candidates) == 1 else []
    for name in (*preferred, *only):
        if name in candidates:
            return str(name)
    asked = (
        "label_column is not given, and none is named 'label'" if wanted is None else f"{wanted!r} is not among them"
    )
    raise DatasetLayoutError(
        f"columns of integers or strings: {', '.join(candidates) or 'none'}; {asked}: name the column of labels",
        field="label_column",
    )


def _bytes_of(column: "pa.ChunkedArray") -> "list[pa.Array]":
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415

    pictures = pc.struct_field(column, "bytes") if pa.types.is_struct(column.type) else column
    if pictures.null_count:
        raise DatasetLayoutError(
            f"{pictures.null_count} rows hold no picture: store the bytes of each in the table, not only its path",
            field="path",
        )
    return [chunk for chunk in pictures.chunks if len(chunk)]


def _labels(column: "pa.ChunkedArray", name: str) -> Stored:
    import pyarrow as pa  # noqa: PLC0415

    if column.null_count:
        raise DatasetLayoutError(
            f"{column.null_count} rows have no value in {name!r}: leave out samples without a label",
            field="label_column",
        )
    if pa.types.is_integer(column.type):
        return np.asarray(column.to_numpy(), dtype=np.int64)
    return np.asarray(column.cast(pa.string()).to_numpy(), dtype=np.str_)


def _class_names(metadata: Mapping[bytes, bytes] | None, label: str) -> list[str] | None:
    """Class names from what the ``datasets`` library writes into a schema; None if it did not, or not as expected."""
    try:
        names = json.loads((metadata or {})[b"huggingface"])["info"]["features"][label]["names"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else None


def _split(name: str, parts: Sequence[_Table], labels: Indices) -> ImageSplit:
    ids = positions(name, len(labels))
    return ImageSplit(_images([chunk for part in parts for chunk in part.pictures], ids), labels, ids)


def _images(pictures: "Sequence[pa.Array]", ids: tuple[str, ...]) -> Images:
    starts = list(accumulate(map(len, pictures), initial=0))

    def read(index: int) -> bytes:
        chunk = bisect_right(starts, index) - 1
        return bytes(pictures[chunk][index - starts[chunk]].as_py())

    return EncodedImages(read, ids)
