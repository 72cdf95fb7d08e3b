"""How figures look: on any background, and the same bytes every time."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import matplotlib as mpl

INK: Final = "#808080"
"""Text and axes: readable on white and on near black."""
COLOURS: Final = (
    "#3b8ed0",
    "#e0803a",
    "#35a06f",
    "#c25db5",
    "#d0515d",
    "#8a7bd8",
    "#9a8a3c",
    "#4aa5b5",
    "#a86f4c",
    "#7f8fa6",
)
"""For classes; of middling lightness."""
STYLE: Final = {
    "svg.hashsalt": "ot3l",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
}


@contextmanager
def styled() -> Iterator[None]:
    """Draw like this inside."""
    with mpl.rc_context(STYLE):
        yield
