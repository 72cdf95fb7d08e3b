"""Thumbnails of pictures of any shape, and sheets of them."""

import numpy as np
import pytest
from PIL import Image

from ot3l_core.data.thumbnails import contact_sheet, thumbnail

SIDE = 64


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (64, 64), (300, 200), (16_000, 90), (90, 16_000), (2_000_000, 1)])
def test_every_picture_becomes_a_square(size):
    small = thumbnail(Image.new("RGB", size, (10, 20, 30)), SIDE)
    assert (small.size, small.mode) == ((SIDE, SIDE), "RGB")
    assert small.getcolors() == [(SIDE * SIDE, (10, 20, 30))]


@pytest.mark.parametrize("turned", [False, True])
def test_the_middle_is_what_is_shown(turned):
    pixels = np.zeros((100, 300, 3), dtype=np.uint8)
    pixels[:, 100:200] = 200
    small = thumbnail(Image.fromarray(pixels.transpose(1, 0, 2) if turned else pixels), SIDE)
    # What lies beside the middle has a say in the pixels at the edge, and in these alone.
    assert small.crop((2, 2, SIDE - 2, SIDE - 2)).getcolors() == [((SIDE - 4) ** 2, (200, 200, 200))]
    assert np.asarray(small).min() > 180


def test_nothing_is_mirrored_or_turned():
    pixels = np.zeros((80, 80, 3), dtype=np.uint8)
    pixels[:40, :40] = 255
    small = np.asarray(thumbnail(Image.fromarray(pixels), SIDE))
    assert (small[:28, :28] == 255).all()
    assert (small[36:] == 0).all()
    assert (small[:, 36:] == 0).all()


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (5, 1), (6, 2), (11, 3)])
def test_a_sheet_has_everything_in_its_place(count, rows):
    colours = [(place * 20, 5, 7) for place in range(count)]
    sheet = contact_sheet([Image.new("RGB", (4, 4), colour) for colour in colours], side=4, columns=5)
    assert sheet.size == (20, 4 * rows)
    for place in range(rows * 5):
        column, row = place % 5, place // 5
        cell = sheet.crop((4 * column, 4 * row, 4 * column + 4, 4 * row + 4))
        assert cell.getcolors() == [(16, colours[place] if place < count else (255, 255, 255))]
