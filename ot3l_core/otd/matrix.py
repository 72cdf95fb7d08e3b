"""The distances between all of many labelled datasets."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from ot3l_core.data.samples import LabelledSamples
from ot3l_core.errors import CoreError, TooFewSamplesError
from ot3l_core.names import LabelDistanceMethod, TransportMethod
from ot3l_core.otd.classes import class_clouds
from ot3l_core.otd.dataset_distance import dataset_distance
from ot3l_core.otd.label_distances import cloud_distances
from ot3l_core.otd.validation import require_comparable
from ot3l_core.progress import OnProgress, ignore_progress, portion

_LABEL_SHARE = 0.4


@dataclass(frozen=True, slots=True)
class Merge:
    """One step of a dendrogram: two groups become one.

    Attributes:
        first: A dataset if below Q, else what merge number ``first - Q`` made.
        second: The same; drawn after ``first``.
        height: Mean distance between the datasets of the one group and those of the other; never falls.
        size: Datasets in the new group.
    """

    first: int
    second: int
    height: float
    size: int


@dataclass(frozen=True, slots=True)
class Nearest:
    """Which other dataset is the nearest.

    Attributes:
        index: The dataset with the smallest upper bound, the first of equals.
        settled: Whether the certificates prove it: its upper bound lies below every other candidate's lower bound.
    """

    index: int
    settled: bool


@dataclass(frozen=True, slots=True, eq=False)
class DatasetMatrix:
    """All distances between Q datasets, each with its proof.

    All matrices are symmetric and have shape ``(Q, Q)``; a dataset is at 0 from itself by definition. The triangle
    inequality is not promised: label distances may come from approximations, and values are upper bounds.

    Attributes:
        lower: No plan can be cheaper than this; units of the features, float64.
        upper: The distances: a plan that moves one dataset onto the other costs this; units of the features, float64.
        gap_percent: Of the transport cost, float64.
        converged: Whether the gap is within the tolerance asked for, bool.
        order: The Q datasets as leaves of the dendrogram, so that neighbours are near; its reverse is as good.
        merges: The Q - 1 steps of the dendrogram, from the bottom.
        nearest: For each dataset the nearest other one.
    """

    lower: Tensor
    upper: Tensor
    gap_percent: Tensor
    converged: Tensor
    order: tuple[int, ...]
    merges: tuple[Merge, ...]
    nearest: tuple[Nearest, ...]


def dataset_matrix(
    datasets: Sequence[LabelledSamples],
    *,
    method: LabelDistanceMethod,
    transport: TransportMethod = TransportMethod.SINKHORN,
    tolerance: float = 0.01,
    seed: int = 0,
    on_progress: OnProgress = ignore_progress,
) -> DatasetMatrix:
    """Measure every unordered pair of datasets once, and arrange the datasets by what was found.

    Args:
        datasets: Q sets of labelled samples with the same features, on one scale.
        method: Distance between two classes.
        transport: How each transport problem is solved.
        tolerance: Certified gap to reach, as a share of the transport cost.
        seed: Drives the sampling of ``sliced`` and ``minibatch``; the same for every pair.
        on_progress: Called throughout.

    Raises:
        TooFewSamplesError: If there are fewer than two datasets, or one has no samples.
        InvalidSettingError: If the tolerance is not positive.
        ShapeMismatchError: If the feature dimensions differ.
        DataError: If a class has no samples or a feature is not finite.

    Source:
        alvarez2020geometric; order of the leaves: barjoseph2001fast.
    """
    _require_comparable(datasets)
    n = len(datasets)
    lower, upper, gap_percent = (torch.zeros(n, n, dtype=torch.float64) for _ in range(3))
    converged = torch.ones(n, n, dtype=torch.bool)
    clouds = [class_clouds(samples) for samples in datasets]
    pairs = list(combinations(range(n), 2))
    for number, (i, j) in enumerate(pairs):
        part = portion(on_progress, number / len(pairs), (number + 1) / len(pairs))
        between = cloud_distances(
            clouds[i], clouds[j], method=method, seed=seed, on_progress=portion(part, 0.0, _LABEL_SHARE)
        )
        found = dataset_distance(
            datasets[i],
            datasets[j],
            label_cost=between.square(),
            method=transport,
            tolerance=tolerance,
            seed=seed,
            on_progress=portion(part, _LABEL_SHARE, 1.0),
        )
        for row, column in ((i, j), (j, i)):
            lower[row, column], upper[row, column] = found.lower, found.upper
            gap_percent[row, column], converged[row, column] = found.gap_percent, found.converged
    order, merges = _dendrogram(upper)
    nearest = tuple(_nearest(i, lower[i], upper[i]) for i in range(n))
    return DatasetMatrix(lower, upper, gap_percent, converged, order, merges, nearest)


def _require_comparable(datasets: Sequence[LabelledSamples]) -> None:
    """Refuse now what the last pair would be refused for, and say which dataset is to blame."""
    if len(datasets) < 2:
        raise TooFewSamplesError(f"distances are between datasets: two or more, got {len(datasets)}", field="datasets")
    for position, samples in enumerate(datasets):
        try:
            require_comparable(datasets[0], samples)
            samples.require_every_class("target")
        except CoreError as error:
            raise type(error)(f"dataset {position}: {error}", field=f"datasets.{position}") from error


def _dendrogram(distances: Tensor) -> tuple[tuple[int, ...], tuple[Merge, ...]]:
    """Average linkage, with the leaves in the order in which neighbours are nearest in total."""
    from scipy.cluster.hierarchy import leaves_list, linkage  # noqa: PLC0415 - keeps importing this package light

    rows, columns = torch.triu_indices(len(distances), len(distances), offset=1)
    steps = linkage(distances[rows, columns].numpy(), method="average", optimal_ordering=True)
    merges = tuple(Merge(int(first), int(second), float(height), int(size)) for first, second, height, size in steps)
    return tuple(int(leaf) for leaf in leaves_list(steps)), merges


def _nearest(own: int, lower: Tensor, upper: Tensor) -> Nearest:
    others = torch.arange(len(upper)) != own
    index = int(torch.where(others, upper, torch.inf).argmin())
    others[index] = False
    return Nearest(index, settled=bool((upper[index] < lower[others]).all()))
