"""Proof of how far a transport cost can be from the optimum."""

from dataclasses import dataclass
from math import inf, isnan

import torch
from torch import Tensor

from ot3l_core.ot.blocks import row_blocks
from ot3l_core.ot.gibbs import Gibbs
from ot3l_core.ot.marginals import Marginals
from ot3l_core.ot.native import on_all_cores, reads_compiled

_ROUNDING = 1e-10
_SUM_ROUNDING = 16


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
        gap = self.upper - self.lower
        if isnan(gap):
            return inf
        return 100 * gap / max(self.upper, _ROUNDING * self.scale) if gap > 0 else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class RoundedPlan:
    """Entropic plan moved onto its marginals, kept as factors so that it costs no memory.

    ``P = diag(u) E diag(v) + r s^T``.

    Source:
        altschuler2017nearlinear, algorithm 2.
    """

    gibbs: Gibbs
    row_factors: Tensor
    column_factors: Tensor
    row_rest: Tensor
    column_rest: Tensor

    def __getitem__(self, rows: slice) -> Tensor:
        """The plan's rows, shape ``(B, M)``, float64."""
        moved = self.gibbs[rows]
        moved *= self.row_factors[rows, None]
        moved *= self.column_factors
        return moved.add_(torch.outer(self.row_rest[rows], self.column_rest))


def round_to_marginals(gibbs: Gibbs) -> tuple[RoundedPlan, float]:
    """Turn an entropic plan into one that has the marginals, to the rounding of the cost's dtype.

    Rows are scaled to their mass, columns that got too much are scaled down, and what is left is spread in
    proportion to what rows still have and columns still lack.

    Args:
        gibbs: Every row and column needs an exponent near 0 or above.

    Returns:
        The plan and its cost.

    Source:
        altschuler2017nearlinear, algorithm 2 and lemma 7.
    """
    a, b = gibbs.marginals
    dtype = gibbs.cost.dtype
    sent, received = gibbs.balance(1.0)
    row_factors = a / sent
    # Rounded as they will be used.
    column_factors = (b / received).clamp(max=1).to(dtype).double()
    column_rest = _beyond_rounding(b - received * column_factors, b, dtype).to(dtype).double()
    mass, price, rest_price = gibbs.price(column_factors, column_rest)
    row_rest = _beyond_rounding(a - row_factors * mass, a, dtype)
    row_rest = row_rest / max(float(column_rest.sum()), torch.finfo(a.dtype).tiny)
    plan = RoundedPlan(gibbs, row_factors, column_factors, row_rest, column_rest)
    return plan, float(row_factors @ price + row_rest @ rest_price)


def _beyond_rounding(rest: Tensor, mass: Tensor, dtype: torch.dtype) -> Tensor:
    """What is left of masses; nothing where it is the rounding of their sums, which would travel at the mean cost."""
    return torch.where(rest > _SUM_ROUNDING * torch.finfo(dtype).eps * mass, rest, 0.0)


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
    if reads_compiled(cost):
        from ot3l_core.ot.kernels import sinkhorn  # noqa: PLC0415 - Numba is optional

        parts = f.new_empty(-(-len(f) // sinkhorn.GROUP), len(b))
        given, written = (cost.numpy(), g.numpy()), (f.numpy(), parts.numpy())
        on_all_cores(lambda first, last: sinkhorn.c_transforms(*given, *written, first, last), len(parts))
        g = parts.amin(0)
    else:
        for rows in row_blocks(cost):
            f[rows] = (cost[rows] - g).amin(1)
        g = torch.full_like(b, torch.inf)
        for rows in row_blocks(cost):
            torch.minimum(g, (cost[rows] - f[rows, None]).amin(0), out=g)
    return (f, g), float(a @ f + b @ g)
