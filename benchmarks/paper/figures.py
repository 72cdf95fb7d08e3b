"""Table III as a picture: accuracies on the left, paired differences on the right."""

# ruff: noqa: RUF001 - the sign of minus is meant

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.paper.findings import Target
from benchmarks.paper.plan import COMPARISONS, MS, RS, SD, SELECTIONS, STRATIFIED, UNIFORM, Arm
from benchmarks.paper.values import MARGIN, PaperValues
from ot3l_core.finetune.evaluation import Spread

_INK, _FAINT, _BAND, _CLAIM = "#222222", "#666666", "#f3f3f3", "#56b4e9"
# Okabe and Ito's palette, and a shape for each: neither colour nor shape is needed to tell the other.
_LOOKS = {
    SD.name: ("#d55e00", "^"),
    RS.name: ("#e69f00", "v"),
    MS.name: ("#0072b2", "o"),
    UNIFORM.name: ("#222222", "s"),
    STRATIFIED.name: ("#009e73", "D"),
}
_ROWS = len(SELECTIONS) + 1
_ROW_INCHES = 0.2
_DPI = 150
_METADATA = {".png": {"Software": None}, ".svg": {"Date": None, "Creator": None}}


def draw_selections(paths: Sequence[Path], targets: Sequence[Target], paper: PaperValues, *, caption: str) -> None:
    """Draw the strategies of every target with their 95% intervals, and the paper's values where they are known.

    Equal results make equal bytes, for one version of matplotlib.

    Args:
        paths: Where to write the same picture; the suffixes, ``.png`` or ``.svg``, say as what.
        targets: At least one with a finished job.
        paper: What the paper reports.
        caption: How it was measured.
    """
    drawn = [target for target in targets if target.jobs]
    height = _ROW_INCHES * _ROWS * len(drawn)
    whole = height + 1.5
    with mpl.rc_context({"font.family": "DejaVu Sans", "svg.hashsalt": "ot3l", "svg.fonttype": "path"}):
        figure = Figure(figsize=(10.4, whole), dpi=_DPI, facecolor="white")
        left = figure.add_axes((0.13, 0.55 / whole, 0.42, height / whole))
        right = figure.add_axes((0.66, 0.55 / whole, 0.32, height / whole))
        for axes in (left, right):
            _band(axes, len(drawn))
        for place, target in enumerate(drawn):
            _draw_accuracies(left, place, target, paper)
            _draw_differences(right, place, target, paper)
        _finish_accuracies(left, drawn)
        _finish_differences(right, len(drawn))
        _head(figure, whole, caption)
        for path in paths:
            figure.savefig(path, metadata=_METADATA[path.suffix])


def _band(axes: Axes, count: int) -> None:
    for place in range(0, count, 2):
        axes.axhspan(place * _ROWS - 0.5, (place + 1) * _ROWS - 0.5, color=_BAND, zorder=0, linewidth=0)
    axes.set_ylim(count * _ROWS - 0.5, -0.5)
    axes.spines[["left", "right", "top"]].set_visible(b=False)
    axes.spines["bottom"].set_color(_FAINT)
    axes.tick_params(length=2, color=_FAINT, labelsize=8, labelcolor=_INK)
    axes.grid(visible=True, axis="x", color="#dddddd", linewidth=0.6, zorder=1)


def _row(place: int, number: int, count: int) -> float:
    """Where a line stands in the band of a target; fewer lines than the band has room for are centred."""
    return place * _ROWS + (_ROWS - count) / 2 + number


def _draw_accuracies(axes: Axes, place: int, target: Target, paper: PaperValues) -> None:
    for number, arm in enumerate(SELECTIONS):
        row, (colour, marker) = _row(place, number, len(SELECTIONS)), _LOOKS[arm.name]
        found = target.accuracy(arm)
        if found is not None:
            _dot(axes, found, row, colour, marker)
        known = paper.table_3.get(target.name, {}).get(arm.name)
        if known is not None:
            _hollow(axes, known, row, colour, marker)


def _draw_differences(axes: Axes, place: int, target: Target, paper: PaperValues) -> None:
    known = paper.table_3.get(target.name, {})
    for number, (first, second) in enumerate(COMPARISONS):
        row = _row(place, number, len(COMPARISONS))
        if (first, second) == (MS, RS):
            axes.fill_betweenx((row - 0.5, row + 0.5), *MARGIN, color=_CLAIM, alpha=0.45, zorder=1, linewidth=0)
        found = target.difference(first, second)
        if found is not None:
            _dot(axes, found, row, _INK, "o")
        if first.name in known and second.name in known:
            _hollow(axes, known[first.name] - known[second.name], row, _INK, "o")


def _dot(axes: Axes, found: Spread, row: float, colour: str, marker: str) -> None:
    axes.errorbar(
        found.mean,
        row,
        xerr=found.half_width,
        fmt=marker,
        color=colour,
        markersize=4.5,
        elinewidth=1.4,
        capsize=2.5,
        zorder=3,
    )


def _hollow(axes: Axes, value: float, row: float, colour: str, marker: str) -> None:
    axes.plot(value, row, marker, color=colour, markersize=6.5, markerfacecolor="none", markeredgewidth=0.9, zorder=4)


def _finish_accuracies(axes: Axes, targets: Sequence[Target]) -> None:
    axes.set_xlim(0, 100)
    axes.set_xlabel("accuracy on the test split, percent", size=8, color=_INK)
    middles = [place * _ROWS + (_ROWS - 1) / 2 for place in range(len(targets))]
    axes.set_yticks(middles, [target.title for target in targets], size=9, color=_INK, parse_math=False)
    axes.tick_params(axis="y", length=0, pad=6)


def _finish_differences(axes: Axes, count: int) -> None:
    axes.axvline(0, color=_FAINT, linewidth=0.9, zorder=2)
    axes.margins(x=0.06)
    axes.set_xlabel("difference in points, paired by seed", size=8, color=_INK)
    rows = [_row(place, number, len(COMPARISONS)) for place in range(count) for number in range(len(COMPARISONS))]
    names = [f"{first.title} − {second.title}" for _ in range(count) for first, second in COMPARISONS]
    axes.set_yticks(rows, names, size=7, color=_INK)
    axes.tick_params(axis="y", length=0)


def _head(figure: Figure, whole: float, caption: str) -> None:
    def at(inches: float) -> float:
        return 1 - inches / whole

    figure.text(0.015, at(0.14), "Strategies at an equal budget", va="top", size=11, color=_INK, weight="bold")
    figure.text(0.015, at(0.38), caption, va="top", size=8, color=_FAINT, parse_math=False)
    handles = [_handle(arm) for arm in SELECTIONS]
    hollow = mpl.lines.Line2D(
        [],
        [],
        marker="o",
        color=_FAINT,
        markerfacecolor="none",
        markersize=6.5,
        linestyle="",
        label="the paper (hollow)",
    )
    claim = mpl.patches.Patch(color=_CLAIM, alpha=0.45, linewidth=0, label="claimed for MS − RS")
    figure.legend(
        handles=[*handles, hollow, claim],
        loc="upper left",
        bbox_to_anchor=(0.008, at(0.55)),
        ncols=len(handles) + 2,
        frameon=False,
        fontsize=8,
        handletextpad=0.4,
        columnspacing=1.4,
        labelcolor=_INK,
    )


def _handle(arm: Arm) -> "mpl.lines.Line2D":
    colour, marker = _LOOKS[arm.name]
    return mpl.lines.Line2D([], [], marker=marker, color=colour, markersize=5, linestyle="", label=arm.title)
