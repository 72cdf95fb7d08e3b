"""The cost of moving one point onto another."""

import torch
from torch import Tensor

from ot3l_core.errors import ShapeMismatchError

_BLOCK_ELEMENTS = 1 << 22
_PAIR_ELEMENTS = 1 << 22


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """Squared Euclidean distance between every row of ``x`` and every row of ``y``.

    One matrix product on points centred about their common mean. Where the product cancels, because two points
    are close, the distance is taken from their difference instead, so identical rows are at exactly 0.

    Args:
        x: N points of D features, shape ``(N, D)``.
        y: M points of the same D features, shape ``(M, D)``.

    Returns:
        Non-negative, shape ``(N, M)``, in the wider dtype of the two.

    Raises:
        ShapeMismatchError: If the feature dimensions differ.
    """
    if x.shape[1] != y.shape[1]:
        raise ShapeMismatchError(f"points must have the same number of features: got {x.shape[1]} and {y.shape[1]}")
    dtype = torch.promote_types(x.dtype, y.dtype)
    x, y = x.to(dtype), y.to(dtype)
    centre = (x.sum(0) + y.sum(0)) / (len(x) + len(y))
    x, y = x - centre, y - centre
    x_norms, y_norms = x.square().sum(1), y.square().sum(1)
    cost = x.new_empty(len(x), len(y))
    step = max(1, _BLOCK_ELEMENTS // max(1, len(y)))
    for start in range(0, len(x), step):
        rows = slice(start, start + step)
        norms = x_norms[rows, None] + y_norms
        block = torch.mm(x[rows], y.T, out=cost[rows]).mul_(-2).add_(norms).clamp_(min=0)
        _refine_cancelled(block, norms, x[rows], y)
    return cost


def _refine_cancelled(block: Tensor, norms: Tensor, x: Tensor, y: Tensor) -> None:
    """Recompute, in place and from differences, the entries in which less than half of the digits survived."""
    cancelled = torch.nonzero(block < norms * torch.finfo(block.dtype).eps ** 0.5)
    for pairs in torch.split(cancelled, max(1, _PAIR_ELEMENTS // max(1, x.shape[1]))):
        i, j = pairs.unbind(1)
        block[i, j] = (x[i] - y[j]).square().sum(1)
