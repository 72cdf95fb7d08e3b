"""The optimum itself, on the CPU."""

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

from ot3l_core.ot.blocks import row_blocks
from ot3l_core.ot.certificate import Certificate, dual_bound
from ot3l_core.ot.gibbs import Potentials
from ot3l_core.ot.marginals import Marginals, uniform_marginals
from ot3l_core.ot.native import runs_compiled
from ot3l_core.ot.plan import Transport
from ot3l_core.ot.sinkhorn import sinkhorn_transport
from ot3l_core.progress import OnProgress, ignore_progress

_MAX_PIVOTS = 1 << 40
_WARM_FROM = 256


@dataclass(frozen=True, slots=True, eq=False)
class AssignedPlan:
    """Equal masses, each moved whole.

    Attributes:
        column_of: Where each row's mass goes, shape ``(N,)``.
    """

    column_of: Tensor

    def __getitem__(self, rows: slice) -> Tensor:
        """The plan's rows, shape ``(B, N)``, float64."""
        own = self.column_of[rows]
        moved = torch.zeros(len(own), len(self.column_of), dtype=torch.float64, device=own.device)
        return moved.scatter_(1, own[:, None], 1 / len(self.column_of))

    def to(self, device: torch.device) -> "AssignedPlan":
        """The same plan on another device."""
        return AssignedPlan(self.column_of.to(device))


def exact_transport(
    cost: Tensor, marginals: Marginals | None = None, *, on_progress: OnProgress = ignore_progress
) -> Transport:
    """Solve the transport problem exactly.

    Equal masses on equally many points make it an assignment (shortest augmenting paths); everything else
    goes to POT's network simplex. Large problems start from the potentials of an entropic plan, which leave either
    solver little to do; neither can be interrupted.

    Args:
        cost: Non-negative, shape ``(N, M)``.
        marginals: Masses; uniform where not given.
        on_progress: Called until the solver starts.

    Returns:
        The optimal plan, optimal potentials and both bounds, on the device of ``cost``.

    Source:
        peyre2019computational, chapter 3.
    """
    host = cost.detach().to("cpu", torch.float64)
    masses = uniform_marginals(host) if marginals is None else (marginals[0].cpu(), marginals[1].cpu())
    a, b = masses
    start = _entropic_potentials(host, masses, on_progress)
    is_assignment = len(a) == len(b) and bool((a == a[0]).all()) and bool((b == a[0]).all())
    plan, g = _assign(host, start) if is_assignment else _simplex(host, masses, start)
    potentials, lower = dual_bound(host, g, masses)
    # Rounding may put the dual value a last digit above the primal one.
    upper = sum(float((plan[rows] * host[rows]).sum()) for rows in row_blocks(host))
    certificate = Certificate(lower=min(lower, upper), upper=upper, scale=float(host.mean()))
    f, g = potentials
    return Transport(plan.to(cost.device), (f.to(cost.device), g.to(cost.device)), certificate, 0)


def _entropic_potentials(cost: Tensor, masses: Marginals, on_progress: OnProgress) -> Potentials:
    """Nearly optimal potentials; zeros where finding them would take longer than they save."""
    if min(cost.shape) < _WARM_FROM:
        return torch.zeros_like(masses[0]), torch.zeros_like(masses[1])
    return sinkhorn_transport(cost.float(), masses, on_progress=on_progress).potentials


def _simplex(cost: Tensor, masses: Marginals, start: Potentials) -> tuple[Tensor, Tensor]:
    """Optimal plan and column potentials of any transport problem."""
    import ot  # noqa: PLC0415 - optional at import time

    a, b = masses
    # POT's tolerance is absolute.
    unit = float(cost.mean()) or 1.0
    warm = ((start[0] / unit).numpy(), (start[1] / unit).numpy()) if start[0].any() else None
    with warnings.catch_warnings():
        # An unfinished simplex shows in the certificate.
        warnings.simplefilter("ignore", UserWarning)
        plan, log = ot.emd(
            a.numpy(),
            (b * (a.sum() / b.sum())).numpy(),
            (cost / unit).numpy(),
            numItermax=_MAX_PIVOTS,
            log=True,
            potentials_init=warm,
        )
    return torch.from_numpy(plan), unit * torch.from_numpy(log["v"])


def _assign(cost: Tensor, start: Potentials) -> tuple[AssignedPlan, Tensor]:
    """Optimal plan and column potentials between equally many points of equal mass."""
    f, g = start
    if not runs_compiled(cost):
        from scipy.optimize import linear_sum_assignment  # noqa: PLC0415 - keeps importing this package light

        reduced = (cost - f[:, None]).sub_(g)
        _, columns = linear_sum_assignment(reduced.numpy())
        column_of = torch.from_numpy(columns)
        return AssignedPlan(column_of), g + _assignment_potentials(reduced, column_of)
    from ot3l_core.ot.kernels import assignment, search  # noqa: PLC0415 - Numba is optional

    n = len(cost)
    costs = cost.new_full((n, search.padded(n)), torch.inf)
    torch.sub(cost, f[:, None], out=costs[:, :n]).sub_(g)
    column_of, prices = torch.empty(n, dtype=torch.int64), g.new_empty(costs.shape[1])
    assignment.assign(costs.view(-1).numpy(), n, column_of.numpy(), prices.numpy())
    return AssignedPlan(column_of), g + prices[:n]


def _assignment_potentials(reduced: Tensor, column_of: Tensor) -> Tensor:
    """Column potentials that prove an assignment optimal: shortest paths over its reduced costs.

    ``g_j = min_i g_s(i) + C_ij - C_is(i)``, with ``s`` the assignment, has a solution exactly if ``s`` is optimal
    (no negative cycle). Bellman-Ford finds it.
    """
    detours = reduced - reduced.gather(1, column_of[:, None])
    tolerance = 1e-14 * max(1.0, len(column_of) ** 0.5) * float(reduced.abs().max())
    potentials = reduced.new_zeros(len(column_of))
    for _ in range(len(column_of)):
        relaxed = (detours + potentials[column_of][:, None]).amin(0)
        if float((potentials - relaxed).max()) <= tolerance:
            break
        potentials = relaxed
    return potentials
