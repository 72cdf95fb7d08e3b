"""The entropic plan before its rows and columns have their masses, and the passes over it that solvers need.

On a CPU and in float32 every pass is a compiled kernel that reads the cost once; elsewhere it is torch, block by block.
Either way entries are formed in the dtype of the cost and summed up in float64.
"""

from dataclasses import dataclass
from functools import cached_property
from math import log
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor

from ot3l_core.ot.blocks import row_blocks
from ot3l_core.ot.marginals import Marginals
from ot3l_core.ot.native import on_all_cores, reads_compiled

if TYPE_CHECKING:
    from ot3l_core.ot.kernels.sinkhorn import Exponents

# exp(-60) is nothing beside a row's largest entry. Beyond exp(-87) and exp(87) float32 turns denormal or infinite.
_LEAST_EXPONENT, _MOST_EXPONENT = -60.0, 87.0
_LOG2_E = 1 / log(2)
_RESOLVED, _HELD = 2.0**14, 2.0**64

Potentials = tuple[Tensor, Tensor]


@dataclass(frozen=True, eq=False)
class Gibbs:
    """``E_ij = b_j exp((f_i + g_j - C_ij) / reg)``; never stored.

    With the potentials absorbed, entries stay within powers of N and M and no maximum has to be taken out.

    Attributes:
        cost: Shape ``(N, M)``.
        potentials: ``f (N,)`` and ``g (M,)``, float64.
        reg: Entropic strength, in units of the cost.
        marginals: Masses ``a`` and ``b``.
    """

    cost: Tensor
    potentials: Potentials
    reg: float
    marginals: Marginals

    def __getitem__(self, rows: slice) -> Tensor:
        """Some rows, shape ``(B, M)``, float64."""
        if not self.is_compiled:
            return self._entries(rows).double()
        from ot3l_core.ot.kernels import sinkhorn  # noqa: PLC0415 - Numba is optional

        cost = self.cost[rows]
        entries = torch.empty_like(cost)
        exponents, written = self.exponents(), entries.numpy()
        chosen = exponents._replace(cost=cost.numpy(), rows=exponents.rows[rows])
        on_all_cores(lambda start, stop: sinkhorn.gibbs_rows(chosen, written, start, stop), len(cost))
        return entries.double()

    def balance(self, relaxation: float) -> tuple[Tensor, Tensor]:
        """What both half-steps of Sinkhorn's iteration need, in one pass.

        Returns:
            ``sent_i = sum_j E_ij`` and ``received_j = sum_i a_i sent_i^-relaxation E_ij``, float64.
        """
        row_mass = self.marginals[0].to(self.cost.dtype)
        sent = torch.empty_like(row_mass)
        if not self.is_compiled:
            received = torch.zeros_like(self.potentials[1])
            for rows in row_blocks(self.cost):
                entries = self._entries(rows)
                sent[rows] = entries.sum(1)
                received += (row_mass[rows] * sent[rows] ** -relaxation) @ entries
            return sent.double(), received
        from ot3l_core.ot.kernels import sinkhorn  # noqa: PLC0415 - Numba is optional

        n_groups = -(-len(sent) // sinkhorn.GROUP)
        parts = sent.new_empty(n_groups, self.cost.shape[1])
        given, written = (self.exponents(), row_mass.numpy(), relaxation), (sent.numpy(), parts.numpy())
        on_all_cores(lambda first, last: sinkhorn.sweep(*given, *written, first, last), n_groups)
        return sent.double(), parts.sum(0, dtype=torch.float64)

    def price(self, column_factors: Tensor, column_rest: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Row sums in one pass.

        Args:
            column_factors: ``c``, shape ``(M,)``, float64 with the digits of the cost's dtype.
            column_rest: ``s``, shape ``(M,)``, likewise.

        Returns:
            ``sum_j E_ij c_j``, ``sum_j E_ij c_j C_ij`` and ``sum_j s_j C_ij``, each ``(N,)``, float64.
        """
        sums = self.potentials[0].new_empty(len(self.cost), 3)
        factors, rest = column_factors.to(self.cost.dtype), column_rest.to(self.cost.dtype)
        if not self.is_compiled:
            for rows in row_blocks(self.cost):
                shares = self._entries(rows).mul_(factors)
                sums[rows, 0] = shares.sum(1, dtype=torch.float64)
                sums[rows, 1] = shares.mul_(self.cost[rows]).sum(1, dtype=torch.float64)
                sums[rows, 2] = (self.cost[rows] @ rest).double()
        else:
            from ot3l_core.ot.kernels import sinkhorn  # noqa: PLC0415 - Numba is optional

            given, written = (self.exponents(), factors.numpy(), rest.numpy()), sums.numpy()
            on_all_cores(lambda start, stop: sinkhorn.price_rows(*given, written, start, stop), len(sums))
        mass, price, rest_price = sums.unbind(1)
        return mass, price, rest_price

    @property
    def is_compiled(self) -> bool:
        """Whether kernels do the work."""
        return reads_compiled(self.cost)

    def _entries(self, rows: slice) -> Tensor:
        along, across = self._exponents
        exponents = torch.add(across, self.cost[rows].to(across.dtype), alpha=-1 / self.reg).add_(along[rows, None])
        return exponents.clamp_(_LEAST_EXPONENT, _MOST_EXPONENT).to(self.cost.dtype).exp_()

    @cached_property
    def _exponents(self) -> tuple[Tensor, Tensor]:
        """Of rows and of columns to the base e, in a type that resolves their differences."""
        rows = self.potentials[0] / self.reg
        columns = self.potentials[1] / self.reg + self.marginals[1].log()
        dtype = self.cost.dtype if _are_resolved(rows, columns, self.reg) else torch.float64
        return rows.to(dtype), columns.to(dtype)

    def exponents(self) -> "Exponents":
        """What kernels read: the exponents of E to the base 2."""
        from ot3l_core.ot.kernels.exponential import OFFSET  # noqa: PLC0415 - Numba is optional
        from ot3l_core.ot.kernels.sinkhorn import Exponents  # noqa: PLC0415

        slope = _LOG2_E / self.reg
        rows = self.potentials[0] * slope + float(OFFSET)
        columns = self.potentials[1] * slope + self.marginals[1].log2()
        exact: type[np.floating] = np.float32 if _are_resolved(rows, columns, self.reg) else np.float64
        in_rows, in_columns = (part.numpy().astype(exact) for part in (rows, columns))
        return Exponents(self.cost.numpy(), in_rows, in_columns, cast("float", exact(slope)))


def _are_resolved(rows: Tensor, columns: Tensor, reg: float) -> bool:
    """Whether float32 knows these exponents to a thousandth, and can hold what a unit of cost adds to them."""
    return max(float(rows.abs().max()), float(columns.abs().max())) < _RESOLVED and reg > 1 / _HELD
