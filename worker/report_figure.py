"""One picture of a job: what is mistaken for what, whether probabilities mean what they say, and how training went."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from app.schemas.jobs import AlphaSweepRead, JobResult, PhaseResult, Spread, TrainingResult, TuningResult
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

_BLUE, _ORANGE = "#1f77b4", "#d95f02"
_PANEL_WIDTH, _PANEL_HEIGHT = 3.1, 2.2
_GAP_BESIDE, _GAP_BELOW = 0.75, 0.85
_HEADING, _FOOT = 1.15, 0.55
_LARGEST_CELL, _SMALLEST_CELL = 0.48, 0.115
_LEAST_SIDE = 3.0
_MOST_NAMES = 100
_LEAST_CELL_WITH_COUNT = 0.28

_Panel = Callable[[Axes], None]


@dataclass(frozen=True, slots=True)
class _Layout:
    """Lengths in inches, from the left and from the bottom.

    Attributes:
        cell: Side of a cell of the confusion matrix.
        side: Side of the matrix.
        points: Size of the class names.
        left: Where the matrix begins, after the names of its rows.
        bottom: Where the matrix begins, above the names of its columns.
        height: Of the figure.
    """

    cell: float
    side: float
    points: float
    left: float
    bottom: float
    height: float


def draw_report(paths: Sequence[Path], result: JobResult, *, caption: str) -> None:
    """Draw the confusion matrix and the reliability of the last phase, all learning curves and the choice of alpha.

    Equal results make equal bytes, for one version of matplotlib.

    Args:
        paths: Where to write the same picture; the suffixes, ``.png`` or ``.svg``, say as what.
        result: Of a job.
        caption: What was learned, and from what.
    """
    phase = result.phases[-1]
    names = [shortened(name) for name in result.classes] if len(result.classes) <= _MOST_NAMES else []
    panels = _panels(result)
    layout = _lay_out(names, len(result.classes))
    first_column = layout.left + layout.side + _GAP_BESIDE
    n_rows = max(2, int((layout.height - _HEADING) / (_PANEL_HEIGHT + _GAP_BELOW)))
    n_columns = math.ceil(len(panels) / n_rows)
    width = first_column + n_columns * (_PANEL_WIDTH + _GAP_BESIDE) - _GAP_BESIDE + 0.25
    said = _summary(phase, len(result.training))
    width = max(width, 0.3 + max(text_width(line, POINTS) for line in (caption, said)))
    with drawn_into(paths, width, layout.height) as figure:
        add_heading(figure, f"Phase: {phase.phase}", caption, said)
        _draw_confusion(add_axes(figure, layout.left, layout.bottom, layout.side, layout.side), phase, names, layout)
        for place, draw in enumerate(panels):
            column, row = divmod(place, n_rows)
            left = first_column + column * (_PANEL_WIDTH + _GAP_BESIDE)
            bottom = layout.height - _HEADING - _PANEL_HEIGHT - row * (_PANEL_HEIGHT + _GAP_BELOW)
            draw(_style(add_axes(figure, left, bottom, _PANEL_WIDTH, _PANEL_HEIGHT)))


def _panels(result: JobResult) -> list[_Panel]:
    panels: list[_Panel] = [
        partial(_draw_reliability, phase=result.phases[-1]),
        partial(_draw_curves, courses=result.training, title="Training of the head", first_epoch=1),
    ]
    if result.tuning:
        panels.append(partial(_draw_curves, courses=result.tuning, title="Extended fine-tuning", first_epoch=0))
    if result.alpha_sweep is not None:
        panels.append(partial(_draw_alphas, sweep=result.alpha_sweep))
    return panels


def _lay_out(names: list[str], n_classes: int) -> _Layout:
    side = min(max(4.8, _SMALLEST_CELL * min(n_classes, _MOST_NAMES)), max(_LARGEST_CELL * n_classes, _LEAST_SIDE))
    cell = side / n_classes
    points = min(POINTS, 0.82 * cell * INCH)
    longest = max((text_width(name, points) for name in names), default=0.3)
    left = bottom = longest + 0.45
    least = 2 * _PANEL_HEIGHT + _GAP_BELOW + _FOOT
    height = _HEADING + max(side + bottom, least)
    return _Layout(cell, side, points, left, height - _HEADING - side, height)


def _summary(phase: PhaseResult, n_seeds: int) -> str:
    accuracy = f"accuracy {phase.accuracy.mean:.1%}"
    if phase.accuracy.interval is not None:
        accuracy += f" ± {phase.accuracy.interval:.1%} (95% interval of the mean over {n_seeds} seeds)"
    return f"{accuracy}, macro F1 {phase.macro_f1.mean:.3f}, calibration error {phase.calibration_error.mean:.3f}"


def _style(axes: Axes) -> Axes:
    axes.spines[["right", "top"]].set_visible(b=False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(labelsize=POINTS - 1, length=2, color=FAINT, labelcolor=INK)
    return axes


def _name(axes: Axes, title: str, below: str, beside: str) -> None:
    axes.set_title(title, size=POINTS + 1, color=INK, loc="left")
    axes.set_xlabel(below, size=POINTS - 1, color=FAINT)
    axes.set_ylabel(beside, size=POINTS - 1, color=FAINT)


def _draw_confusion(axes: Axes, phase: PhaseResult, names: list[str], layout: _Layout) -> None:
    counts = np.array(phase.confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    shades = colormaps["Blues"](shares)
    edges = np.arange(len(counts) + 1) - 0.5
    # Thousands of cells would make a drawing of megabytes.
    as_pixels = layout.cell < _LEAST_CELL_WITH_COUNT
    axes.pcolormesh(edges, edges, shades, edgecolors="white", linewidth=min(0.8, layout.cell), rasterized=as_pixels)
    axes.set_ylim(edges[-1], edges[0])
    axes.set_title("Confusion, shaded by share of the true class", size=POINTS + 1, color=INK, loc="left")
    if not as_pixels:
        longest = len(str(counts.max()))
        size = min(POINTS, 0.85 * layout.cell * INCH / max(longest, 2) / 0.64)
        for row, column in np.argwhere(counts > 0).tolist():
            ink = "white" if is_dark(*shades[row, column, :3]) else INK
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", size=size, color=ink)
    if names:
        axes.set_yticks(range(len(names)), names, size=layout.points, color=INK, parse_math=False)
        axes.set_xticks(range(len(names)), names, size=layout.points, color=INK, rotation=90, parse_math=False)
    axes.tick_params(length=0, pad=2, labelsize=layout.points if names else POINTS - 1)
    axes.set_ylabel("true class", size=POINTS - 1, color=FAINT)
    axes.set_xlabel("predicted class", size=POINTS - 1, color=FAINT)
    axes.spines[:].set_color(EMPTY)


def _draw_reliability(axes: Axes, phase: PhaseResult) -> None:
    edges = np.linspace(0.0, 1.0, len(phase.reliability) + 1)
    counts = np.array([part.count for part in phase.reliability])
    axes.bar(edges[:-1], counts / counts.sum(), width=np.diff(edges), align="edge", color=EMPTY, edgecolor="white")
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8, linestyle="--")
    confidence = [part.confidence for part in phase.reliability if part.confidence is not None]
    accuracy = [part.accuracy for part in phase.reliability if part.accuracy is not None]
    axes.plot(confidence, accuracy, color=_BLUE, marker="o", markersize=3.5, linewidth=1.2)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    _name(axes, "Reliability (bars: share of the samples)", "confidence", "accuracy")


def _draw_curves(
    axes: Axes, courses: Sequence[TrainingResult] | Sequence[TuningResult], title: str, first_epoch: int
) -> None:
    """Losses of all seeds; what is marked is the epoch whose weights were taken."""
    for course in courses:
        epochs = range(first_epoch, first_epoch + len(course.train_loss))
        place = course.best_epoch - first_epoch
        for losses, colour in ((course.train_loss, _BLUE), (course.validation_loss, _ORANGE)):
            if losses:
                axes.plot(epochs, losses, color=colour, linewidth=0.9, alpha=0.8)
        judged, colour = (course.validation_loss, _ORANGE) if course.validation_loss else (course.train_loss, _BLUE)
        axes.plot([course.best_epoch], [judged[place]], color=colour, marker="o", markersize=4, linestyle="none")
    _name(axes, title, "epoch", "cross-entropy (nats)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    kinds = [Line2D([], [], color=_BLUE, linewidth=1.2, label="training")]
    if any(course.validation_loss for course in courses):
        kinds.append(Line2D([], [], color=_ORANGE, linewidth=1.2, label="validation"))
    kinds.append(Line2D([], [], color=FAINT, marker="o", markersize=4, linestyle="none", label="taken"))
    axes.legend(handles=kinds, fontsize=POINTS - 1, frameon=False, labelcolor=INK)


def _draw_alphas(axes: Axes, sweep: AlphaSweepRead) -> None:
    alphas = [point.alpha for point in sweep.points]
    for label, colour, style, spreads in (
        ("validation", _ORANGE, "-", [point.validation_accuracy for point in sweep.points]),
        ("test", _BLUE, "--", [point.test_accuracy for point in sweep.points]),
    ):
        means = [spread.mean for spread in spreads]
        axes.errorbar(
            alphas, means, _intervals(spreads), color=colour, linestyle=style, linewidth=1.2, capsize=2, label=label
        )
    taken = next(point for point in sweep.points if point.alpha == sweep.chosen)
    axes.plot(
        [taken.alpha], [taken.validation_accuracy.mean], color=_ORANGE, marker="o", markersize=5, linestyle="none",
        label="taken",
    )  # fmt: skip
    lowest, highest = axes.get_ylim()
    axes.set_ylim(max(lowest, 0.0), min(highest, 1.0))
    _name(axes, "Choice of alpha, with 95% intervals", "alpha", "accuracy")
    axes.legend(fontsize=POINTS - 1, frameon=False, labelcolor=INK)


def _intervals(spreads: Sequence[Spread]) -> list[float] | None:
    found = [spread.interval for spread in spreads if spread.interval is not None]
    return found if len(found) == len(spreads) else None
