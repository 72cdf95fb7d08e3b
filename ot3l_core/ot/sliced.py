"""Transport along lines, where sorting solves it."""

import torch
from torch import Tensor

_MIN_DIRECTIONS = 256


def sliced_directions(n_features: int, *, seed: int) -> Tensor:
    """Random directions in orthonormal sets.

    A full set is an orthonormal basis, along which squared lengths add up exactly; so in up to 256 dimensions the
    sliced distance is a lower bound of the distance itself, and equals it in one.

    Returns:
        Shape ``(D, n)`` with columns of unit length: 256 of them, or the next multiple of a smaller D.
    """
    generator = torch.Generator().manual_seed(seed)
    n_bases = -(-_MIN_DIRECTIONS // n_features)
    width = min(n_features, _MIN_DIRECTIONS)
    drawn = torch.randn(n_bases, n_features, width, generator=generator, dtype=torch.float64)
    bases: Tensor = torch.linalg.qr(drawn).Q
    return bases.movedim(0, 1).flatten(1)


def sorted_overlaps(x: Tensor, y: Tensor) -> Tensor:
    """Overlap of every source with every target cloud along each direction, summed over the directions.

    On a line the optimal plan moves the k-th share of the mass onto the k-th share, whatever the points.

    Args:
        x: Projections of K centred clouds of n points on p directions, sorted, shape ``(K, n, p)``.
        y: Those of L clouds of m points, shape ``(L, m, p)``.

    Returns:
        Shape ``(K, L)``.

    Source:
        bonneel2015sliced; peyre2019computational, remark 2.30.
    """
    n, m = x.shape[1], y.shape[1]
    cuts: Tensor = torch.unique(torch.cat([torch.arange(n, device=x.device) * m, torch.arange(m, device=x.device) * n]))
    ends = torch.cat([cuts[1:], cuts.new_tensor([n * m])])
    mass = (ends - cuts).to(x.dtype) / (n * m)
    left = x[:, cuts // m, :] * mass[:, None]
    right = y[:, cuts // n, :]
    return left.flatten(1) @ right.flatten(1).T
