"""What solvers answer with: a plan, its potentials and a certificate."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ot3l_core.ot.blocks import row_blocks
from ot3l_core.ot.certificate import Certificate


class Plan(Protocol):
    """Mass moved from each row to each column, read by rows: a dense ``(N, M)`` tensor is one."""

    def __getitem__(self, rows: slice, /) -> Tensor:
        """The plan's rows, shape ``(B, M)``."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Transport:
    """A solved transport problem.

    Attributes:
        plan: Mass moved, shape ``(N, M)``, float64, non-negative, with exactly the marginals asked for.
        potentials: Dual feasible ``f (N,)`` and ``g (M,)``, float64: ``f_i + g_j <= C_ij``.
        certificate: Bounds on the optimal cost: ``lower`` is what the potentials prove, ``upper`` what the plan costs.
        n_iterations: Passes over the cost that were needed; 0 for an exact solver.
    """

    plan: Plan
    potentials: tuple[Tensor, Tensor]
    certificate: Certificate
    n_iterations: int

    @property
    def value(self) -> float:
        """Cost of the plan."""
        return self.certificate.upper


def marginal_costs(plan: Plan, cost: Tensor) -> tuple[Tensor, Tensor]:
    """What the plan spends on each row, ``sum_j P_ij C_ij``, and on each column.

    Returns:
        Shapes ``(N,)`` and ``(M,)``, float64; each sums to the cost of the plan.
    """
    by_row = torch.zeros(cost.shape[0], dtype=torch.float64, device=cost.device)
    by_column = torch.zeros(cost.shape[1], dtype=torch.float64, device=cost.device)
    for rows in row_blocks(cost):
        spent = plan[rows] * cost[rows]
        by_row[rows] = spent.sum(1)
        by_column += spent.sum(0)
    return by_row, by_column


def block_sums(plan: Plan, row_groups: Tensor, column_groups: Tensor, *, shape: tuple[int, int]) -> Tensor:
    """Mass moved between groups of points.

    Args:
        plan: Mass moved, shape ``(N, M)``.
        row_groups: Group of each row, in ``[0, K)``, shape ``(N,)``.
        column_groups: Group of each column, in ``[0, L)``, shape ``(M,)``.
        shape: ``(K, L)``.

    Returns:
        Shape ``(K, L)``, float64, summing to 1.
    """
    sums = torch.zeros(shape, dtype=torch.float64, device=row_groups.device)
    layout = torch.empty(len(row_groups), len(column_groups), device="meta")
    for rows in row_blocks(layout):
        by_column_group = torch.zeros(rows.stop - rows.start, shape[1], dtype=torch.float64, device=sums.device)
        by_column_group.index_add_(1, column_groups, plan[rows])
        sums.index_add_(0, row_groups[rows], by_column_group)
    return sums
