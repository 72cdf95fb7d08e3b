"""Clouds as Gaussians: what their first two moments say about transport."""

import torch
from torch import Tensor

from ot3l_core.ot.overlap import gaussian_overlaps

_CHUNK_ROWS = 8192


def triangular_factor(centred: Tensor) -> Tensor:
    """A factor ``R`` of at most D rows with ``R^T R = X^T X``, read in chunks of rows.

    Args:
        centred: Shape ``(n, D)``, float64.

    Returns:
        Shape ``(min(n, D), D)``; the input itself where it has no more rows than that.
    """
    if len(centred) <= centred.shape[1]:
        return centred
    factor = centred[:0]
    for chunk in torch.split(centred, _CHUNK_ROWS):
        factor = torch.linalg.qr(torch.cat([factor, chunk]), mode="r").R
    return factor


def gaussian_squared_distance(x: Tensor, y: Tensor) -> float:
    """Squared 2-Wasserstein distance of the Gaussians with the moments of two clouds.

    It never exceeds that of the clouds themselves.

    Args:
        x: Shape ``(N, D)``.
        y: Shape ``(M, D)``.

    Source:
        dowson1982frechet; as a bound: gelbrich1990formula, theorem 2.1.
    """
    x, y = x.double(), y.double()
    x_mean, y_mean = x.mean(0), y.mean(0)
    x_factor, y_factor = triangular_factor(x - x_mean), triangular_factor(y - y_mean)
    counts = (torch.tensor([len(x)], device=x.device), torch.tensor([len(y)], device=y.device))
    overlap = gaussian_overlaps((x_factor @ y_factor.T)[None, :, None], *counts)
    spreads = x_factor.square().sum() / len(x) + y_factor.square().sum() / len(y)
    return max(0.0, float((x_mean - y_mean).square().sum() + spreads - 2 * overlap))
