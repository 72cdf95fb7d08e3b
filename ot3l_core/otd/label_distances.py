"""How far every source class is from every target class."""

from collections.abc import Callable, Sequence
from functools import partial
from math import isqrt

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ot3l_core.data.samples import LabelledSamples
from ot3l_core.names import LabelDistanceMethod
from ot3l_core.ot.cost import inner_products, squared_distances
from ot3l_core.ot.gaussian import triangular_factor
from ot3l_core.ot.native import each_on_a_core, runs_compiled
from ot3l_core.ot.overlap import entropic_overlaps, exact_overlaps, gaussian_overlaps
from ot3l_core.ot.sliced import sliced_directions, sorted_overlaps
from ot3l_core.otd.classes import ClassClouds, class_clouds
from ot3l_core.otd.validation import require_comparable
from ot3l_core.progress import OnProgress, ignore_progress, portion

_MEMORY_BUDGET = 64 << 20
# A product of points, its copy in order of pairs and three of the same size for the solver, float64 each.
_BYTES_PER_PRODUCT = 40
_ENTROPIC_REG = 0.1
# Products in float32 err by about 1e-7 of the spreads: where less than this share of them is left, use float64.
_CANCELLED = 0.1

_Solver = Callable[[Tensor, Tensor, Tensor], Tensor]


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
    clouds = class_clouds(source, role="source"), class_clouds(target, role="target")
    return cloud_distances(*clouds, method=method, seed=seed, memory_budget=memory_budget, on_progress=on_progress)


def cloud_distances(
    x: ClassClouds,
    y: ClassClouds,
    *,
    method: LabelDistanceMethod,
    seed: int = 0,
    memory_budget: int = _MEMORY_BUDGET,
    on_progress: OnProgress = ignore_progress,
) -> Tensor:
    """``label_distances`` between datasets that were taken apart before."""
    squared = squared_distances(x.means, y.means)
    match method:
        case LabelDistanceMethod.MEANS:
            on_progress(1.0)
        case LabelDistanceMethod.EXACT:
            squared += _shape_terms(squared, x, y, exact_overlaps, memory_budget, on_progress)
        case LabelDistanceMethod.GAUSSIAN:
            squared += _shape_terms(squared, x, y, gaussian_overlaps, memory_budget, on_progress)
        case LabelDistanceMethod.SINKHORN:
            squared += _entropic_shape_terms(x, y, memory_budget, on_progress)
        case LabelDistanceMethod.SLICED:
            squared += _sliced_shape_terms(x, y, seed, memory_budget, on_progress)
    return squared.clamp_(min=0).sqrt_()


def _shape_terms(
    between_means: Tensor, x: ClassClouds, y: ClassClouds, solve: _Solver, memory_budget: int, on_progress: OnProgress
) -> Tensor:
    """``overlap(x, x) + overlap(y, y) - 2 overlap(x, y)`` where a cloud's best plan onto itself moves nothing.

    Products are taken in the dtype of the features. Where little is left of their difference, as between equal
    classes, they are taken again in float64.
    """
    moments_only = solve is gaussian_overlaps
    left, right = (own.factors if moments_only else own.clouds for own in (x, y))
    spreads = x.spreads[:, None] + y.spreads
    is_precise = x.points.dtype == y.points.dtype == torch.float64
    progress = portion(on_progress, 0.0, 1.0 if is_precise else 0.9)
    terms = spreads - 2 * _overlaps(left, right, (x.counts, y.counts), solve, memory_budget, progress)
    if is_precise:
        return terms
    close = between_means + terms < _CANCELLED * spreads
    for k in torch.nonzero(close.any(1)).flatten().tolist():
        columns = torch.nonzero(close[k]).flatten()
        own, others = [x.cloud(k)], [y.cloud(other) for other in columns.tolist()]
        if moments_only:
            own, others = [triangular_factor(own[0])], [triangular_factor(cloud) for cloud in others]
        counts = x.counts[k : k + 1], y.counts[columns]
        overlaps = _overlaps(own, others, counts, solve, memory_budget, ignore_progress)
        terms[k, columns] = spreads[k, columns] - 2 * overlaps[0]
        on_progress(0.9 + 0.1 * k / len(close))
    on_progress(1.0)
    return terms


def _overlaps(
    x: Sequence[Tensor],
    y: Sequence[Tensor],
    counts: tuple[Tensor, Tensor],
    solve: _Solver,
    memory_budget: int,
    on_progress: OnProgress,
) -> Tensor:
    """Solve all pairs, in blocks of classes of similar size, so that little is padded."""
    overlaps = x[0].new_zeros(len(x), len(y), dtype=torch.float64)
    side = isqrt(memory_budget // _BYTES_PER_PRODUCT // (torch.get_num_threads() if runs_compiled(overlaps) else 1))
    dtype = torch.promote_types(x[0].dtype, y[0].dtype)
    columns_of = _bunches(y, side)
    right_of = [_padded([y[k] for k in columns], dtype) for columns in columns_of]

    def compute(block: tuple[list[int], list[int], Tensor]) -> None:
        rows, columns, right = block
        left = _padded([x[k] for k in rows], dtype)
        products = inner_products(left.flatten(0, 1), right.flatten(0, 1)).view(*left.shape[:2], *right.shape[:2])
        chosen = torch.tensor(rows), torch.tensor(columns)
        overlaps[chosen[0][:, None], chosen[1]] = solve(products, counts[0][chosen[0]], counts[1][chosen[1]])

    blocks = [
        (rows, columns, right)
        for rows in _bunches(x, side)
        for columns, right in zip(columns_of, right_of, strict=True)
    ]
    each_on_a_core(compute, blocks, overlaps, on_progress)
    return overlaps


def _entropic_shape_terms(x: ClassClouds, y: ClassClouds, memory_budget: int, on_progress: OnProgress) -> Tensor:
    """``overlap(x, x) + overlap(y, y) - 2 overlap(x, y)`` with one entropic strength for all classes."""
    reg = _ENTROPIC_REG * float(x.spreads.mean() + y.spreads.mean())
    if reg == 0:
        return torch.zeros(len(x.counts), len(y.counts), dtype=torch.float64, device=x.points.device)
    solve = partial(entropic_overlaps, reg=reg)
    left, right = (tuple(own.cloud(k) for k in range(len(own.counts))) for own in (x, y))
    terms = -2 * _overlaps(left, right, (x.counts, y.counts), solve, memory_budget, on_progress)
    return terms + _entropic_self_overlaps(left, solve)[:, None] + _entropic_self_overlaps(right, solve)


def _entropic_self_overlaps(clouds: Sequence[Tensor], solve: _Solver) -> Tensor:
    counts = [torch.tensor([len(cloud)], device=cloud.device) for cloud in clouds]
    overlaps = [
        solve((cloud @ cloud.T)[None, :, None], count, count)[0, 0] for cloud, count in zip(clouds, counts, strict=True)
    ]
    return torch.stack(overlaps)


def _sliced_shape_terms(
    x: ClassClouds, y: ClassClouds, seed: int, memory_budget: int, on_progress: OnProgress
) -> Tensor:
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


def _sorted_projections(classes: ClassClouds, directions: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Classes of equal size together: their indices, and their sorted projections ``(K', n, p)``."""
    groups = []
    for count in sorted(set(classes.counts.tolist())):
        members = torch.nonzero(classes.counts == count).flatten()
        projected = torch.stack([classes.cloud(k) @ directions for k in members.tolist()])
        groups.append((members, projected.sort(1).values))
    return groups


def _padded(clouds: Sequence[Tensor], dtype: torch.dtype) -> Tensor:
    return pad_sequence(list(clouds), batch_first=True).to(dtype)


def _bunches(clouds: Sequence[Tensor], max_points: int) -> list[list[int]]:
    """Classes by falling size, cut so that a bunch padded to its largest stays within ``max_points``."""
    order = sorted(range(len(clouds)), key=lambda k: (-len(clouds[k]), k))
    bunches = []
    while order:
        size = max(1, max_points // max(1, len(clouds[order[0]])))
        bunches.append(order[:size])
        order = order[size:]
    return bunches
