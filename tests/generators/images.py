"""Images as the core reads them, made when they are asked for."""

from collections import Counter

from PIL import Image

from ot3l_core.errors import CorruptImageError


def colour_of(index):
    """Of the picture at this place."""
    return (40 + index % 5 * 40, 40 + index // 5 % 5 * 40, 120)


class Colours:
    """Pictures of one colour each, some of which cannot be read; counts how often each was decoded."""

    def __init__(self, count, broken=()):
        self.count, self.broken, self.asked = count, broken, Counter()

    def __len__(self):
        return self.count

    def payload(self, index):
        return str(index).encode()

    def picture(self, index):
        self.asked[index] += 1
        if index in self.broken:
            raise CorruptImageError("broken")
        return Image.new("RGB", (20, 10), colour_of(index))
