"""Where the mass of a plan goes and what it costs."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ot3l_core.ot.blocks import row_blocks
from ot3l_core.ot.certificate import RoundedPlan
from ot3l_core.ot.native import on_all_cores
from ot3l_core.ot.plan import Plan

# Parts that are added up on their own: results do not depend on the number of threads.
_PARTS = 8


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """A plan, summed up.

    Attributes:
        by_row: What it spends on each row, ``sum_j P_ij C_ij``, shape ``(N,)``, float64.
        by_column: The same for columns, shape ``(M,)``, float64.
        by_group: Mass moved between groups of points, shape ``(K, L)``, float64; sums to 1.
    """

    by_row: Tensor
    by_column: Tensor
    by_group: Tensor


def tally(plan: Plan, cost: Tensor, row_groups: Tensor, column_groups: Tensor, *, shape: tuple[int, int]) -> Tally:
    """Sum up a plan in one pass.

    Args:
        plan: Mass moved, shape ``(N, M)``.
        cost: Shape ``(N, M)``.
        row_groups: Group of each row, in ``[0, K)``, shape ``(N,)``.
        column_groups: Group of each column, in ``[0, L)``, shape ``(M,)``.
        shape: ``(K, L)``.
    """
    if isinstance(plan, RoundedPlan) and plan.gibbs.is_compiled:
        return _tally_compiled(plan, row_groups, column_groups, shape)
    by_row = torch.zeros(cost.shape[0], dtype=torch.float64, device=cost.device)
    by_column = torch.zeros(cost.shape[1], dtype=torch.float64, device=cost.device)
    by_group = torch.zeros(shape, dtype=torch.float64, device=cost.device)
    for rows in row_blocks(cost):
        moved = plan[rows]
        onto_groups = by_group.new_zeros(len(moved), shape[1]).index_add_(1, column_groups, moved)
        by_group.index_add_(0, row_groups[rows], onto_groups)
        spent = moved * cost[rows]
        by_row[rows] = spent.sum(1)
        by_column += spent.sum(0)
    return Tally(by_row, by_column, by_group)


def _tally_compiled(plan: RoundedPlan, row_groups: Tensor, column_groups: Tensor, shape: tuple[int, int]) -> Tally:
    from ot3l_core.ot.kernels import tally as kernels  # noqa: PLC0415 - Numba is optional

    n, m = plan.gibbs.cost.shape
    by_row = torch.empty(n, dtype=torch.float64)
    by_column = torch.zeros(_PARTS, m, dtype=torch.float64)
    by_group = torch.zeros(_PARTS, *shape, dtype=torch.float64)
    exponents = plan.gibbs.exponents()
    factors = plan.row_factors, plan.column_factors, plan.row_rest, plan.column_rest
    rounding = kernels.Rounding(*(part.float().numpy() for part in factors))
    groups = row_groups.numpy(), column_groups.numpy()

    def add(first: int, last: int) -> None:
        for part in range(first, last):
            sums = kernels.Sums(by_row.numpy(), by_column[part].numpy(), by_group[part].numpy())
            kernels.tally_rows(exponents, rounding, groups, sums, part * n // _PARTS, (part + 1) * n // _PARTS)

    on_all_cores(add, _PARTS)
    return Tally(by_row, by_column.sum(0), by_group.sum(0))
