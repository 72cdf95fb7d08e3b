"""Pictures of results."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from app.schemas.distances import MatrixResult
from worker.drawing import (
    EMPTY,
    FAINT,
    INCH,
    INK,
    POINTS,
    add_axes,
    add_heading,
    drawn_into,
    is_dark,
    shortened,
    text_width,
)

_TITLE = "Distance between labelled datasets"
_UNIT = "optimal transport distance (feature units)"
_UNSETTLED = "*"
_LEAST_SCALE = 1.8


@dataclass(frozen=True, slots=True)
class _Layout:
    """Lengths in inches, from the left and from the bottom.

    Attributes:
        cell: Side of a cell.
        side: Side of the heatmap.
        left: Where the heatmap begins, after the labels of its rows.
        bottom: Where the heatmap begins, above the labels of its columns.
        tree: Width of the dendrogram, right of the heatmap.
        width: Of the figure.
        height: Of the figure.
    """

    cell: float
    side: float
    left: float
    bottom: float
    tree: float
    width: float
    height: float


def draw_heatmap(paths: Sequence[Path], result: MatrixResult, *, caption: str) -> None:
    """Draw a matrix of distances with its dendrogram, in the dendrogram's order.

    Equal results make equal bytes, for one version of matplotlib.

    Args:
        paths: Where to write the same picture; the suffixes, ``.png`` or ``.svg``, say as what.
        result: Distances between 2 or more datasets.
        caption: How they were measured.
    """
    names = [shortened(result.datasets[leaf]) for leaf in result.order]
    arranged = np.ix_(result.order, result.order)
    values, converged = np.array(result.upper)[arranged], np.array(result.converged)[arranged]
    if not converged.all():
        caption += f"; {_UNSETTLED} not converged"
    layout = _lay_out(names, caption)
    with drawn_into(paths, layout.width, layout.height) as figure:
        add_heading(figure, _TITLE, caption)
        colours = _colours(values)
        axes = add_axes(figure, layout.left, layout.bottom, layout.side, layout.side)
        _draw_cells(axes, values, converged, colours, layout.cell)
        _name_rows_and_columns(axes, names)
        tree = add_axes(figure, layout.left + layout.side + 0.1, layout.bottom, layout.tree, layout.side)
        _draw_dendrogram(tree, result)
        _draw_scale(figure, layout, colours)


def _lay_out(names: list[str], caption: str) -> _Layout:
    cell = min(max(8.0 / len(names), 0.42), 0.9)
    side = cell * len(names)
    longest = max(text_width(name, POINTS) for name in names)
    left, bottom, tree = longest + 0.3, longest + 0.3, max(1.1, side / 10)
    heading = max(text_width(caption, POINTS), text_width(_TITLE, 12.0)) + 0.4
    width = max(left + side + tree + 1.5, heading)
    return _Layout(cell, side, left, bottom, tree, width, height=bottom + max(side, _LEAST_SCALE) + 0.85)


def _colours(values: npt.NDArray[np.float64]) -> ScalarMappable:
    """The scale spans what differs: the diagonal is 0 in every matrix and would leave one shade to the rest."""
    apart = values[~np.eye(len(values), dtype=bool)]
    lowest, highest = float(apart.min()), float(apart.max())
    if lowest == highest:
        lowest, highest = 0.0, highest or 1.0
    return ScalarMappable(Normalize(lowest, highest), "viridis")


def _draw_cells(
    axes: Axes,
    values: npt.NDArray[np.float64],
    converged: npt.NDArray[np.bool_],
    colours: ScalarMappable,
    side: float,
) -> None:
    shades = colours.to_rgba(values)
    same = np.eye(len(values), dtype=bool)
    shades[same] = mpl.colors.to_rgba(EMPTY)
    edges = np.arange(len(values) + 1) - 0.5
    axes.pcolormesh(edges, edges, shades, edgecolors="white", linewidth=0.8)
    axes.set_ylim(edges[-1], edges[0])
    write = _number_format(float(values.max()))
    size = min(POINTS + 1, side * INCH / 5)
    for row, column in np.ndindex(values.shape):
        text = "0" if same[row, column] else write.format(values[row, column])
        mark = "" if converged[row, column] else _UNSETTLED
        ink = "white" if is_dark(*shades[row, column, :3]) else INK
        axes.text(column, row, text + mark, ha="center", va="center", size=size, color=ink)


def _name_rows_and_columns(axes: Axes, names: list[str]) -> None:
    places = range(len(names))
    axes.set_yticks(places, names, size=POINTS, color=INK, parse_math=False)
    axes.set_xticks(places, names, size=POINTS, color=INK, rotation=90, parse_math=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(b=False)


def _number_format(largest: float) -> str:
    """Three digits for the largest, and as many decimals for all."""
    if not 1e-3 <= largest < 1e5:
        return "{:.1e}" if largest else "{:.0f}"
    return f"{{:.{max(0, 2 - math.floor(math.log10(largest)))}f}}"


def _draw_dendrogram(axes: Axes, result: MatrixResult) -> None:
    count = len(result.datasets)
    ends = [(0.0, 0.0)] * count
    for position, leaf in enumerate(result.order):
        ends[leaf] = (0.0, float(position))
    for merge in result.merges:
        (near, upper), (far, lower) = ends[merge.first], ends[merge.second]
        axes.plot([near, merge.height, merge.height, far], [upper, upper, lower, lower], color=FAINT, linewidth=1.0)
        ends.append((merge.height, (upper + lower) / 2))
    highest = result.merges[-1].height or 1.0
    axes.set_xlim(0.0, 1.05 * highest)
    axes.set_ylim(count - 0.5, -0.5)
    axes.set_xticks([0.0, highest], ["0", _number_format(highest).format(highest)], size=POINTS - 1, color=FAINT)
    axes.set_xlabel("mean distance\nwhere groups meet", size=POINTS - 1, color=FAINT)
    axes.set_yticks([])
    axes.tick_params(length=2, color=FAINT)
    axes.spines[["left", "right", "top"]].set_visible(b=False)
    axes.spines["bottom"].set_color(FAINT)


def _draw_scale(figure: Figure, layout: _Layout, colours: ScalarMappable) -> None:
    left, height = layout.left + layout.side + layout.tree + 0.4, min(max(layout.side, _LEAST_SCALE), 4.0)
    axes = add_axes(figure, left, layout.bottom + layout.side - height, 0.14, height)
    bar = figure.colorbar(colours, cax=axes)
    bar.outline.set_visible(b=False)
    bar.ax.tick_params(labelsize=POINTS - 1, length=2, color=FAINT, labelcolor=INK)
    bar.set_label(_UNIT if height > 3 else _UNIT.replace(" (", "\n("), size=POINTS - 1, color=INK)
