"""Small pictures for people, and many of them as one."""

from collections.abc import Sequence
from typing import Final

from PIL import Image

# Large pictures are first made smaller in whole steps, to this many times what is wanted: fifteen times as fast, and
# nobody sees it.
_GAP: Final = 3.0


def thumbnail(picture: Image.Image, side: int) -> Image.Image:
    """The middle of a picture as a small square: its short side becomes ``side`` pixels, and the long one is cut.

    It is cut first, so that a picture of one row of pixels does not grow with its length.

    Args:
        picture: In RGB, of any size; a smaller one is made larger.
        side: Pixels.
    """
    width, height = picture.size
    edge = min(width, height)
    left, upper = (width - edge) / 2, (height - edge) / 2
    middle = (left, upper, left + edge, upper + edge)
    return picture.resize((side, side), Image.Resampling.BICUBIC, middle, reducing_gap=_GAP)


def contact_sheet(thumbnails: Sequence[Image.Image], *, side: int, columns: int) -> Image.Image:
    """Thumbnails in rows, from left to right and from top to bottom; what is left of the last row is white.

    Args:
        thumbnails: At least one, each ``side`` pixels high and wide.
        side: Pixels.
        columns: In a row; the sheet is as wide as so many, however few there are.
    """
    sheet = Image.new("RGB", (columns * side, -(-len(thumbnails) // columns) * side), "white")
    for place, shown in enumerate(thumbnails):
        row, column = divmod(place, columns)
        sheet.paste(shown, (column * side, row * side))
    return sheet
