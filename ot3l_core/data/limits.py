"""How much of a machine data may take: every bound on what is read from strangers, in one place.

Wide enough for ImageNet (1.3 million files, 150 GB), narrow enough that no file makes a worker wait or grow for ever.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ot3l_core.errors import DatasetLayoutError, UnsafeDataError

MAX_SAMPLES: Final = 3_000_000
"""Files of a folder or an archive, rows of a table: their names are held in memory, some 500 bytes for each."""

MAX_IMAGE_BYTES: Final = 256 * 2**20
"""One image file. No encoded picture below ``MAX_PIXELS`` needs more, whatever its format."""

MAX_PIXELS: Final = 89_478_485
"""One picture: the size from which Pillow itself warns of a decompression bomb."""

MAX_JPEG_SCANS: Final = 256
"""A progressive JPEG has about ten passes over all its pixels. One may be a hundred bytes, and take a second."""

MAX_TIFF_VALUES: Final = 2_000_000
"""Numbers in the directory of a TIFF file, which Pillow turns into Python objects before it looks at the size."""

MAX_DESCRIPTION_BYTES: Final = 512 * 2**20
"""Annotations, lists of files, tables of labels: read at once. The largest of COCO has 448 MiB."""

MAX_IN_MEMORY_BYTES: Final = 16 * 2**30
"""Arrays and tables, which are held in memory as long as they are in use."""

MAX_GROUP_BYTES: Final = 2 * 2**30
"""One group of rows of a table that is read group by group; two of each split are held."""

MAX_FRONT_MATTER_BYTES: Final = 2**20
"""What stands before a README's text. Names of 20,000 classes take half of it."""

MAX_SHARDS: Final = 10_000
"""Files of one table."""

MAX_CLASSES: Final = 50_000
"""ImageNet-21k has half as many."""

MAX_CLASS_NAME: Final = 255
"""Characters of a class name: what a folder's name may have."""

MAX_INFLATION: Final = 200
"""Fold. Pixels and pictures hardly compress; bombs do a thousandfold."""

ALWAYS_ALLOWED_BYTES: Final = 64 * 2**20
"""What anything may grow to, however little is stored: blank pictures compress like bombs."""


_SHOWN: Final = 20
_SHOWN_CHARACTERS: Final = 60


@dataclass(frozen=True, slots=True)
class UnpackingLimits:
    """How much an archive may become.

    Attributes:
        max_files: Files and folders.
        max_bytes: All files together.
        max_inflation: Bytes written for each byte of the archive.
        keep_free: Bytes of the disk that stay free.
    """

    max_files: int = MAX_SAMPLES
    max_bytes: int = 500 * 2**30
    max_inflation: int = MAX_INFLATION
    keep_free: int = 2**30


def refuse_bomb(name: str, *, stored: int, declared: int, inflation: int = MAX_INFLATION) -> None:
    """Refuse content that would grow, or has grown, beyond reason.

    Args:
        name: What to call the content in the error.
        stored: Its size on disk, in bytes.
        declared: The size that it says it will have when unpacked, or that it has already, in bytes.
        inflation: How many times what is stored it may have.

    Raises:
        UnsafeDataError: If it is a bomb.
    """
    if declared > max(ALWAYS_ALLOWED_BYTES, inflation * stored):
        raise UnsafeDataError(
            f"{name!r} would grow from {stored} to {declared} bytes when unpacked, more than {inflation}-fold: "
            "store it with less compression if it is genuine",
            field="path",
        )


def refuse_large_image(name: str, size: int) -> None:
    """Refuse an image file too large to be read into memory.

    Raises:
        UnsafeDataError: If it has more than ``MAX_IMAGE_BYTES`` bytes.
    """
    if size > MAX_IMAGE_BYTES:
        raise UnsafeDataError(
            f"{name!r} has {size} bytes: an image may have {MAX_IMAGE_BYTES}; make it smaller", field="path"
        )


def refuse_large_picture(name: str, width: int, height: int) -> None:
    """Refuse a picture that would take too much memory in RGB, however little is stored of it.

    Raises:
        UnsafeDataError: If it has more than ``MAX_PIXELS`` pixels.
    """
    if width * height > MAX_PIXELS:
        raise UnsafeDataError(f"{name!r} is larger than {MAX_PIXELS} pixels: make it smaller", field="path")


def refuse_large_memory(name: str, size: int) -> None:
    """Refuse arrays and tables too large to be held in memory.

    Raises:
        UnsafeDataError: If they take more than ``MAX_IN_MEMORY_BYTES`` bytes.
    """
    if size > MAX_IN_MEMORY_BYTES:
        raise UnsafeDataError(
            f"{name!r} takes {size} bytes of memory: at most {MAX_IN_MEMORY_BYTES} are read at once; divide it, or "
            "store its pictures as files in a folder or a zip, which are read one by one",
            field="path",
        )


def refuse_large_group(name: str, size: int) -> None:
    """Refuse a group of rows too large to be held while one picture of it is needed.

    Raises:
        UnsafeDataError: If it takes more than ``MAX_GROUP_BYTES`` bytes.
    """
    if size > MAX_GROUP_BYTES:
        raise UnsafeDataError(
            f"a row group of {name!r} takes {size} bytes: at most {MAX_GROUP_BYTES} are read at once; write it with "
            "smaller row groups",
            field="path",
        )


def refuse_large_description(name: str, size: int, *, field: str = "path") -> None:
    """Refuse a list or a table that is read at once and would become many times its size.

    Raises:
        UnsafeDataError: If it has more than ``MAX_DESCRIPTION_BYTES`` bytes.
    """
    if size > MAX_DESCRIPTION_BYTES:
        raise UnsafeDataError(
            f"{name!r} has {size} bytes: lists and annotations may have {MAX_DESCRIPTION_BYTES}; divide it", field=field
        )


def refuse_too_many(name: str, count: int) -> None:
    """Refuse more samples than their names should take memory.

    Raises:
        UnsafeDataError: If there are more than ``MAX_SAMPLES``.
    """
    if count > MAX_SAMPLES:
        raise UnsafeDataError(f"{name!r} has {count} entries: at most {MAX_SAMPLES} are read; divide it", field="path")


def some_of(names: Sequence[str]) -> str:
    """The first of some names, as a message can hold them."""
    shown = [name if len(name) <= _SHOWN_CHARACTERS else f"{name[:_SHOWN_CHARACTERS]}..." for name in names[:_SHOWN]]
    return ", ".join([*shown, *(["..."] if len(names) > _SHOWN else [])]) or "none"


def require_class_names(names: tuple[str, ...]) -> None:
    """Refuse class names that no report could show and no database should store.

    Raises:
        DatasetLayoutError: If there are too many, or one is too long or no printable text.
    """
    if len(names) > MAX_CLASSES:
        raise DatasetLayoutError(
            f"there are {len(names)} classes: at most {MAX_CLASSES} are told apart; check what names the classes",
            field="path",
        )
    for name in names:
        if len(name) > MAX_CLASS_NAME:
            raise DatasetLayoutError(
                f"a class name may have {MAX_CLASS_NAME} characters: shorten {name[:40]!a}..., which has {len(name)}",
                field="path",
            )
        if not name.isprintable():
            raise DatasetLayoutError(f"class names must be printable text: rename {name!a}", field="path")
