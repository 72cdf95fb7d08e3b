"""Figures of selections: what each strategy picks, and what it is worth."""

import json
from collections import defaultdict
from pathlib import Path

from matplotlib.figure import Figure

from docs.figures.pictures import digits, few, mnist
from docs.figures.style import COLOURS, INK
from ot3l_core.names import ClassScore, FeatureScaling, LabelDistanceMethod, Strategy
from ot3l_core.otd import measure
from ot3l_core.selection.geometry import selection_space
from ot3l_core.selection.settings import SelectionSettings
from ot3l_core.selection.strategies import select

RESULTS = Path(__file__).parents[2] / "benchmarks/results/selection/selection.json"
TITLES = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "fashion-mnist": "Fashion-MNIST", "mnist": "MNIST"}
SHOWN = ("uniform", "stratified", "coverage", "medoids", "fitted")
STRATEGIES = (
    Strategy.SET_DIFFERENCE,
    Strategy.RANDOM_SELECTION,
    Strategy.UNIFORM,
    Strategy.COVERAGE,
    Strategy.MEDOIDS,
    Strategy.FITTED,
)


def draw_picks() -> Figure:
    """60 of 500 digits of MNIST by each of six strategies, in the plane of the selection space."""
    pool = few(mnist(), of_each=50)
    measured = measure(
        digits(),
        pool,
        label_distance=LabelDistanceMethod.GAUSSIAN,
        class_score=ClassScore.MEAN,
        scaling=FeatureScaling.UNIT,
        with_sample_scores=False,
        seed=0,
    )
    plane = selection_space(pool.features)[:, :2]
    figure = Figure(figsize=(8, 5.6), layout="constrained")
    for axes, strategy in zip(figure.subplots(2, 3, sharex=True, sharey=True).flat, STRATEGIES, strict=True):
        settings = SelectionSettings(strategy=strategy, budget=60, class_fraction=0.3)
        chosen = select(pool, settings=settings, class_scores=measured.class_scores, seed=0).indices
        axes.plot(*plane.T.tolist(), linestyle="", marker="o", markersize=1.5, color=INK, alpha=0.4, markeredgewidth=0)
        for k in range(10):
            points = plane[chosen[pool.labels[chosen] == k]]
            axes.scatter(*points.T.tolist(), s=22, color=COLOURS[k], linewidth=0)
        axes.set_title(f"{strategy.value}: {len(pool.labels[chosen].unique())} of 10 digits")
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
    return figure


def draw_budgets() -> Figure:
    """Accuracy by the number of labels, from the benchmark that is kept."""
    kept = json.loads(RESULTS.read_text())
    figure = Figure(figsize=(8, 6), layout="constrained")
    for axes, data_set in zip(figure.subplots(2, 2).flat, kept["data_sets"], strict=True):
        accuracies = defaultdict(list)
        for cell in data_set["cells"]:
            accuracies[cell["contender"], cell["budget"]].append(cell["accuracy"])
        for colour, contender in zip((INK, *COLOURS), SHOWN, strict=False):
            budgets = sorted({budget for name, budget in accuracies if name == contender})
            means = [sum(of) / len(of) for of in (accuracies[contender, budget] for budget in budgets)]
            axes.plot(budgets, means, color=colour, marker="o", markersize=3, label=contender)
        axes.set_xscale("log")
        ticks = [50, 100, 200, 500, 1000]
        axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        axes.minorticks_off()
        axes.set_title(TITLES.get(data_set["name"], data_set["name"]))
    figure.supxlabel("labels the head is trained on", color=INK, fontsize=9)
    figure.supylabel("accuracy on the test split, %", color=INK, fontsize=9)
    figure.axes[0].legend()
    return figure
