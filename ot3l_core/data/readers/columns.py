"""The columns of image tables: which hold pictures and labels, and what is in them, before anything is believed."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ot3l_core.data.limits import (
    refuse_bomb,
    refuse_large_group,
    refuse_large_memory,
    refuse_too_many,
    require_class_names,
    some_of,
)
from ot3l_core.data.readers.labelling import Stored
from ot3l_core.errors import DatasetLayoutError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

LABEL_COLUMNS = ("label", "labels", "fine_label", "class", "target", "category", "coarse_label")
"""What labels are usually called; the first that is there is taken."""
_IMAGE_COLUMNS = ("image", "img", "picture", "photo")


@dataclass(frozen=True, slots=True)
class Column:
    """A column, and the name that the file has for its values: ``image.bytes`` in a struct."""

    name: str
    leaf: str


@contextmanager
def opened_table(path: Path) -> "Iterator[pq.ParquetFile]":
    """A parquet file.

    Raises:
        DatasetLayoutError: If it is none, or what is read of it meanwhile is damaged.
    """
    import pyarrow as pa  # noqa: PLC0415 - optional
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        with pq.ParquetFile(path) as file:
            yield file
    except (pa.ArrowException, OSError, ValueError, LookupError, OverflowError, MemoryError, RecursionError) as error:
        raise DatasetLayoutError(
            f"{path.name!r} is no readable parquet file: write it anew, with plain or dictionary encoding", field="path"
        ) from error


def read_groups(path: Path, file: "pq.ParquetFile", columns: Sequence[Column]) -> "list[pa.Table]":
    """The columns, group by group, because Arrow cannot read nested columns of more than 2 GiB at once.

    Bytes and strings stay behind dictionaries: of a value that is stored once and named by a million rows, Arrow would
    otherwise make a million copies. What a file says of its own size is believed only where it says too much.
    """
    import pyarrow.parquet as pq  # noqa: PLC0415

    stored = path.stat().st_size
    groups = [file.metadata.row_group(group) for group in range(file.metadata.num_row_groups)]
    refuse_too_many(path.name, sum(max(group.num_rows, 0) for group in groups))
    _require_size(path, stored, sum(max(group.total_byte_size, 0) for group in groups))
    leaves = [column.leaf for column in columns]
    _require_unique(path, file, leaves)
    tables: list[pa.Table] = []
    size = 0
    with pq.ParquetFile(path, metadata=file.metadata, read_dictionary=leaves) as behind_dictionaries:
        for group in range(len(groups)):
            tables.append(behind_dictionaries.read_row_group(group, columns=leaves, use_threads=False))
            size += tables[-1].nbytes
            _require_size(path, stored, size)
    return tables


def read_group(path: Path, metadata: "pq.FileMetaData", column: Column, number: int) -> "list[pa.Array]":
    """The pictures of one group of rows, out of a file whose size as a whole was looked at before.

    Raises:
        DatasetLayoutError: If the group has other rows than it says, or is damaged.
        UnsafeDataError: If it would grow beyond reason, or take too much memory.
    """
    import pyarrow.parquet as pq  # noqa: PLC0415

    claimed = metadata.row_group(number)
    refuse_large_group(path.name, claimed.total_byte_size)
    with opened_table(path), pq.ParquetFile(path, metadata=metadata, read_dictionary=[column.leaf]) as file:
        table = file.read_row_group(number, columns=[column.leaf], use_threads=False)
        refuse_large_group(path.name, table.nbytes)
        pictures = bytes_of(table[column.name])
        if sum(map(len, pictures)) != claimed.num_rows:
            raise DatasetLayoutError(f"{path.name!r} has fewer rows than it says: write it anew", field="path")
        return pictures


def _require_size(path: Path, stored: int, size: int) -> None:
    refuse_bomb(path.name, stored=stored, declared=size)
    refuse_large_memory(path.name, size)


def _require_unique(path: Path, file: "pq.ParquetFile", leaves: Sequence[str]) -> None:
    """Refuse columns that bring others with them: Arrow reads all whose path begins with a name."""
    found = [file.schema.column(index).path for index in range(len(file.schema.names))]
    for leaf in leaves:
        if sum(other == leaf or other.startswith(f"{leaf}.") for other in found) != 1:
            raise DatasetLayoutError(
                f"{path.name!r} has several columns {leaf!r}: give each column a name of its own", field="path"
            )


def image_column(schema: "pa.Schema") -> Column:
    """The column of pictures, by its type and then by its name.

    Raises:
        DatasetLayoutError: If there is none.
    """
    candidates = {field.name: leaf for field in schema if (leaf := _leaf_of_bytes(field)) is not None}
    for name in (*_IMAGE_COLUMNS, *list(candidates)[:1]):
        if name in candidates:
            return Column(name, candidates[name])
    raise DatasetLayoutError(
        f"no column holds pictures as bytes or structs {{bytes, path}}: found {some_of(schema.names)}",
        field="path",
    )


def _leaf_of_bytes(field: "pa.Field") -> str | None:
    import pyarrow as pa  # noqa: PLC0415

    def is_bytes(kind: "pa.DataType") -> bool:
        return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))

    if is_bytes(field.type):
        return str(field.name)
    if pa.types.is_struct(field.type) and any(part.name == "bytes" and is_bytes(part.type) for part in field.type):
        return f"{field.name}.bytes"
    return None


def label_column_of(schema: "pa.Schema", image: str, wanted: str | None) -> Column:
    """The column of labels: the one that is wanted, one of a usual name, or the only one that it can be.

    Raises:
        DatasetLayoutError: If there is none, or a doubt.
    """
    import pyarrow as pa  # noqa: PLC0415

    def is_string(kind: "pa.DataType") -> bool:
        inner = kind.value_type if pa.types.is_dictionary(kind) else kind
        return bool(pa.types.is_string(inner) or pa.types.is_large_string(inner))

    candidates = [f.name for f in schema if f.name != image and (pa.types.is_integer(f.type) or is_string(f.type))]
    preferred = LABEL_COLUMNS if wanted is None else (wanted,)
    only = candidates if wanted is None and len(candidates) == 1 else []
    for name in (*preferred, *only):
        if name in candidates:
            return Column(str(name), str(name))
    asked = (
        "label_column is not given, and none is named 'label'" if wanted is None else f"{wanted!r} is not among them"
    )
    raise DatasetLayoutError(
        f"columns of integers or strings: {some_of(candidates)}; {asked}: name the column of labels",
        field="label_column",
    )


def bytes_of(column: "pa.ChunkedArray") -> "list[pa.Array]":
    """The pictures of a column as arrays of bytes.

    Raises:
        DatasetLayoutError: If a row has none.
    """
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415

    pictures = pc.struct_field(column, "bytes") if pa.types.is_struct(column.type) else column
    if pictures.null_count:
        raise DatasetLayoutError(
            f"{pictures.null_count} rows hold no picture: store the bytes of each in the table, not only its path",
            field="path",
        )
    return [chunk for chunk in pictures.chunks if len(chunk)]


def labels_of(column: "pa.ChunkedArray", name: str) -> Stored:
    """The labels of a column.

    Raises:
        DatasetLayoutError: If a row has none.
    """
    import pyarrow as pa  # noqa: PLC0415

    if column.null_count:
        raise DatasetLayoutError(
            f"{column.null_count} rows have no value in {name!r}: leave out samples without a label",
            field="label_column",
        )
    if pa.types.is_integer(column.type):
        return np.asarray(column.to_numpy(), dtype=np.int64)
    return np.concatenate([np.empty(0, np.str_), *(_strings(chunk) for chunk in column.chunks)])


def _strings(labels: "pa.DictionaryArray") -> NDArray[np.str_]:
    names = labels.dictionary.to_pylist()
    # An array of strings takes as much for each as for the longest.
    require_class_names(tuple(names))
    found: NDArray[np.str_] = np.array(names, dtype=np.str_)[labels.indices.to_numpy()]
    return found


def class_names(metadata: Mapping[bytes, bytes] | None, label: str) -> list[str] | None:
    """Class names from what the ``datasets`` library writes into a schema; None if it did not, or not as expected."""
    try:
        names = json.loads((metadata or {})[b"huggingface"])["info"]["features"][label]["names"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else None
