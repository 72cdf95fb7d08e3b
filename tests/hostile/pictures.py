"""Image files that are no images, or cost far more than they show."""

import struct
import zlib
from io import BytesIO

import numpy as np
from PIL import Image

from ot3l_core.data.limits import MAX_IMAGE_BYTES, MAX_JPEG_SCANS, MAX_TIFF_VALUES
from tests.generators.pictures import encoded, random_pictures, random_tree, write_image_folder

NOISE = random_pictures(1, shape=(40, 40, 3))[0]


def among_others(name, make):
    """A folder of classes in which one file is hostile."""

    def write(folder):
        write_image_folder(folder / "tree", {"": random_tree({"ant": 2, "bee": 2})})
        (folder / "tree" / "ant" / name).write_bytes(make())
        return {"format": "image_folder", "path": str(folder / "tree")}

    return write


def chunk(kind, content):
    """A part of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width, height, *parts, pixels=b""):
    """A PNG of this size, whatever its pixels."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(parts) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


def text_bomb():
    """A PNG with a comment of a gigabyte, compressed a thousandfold."""
    comment = b"Comment\0\0" + zlib.compress(bytes(2**26), 9)
    return png(1, 1, *([chunk(b"zTXt", comment)] * 16), pixels=bytes(4))


def of_many_scans():
    """A small JPEG whose last pass over its pixels comes a thousand times."""
    whole = encoded(NOISE, "JPEG", progressive=True)
    last = whole.rindex(b"\xff\xda")
    return whole[:last] + whole[last:-2] * (4 * MAX_JPEG_SCANS) + whole[-2:]


def tiff_of_many_strips():
    """A TIFF of eight pixels, in millions of strips."""
    count = MAX_TIFF_VALUES + 1
    lines = [(256, 3, 1, 8), (257, 3, 1, 8), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 3, count, 200)]
    lines += [(277, 3, 1, 1), (278, 3, 1, 8), (279, 3, 1, 64)]
    head = b"II*\0" + struct.pack("<LH", 8, len(lines)) + b"".join(struct.pack("<HHLL", *line) for line in lines)
    return head.ljust(200, b"\0") + b"\x01\x10" * count


def webp_of_a_huge_canvas():
    """An animation of eight pixels on a canvas of a quarter of a thousand million."""
    stream = BytesIO()
    frames = [Image.new("RGBA", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(stream, "WEBP", save_all=True, append_images=frames[1:])
    whole = bytearray(stream.getvalue())
    size = whole.index(b"VP8X") + 12
    whole[size : size + 6] = (16382).to_bytes(3, "little") * 2
    return bytes(whole)


def animation(count):
    """A GIF that moves."""
    frames = [Image.new("L", (4, 4), number % 256) for number in range(count)]
    stream = BytesIO()
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
    return stream.getvalue()


def too_large_a_file():
    """More bytes than any picture needs, almost none of them on the disk."""

    def write(folder):
        body = among_others("a.bmp", lambda: encoded(NOISE, "BMP"))(folder)
        with (folder / "tree" / "ant" / "a.bmp").open("r+b") as stream:
            stream.truncate(MAX_IMAGE_BYTES + 1)
        return body

    return write


PICTURES = {
    "png_of_a_hundred_thousand_a_side": ("unsafe_data", among_others("a.png", lambda: png(100_000, 100_000))),
    "png_of_a_comment_of_a_gigabyte": ("corrupt_image", among_others("a.png", text_bomb)),
    "png_cut": ("corrupt_image", among_others("a.png", lambda: encoded(NOISE)[:-200])),
    "png_without_pixels": ("corrupt_image", among_others("a.png", lambda: png(40, 40))),
    "jpeg_cut": ("corrupt_image", among_others("a.jpg", lambda: encoded(NOISE, "JPEG")[:-200])),
    "jpeg_of_many_scans": ("unsafe_data", among_others("a.jpg", of_many_scans)),
    "tiff_of_many_strips": ("unsafe_data", among_others("a.tif", tiff_of_many_strips)),
    "tiff_of_unknown_range": (
        "corrupt_image",
        among_others("a.tif", lambda: encoded(np.full((4, 4), np.nan, np.float32), "TIFF")),
    ),
    "webp_of_a_huge_canvas": ("unsafe_data", among_others("a.webp", webp_of_a_huge_canvas)),
    "postscript_called_png": (
        "corrupt_image",
        among_others("a.png", lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%id) (r) file\n"),
    ),
    "svg_called_png": (
        "corrupt_image",
        among_others("a.png", lambda: b'<svg><image href="file:///etc/passwd"/></svg>'),
    ),
    "pickle_called_png": ("corrupt_image", among_others("a.png", lambda: b"\x80\x04cos\nsystem\n(S'exit'\ntR.")),
    "nothing_called_png": ("corrupt_image", among_others("a.png", lambda: b"")),
    "file_larger_than_any_image": ("unsafe_data", too_large_a_file()),
    "gif_of_a_thousand_frames": (None, among_others("a.gif", lambda: animation(1000))),
}
