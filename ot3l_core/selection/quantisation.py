"""Optimal quantisation: the few samples that stand for many with the least transport.

Let mu be the pool and S a set of N of its samples. Of all measures on S, the one that gives each sample the share of
the pool that lies nearest to it is closest to mu, at the distance ``W2(mu, S)^2 = mean_j min_{i in S} |x_j - x_i|^2``.
Choosing S to make this small is optimal quantisation. k-means looks for the centres where any point may be chosen; the
samples nearest to them are the choice among samples.
"""

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from sklearn.cluster import KMeans

_ITERATIONS = 50
# The fewer centres, the more depends on where they start, and the less another start costs.
_STARTS, _CENTRES_TO_START_ONCE = 5, 500
_ROWS = 2048


@dataclass(frozen=True, slots=True, eq=False)
class Quantisation:
    """N samples that stand for all n.

    Attributes:
        indices: Their places, ascending and unique, int64, shape ``(N,)``.
        nearest: Which of them, by its position in ``indices``, stands for each sample, int64, shape ``(n,)``.
        shares: Share of the samples that each stands for, shape ``(N,)``; sums to 1.
        error: W2 between all samples and the weighted N, in the units of the points.
    """

    indices: Tensor
    nearest: Tensor
    shares: Tensor
    error: float


def medoids(points: Tensor, size: int, *, seed: int) -> Tensor:
    """The samples nearest to the centres of k-means, each once.

    Args:
        points: Shape ``(n, D)``.
        size: N, at least 1; all samples where there are no more.
        seed: Of the first centres.

    Returns:
        Places of the medoids, ascending, int64, shape ``(min(N, n),)``.

    Source:
        lloyd1982least; graf2000foundations for quantisation as a transport problem.
    """
    if size >= len(points):
        return torch.arange(len(points))
    centres = torch.from_numpy(_kmeans(points, size, seed).cluster_centers_)
    distances = torch.cdist(centres, points.double())
    order = torch.argsort(distances.min(dim=1).values, stable=True).tolist()
    free = torch.ones(len(points), dtype=torch.bool)
    chosen = []
    for centre in order:
        place = int(torch.where(free, distances[centre], torch.inf).argmin())
        free[place] = False
        chosen.append(place)
    return torch.tensor(sorted(chosen))


def quantise(points: Tensor, indices: Tensor) -> Quantisation:
    """How well some samples stand for all of them.

    Args:
        points: All samples, shape ``(n, D)``, n at least 1.
        indices: Places of the N chosen ones, ascending and unique, N at least 1.
    """
    chosen = points[indices].double()
    parts = [torch.cdist(rows, chosen).min(dim=1) for rows in torch.split(points.double(), _ROWS)]
    distances, nearest = (torch.cat([part[field] for part in parts]) for field in (0, 1))
    # A chosen sample stands for itself, also where another one lies at the same place.
    nearest[indices] = torch.arange(len(indices))
    distances[indices] = 0.0
    counts = torch.bincount(nearest, minlength=len(indices))
    return Quantisation(indices, nearest, counts.double() / len(points), float(distances.square().mean().sqrt()))


def cluster(points: Tensor, size: int, *, seed: int) -> Tensor:
    """Which of ``size`` centres of k-means is nearest to each point, int64, shape ``(n,)``; equal seeds, equal bits."""
    return torch.from_numpy(_kmeans(points, size, seed).labels_).long()


def _kmeans(points: Tensor, size: int, seed: int) -> "KMeans":
    from sklearn.cluster import KMeans  # noqa: PLC0415 - optional, and slow to import
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415
    from threadpoolctl import threadpool_limits  # noqa: PLC0415

    # Several threads add up in any order, and equal seeds must give equal samples.
    with threadpool_limits(1), warnings.catch_warnings():
        # Copies of one sample leave clusters empty; the medoids are distinct all the same.
        warnings.simplefilter("ignore", ConvergenceWarning)
        starts = max(1, min(_STARTS, _CENTRES_TO_START_ONCE // size))
        found = KMeans(size, n_init=starts, max_iter=_ITERATIONS, random_state=seed % 2**32)
        return found.fit(points.double().numpy())
