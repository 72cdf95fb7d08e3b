"""The cost of moving one point onto another."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ot3l_core.errors import ShapeMismatchError
from ot3l_core.ot.native import each_on_a_core, on_all_cores, runs_compiled

_BLOCK_ELEMENTS = 1 << 22
_CORE_ELEMENTS = 1 << 20
_PAIR_ELEMENTS = 1 << 22

_Pair = tuple[Tensor, Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class GroupCost:
    """What moving from one group of points to another costs beside the way.

    Attributes:
        row_groups: Group of each x, in ``[0, K)``, shape ``(N,)``.
        column_groups: Group of each y, in ``[0, L)``, shape ``(M,)``.
        between: Shape ``(K, L)``.
    """

    row_groups: Tensor
    column_groups: Tensor
    between: Tensor


def squared_distances(x: Tensor, y: Tensor, *, extra: GroupCost | None = None) -> Tensor:
    """Squared Euclidean distance between every row of ``x`` and every row of ``y``.

    One matrix product on points centred about their common mean. Where the product cancels, because two points
    are close, the distance is taken from their difference instead, so identical rows are at exactly 0.

    Args:
        x: N points of D features, shape ``(N, D)``.
        y: M points of the same D features, shape ``(M, D)``.
        extra: Added to the distances.

    Returns:
        Shape ``(N, M)``, in the wider dtype of the two; non-negative if ``extra`` is.

    Raises:
        ShapeMismatchError: If the feature dimensions differ.
    """
    if x.shape[1] != y.shape[1]:
        raise ShapeMismatchError(f"points must have the same number of features: got {x.shape[1]} and {y.shape[1]}")
    dtype = torch.promote_types(x.dtype, y.dtype)
    x, y = x.to(dtype), y.to(dtype)
    centre = (x.sum(0) + y.sum(0)) / (len(x) + len(y))
    y_centred = y - centre
    y_norms = y_centred.square().sum(1)
    cost = _room(x, len(y))
    compiled = runs_compiled(cost)
    finish = _finish_compiled if compiled and dtype == torch.float32 else _finish

    def compute(rows: slice) -> None:
        own = x[rows] - centre
        inner_products(own, y_centred, out=cost[rows])
        groups = extra and GroupCost(extra.row_groups[rows], extra.column_groups, extra.between.to(dtype))
        # Differences are taken before the centre is rounded off.
        finish(cost[rows], (x[rows], y), (own.square().sum(1), y_norms), groups)

    step = max(1, (_CORE_ELEMENTS if compiled else _BLOCK_ELEMENTS) // max(1, len(y)))
    blocks = [slice(start, start + step) for start in range(0, len(x), step)]
    each_on_a_core(compute, blocks, cost)
    return cost


def _room(x: Tensor, n_columns: int) -> Tensor:
    """Memory for a cost. On a CPU from NumPy, which asks for huge pages: without, passes take half as long again."""
    if x.device.type != "cpu":
        return x.new_empty(len(x), n_columns)
    return torch.from_numpy(np.empty((len(x), n_columns), dtype=x[:0].numpy().dtype))


def inner_products(x: Tensor, y: Tensor, *, out: Tensor | None = None) -> Tensor:
    """``x y^T``, by NumPy's BLAS on a CPU: torch's leaves a third of some makers' cores idle.

    Args:
        x: Shape ``(N, D)``.
        y: Shape ``(M, D)``, of the same dtype.
        out: Written, shape ``(N, M)``, contiguous.
    """
    out = x.new_empty(len(x), len(y)) if out is None else out
    if x.device.type == "cpu":
        np.matmul(x.numpy(), y.numpy().T, out=out.numpy())
        return out
    return torch.mm(x, y.T, out=out)


def _finish(products: Tensor, points: _Pair, squared: _Pair, extra: GroupCost | None) -> None:
    (x, y), norms = points, squared[0][:, None] + squared[1]
    products.mul_(-2).add_(norms).clamp_(min=0)
    # Less than half of the digits survived.
    cancelled = torch.nonzero(products < norms * torch.finfo(products.dtype).eps ** 0.5)
    for pairs in torch.split(cancelled, max(1, _PAIR_ELEMENTS // max(1, x.shape[1]))):
        i, j = pairs.unbind(1)
        products[i, j] = (x[i] - y[j]).square().sum(1)
    if extra:
        products += extra.between[:, extra.column_groups][extra.row_groups]


def _finish_compiled(products: Tensor, points: _Pair, squared: _Pair, extra: GroupCost | None) -> None:
    from ot3l_core.ot.kernels import cost  # noqa: PLC0415 - Numba is optional

    rows, columns, between = (
        _one_group(products) if extra is None else (extra.row_groups, extra.column_groups, extra.between)
    )
    added = cost.Between(rows.contiguous().numpy(), columns.contiguous().numpy(), between.contiguous().numpy())
    given = (points[0].numpy(), points[1].numpy()), (squared[0].numpy(), squared[1].numpy())
    share, written = torch.finfo(products.dtype).eps ** 0.5, products.numpy()
    on_all_cores(lambda start, stop: cost.finish_costs(written, *given, share, added, start, stop), len(products))


def _one_group(products: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    rows, columns = (torch.zeros(n, dtype=torch.int64) for n in products.shape)
    return rows, columns, products.new_zeros(1, 1)
