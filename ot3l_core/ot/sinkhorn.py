"""Entropic transport, annealed until its certificate is good enough."""

from math import log, sqrt

import torch
from torch import Tensor

from ot3l_core.ot.certificate import Certificate, dual_bound, round_to_marginals
from ot3l_core.ot.gibbs import Gibbs, Potentials
from ot3l_core.ot.marginals import Marginals, uniform_marginals
from ot3l_core.ot.plan import Transport
from ot3l_core.progress import OnProgress, ignore_progress

_VANISHING_REG = 1e-10
_FIRST_REG = 0.1
_LEAST_REG = 1e-6
# Potentials follow a strength that falls by a third at every sweep as fast as one that waits for them.
_DECAY = 0.65
# The gap of a settled plan is one to two times its strength.
_REG_PER_TOLERANCE = 0.25
_NEXT_LEVEL = 0.4
_RELAXATION = 1.5
_MAX_RELAXATION = 1.9
_FIRST_SWEEPS, _MAX_SWEEPS, _RATE_SWEEPS = 4, 200, 5
# Of the gap, the share that mass astray may cause before a lower strength is worth more than a sweep.
_ASTRAY_SHARE = 0.3


def sinkhorn_transport(
    cost: Tensor,
    marginals: Marginals | None = None,
    *,
    tolerance: float = 0.01,
    on_progress: OnProgress = ignore_progress,
) -> Transport:
    """Solve the transport problem until the certified gap is at most ``tolerance``.

    The entropic strength (relative to the mean cost) starts at 0.1 and falls at every sweep, to a quarter of the
    tolerance and by levels from there; at each level the potentials prove a lower bound and the rounded plan an upper
    bound. Where nothing has to move, as between equal clouds, the bounds are met without a sweep.

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
    scale = float(cost.mean(1).mean(dtype=torch.float64))
    potentials, _ = dual_bound(cost, torch.zeros_like(masses[1]), masses)
    best = _certify(cost, potentials, _VANISHING_REG * scale or 1.0, masses, scale)
    reg, level = _FIRST_REG, max(_LEAST_REG, min(_FIRST_REG, _REG_PER_TOLERANCE * tolerance))
    relaxation, n_sweeps, errors, n_next = 1.0, 0, list[float](), _FIRST_SWEEPS
    while best.certificate.gap_percent > 100 * tolerance and level >= _LEAST_REG:
        while reg > level or n_next > 0:
            on_progress(log(_FIRST_REG / reg) / log(_FIRST_REG / _LEAST_REG))
            potentials, error = sweep(cost, potentials, reg * scale, masses, relaxation)
            n_sweeps += 1
            if reg > level:
                reg, relaxation, errors = max(level, _DECAY * reg), _RELAXATION, []
            else:
                errors.append(error)
                n_next -= 1
                relaxation = _relax(relaxation, errors)
        best = _better(best, _certify(cost, potentials, reg * scale, masses, scale, n_sweeps))
        # As many sweeps again; or a lower strength, where the plan has settled and only that can help.
        n_next = len(errors)
        if errors[-1] <= _ASTRAY_SHARE * best.certificate.gap_percent / 100 or len(errors) > _MAX_SWEEPS:
            level, n_next = _NEXT_LEVEL * level, _FIRST_SWEEPS
    on_progress(1.0)
    return best


def sweep(
    cost: Tensor, potentials: Potentials, reg: float, marginals: Marginals, relaxation: float = 1.0
) -> tuple[Potentials, float]:
    """One full iteration, rows then columns, in one pass over the cost.

    Args:
        cost: Shape ``(N, M)``.
        potentials: ``f (N,)`` and ``g (M,)``, float64.
        reg: Entropic strength, in units of the cost.
        marginals: Masses.
        relaxation: The power by which rows and columns are corrected: 1, or up to 2 to over-relax.

    Returns:
        The new potentials, and the mass by which the rows had missed their marginal before.

    Source:
        cuturi2013sinkhorn; lehmann2022overrelaxation.
    """
    f, g = potentials
    a, b = marginals
    sent, received = Gibbs(cost, potentials, reg, marginals).balance(relaxation)
    error = float(a @ (sent - 1).abs())
    return (f - relaxation * reg * sent.log(), g - relaxation * reg * (received / b).log()), error


def _relax(relaxation: float, errors: list[float]) -> float:
    """The best over-relaxation for the convergence rate seen in the last sweeps.

    Relaxed by w, an error that plain sweeps shrink by r each shrinks by s with ``(s + w - 1)^2 = s w^2 r``; the
    best w is ``2 / (1 + sqrt(1 - r))``.

    Source:
        lehmann2022overrelaxation.
    """
    if len(errors) % _RATE_SWEEPS:
        return relaxation
    span = min(len(errors), _RATE_SWEEPS + 1) - 1
    before, now = errors[-1 - span], errors[-1]
    rate = (now / before) ** (1 / span) if before > 0 else 0.0
    if not relaxation - 1 < rate < 1:
        return relaxation
    plain_rate = min((rate + relaxation - 1) ** 2 / (rate * relaxation**2), 1.0)
    return min(2 / (1 + sqrt(1 - plain_rate)), _MAX_RELAXATION)


def _certify(
    cost: Tensor, potentials: Potentials, reg: float, marginals: Marginals, scale: float, n_sweeps: int = 0
) -> Transport:
    """What these potentials prove and what their plan costs."""
    feasible, lower = dual_bound(cost, potentials[1], marginals)
    plan, upper = round_to_marginals(Gibbs(cost, potentials, reg, marginals))
    return Transport(plan, feasible, Certificate(min(lower, upper), upper, scale), n_sweeps)


def _better(old: Transport, new: Transport) -> Transport:
    """The higher lower bound and the lower upper bound of two."""
    lower_from = max(old, new, key=lambda transport: transport.certificate.lower)
    upper_from = min(old, new, key=lambda transport: transport.certificate.upper)
    certificate = Certificate(lower_from.certificate.lower, upper_from.certificate.upper, new.certificate.scale)
    return Transport(upper_from.plan, lower_from.potentials, certificate, new.n_iterations)
