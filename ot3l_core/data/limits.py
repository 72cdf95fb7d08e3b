"""How much a stored file may grow when it is read."""

from ot3l_core.errors import UnsafeDataError

MAX_IMAGE_BYTES = 256 * 2**20
"""No encoded picture below ``MAX_PIXELS`` needs more, whatever its format."""

_MAX_INFLATION = 200
_ALWAYS_ALLOWED = 64 * 2**20


def refuse_bomb(name: str, *, stored: int, declared: int) -> None:
    """Refuse content that would grow beyond reason: pixels and pictures hardly compress, bombs do a thousandfold.

    Args:
        name: What to call the content in the error.
        stored: Its size on disk, in bytes.
        declared: The size that it says it will have when unpacked, in bytes.

    Raises:
        UnsafeDataError: If it is a bomb.
    """
    if declared > max(_ALWAYS_ALLOWED, _MAX_INFLATION * stored):
        raise UnsafeDataError(
            f"{name!r} would grow from {stored} to {declared} bytes when unpacked, more than {_MAX_INFLATION}-fold: "
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
