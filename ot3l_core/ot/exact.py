"""The optimum itself, on the CPU."""

import warnings

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ot3l_core.ot.certificate import Certificate, dual_bound
from ot3l_core.ot.marginals import Marginals, uniform_marginals
from ot3l_core.ot.plan import Transport

_Floats = npt.NDArray[np.float64]
_MAX_PIVOTS = 1 << 40


def exact_transport(cost: Tensor, marginals: Marginals | None = None) -> Transport:
    """Solve the transport problem exactly.

    Equal masses on equally many points make it an assignment (scipy's shortest augmenting paths); everything
    else goes to POT's network simplex. Neither can be interrupted.

    Args:
        cost: Non-negative, shape ``(N, M)``.
        marginals: Masses; uniform where not given.

    Returns:
        The optimal plan (dense), optimal potentials and both bounds, on the device of ``cost``.

    Source:
        peyre2019computational, chapter 3.
    """
    host = cost.detach().to("cpu", torch.float64)
    a, b = uniform_marginals(host) if marginals is None else (marginals[0].cpu(), marginals[1].cpu())
    is_assignment = len(a) == len(b) and bool((a == a[0]).all()) and bool((b == a[0]).all())
    plan, g = _assign(host.numpy()) if is_assignment else _simplex(host.numpy(), a.numpy(), b.numpy())
    solved = torch.from_numpy(plan)
    potentials, lower = dual_bound(host, torch.from_numpy(g), (a, b))
    # Rounding may put the dual value a last digit above the primal one.
    upper = float((solved * host).sum())
    certificate = Certificate(lower=min(lower, upper), upper=upper, scale=float(host.mean()))
    f, g_feasible = potentials
    return Transport(solved.to(cost.device), (f.to(cost.device), g_feasible.to(cost.device)), certificate, 0)


def exact_value(cost: _Floats) -> float:
    """The optimal cost between equal masses, without plan or proof.

    Args:
        cost: Shape ``(n, m)``.

    Source:
        peyre2019computational, chapter 3.
    """
    n, m = cost.shape
    if n == m:
        from scipy.optimize import linear_sum_assignment  # noqa: PLC0415 - keeps importing this package light

        return float(cost[linear_sum_assignment(cost)].mean())
    if n == 1 or m == 1:
        return float(cost.mean())
    plan, _ = _simplex(cost, np.full(n, 1 / n), np.full(m, 1 / m))
    return float((plan * cost).sum())


def _simplex(cost: _Floats, a: _Floats, b: _Floats) -> tuple[_Floats, _Floats]:
    """Optimal plan and column potentials of any transport problem."""
    import ot  # noqa: PLC0415 - optional at import time

    with warnings.catch_warnings():
        # An unfinished simplex shows in the certificate.
        warnings.simplefilter("ignore", UserWarning)
        plan, log = ot.emd(a, b * (a.sum() / b.sum()), cost, numItermax=_MAX_PIVOTS, log=True)
    return np.asarray(plan), np.asarray(log["v"])


def _assign(cost: _Floats) -> tuple[_Floats, _Floats]:
    """Optimal plan and column potentials between equally many points of equal mass."""
    from scipy.optimize import linear_sum_assignment  # noqa: PLC0415 - keeps importing this package light

    rows, columns = linear_sum_assignment(cost)
    plan = np.zeros_like(cost)
    plan[rows, columns] = 1 / len(rows)
    return plan, _assignment_potentials(cost, columns)


def _assignment_potentials(cost: _Floats, columns: npt.NDArray[np.intp]) -> _Floats:
    """Column potentials that prove an assignment optimal: shortest paths over its reduced costs.

    ``g_j = min_i g_s(i) + C_ij - C_is(i)``, with ``s`` the assignment, has a solution exactly if ``s`` is optimal
    (no negative cycle). Bellman-Ford finds it.
    """
    detours = cost - cost[np.arange(len(columns)), columns][:, None]
    tolerance = 1e-14 * max(1.0, len(columns) ** 0.5) * float(np.abs(cost).max(initial=0.0))
    potentials = np.zeros(len(columns))
    for _ in range(len(columns)):
        relaxed = (detours + potentials[columns][:, None]).min(axis=0)
        if float((potentials - relaxed).max(initial=0.0)) <= tolerance:
            break
        potentials = relaxed
    return potentials
