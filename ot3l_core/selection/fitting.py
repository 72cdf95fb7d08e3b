"""The samples from which a least-squares head learns to label the whole pool.

A head ``W`` fitted to chosen samples by ridge regression has a closed form, and so has its error on the whole pool
after one more sample is chosen. Greedy selection takes, at each step, the sample that lowers this error most.
"""

from typing import Final

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from ot3l_core.progress import OnProgress, ignore_progress

_RIDGE: Final = 300.0
_STEPS_BETWEEN_REPORTS: Final = 16


def fit_greedily(
    points: Tensor,
    labels: Tensor,
    *,
    n_classes: int,
    size: int,
    start: Tensor,
    on_progress: OnProgress = ignore_progress,
) -> Tensor:
    """Extend a set of samples so that a least-squares head fitted to it labels all samples best.

    With ``A = X_S^T X_S + ridge I`` the head is ``W = A^-1 X_S^T Y_S``. Taking sample j moves the outputs for all
    samples by ``X A^-1 x_j e_j^T / (1 + h_j)``, ``e_j`` its residual and ``h_j = x_j^T A^-1 x_j`` its leverage, which
    gives the squared error afterwards for every j, and all that it is computed from, in ``O(n D)``. The features are
    scaled to a mean square of 1 an entry, so that the ridge means the same everywhere.

    Args:
        points: Features of all samples, shape ``(n, D)``.
        labels: Their classes, shape ``(n,)``.
        n_classes: L.
        size: How many to have in the end; at most n.
        start: Places of those that are chosen already, shape ``(s,)``.
        on_progress: Called every few steps; what it raises stops the work.

    Returns:
        Places of all chosen samples in the order in which they were taken, ``start`` first, int64, shape ``(size,)``.

    Source:
        Sherman-Morrison for the update; the criterion is our own (docs/method.md, section 3).
    """
    x = points.double()
    x = x / x.square().mean().sqrt().clamp(min=torch.finfo(torch.float64).tiny)
    x = torch.cat([x, torch.ones(len(x), 1, dtype=torch.float64)], dim=1)
    y = one_hot(labels, n_classes).double()
    y = y - y.mean(dim=0)
    gram = x.T @ x
    chosen: list[int] = start.tolist()
    inverse = torch.linalg.inv(x[start].T @ x[start] + _RIDGE * torch.eye(x.shape[1], dtype=torch.float64))
    # Each step changes all of these by one outer product: none is computed anew.
    directions = x @ inverse
    swept = directions @ gram
    residuals = y - directions @ (x[start].T @ y[start])
    free = torch.ones(len(x), dtype=torch.bool)
    free[start] = False
    while len(chosen) < size:
        if len(chosen) % _STEPS_BETWEEN_REPORTS == 0:
            on_progress(len(chosen) / size)
        scale = 1 + (directions * x).sum(dim=1)
        slope = ((directions @ (x.T @ residuals)) * residuals).sum(dim=1) / scale
        curvature = (swept * directions).sum(dim=1) * residuals.square().sum(dim=1) / scale.square()
        taken = int(torch.where(free, curvature - 2 * slope, torch.inf).argmin())
        free[taken] = False
        chosen.append(taken)
        moved = directions @ x[taken] / scale[taken]
        residuals = residuals - torch.outer(moved, residuals[taken])
        swept = swept - torch.outer(moved, swept[taken])
        directions = directions - torch.outer(moved, directions[taken])
    on_progress(1.0)
    return torch.tensor(chosen)
