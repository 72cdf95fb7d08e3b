"""Proof of how far a transport cost can be from the optimum."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ot3l_core.ot.blocks import row_blocks
from ot3l_core.ot.marginals import Marginals

_ROUNDING = 1e-10


@dataclass(frozen=True, slots=True)
class Certificate:
    """The optimal transport cost lies between ``lower`` and ``upper``.

    Attributes:
        lower: Value of dual feasible potentials.
        upper: Cost of a plan with the right marginals.
        scale: Mean cost: what "small" means in this problem.
    """

    lower: float
    upper: float
    scale: float

    @property
    def gap_percent(self) -> float:
        """``100 (upper - lower) / upper``; costs below 1e-10 of the mean cost count as rounding."""
        gap = max(0.0, self.upper - self.lower)
        return 100 * gap / max(self.upper, _ROUNDING * self.scale) if gap else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class RoundedPlan:
    """Entropic plan moved onto its marginals, kept as factors so that it costs no memory.

    ``P = diag(u) exp((f + g - C) / reg) diag(v) + r s^T``.

    Source:
        altschuler2017nearlinear, algorithm 2.
    """

    cost: Tensor
    potentials: tuple[Tensor, Tensor]
    reg: float
    row_factors: Tensor
    column_factors: Tensor
    row_rest: Tensor
    column_rest: Tensor

    def __getitem__(self, rows: slice) -> Tensor:
        """The plan's rows, shape ``(B, M)``, float64."""
        moved = gibbs(self.cost, self.potentials, self.reg, rows)
        moved *= self.row_factors[rows, None]
        moved *= self.column_factors
        return moved.add_(torch.outer(self.row_rest[rows], self.column_rest))


def gibbs(cost: Tensor, potentials: tuple[Tensor, Tensor], reg: float, rows: slice) -> Tensor:
    """``exp((f_i + g_j - C_ij) / reg)`` for some rows, float64."""
    f, g = potentials
    return (f[rows, None] + g).sub_(cost[rows]).div_(reg).clamp_(min=-200).exp_()


def round_to_marginals(
    cost: Tensor, potentials: tuple[Tensor, Tensor], reg: float, marginals: Marginals
) -> tuple[RoundedPlan, float]:
    """Turn entropic potentials into a plan that has the marginals exactly.

    Rows are scaled to their mass, columns that got too much are scaled down, and what is left is spread in
    proportion to what rows still have and columns still lack.

    Args:
        cost: Shape ``(N, M)``.
        potentials: ``f (N,)`` and ``g (M,)``; every row and column needs an entry ``f_i + g_j - C_ij`` near 0 or above.
        reg: Entropic strength, in units of the cost.
        marginals: Masses asked for.

    Returns:
        The plan and its cost.

    Source:
        altschuler2017nearlinear, algorithm 2 and lemma 7.
    """
    a, b = marginals
    row_factors, received = torch.empty_like(a), torch.zeros_like(b)
    for rows in row_blocks(cost):
        moved = gibbs(cost, potentials, reg, rows)
        row_factors[rows] = a[rows] / moved.sum(1)
        received += row_factors[rows] @ moved
    column_factors = (b / received).clamp(max=1)
    column_rest = (b - received * column_factors).clamp(min=0)

    row_rest, rest_cost, spent = torch.empty_like(a), torch.empty_like(a), torch.zeros((), dtype=a.dtype).to(a)
    for rows in row_blocks(cost):
        moved = gibbs(cost, potentials, reg, rows).mul_(row_factors[rows, None]).mul_(column_factors)
        row_rest[rows] = a[rows] - moved.sum(1)
        exact_cost = cost[rows].to(a.dtype)
        rest_cost[rows] = exact_cost @ column_rest
        spent += moved.mul_(exact_cost).sum()
    row_rest = row_rest.clamp(min=0)
    rest = max(float(column_rest.sum()), torch.finfo(a.dtype).tiny)
    row_rest = row_rest / rest
    plan = RoundedPlan(cost, potentials, reg, row_factors, column_factors, row_rest, column_rest)
    return plan, float(spent + row_rest @ rest_cost)


def dual_bound(cost: Tensor, g: Tensor, marginals: Marginals) -> tuple[tuple[Tensor, Tensor], float]:
    """The best lower bound that column potentials prove, by two c-transforms.

    Args:
        cost: Shape ``(N, M)``.
        g: Any column potentials, shape ``(M,)``, float64.
        marginals: Masses.

    Returns:
        Dual feasible potentials (``f_i + g_j <= C_ij``) and their value ``<a, f> + <b, g>``.

    Source:
        peyre2019computational, section 5.1.
    """
    a, b = marginals
    f = torch.empty_like(a)
    for rows in row_blocks(cost):
        f[rows] = (cost[rows] - g).amin(1)
    g = torch.full_like(b, torch.inf)
    for rows in row_blocks(cost):
        torch.minimum(g, (cost[rows] - f[rows, None]).amin(0), out=g)
    return (f, g), float(a @ f + b @ g)
