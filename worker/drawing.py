"""What all figures share: sizes, colours, names that fit, and files that are the same every time."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.textpath import TextPath

INK: Final = "#222222"
FAINT: Final = "#666666"
EMPTY: Final = "#eeeeee"
POINTS: Final = 8.0
INCH: Final = 72.0
_DPI = 150
_LONGEST_LABEL = 32
# Nothing of the moment or of the installation, so that equal results make equal bytes.
_METADATA = {".png": {"Software": None}, ".svg": {"Date": None, "Creator": None}}


@contextmanager
def drawn_into(paths: Sequence[Path], width: float, height: float) -> Iterator[Figure]:
    """A figure to draw on, which is then written to all paths; equal drawings make equal bytes.

    Args:
        paths: The suffixes, ``.png`` or ``.svg``, say as what.
        width: In inches.
        height: Likewise.
    """
    with mpl.rc_context({"font.family": "DejaVu Sans", "svg.hashsalt": "ot3l", "svg.fonttype": "path"}):
        figure = Figure(figsize=(width, height), dpi=_DPI, facecolor="white")
        yield figure
        for path in paths:
            figure.savefig(path, metadata=_METADATA[path.suffix])


def add_heading(figure: Figure, title: str, *lines: str) -> None:
    """A title and lines below it, at the upper left."""
    width, height = figure.get_size_inches().tolist()
    left, top = 0.15 / width, height - 0.16
    figure.text(left, top / height, title, va="top", size=11, color=INK, weight="bold", parse_math=False)
    for number, line in enumerate(lines):
        top_of_line = (top - 0.26 - 0.19 * number) / height
        figure.text(left, top_of_line, line, va="top", size=POINTS, color=FAINT, parse_math=False)


def add_axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes at a place in inches, from the left and from the bottom."""
    whole_width, whole_height = figure.get_size_inches().tolist()
    return figure.add_axes((left / whole_width, bottom / whole_height, width / whole_width, height / whole_height))


def shortened(name: str) -> str:
    """A name that fits beside a figure: of a long one its beginning and its end."""
    if len(name) <= _LONGEST_LABEL:
        return name
    return f"{name[: _LONGEST_LABEL // 2]}…{name[1 - _LONGEST_LABEL // 2 :]}"


def text_width(text: str, points: float) -> float:
    """In inches."""
    return float(TextPath((0, 0), text, size=points, usetex=False).get_extents().width) / INCH if text else 0.0


def is_dark(red: float, green: float, blue: float) -> bool:
    """Whether white text is the one to read on a colour."""
    return 0.299 * red + 0.587 * green + 0.114 * blue < 0.45
