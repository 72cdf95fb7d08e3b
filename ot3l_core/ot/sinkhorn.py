"""Entropic transport, annealed until its certificate is good enough."""

from dataclasses import dataclass
from math import log, sqrt

import torch
from torch import Tensor

from ot3l_core.ot.certificate import Certificate, dual_bound, round_to_marginals
from ot3l_core.ot.gibbs import Gibbs, Potentials
from ot3l_core.ot.marginals import Marginals, uniform_marginals
from ot3l_core.ot.plan import Transport
from ot3l_core.progress import OnProgress, ignore_progress

_VANISHING_REG = 1e-10
_FIRST_REG, _LEAST_REG = 0.1, 1e-6
# Where nothing is far to go, potentials follow a strength that falls by a third at every sweep.
_RUSH, _PATIENT = 0.65, 0.5
_RUSH_RELAXATION, _MAX_RELAXATION = 1.5, 1.9
# The gap of a settled plan is one to two times its strength.
_REG_PER_TOLERANCE = 0.12
_FIRST_SWEEPS, _SOME_SWEEPS, _MAX_SWEEPS, _RATE_SWEEPS = 8, 16, 200, 5
# Of the gap, the share that mass astray may cause before a lower strength is worth more than a sweep.
_ASTRAY_SHARE = 0.3
# Of the strength, the mass that may be astray when a lower one begins.
_TRACKED = 0.3


def sinkhorn_transport(
    cost: Tensor,
    marginals: Marginals | None = None,
    *,
    tolerance: float = 0.01,
    on_progress: OnProgress = ignore_progress,
) -> Transport:
    """Solve the transport problem until the certified gap is at most ``tolerance``.

    The entropic strength (relative to the mean cost) starts at 0.1 and falls at every sweep, to an eighth of the
    tolerance; there the potentials prove a lower bound and the rounded plan an upper bound. Where mass has far to go
    between clusters, potentials cannot follow: then the strength falls by levels, and waits at each until the plan has
    settled. Where nothing has to move, as between equal clouds, the bounds are met without a sweep.

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
    iterates = _Iterates(cost, masses, scale, dual_bound(cost, torch.zeros_like(masses[1]), masses)[0], on_progress)
    best = iterates.certify(_VANISHING_REG)
    if _has_converged(best, tolerance):
        on_progress(1.0)
        return best
    level = max(_LEAST_REG, min(_FIRST_REG, _REG_PER_TOLERANCE * tolerance))
    iterates.rush(level)
    best = _better(best, iterates.certify(level))
    if not _has_converged(best, tolerance):
        settled = iterates.settle(level, _astray_goal(best), _SOME_SWEEPS)
        best = _better(best, iterates.certify(level))
        level = level if settled else _FIRST_REG / _PATIENT
    while level > _LEAST_REG and not _has_converged(best, tolerance):
        level = max(_LEAST_REG, _PATIENT * level)
        iterates.settle(level, max(_astray_goal(best), _TRACKED * level), _MAX_SWEEPS)
        if level <= tolerance or level == _LEAST_REG:
            best = _better(best, iterates.certify(level))
    on_progress(1.0)
    return best


def _has_converged(transport: Transport, tolerance: float) -> bool:
    return transport.certificate.gap_percent <= 100 * tolerance


def _astray_goal(best: Transport) -> float:
    """Mass that may miss its row; it would travel at the mean cost."""
    bounds = best.certificate
    return _ASTRAY_SHARE * min(1.0, (bounds.upper - bounds.lower) / bounds.scale)


@dataclass(slots=True, eq=False)
class _Iterates:
    """Potentials under way."""

    cost: Tensor
    masses: Marginals
    scale: float
    potentials: Potentials
    on_progress: OnProgress
    n_sweeps: int = 0
    share: float = 0.0

    def rush(self, level: float) -> None:
        """Lower the strength at every sweep, down to ``level``."""
        reg, relaxation = _FIRST_REG, 1.0
        while reg > level:
            self.step(reg, relaxation)
            reg, relaxation = max(level, _RUSH * reg), _RUSH_RELAXATION
        for _ in range(_FIRST_SWEEPS):
            self.step(level, relaxation)

    def settle(self, level: float, goal: float, most: int) -> bool:
        """Sweep at one strength until the mass astray is at most ``goal``; say whether it is."""
        relaxation, errors = 1.0, list[float]()
        while len(errors) < most and (not errors or errors[-1] > goal):
            errors.append(self.step(level, relaxation))
            relaxation = _relax(relaxation, errors)
        return errors[-1] <= goal

    def step(self, reg: float, relaxation: float) -> float:
        """One sweep; the mass that had been astray."""
        self.share = max(self.share, log(_FIRST_REG / reg) / log(_FIRST_REG / _LEAST_REG))
        self.on_progress(self.share)
        self.potentials, error = sweep(self.cost, self.potentials, reg * self.scale, self.masses, relaxation)
        self.n_sweeps += 1
        return error

    def certify(self, reg: float) -> Transport:
        """What these potentials prove and what their plan costs."""
        feasible, lower = dual_bound(self.cost, self.potentials[1], self.masses)
        plan, upper = round_to_marginals(Gibbs(self.cost, self.potentials, reg * self.scale or 1.0, self.masses))
        return Transport(plan, feasible, Certificate(min(lower, upper), upper, self.scale), self.n_sweeps)


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


def _better(old: Transport, new: Transport) -> Transport:
    """The higher lower bound and the lower upper bound of two."""
    lower_from = max(old, new, key=lambda transport: transport.certificate.lower)
    upper_from = min(old, new, key=lambda transport: transport.certificate.upper)
    lower, upper = lower_from.certificate.lower, upper_from.certificate.upper
    certificate = Certificate(min(lower, upper), upper, new.certificate.scale)
    return Transport(upper_from.plan, lower_from.potentials, certificate, new.n_iterations)
