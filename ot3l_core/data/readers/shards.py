"""Tables in several files, of which only some groups of rows are held in memory."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final

import numpy as np

from ot3l_core.data.images import EncodedImages, Images
from ot3l_core.data.limits import refuse_bomb, refuse_too_many
from ot3l_core.data.readers.columns import (
    Column,
    class_names,
    image_column,
    label_column_of,
    labels_of,
    opened_table,
    read_group,
    read_groups,
)
from ot3l_core.data.readers.labelling import Stored
from ot3l_core.errors import DatasetLayoutError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_GROUPS_HELD: Final = 2  # whoever reads in order is in one, and the threads ahead of it in the next
_LFS_POINTER: Final = b"version https://git-lfs"


@dataclass(frozen=True, slots=True, eq=False)
class Shard:
    """One file of a table: all that is known of it but its pictures.

    Attributes:
        path: The file.
        metadata: Its footer.
        image: The column of pictures.
        label_name: The name of the column of labels; None where labels are not read.
        labels: The labels, of n rows; none where they are not read.
        names: Names of the classes, where the schema has them.
    """

    path: Path
    metadata: "pq.FileMetaData"
    image: Column
    label_name: str | None
    labels: Stored
    names: list[str] | None

    @property
    def group_sizes(self) -> list[int]:
        """Rows of each group."""
        return [self.metadata.row_group(number).num_rows for number in range(self.metadata.num_row_groups)]


def open_shard(path: Path, *, label_column: str | None, labelled: bool) -> Shard:
    """Look at a file, and read its labels.

    Args:
        path: The file.
        label_column: The column of labels, where its name or type leaves a doubt.
        labelled: Whether labels are read at all.

    Raises:
        DatasetLayoutError: If it is no parquet, or its columns are others.
        UnsafeDataError: If it would grow beyond reason.
    """
    _refuse_pointer(path)
    with opened_table(path) as file:
        schema, metadata = file.schema_arrow, file.metadata
        image = image_column(schema)
        groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
        rows = [group.num_rows for group in groups]
        if min(rows, default=0) < 0:
            raise DatasetLayoutError(f"{path.name!r} says that it has {min(rows)} rows: write it anew", field="path")
        refuse_too_many(path.name, sum(rows))
        refuse_bomb(path.name, stored=path.stat().st_size, declared=sum(group.total_byte_size for group in groups))
        if not labelled:
            return Shard(path, metadata, image, None, np.empty(0, np.int64), None)
        label = label_column_of(schema, image.name, label_column)
        parts = [labels_of(group[label.name], label.name) for group in read_groups(path, file, [label])]
        labels = np.concatenate([np.empty(0, np.int64), *parts]) if parts else np.empty(0, np.int64)
        if len(labels) != sum(rows):
            raise DatasetLayoutError(f"{path.name!r} has other rows than it says: write it anew", field="path")
        return Shard(path, metadata, image, label.name, labels, class_names(schema.metadata, label.name))


def _refuse_pointer(path: Path) -> None:
    with path.open("rb") as file:
        if file.read(len(_LFS_POINTER)) == _LFS_POINTER:
            raise DatasetLayoutError(
                f"{path.name!r} is a pointer of Git LFS and not the file itself: download the dataset with its files",
                field="path",
            )


def pictures_of(shards: Sequence[Shard], ids: tuple[str, ...]) -> Images:
    """The pictures of all shards, one after the other; safe to read from several threads."""
    return EncodedImages(_reader(shards), ids)


def _reader(shards: Sequence[Shard]) -> Callable[[int], bytes]:
    groups = [(shard, number) for shard in shards for number in range(len(shard.group_sizes))]
    starts = list(accumulate((size for shard in shards for size in shard.group_sizes), initial=0))
    lock = Lock()

    @lru_cache(maxsize=_GROUPS_HELD)
    def load(place: int) -> "list[pa.Array]":
        shard, number = groups[place]
        return read_group(shard.path, shard.metadata, shard.image, number)

    def read(index: int) -> bytes:
        place = bisect_right(starts, index) - 1
        # One thread reads a group, and the others wait for it.
        with lock:
            chunks = load(place)
        row = index - starts[place]
        for chunk in chunks:
            if row < len(chunk):
                return bytes(chunk[row].as_py())
            row -= len(chunk)
        raise DatasetLayoutError(f"{groups[place][0].path.name!r} has fewer rows than it says", field="path")

    return read
