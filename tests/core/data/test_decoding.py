"""Whatever a picture file holds, it becomes 8-bit RGB or a typed error."""

import struct
import warnings
import zlib
from contextlib import suppress
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image

from ot3l_core.data.decoding import decode_rgb
from ot3l_core.data.limits import MAX_PIXELS
from ot3l_core.errors import CorruptImageError, DataError, UnsafeDataError
from tests.generators.pictures import encoded, random_pictures

sides = st.integers(1, 9)
rgb = st.tuples(sides, sides).flatmap(lambda side: npst.arrays(np.uint8, (*side, 3)))
grey = st.tuples(sides, sides).flatmap(lambda side: npst.arrays(np.uint8, side))


def decoded(payload):
    return np.asarray(decode_rgb(payload, "sample"))


@given(picture=rgb, image_format=st.sampled_from(["PNG", "BMP", "TIFF", "PPM"]))
@settings(deadline=None, max_examples=40)
def test_a_lossless_file_gives_back_its_pixels(picture, image_format):
    assert np.array_equal(decoded(encoded(picture, image_format)), picture)


@given(picture=grey)
@settings(deadline=None, max_examples=20)
def test_grey_becomes_three_equal_channels(picture):
    assert np.array_equal(decoded(encoded(picture)), np.repeat(picture[..., None], 3, axis=2))


@given(picture=grey)
@settings(deadline=None, max_examples=20)
def test_sixteen_bits_keep_their_upper_eight(picture):
    wide = picture.astype(np.uint16) * 256 + 77
    assert np.array_equal(decoded(encoded(wide)), np.repeat(picture[..., None], 3, axis=2))


@given(picture=rgb)
@settings(deadline=None, max_examples=20)
def test_opaque_alpha_changes_nothing_and_full_transparency_is_white(picture):
    opaque = np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)])
    clear = np.dstack([picture, np.zeros(picture.shape[:2], np.uint8)])
    assert np.array_equal(decoded(encoded(opaque)), picture)
    assert (decoded(encoded(clear)) == 255).all()


def test_a_transparent_palette_entry_is_white_and_the_others_keep_their_colour():
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putpixel((1, 0), 1)
    stream = BytesIO()
    palette.save(stream, "PNG", transparency=0)
    assert decoded(stream.getvalue()).tolist() == [[[255, 255, 255], [40, 50, 60]]]


def test_cmyk_is_converted():
    stream = BytesIO()
    Image.new("CMYK", (1, 1), (0, 255, 255, 0)).save(stream, "TIFF")
    assert decoded(stream.getvalue()).tolist() == [[[255, 0, 0]]]


@pytest.mark.parametrize("image_format", ["GIF", "PNG", "WEBP"])
def test_an_animation_gives_its_first_frame(image_format):
    first, second = Image.new("RGB", (4, 4), "black"), Image.new("RGB", (4, 4), "white")
    stream = BytesIO()
    first.save(stream, image_format, save_all=True, append_images=[second], duration=100)
    assert (decoded(stream.getvalue()) == 0).all()


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "BMP", "WEBP", "PPM"])
def test_a_file_cut_short_is_corrupt_and_named(image_format):
    whole = encoded(random_pictures(1, shape=(40, 40, 3))[0], image_format)
    with pytest.raises(CorruptImageError, match="'sample'"):
        decoded(whole[: len(whole) // 2])


@pytest.mark.parametrize(
    "payload", [b"", b"no image", b"\x80\x04N.", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"]
)
def test_what_is_no_image_is_corrupt(payload):
    with pytest.raises(CorruptImageError):
        decoded(payload)


@pytest.mark.parametrize("image_format", ["EPS", "PCX", "TGA", "ICO"])
def test_formats_that_are_not_named_are_not_opened(image_format):
    with pytest.raises(CorruptImageError):
        decoded(encoded(random_pictures(1, shape=(16, 16, 3))[0], image_format))


def test_floating_point_samples_are_refused_because_their_range_is_unknown():
    with pytest.raises(CorruptImageError, match="range"):
        decoded(encoded(np.full((2, 2), 0.5, np.float32), "TIFF"))


@pytest.mark.parametrize("filtered", ["error", "ignore"])
@pytest.mark.parametrize("pixels", [MAX_PIXELS + 1, 40 * MAX_PIXELS])
def test_a_decompression_bomb_is_refused_whatever_becomes_of_warnings(pixels, filtered):
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", pixels // 1000 + 1, 1000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    with warnings.catch_warnings(action=filtered), pytest.raises(UnsafeDataError, match="pixels"):
        decoded(bomb)


@given(
    image_format=st.sampled_from(["PNG", "JPEG", "BMP", "GIF", "WEBP", "PPM"]),
    place=st.integers(0, 10_000),
    value=st.integers(0, 255),
)
@settings(deadline=None, max_examples=150)
def test_a_damaged_file_is_an_image_or_a_data_error(image_format, place, value):
    damaged = bytearray(encoded(random_pictures(1, shape=(12, 12, 3))[0], image_format))
    damaged[place % len(damaged)] = value
    with suppress(DataError):
        assert decoded(bytes(damaged)).shape[2] == 3
