"""Entropic transport, annealed until its certificate is good enough."""

from math import sqrt

import torch
from torch import Tensor

from ot3l_core.ot.blocks import row_blocks
from ot3l_core.ot.certificate import Certificate, dual_bound, round_to_marginals
from ot3l_core.ot.marginals import Marginals, uniform_marginals
from ot3l_core.ot.plan import Transport
from ot3l_core.progress import OnProgress, ignore_progress

_REGS = tuple(0.1 * 0.5**level for level in range(14))
_VANISHING_REG = 1e-10
_MAX_SWEEPS = 200
_RATE_SWEEPS = 5
_MAX_RELAXATION = 1.9
# Of the present gap, the share that unmet marginals may cause before the next level is worth more than a sweep.
_MARGINAL_SHARE = 0.1
# exp(-60) is nothing beside a row's largest entry; below exp(-87) float32 turns denormal, at a hundred times the cost.
_LEAST_EXPONENT = -60.0

_Potentials = tuple[Tensor, Tensor]


def sinkhorn_transport(
    cost: Tensor,
    marginals: Marginals | None = None,
    *,
    tolerance: float = 0.01,
    on_progress: OnProgress = ignore_progress,
) -> Transport:
    """Solve the transport problem until the certified gap is at most ``tolerance``.

    The entropic strength (relative to the mean cost) starts at 0.1 and is halved; after each level the potentials
    prove a lower bound and the rounded plan an upper bound. Before the first level the bounds are taken at a
    vanishing strength, where mass that need not move does not: equal clouds are at 0 without a sweep.

    Args:
        cost: Non-negative, shape ``(N, M)``. Sweeps run in its dtype, potentials and bounds in float64.
        marginals: Masses; uniform where not given.
        tolerance: Gap to reach, as a share of the cost.
        on_progress: Called at every sweep.

    Returns:
        The best plan and the best potentials met; ``certificate.gap_percent`` says whether they suffice.

    Source:
        cuturi2013sinkhorn; annealed and stabilised as in schmitzer2019stabilized; over-relaxed as in
        lehmann2022overrelaxation.
    """
    masses = uniform_marginals(cost) if marginals is None else marginals
    scale = float(cost.mean(dtype=torch.float64))
    potentials, _ = dual_bound(cost, torch.zeros_like(masses[1]), masses)
    best = _certify(cost, potentials, max(_VANISHING_REG * scale, torch.finfo(torch.float64).tiny), masses, scale)
    n_sweeps = 0
    for level, reg in enumerate(_REGS):
        if best.certificate.gap_percent <= 100 * tolerance:
            break
        goal = _MARGINAL_SHARE * (best.certificate.upper - best.certificate.lower) / scale
        relaxation, errors = 1.0, list[float]()
        while len(errors) < _MAX_SWEEPS and (not errors or errors[-1] > goal):
            on_progress(level / len(_REGS))
            potentials, error = _sweep(cost, potentials, reg * scale, masses, relaxation)
            errors.append(error)
            if len(errors) % _RATE_SWEEPS == 0:
                relaxation = _relax(relaxation, errors)
        n_sweeps += len(errors)
        best = _better(best, _certify(cost, potentials, reg * scale, masses, scale, n_sweeps))
    on_progress(1.0)
    return best


def _sweep(
    cost: Tensor, potentials: _Potentials, reg: float, marginals: Marginals, relaxation: float
) -> tuple[_Potentials, float]:
    """One iteration, rows then columns, in one pass over the cost.

    The potentials are absorbed into the kernel, so its entries stay within powers of N and M and no maximum has to
    be taken out: after a row (column) update every row (column) has an entry of at least 1, and the following
    column (row) update shrinks it by a factor of at most M (N).

    Returns:
        The new potentials, and the mass by which the rows had missed their marginal before.
    """
    a, b = marginals
    f, g = potentials
    dtype = cost.dtype
    row_mass, column_mass = a.to(dtype), b.to(dtype)
    row_exponent, column_exponent = (f / reg).to(dtype), (g / reg).to(dtype)
    sent, received = torch.empty_like(row_mass), torch.zeros_like(column_mass)
    for rows in row_blocks(cost):
        kernel = torch.add(column_exponent, cost[rows], alpha=-1 / reg).add_(row_exponent[rows, None])
        kernel.clamp_(min=_LEAST_EXPONENT).exp_()
        sent[rows] = kernel @ column_mass
        received += (row_mass[rows] * sent[rows] ** -relaxation) @ kernel
    sent, received = sent.double(), received.double()
    error = float(a @ (sent - 1).abs())
    return (f - relaxation * reg * sent.log(), g - relaxation * reg * received.log()), error


def _relax(relaxation: float, errors: list[float]) -> float:
    """The best over-relaxation for the convergence rate seen in the last sweeps.

    Relaxed by w, an error that plain sweeps shrink by r each shrinks by s with ``(s + w - 1)^2 = s w^2 r``; the
    best w is ``2 / (1 + sqrt(1 - r))``.

    Source:
        lehmann2022overrelaxation.
    """
    span = min(len(errors), _RATE_SWEEPS + 1) - 1
    before, now = errors[-1 - span], errors[-1]
    rate = (now / before) ** (1 / span) if before > 0 else 0.0
    if not relaxation - 1 < rate < 1:
        return relaxation
    plain_rate = min((rate + relaxation - 1) ** 2 / (rate * relaxation**2), 1.0)
    return min(2 / (1 + sqrt(1 - plain_rate)), _MAX_RELAXATION)


def _certify(
    cost: Tensor, potentials: _Potentials, reg: float, marginals: Marginals, scale: float, n_sweeps: int = 0
) -> Transport:
    """What these potentials prove and what their plan costs."""
    feasible, lower = dual_bound(cost, potentials[1], marginals)
    plan, upper = round_to_marginals(cost, potentials, reg, marginals)
    return Transport(plan, feasible, Certificate(min(lower, upper), upper, scale), n_sweeps)


def _better(old: Transport, new: Transport) -> Transport:
    """The higher lower bound and the lower upper bound of two."""
    lower_from = max(old, new, key=lambda transport: transport.certificate.lower)
    upper_from = min(old, new, key=lambda transport: transport.certificate.upper)
    certificate = Certificate(lower_from.certificate.lower, upper_from.certificate.upper, new.certificate.scale)
    return Transport(upper_from.plan, lower_from.potentials, certificate, new.n_iterations)
