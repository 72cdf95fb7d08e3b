"""How much mass lies on each point."""

from typing import TypeAlias

import torch
from torch import Tensor

Marginals: TypeAlias = tuple[Tensor, Tensor]
"""Mass of each row ``(N,)`` and of each column ``(M,)``: float64, positive, each summing to 1."""


def uniform_marginals(cost: Tensor) -> Marginals:
    """Equal mass on every row and on every column of ``cost``, on its device."""
    n_rows, n_columns = cost.shape
    return (
        torch.full((n_rows,), 1 / n_rows, dtype=torch.float64, device=cost.device),
        torch.full((n_columns,), 1 / n_columns, dtype=torch.float64, device=cost.device),
    )
