"""Figures of distances: a plan, its certificate, pairs of classes, and the classes in a plane."""

from dataclasses import replace

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from torch import Tensor

from docs.figures.pictures import NAMES, digits, few, mnist
from docs.figures.style import COLOURS, INK
from ot3l_core.data.samples import LabelledSamples
from ot3l_core.names import FeatureScaling, LabelDistanceMethod, TransportMethod
from ot3l_core.ot.exact import exact_transport
from ot3l_core.ot.sinkhorn import sinkhorn_transport
from ot3l_core.otd import class_map, dataset_distance, ground_cost, label_distances, scale_features
from ot3l_core.selection.geometry import selection_space

BLUES = LinearSegmentedColormap.from_list("blues", ["#b9d3ea", "#3b8ed0", "#14476f"])


def draw_plan() -> Figure:
    """Two small clouds and what moves where, without labels and with them."""
    both = [few(samples, of_each=12, classes=(0, 5, 7)) for samples in (digits(), mnist())]
    plane = selection_space(torch.cat([samples.features for samples in both]))[:, :2]
    source, target = (
        replace(samples, features=points)
        for samples, points in zip(both, (plane[: len(both[0])], plane[len(both[0]) :]), strict=True)
    )
    used = [0, 5, 7]
    label_cost = torch.zeros(10, 10, dtype=torch.float64)
    label_cost[np.ix_(used, used)] = label_distances(
        _only(source, used), _only(target, used), method=LabelDistanceMethod.EXACT
    ).square()
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    for axes, cost, title in zip(
        figure.subplots(1, 2, sharex=True, sharey=True),
        (torch.zeros_like(label_cost), label_cost),
        ("points alone", "points and labels"),
        strict=True,
    ):
        plan = exact_transport(ground_cost(source, target, label_cost=cost)).plan[0 : len(source)]
        _draw_plan(axes, source, target, plan)
        kept = float(sum(plan[i, target.labels == k].sum() for i, k in enumerate(source.labels.tolist())))
        axes.set_title(f"{title}: {kept:.0%} of the mass stays in its digit")
    return figure


def draw_certificate() -> Figure:
    """Both bounds around the exact value, by the tolerance that was asked for."""
    source, target = scale_features(few(digits(), of_each=50), few(mnist(), of_each=50), scaling=FeatureScaling.UNIT)
    label_cost = label_distances(source, target, method=LabelDistanceMethod.EXACT).square()
    cost = ground_cost(source, target, label_cost=label_cost)
    exact = exact_transport(cost).value ** 0.5
    tolerances = (0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
    found = [sinkhorn_transport(cost, tolerance=tolerance).certificate for tolerance in tolerances]
    figure = Figure(figsize=(6, 3), layout="constrained")
    axes = figure.subplots()
    places = range(len(tolerances))
    lower, upper = ([getattr(one, side) ** 0.5 for one in found] for side in ("lower", "upper"))
    axes.fill_between(places, lower, upper, color=COLOURS[0], alpha=0.2, linewidth=0)
    axes.plot(places, upper, marker="o", markersize=4, color=COLOURS[1], label="upper bound: a plan that costs this")
    axes.plot(places, lower, marker="o", markersize=4, color=COLOURS[0], label="lower bound: nothing costs less")
    axes.axhline(exact, color=INK, linestyle=":", label="exact")
    axes.set_xticks(
        places, [f"{tolerance:.1%}\n{one.gap_percent:.2g}%" for tolerance, one in zip(tolerances, found, strict=True)]
    )
    axes.set(xlabel="tolerance asked for, gap reached", ylabel="distance")
    axes.legend()
    return figure


def draw_class_pairs() -> Figure:
    """The distance of every class of digits to every class of MNIST."""
    source, target = scale_features(digits(), mnist(), scaling=FeatureScaling.UNIT)
    distances = label_distances(source, target, method=LabelDistanceMethod.GAUSSIAN)
    small = [few(samples, of_each=100) for samples in (source, target)]
    whole = dataset_distance(*small, label_cost=distances.square(), method=TransportMethod.SINKHORN)
    figure = Figure(figsize=(5.4, 4.6), layout="constrained")
    axes = figure.subplots()
    cells = axes.pcolormesh(distances.numpy(), cmap=BLUES, rasterized=False)
    dark = float(distances.min() + 0.4 * (distances.max() - distances.min()))
    for (row, column), value in np.ndenumerate(distances.numpy()):
        colour = "#15202b" if value < dark else "white"
        axes.text(column + 0.5, row + 0.5, f"{value:.2f}", ha="center", va="center", fontsize=6.5, color=colour)
    ticks = np.arange(10) + 0.5
    axes.set_xticks(ticks, NAMES)
    axes.set_yticks(ticks, NAMES)
    axes.invert_yaxis()
    axes.set(xlabel="class of MNIST", ylabel="class of digits")
    axes.set_title(f"dataset distance between {whole.lower:.3f} and {whole.upper:.3f} (gap {whole.gap_percent:.2f}%)")
    axes.spines[:].set_visible(False)
    figure.colorbar(cells, ax=axes, label="distance between two classes").outline.set_visible(False)
    return figure


def draw_class_map() -> Figure:
    """The means of all classes of both datasets, in one plane."""
    found = class_map(*scale_features(digits(), mnist(), scaling=FeatureScaling.UNIT))
    figure = Figure(figsize=(5.4, 4), layout="constrained")
    axes = figure.subplots()
    for points, name, filled in ((found.source, "digits", True), (found.target, "MNIST", False)):
        for k, (x, y) in enumerate(points.tolist()):
            face = COLOURS[k] if filled else "none"
            axes.scatter(x, y, s=190, facecolor=face, edgecolor=COLOURS[k], linewidth=1.6)
            axes.text(x, y, NAMES[k], ha="center", va="center", color="white" if filled else COLOURS[k])
        axes.scatter([], [], s=60, facecolor=INK if filled else "none", edgecolor=INK, label=name)
    for k in range(10):
        axes.plot(
            *zip(found.source[k].tolist(), found.target[k].tolist(), strict=True), color=INK, linewidth=0.6, zorder=0
        )
    axes.set_title(f"the plane shows {found.explained:.0%} of how the means differ")
    axes.set_aspect("equal")
    axes.legend()
    return figure


def _draw_plan(axes: Axes, source: LabelledSamples, target: LabelledSamples, plan: Tensor) -> None:
    moved = [(i, j) for i, j in torch.nonzero(plan).tolist()]
    lines = [(source.features[i].tolist(), target.features[j].tolist()) for i, j in moved]
    colours = [COLOURS[int(source.labels[i])] for i, _ in moved]
    axes.add_collection(LineCollection(lines, colors=colours, linewidths=0.9, alpha=0.7))
    for samples, marker, name in ((source, "o", "digits"), (target, "s", "MNIST")):
        for k in samples.labels.unique().tolist():
            points = samples.features[samples.labels == k]
            face = COLOURS[k] if marker == "o" else "none"
            axes.scatter(*points.T.tolist(), s=26, marker=marker, facecolor=face, edgecolor=COLOURS[k])
        axes.scatter([], [], s=26, marker=marker, facecolor=INK if marker == "o" else "none", edgecolor=INK, label=name)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.set_aspect("equal")
    axes.legend(loc="best")


def _only(samples: LabelledSamples, classes: list[int]) -> LabelledSamples:
    """The same samples, with no classes but these."""
    labels = torch.tensor([classes.index(k) for k in samples.labels.tolist()])
    return LabelledSamples(samples.features, labels, tuple(samples.classes[k] for k in classes))
