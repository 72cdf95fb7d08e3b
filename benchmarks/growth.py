"""How time and memory of the engine grow with its inputs, with fitted exponents."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.cases import Setting
from benchmarks.features import made_up
from benchmarks.problem import Problem
from benchmarks.running import Contender, Result

_SAMPLES_WITH_FEATURES = 5_000
_CLASSES = 100
_LEAST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """One quantity varied, everything else fixed.

    Attributes:
        title: What is measured, and what is fixed.
        axis: What is varied.
        sizes: Its values.
        problem: Makes the problem of a size.
        contender: What is run on it.
    """

    title: str
    axis: str
    sizes: tuple[int, ...]
    problem: Callable[[int], Problem]
    contender: Contender


@dataclass(frozen=True, slots=True, eq=False)
class Growth:
    """A curve with its results.

    Attributes:
        curve: What was varied.
        seconds: At each size, the median.
        n_bytes: Memory beyond what the process held before, at each size.
        time_exponent: Slope of log seconds against log size, by least squares.
        memory_exponent: The same of the memory.
    """

    curve: Curve
    seconds: tuple[float, ...]
    n_bytes: tuple[int, ...]
    time_exponent: float
    memory_exponent: float


def curves(setting: Setting) -> list[Curve]:
    """What is varied."""
    sizes, threads = setting.sizes, setting.threads
    n_fixed = min(_SAMPLES_WITH_FEATURES, sizes.datasets[0])
    n_classes = min(_CLASSES, max(sizes.growth_classes, default=_CLASSES))
    class_size = sizes.class_sizes[0]
    dataset = Contender("dataset distance", "engine:dataset", threads)
    found = [
        Curve(
            "dataset distance, d = 512",
            "n",
            sizes.growth_samples,
            partial(_by_samples, sizes.dataset_classes),
            dataset,
        ),
        Curve(
            f"dataset distance, n = {n_fixed}",
            "d",
            sizes.growth_features,
            partial(_by_features, sizes.dataset_classes, n_fixed),
            dataset,
        ),
    ]
    by_features = partial(_by_features, (n_classes, n_classes), n_classes * class_size)
    gaussian, exact = (
        Contender(f"C, {method}", "engine:labels", threads, {"method": method}) for method in ("gaussian", "exact")
    )
    found.append(
        Curve(
            f"C, gaussian, {n_classes} × {n_classes} classes",  # noqa: RUF001
            "d",
            sizes.growth_features,
            by_features,
            gaussian,
        )
    )
    found += [
        Curve(
            f"{contender.name}, against {n_classes} classes",
            "source classes",
            sizes.growth_classes,
            partial(_by_classes, n_classes, class_size),
            contender,
        )
        for contender in (gaussian, exact)
    ]
    return [curve for curve in found if curve.sizes]


def fit(curve: Curve, results: Sequence[Result]) -> Growth:
    """Exponents from the runs that succeeded."""
    seconds = tuple(result.median for result in results)
    n_bytes = tuple(max(_LEAST_BYTES, result.peak_bytes - result.held_bytes) for result in results)
    return Growth(curve, seconds, n_bytes, _slope(curve.sizes, seconds), _slope(curve.sizes, n_bytes))


def _slope(sizes: Sequence[int], measured: Sequence[float]) -> float:
    pairs = [(size, value) for size, value in zip(sizes, measured, strict=True) if np.isfinite(value)]
    if len(pairs) < 2:
        return float("nan")
    x, y = np.log(np.array(pairs)).T
    return float(np.polyfit(x, y, 1)[0])


def plot(growths: Sequence[Growth], path: Path) -> None:
    """Time above, memory below; one column for each thing that was varied."""
    import matplotlib as mpl  # noqa: PLC0415 - slow to load

    mpl.use("svg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    mpl.rcParams["svg.hashsalt"] = "ot3l"
    axes_names = list(dict.fromkeys(growth.curve.axis for growth in growths))
    figure, axes = plt.subplots(
        2, len(axes_names), figsize=(4.6 * len(axes_names), 7), layout="constrained", squeeze=False
    )
    for column, name in enumerate(axes_names):
        for growth in (growth for growth in growths if growth.curve.axis == name):
            title, sizes = growth.curve.title, growth.curve.sizes
            megabytes = [n / 1e6 for n in growth.n_bytes]
            axes[0, column].loglog(sizes, growth.seconds, "o-", label=f"{title}: {growth.time_exponent:.2f}")
            axes[1, column].loglog(sizes, megabytes, "o-", label=f"{title}: {growth.memory_exponent:.2f}")
        for row, unit in enumerate(("seconds", "MB beyond the start")):
            axes[row, column].set(xlabel=name, ylabel=unit)
            axes[row, column].grid(visible=True, which="both", alpha=0.2)
            axes[row, column].legend(fontsize=7, title="and its exponent", title_fontsize=7)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _by_samples(n_classes: tuple[int, int], n: int) -> Problem:
    return made_up(n_classes, (n, n))


def _by_features(n_classes: tuple[int, int], n: int, n_features: int) -> Problem:
    return made_up(n_classes, (n, n), n_features=n_features)


def _by_classes(n_target: int, class_size: int, n_source: int) -> Problem:
    return made_up((n_source, n_target), (n_source * class_size, n_target * class_size))
