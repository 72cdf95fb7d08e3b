"""How far every source class is from every target class."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isqrt

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ot3l_core.data.samples import LabelledSamples
from ot3l_core.names import LabelDistanceMethod
from ot3l_core.ot.cost import squared_distances
from ot3l_core.ot.gaussian import triangular_factor
from ot3l_core.ot.overlap import entropic_overlap, exact_overlap, gaussian_overlap
from ot3l_core.ot.sliced import sliced_directions, sorted_overlaps
from ot3l_core.otd.validation import require_comparable
from ot3l_core.progress import OnProgress, ignore_progress

_MEMORY_BUDGET = 64 << 20
# A product of points, its copy in order of pairs and three of the same size for the solver, float64 each.
_BYTES_PER_PRODUCT = 40
_ENTROPIC_REG = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class _Classes:
    """Classes apart from their means.

    Attributes:
        means: Shape ``(K, D)``, float64.
        clouds: The centred points of each class, shapes ``(n_k, D)``, float64.
        counts: Points of each class, shape ``(K,)``.
    """

    means: Tensor
    clouds: tuple[Tensor, ...]
    counts: Tensor

    @property
    def spreads(self) -> Tensor:
        """Mean squared distance to the mean of each class, its overlap with itself, shape ``(K,)``."""
        return torch.stack([cloud.square().sum() / len(cloud) for cloud in self.clouds])


def label_distances(
    source: LabelledSamples,
    target: LabelledSamples,
    *,
    method: LabelDistanceMethod,
    seed: int = 0,
    memory_budget: int = _MEMORY_BUDGET,
    on_progress: OnProgress = ignore_progress,
) -> Tensor:
    """2-Wasserstein distance between every source class and every target class.

    ``W2^2 = |difference of means|^2 + overlap(x, x) + overlap(y, y) - 2 overlap(x, y)`` for the centred classes x
    and y (see ``ot3l_core.ot.overlap``); the methods differ in the overlap:

    - ``exact``: the best plan between the samples;
    - ``gaussian``: between Gaussians with the classes' means and 1/n covariances;
    - ``sinkhorn``: the best entropic plan, at 0.1 of the classes' mean spread; debiased;
    - ``sliced``: the best plans along random directions, scaled to agree on translations; at most ``exact`` on average;
    - ``means``: none, only the means count.

    Args:
        source: Samples of K classes.
        target: Samples of L classes with the same features.
        method: What stands for the distance between two classes.
        seed: Draws the directions of ``sliced``.
        memory_budget: Bytes that blocks of class pairs may take beside a float64 copy of the features; a single
            pair of large classes may take more.
        on_progress: Called after every block.

    Returns:
        Distances in feature units, shape ``(K, L)``, float64, on the device of ``source``.

    Raises:
        ShapeMismatchError: If the feature dimensions differ.
        DataError: If a class has no samples or a feature is not finite.

    Source:
        alvarez2020geometric.
    """
    require_comparable(source, target)
    source.require_every_class("source")
    target.require_every_class("target")
    x, y = _centred_classes(source), _centred_classes(target)
    squared = squared_distances(x.means, y.means)
    match method:
        case LabelDistanceMethod.MEANS:
            on_progress(1.0)
        case LabelDistanceMethod.EXACT:
            squared += _spread_sums(x, y) - 2 * _exact_overlaps(x, y, memory_budget, on_progress)
        case LabelDistanceMethod.GAUSSIAN:
            squared += _spread_sums(x, y) - 2 * _gaussian_overlaps(x, y, memory_budget, on_progress)
        case LabelDistanceMethod.SINKHORN:
            squared += _entropic_shape_terms(x, y, memory_budget, on_progress)
        case LabelDistanceMethod.SLICED:
            squared += _sliced_shape_terms(x, y, seed, memory_budget, on_progress)
    return squared.clamp_(min=0).sqrt_()


def _centred_classes(samples: LabelledSamples) -> _Classes:
    counts = samples.class_counts
    order = torch.argsort(samples.labels, stable=True)
    by_class = torch.split(samples.features[order].double(), counts.tolist())
    means = torch.stack([points.mean(0) for points in by_class])
    clouds = tuple(points - mean for points, mean in zip(by_class, means, strict=True))
    return _Classes(means, clouds, counts)


def _spread_sums(x: _Classes, y: _Classes) -> Tensor:
    """``overlap(x, x) + overlap(y, y)`` where a cloud's best plan onto itself moves nothing."""
    return x.spreads[:, None] + y.spreads


def _exact_overlaps(x: _Classes, y: _Classes, memory_budget: int, on_progress: OnProgress) -> Tensor:
    overlaps = x.means.new_zeros(len(x.counts), len(y.counts))
    for rows, columns, cross in _product_blocks(x.clouds, y.clouds, memory_budget, on_progress):
        host = cross.cpu()
        for i, k in enumerate(rows):
            for j, other in enumerate(columns):
                overlaps[k, other] = exact_overlap(host[i, j, : len(x.clouds[k]), : len(y.clouds[other])])
    return overlaps


def _gaussian_overlaps(x: _Classes, y: _Classes, memory_budget: int, on_progress: OnProgress) -> Tensor:
    left, right = (tuple(triangular_factor(cloud) for cloud in classes.clouds) for classes in (x, y))
    overlaps = x.means.new_zeros(len(x.counts), len(y.counts))
    for rows, columns, cross in _product_blocks(left, right, memory_budget, on_progress):
        block = gaussian_overlap(cross, x.counts[rows], y.counts[columns])
        overlaps[torch.tensor(rows)[:, None], torch.tensor(columns)] = block
    return overlaps


def _entropic_shape_terms(x: _Classes, y: _Classes, memory_budget: int, on_progress: OnProgress) -> Tensor:
    """``overlap(x, x) + overlap(y, y) - 2 overlap(x, y)`` with one entropic strength for all classes."""
    reg = _ENTROPIC_REG * float(x.spreads.mean() + y.spreads.mean())
    terms = x.means.new_zeros(len(x.counts), len(y.counts))
    if reg == 0:
        return terms
    for rows, columns, cross in _product_blocks(x.clouds, y.clouds, memory_budget, on_progress):
        block = entropic_overlap(cross, x.counts[rows], y.counts[columns], reg=reg)
        terms[torch.tensor(rows)[:, None], torch.tensor(columns)] = -2 * block
    return terms + _entropic_self_overlaps(x, reg)[:, None] + _entropic_self_overlaps(y, reg)


def _entropic_self_overlaps(classes: _Classes, reg: float) -> Tensor:
    overlaps = [
        entropic_overlap((cloud @ cloud.T)[None, None], count[None], count[None], reg=reg)[0, 0]
        for cloud, count in zip(classes.clouds, classes.counts, strict=True)
    ]
    return torch.stack(overlaps)


def _sliced_shape_terms(x: _Classes, y: _Classes, seed: int, memory_budget: int, on_progress: OnProgress) -> Tensor:
    """The same along random directions, times D over their number, so that every length counts fully on average."""
    n_features = x.means.shape[1]
    directions = sliced_directions(n_features, seed=seed).to(x.means.device)
    n_directions = directions.shape[1]
    terms = x.means.new_zeros(len(x.counts), len(y.counts))
    bytes_per_direction = _BYTES_PER_PRODUCT * int(x.counts.sum() + y.counts.sum())
    done = 0
    for chunk in torch.split(directions, max(1, memory_budget // bytes_per_direction), dim=1):
        by_size_x, by_size_y = _sorted_projections(x, chunk), _sorted_projections(y, chunk)
        for rows, projected in by_size_x:
            terms[rows] += projected.square().mean(1).sum(1)[:, None]
            for columns, onto in by_size_y:
                terms[rows[:, None], columns] -= 2 * sorted_overlaps(projected, onto)
        for columns, onto in by_size_y:
            terms[:, columns] += onto.square().mean(1).sum(1)
        done += chunk.shape[1]
        on_progress(done / n_directions)
    return terms * (n_features / n_directions)


def _sorted_projections(classes: _Classes, directions: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Classes of equal size together: their indices, and their sorted projections ``(K', n, p)``."""
    groups = []
    for count in sorted(set(classes.counts.tolist())):
        members = torch.nonzero(classes.counts == count).flatten()
        projected = torch.stack([classes.clouds[k] @ directions for k in members.tolist()])
        groups.append((members, projected.sort(1).values))
    return groups


def _product_blocks(
    x: tuple[Tensor, ...], y: tuple[Tensor, ...], memory_budget: int, on_progress: OnProgress
) -> Iterator[tuple[list[int], list[int], Tensor]]:
    """The products of all points of some source classes with all points of some target classes.

    Classes of similar size go together, so that little is padded.

    Yields:
        Source classes, target classes and their products, padded by zeros, shape ``(K', L', n, m)``.
    """
    side = isqrt(memory_budget // _BYTES_PER_PRODUCT)
    row_bunches, column_bunches = _bunches(x, side), _bunches(y, side)
    n_done = 0
    for rows in row_bunches:
        left = pad_sequence([x[k] for k in rows], batch_first=True)
        for columns in column_bunches:
            right = pad_sequence([y[k] for k in columns], batch_first=True)
            products = left.flatten(0, 1) @ right.flatten(0, 1).T
            yield rows, columns, products.view(*left.shape[:2], *right.shape[:2]).transpose(1, 2).contiguous()
            n_done += len(rows) * len(columns)
            on_progress(n_done / (len(x) * len(y)))


def _bunches(clouds: tuple[Tensor, ...], max_points: int) -> list[list[int]]:
    """Classes by falling size, cut so that a bunch padded to its largest stays within ``max_points``."""
    order = sorted(range(len(clouds)), key=lambda k: (-len(clouds[k]), k))
    bunches = []
    while order:
        size = max(1, max_points // max(1, len(clouds[order[0]])))
        bunches.append(order[:size])
        order = order[size:]
    return bunches
