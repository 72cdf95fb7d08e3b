"""Accuracy against budget, one panel a data set."""

from collections.abc import Sequence
from math import ceil, sqrt
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from benchmarks.selection.contenders import CONTENDERS, COVERAGE, FITTED, MEDOIDS, STRATIFIED, UNIFORM, Contender
from benchmarks.selection.findings import Measured

_INK, _FAINT = "#222222", "#666666"
# Okabe and Ito's palette, and a shape for each: neither colour nor shape is needed to tell the other.
_LOOKS = {
    UNIFORM.name: ("#222222", "s"),
    STRATIFIED.name: ("#e69f00", "D"),
    COVERAGE.name: ("#009e73", "^"),
    MEDOIDS.name: ("#56b4e9", "v"),
    FITTED.name: ("#d55e00", "o"),
}
_COLUMNS = 3
_PANEL_INCHES = (3.5, 2.7)
_HEAD_INCHES = 0.75
_APART = 1.3
_DPI = 150
_METADATA = {".png": {"Software": None}, ".svg": {"Date": None, "Creator": None}}


def draw(paths: Sequence[Path], measured: Sequence[Measured], *, caption: str) -> None:
    """Draw the strategies of the product with bands for their 95% intervals.

    Equal results make equal bytes, for one version of matplotlib.

    Args:
        paths: Where to write the same picture; the suffixes, ``.png`` or ``.svg``, say as what.
        measured: At least one data set with a budget.
        caption: How it was measured.
    """
    drawn = [one for one in measured if one.budgets]
    columns = min(_COLUMNS, ceil(sqrt(len(drawn))))
    rows = ceil(len(drawn) / columns)
    # The legend and the caption need the width of two panels.
    width = _PANEL_INCHES[0] * max(columns, 2)
    height = _PANEL_INCHES[1] * rows + _HEAD_INCHES
    with mpl.rc_context({"font.family": "DejaVu Sans", "svg.hashsalt": "ot3l", "svg.fonttype": "path"}):
        figure = Figure(figsize=(width, height), dpi=_DPI, facecolor="white")
        figure.set_layout_engine(ConstrainedLayoutEngine(rect=(0, 0, 1, 1 - _HEAD_INCHES / height)))
        panels = figure.subplots(rows, columns, squeeze=False).flatten()
        for axes, one in zip(panels, drawn, strict=False):
            _panel(axes, one)
        for axes in panels[len(drawn) :]:
            axes.set_visible(False)
        _head(figure, height, caption)
        for path in paths:
            figure.savefig(path, metadata=_METADATA[path.suffix])


def _panel(axes: Axes, one: Measured) -> None:
    for name, (colour, marker) in _LOOKS.items():
        contender = CONTENDERS[name]
        spreads = {budget: one.accuracy((contender, budget)) for budget in _budgets(one, contender)}
        if not spreads:
            continue
        budgets, means = list(spreads), [spread.mean for spread in spreads.values()]
        reach = [spread.half_width or 0.0 for spread in spreads.values()]
        below = [max(mean - half, 0) for mean, half in zip(means, reach, strict=True)]
        above = [min(mean + half, 100) for mean, half in zip(means, reach, strict=True)]
        axes.fill_between(budgets, below, above, color=colour, alpha=0.15, linewidth=0, zorder=2)
        axes.plot(budgets, means, color=colour, marker=marker, markersize=3.5, linewidth=1.3, zorder=3)
    note = "" if one.subject.in_development else ", not developed on"
    axes.set_title(f"{one.subject.title}{note}", size=9, color=_INK, loc="left", parse_math=False)
    axes.set_xscale("log")
    ticks = _apart(one.budgets)
    axes.set_xticks(ticks, list(map(str, ticks)))
    axes.minorticks_off()
    axes.set_xlabel("labels", size=8, color=_INK)
    axes.set_ylabel("accuracy, percent", size=8, color=_INK)
    axes.tick_params(length=2, color=_FAINT, labelsize=7, labelcolor=_INK)
    axes.grid(visible=True, color="#dddddd", linewidth=0.6, zorder=1)
    axes.spines[["right", "top"]].set_visible(b=False)
    axes.spines[["left", "bottom"]].set_color(_FAINT)


def _apart(budgets: Sequence[int]) -> list[int]:
    """Those whose names do not run into each other; of two that do, the greater."""
    return [
        budget
        for budget, following in zip(budgets, [*budgets[1:], None], strict=True)
        if following is None or following >= _APART * budget
    ]


def _budgets(one: Measured, contender: Contender) -> list[int]:
    return [budget for budget in one.budgets if one.has((contender, budget))]


def _head(figure: Figure, height: float, caption: str) -> None:
    def at(inches: float) -> float:
        return 1 - inches / height

    left = 0.1 / figure.get_figwidth()
    figure.text(left, at(0.1), "Strategies by budget", va="top", size=11, color=_INK, weight="bold")
    figure.text(left, at(0.33), caption, va="top", size=7.5, color=_FAINT, parse_math=False)
    handles = [
        mpl.lines.Line2D([], [], color=colour, marker=marker, markersize=4, linewidth=1.3, label=name)
        for name, (colour, marker) in _LOOKS.items()
    ]
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0, at(0.48)),
        ncols=len(handles),
        frameon=False,
        fontsize=8,
        handletextpad=0.5,
        columnspacing=1.4,
        labelcolor=_INK,
    )
