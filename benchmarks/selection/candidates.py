"""What was tried beside the strategies of the product.

Each begins with what a seed drew and answers with a function from a budget to the places chosen.
"""

import heapq
import warnings
from collections.abc import Callable
from typing import TypeAlias

import torch
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from benchmarks.selection.embedding import Drawn
from ot3l_core.finetune.training import TrainingSettings, train_head
from ot3l_core.names import FeatureScaling, LabelDistanceMethod
from ot3l_core.ot import exact_transport
from ot3l_core.otd import dataset_distance, label_distances, scale_features
from ot3l_core.selection.draws import draw, even_quotas

Choose: TypeAlias = Callable[[int], Tensor]
Begin: TypeAlias = Callable[[Drawn, int, int], Choose]
_Inside: TypeAlias = Callable[[Tensor, int], Tensor]

# Apart from the streams of the strategies.
_FIRST, _FOLDS = 101, 102
_N_FOLDS = 3
_NEIGHBOURS = 10
_BALANCING_STEPS = 10
_ROWS = 1024
_LEAST_WEIGHT = 1e-3
"""Of the mean weight: k-means takes no weights of 0."""


def k_centre(drawn: Drawn, seed: int, most: int) -> Choose:
    """After a random sample always the one that is farthest from all that are chosen.

    Source:
        gonzalez1985clustering.
    """
    points = drawn.points
    chosen = [int(draw(len(points), seed, _FIRST)[0])]
    nearest = _squares(points, chosen[0])
    while len(chosen) < most:
        chosen.append(int(nearest.argmax()))
        nearest = torch.minimum(nearest, _squares(points, chosen[-1]))
    return lambda budget: torch.tensor(chosen[:budget])


def facility_location(drawn: Drawn, seed: int, most: int) -> Choose:  # noqa: ARG001 - it draws nothing
    """Always the sample that brings the pool nearest to what is chosen: greedy quantisation.

    What a sample gains can only shrink as others are chosen, so the last known gain is a bound, and few are computed
    anew at each step.

    Source:
        nemhauser1978analysis; minoux1978accelerated.
    """
    points = drawn.points
    norms = points.square().sum(dim=1)
    # Not less than any squared distance: in the beginning everything is worse than anything.
    nearest = torch.full_like(norms, 4 * float(norms.max()))
    first = (nearest - norms).sum() - len(points) * norms + 2 * points @ points.sum(dim=0)
    bounds = [(-gain, place) for place, gain in enumerate(first.tolist())]
    heapq.heapify(bounds)
    chosen: list[int] = []
    while len(chosen) < most:
        _, place = heapq.heappop(bounds)
        distances = _squares(points, place)
        gain = float((nearest - distances).clamp(min=0).sum())
        if not bounds or gain >= -bounds[0][0]:
            chosen.append(place)
            nearest = torch.minimum(nearest, distances)
        else:
            heapq.heappush(bounds, (-gain, place))
    return lambda budget: torch.tensor(chosen[:budget])


def balanced(drawn: Drawn, seed: int, most: int) -> Choose:  # noqa: ARG001 - each budget begins anew
    """Inside each class, the clusters of k-means made equally large, by exact transport onto equal masses.

    Source:
        cuturi2014fast, where k-means with prescribed masses is a barycentre of free support.
    """

    def inside(members: Tensor, size: int) -> Tensor:
        points = drawn.points[members]
        centres = _centres(points, size, torch.ones(len(points), dtype=torch.float64), seed)
        for _ in range(_BALANCING_STEPS):
            plan = exact_transport(torch.cdist(points, centres).square()).plan[:]
            moved = size * plan.T @ points
            if torch.allclose(moved, centres):
                break
            centres = moved
        return _nearest_distinct(points, centres)

    return _each_class(drawn, seed, inside)


def far_medoids(drawn: Drawn, seed: int, most: int) -> Choose:  # noqa: ARG001
    """Medoids inside each class, of samples weighted by their share of the transport cost from the source."""
    if drawn.source is None:
        raise ValueError("there is no source to measure from")
    present, labels = torch.unique(drawn.pool.labels, return_inverse=True)
    names = tuple(drawn.pool.classes[label] for label in present.tolist())
    pool = type(drawn.pool)(drawn.pool.features, labels, names)
    source, target = scale_features(drawn.source, pool, scaling=FeatureScaling.UNIT)
    label_cost = label_distances(source, target, method=LabelDistanceMethod.GAUSSIAN).square()
    return _weighted(drawn, seed, dataset_distance(source, target, label_cost=label_cost, seed=seed).sample_scores)


def hard_medoids(drawn: Drawn, seed: int, most: int) -> Choose:  # noqa: ARG001
    """Medoids inside each class, of samples weighted by the loss of a small head that was trained without them."""
    pool = drawn.pool
    fold = torch.from_numpy(draw(len(pool), seed, _FOLDS)) % _N_FOLDS
    losses = torch.empty(len(pool), dtype=torch.float64)
    for number in range(_N_FOLDS):
        known, asked = pool.take(fold != number), pool.take(fold == number)
        settings = TrainingSettings(hidden=128, epochs=10)
        head = train_head(known.features, known.labels, n_classes=pool.n_classes, settings=settings, seed=seed).head
        logits = head(asked.features).detach().double()
        losses[fold == number] = torch.nn.functional.cross_entropy(logits, asked.labels, reduction="none")
    return _weighted(drawn, seed, losses)


def dense_medoids(drawn: Drawn, seed: int, most: int) -> Choose:  # noqa: ARG001
    """Medoids inside each class, of samples weighted by how close their ten nearest neighbours are.

    Source:
        hacohen2022active, whose typical samples these are.
    """
    points = drawn.points
    n_near = min(_NEIGHBOURS + 1, len(points))
    parts = [torch.cdist(rows, points).topk(n_near, largest=False).values for rows in torch.split(points, _ROWS)]
    mean = torch.cat(parts).sum(dim=1) / max(1, n_near - 1)
    return _weighted(drawn, seed, 1 / mean.clamp(min=_LEAST_WEIGHT * float(mean.mean())))


def _weighted(drawn: Drawn, seed: int, weights: Tensor) -> Choose:
    weights = weights.double().cpu()
    weights = weights.clamp(min=_LEAST_WEIGHT * float(weights.mean()))

    def inside(members: Tensor, size: int) -> Tensor:
        points = drawn.points[members]
        return _nearest_distinct(points, _centres(points, size, weights[members], seed))

    return _each_class(drawn, seed, inside)


def _each_class(drawn: Drawn, seed: int, inside: _Inside) -> Choose:
    """Choose inside each class, equally many per class as far as they last."""
    labels = drawn.pool.labels

    def choose(budget: int) -> Tensor:
        chosen = []
        for label, quota in enumerate(even_quotas(labels.numpy(), drawn.pool.n_classes, budget, seed).tolist()):
            members = torch.nonzero(labels == label).flatten()
            if quota:
                chosen.append(members if quota == len(members) else members[inside(members, quota)])
        return torch.cat(chosen)

    return choose


def _centres(points: Tensor, size: int, weights: Tensor, seed: int) -> Tensor:
    with warnings.catch_warnings():
        # Copies of one sample leave clusters empty.
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = KMeans(size, n_init=1, max_iter=50, random_state=seed).fit(
            points.numpy(), sample_weight=weights.numpy()
        )
    return torch.from_numpy(found.cluster_centers_)


def _nearest_distinct(points: Tensor, centres: Tensor) -> Tensor:
    """A sample of its own for every centre, all together as near as can be."""
    return torch.from_numpy(linear_sum_assignment(torch.cdist(centres, points).square().numpy())[1])


def _squares(points: Tensor, place: int) -> Tensor:
    """Squared distances of all points from one."""
    return (points - points[place]).square().sum(dim=1)
