"""Bytes of an image file -> an RGB picture, defensively."""

import struct
import zlib
from io import BytesIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from ot3l_core.data.limits import MAX_JPEG_SCANS, MAX_PIXELS, MAX_TIFF_VALUES, refuse_large_picture
from ot3l_core.errors import CorruptImageError, UnsafeDataError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm"})
"""Endings, in lower case, of the files that are taken for images."""

# Named one by one, because Pillow also opens formats that start other programs (EPS starts Ghostscript).
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")

_BIG_TIFF = 43
_TIFF_BYTES = frozenset({1, 2, 7})  # types that stay bytes or text; signed bytes become numbers

# What Pillow's decoders raise on damaged input, found by mutating valid files.
_DECODER_ERRORS = (
    OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, OverflowError, AttributeError,
    MemoryError, AssertionError, NotImplementedError, UserWarning, struct.error, zlib.error,
)  # fmt: skip


def decode_rgb(payload: bytes, name: str) -> Image.Image:
    """Decode one image file.

    The first frame of an animation is taken, transparency is laid over white, 16-bit grey keeps its upper eight bits,
    palettes and CMYK are converted, and an EXIF orientation is left alone, as torchvision's loader does.

    Args:
        payload: Bytes of a JPEG, PNG, BMP, GIF, WebP, TIFF or PNM file.
        name: What to call the sample in an error.

    Raises:
        CorruptImageError: If the bytes are no such image, are cut short, or hold samples without a defined range.
        UnsafeDataError: If the picture has more than ``MAX_PIXELS`` pixels, or would take far longer or more memory
            than its pixels do.
    """
    try:
        _refuse_costly(payload, name)
        with Image.open(BytesIO(payload), formats=_FORMATS) as picture:
            refuse_large_picture(name, picture.width, picture.height)
            return _to_rgb(picture, name)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnsafeDataError(f"{name!r} is larger than {MAX_PIXELS} pixels: make it smaller", field="path") from error
    except _DECODER_ERRORS as error:
        raise CorruptImageError(
            f"{name!r} cannot be decoded ({_reason(error)}): replace it by a whole JPEG, PNG, BMP, GIF, WebP, TIFF "
            "or PNM picture, or remove it"
        ) from error


def _refuse_costly(payload: bytes, name: str) -> None:
    """Refuse what costs time or memory before Pillow knows the number of pixels, or whatever it is."""
    # Inside compressed pixels this pair of bytes does not occur.
    if payload.startswith(b"\xff\xd8") and payload.count(b"\xff\xda") > MAX_JPEG_SCANS:
        raise UnsafeDataError(f"{name!r} has more than {MAX_JPEG_SCANS} scans: save it as a baseline JPEG")
    if payload.startswith((b"II", b"MM")) and _tiff_values(payload) > MAX_TIFF_VALUES:
        raise UnsafeDataError(
            f"the directory of {name!r} has more than {MAX_TIFF_VALUES} values: save it with fewer strips, or as PNG"
        )


def _tiff_values(payload: bytes) -> int:
    """How many numbers the first directory of a TIFF file announces, bytes and text not counted."""
    order = "<" if payload.startswith(b"II") else ">"
    if payload[2] == _BIG_TIFF:
        start, counter, entry = (*struct.unpack_from(f"{order}Q", payload, 8), "Q", struct.Struct(f"{order}HHQ8x"))
    else:
        start, counter, entry = (*struct.unpack_from(f"{order}L", payload, 4), "H", struct.Struct(f"{order}HHL4x"))
    (count,) = struct.unpack_from(f"{order}{counter}", payload, start)
    first = start + struct.calcsize(f"={counter}")
    whole = payload[first : first + min(count * entry.size, len(payload))]
    entries = entry.iter_unpack(whole[: len(whole) // entry.size * entry.size])
    return sum(values for _, kind, values in entries if kind not in _TIFF_BYTES)


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError) or not str(error):
        return "it is no image of a known format"
    return str(error)


def _to_rgb(picture: Image.Image, name: str) -> Image.Image:
    match picture.mode:
        case "I;16" | "I;16L" | "I;16B" | "I;16N" | "I":
            return _grey(np.asarray(picture).clip(0, 65535) >> 8)
        case "F":
            raise CorruptImageError(f"{name!r} holds floating-point samples, whose range is unknown: save it as 8 bits")
        case mode if mode in {"LA", "La", "PA", "RGBA", "RGBa"} or "transparency" in picture.info:
            return _over_white(picture.convert("RGBA"))
        case _:
            return picture.convert("RGB")


def _grey(samples: np.ndarray[tuple[int, ...], np.dtype[np.integer]]) -> Image.Image:
    return Image.fromarray(samples.astype(np.uint8)).convert("RGB")


def _over_white(picture: Image.Image) -> Image.Image:
    canvas = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(canvas, picture).convert("RGB")
