"""Image tables as Hugging Face stores them."""

import json
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ot3l_core.data.images import EncodedImages, ImageDataset, Images, ImageSplit, Indices, unlabelled_dataset
from ot3l_core.data.limits import refuse_bomb, refuse_large_memory, refuse_too_many, require_class_names, some_of
from ot3l_core.data.readers.folder import require_file
from ot3l_core.data.readers.labelling import Stored, encode_labels, positions
from ot3l_core.data.spec import DatasetSpec
from ot3l_core.errors import DatasetLayoutError, DatasetNotFoundError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

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


@dataclass(frozen=True, slots=True)
class _Column:
    """A column, and the name that the file has for its values: ``image.bytes`` in a struct."""

    name: str
    leaf: str


def _read(path: Path, label_column: str | None) -> _Table:
    with _opened(path) as file:
        schema = file.schema_arrow
        image = _image_column(schema)
        label = _label_column(schema, image.name, label_column)
        groups = _read_groups(path, file, [image, label])
        pictures = [chunk for group in groups for chunk in _bytes_of(group[image.name])]
        labels = [_labels(group[label.name], label.name) for group in groups]
        names = _class_names(schema.metadata, label.name)
    return _Table(pictures, np.concatenate([np.empty(0, np.int64), *labels]), names)


def _read_pictures(path: Path) -> "list[pa.Array]":
    with _opened(path) as file:
        image = _image_column(file.schema_arrow)
        return [chunk for group in _read_groups(path, file, [image]) for chunk in _bytes_of(group[image.name])]


@contextmanager
def _opened(path: Path) -> "Iterator[pq.ParquetFile]":
    import pyarrow as pa  # noqa: PLC0415 - optional
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        with pq.ParquetFile(path) as file:
            yield file
    except (pa.ArrowException, OSError, ValueError, LookupError, OverflowError, MemoryError, RecursionError) as error:
        raise DatasetLayoutError(
            f"{path.name!r} is no readable parquet file: write it anew, with plain or dictionary encoding", field="path"
        ) from error


def _read_groups(path: Path, file: "pq.ParquetFile", columns: Sequence[_Column]) -> "list[pa.Table]":
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


def _image_column(schema: "pa.Schema") -> _Column:
    candidates = {field.name: leaf for field in schema if (leaf := _leaf_of_bytes(field)) is not None}
    for name in (*_IMAGE_COLUMNS, *list(candidates)[:1]):
        if name in candidates:
            return _Column(name, candidates[name])
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


def _label_column(schema: "pa.Schema", image: str, wanted: str | None) -> _Column:
    import pyarrow as pa  # noqa: PLC0415

    def is_string(kind: "pa.DataType") -> bool:
        inner = kind.value_type if pa.types.is_dictionary(kind) else kind
        return bool(pa.types.is_string(inner) or pa.types.is_large_string(inner))

    candidates = [f.name for f in schema if f.name != image and (pa.types.is_integer(f.type) or is_string(f.type))]
    preferred = _LABEL_COLUMNS if wanted is None else (wanted,)
    only = candidates if wanted is None and len(candidates) == 1 else []
    for name in (*preferred, *only):
        if name in candidates:
            return _Column(str(name), str(name))
    asked = (
        "label_column is not given, and none is named 'label'" if wanted is None else f"{wanted!r} is not among them"
    )
    raise DatasetLayoutError(
        f"columns of integers or strings: {some_of(candidates)}; {asked}: name the column of labels",
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
    return np.concatenate([np.empty(0, np.str_), *(_strings(chunk) for chunk in column.chunks)])


def _strings(labels: "pa.DictionaryArray") -> NDArray[np.str_]:
    names = labels.dictionary.to_pylist()
    # An array of strings takes as much for each as for the longest.
    require_class_names(tuple(names))
    found: NDArray[np.str_] = np.array(names, dtype=np.str_)[labels.indices.to_numpy()]
    return found


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
