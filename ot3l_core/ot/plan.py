"""What solvers answer with: a plan, its potentials and a certificate."""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

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
