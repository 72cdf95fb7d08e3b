"""Best plans of many small problems, one after the other."""

import numpy as np

from ot3l_core.ot.kernels.assignment import assignment_value
from ot3l_core.ot.kernels.compiled import Doubles, Floats, Integers, inlined, kernel
from ot3l_core.ot.kernels.search import padded
from ot3l_core.ot.kernels.transport import transport_value


@kernel
def exact_overlaps(
    products: Doubles | Floats,
    shape: tuple[int, int],
    counts: tuple[Integers, Integers],
    overlaps: Doubles,
    start: int,
    stop: int,
) -> None:
    """Write the greatest ``sum_ij P_ij B_ij`` over plans P between equal masses, for some blocks B of a matrix.

    Args:
        products: Blocks of n rows and m columns side by side, shape ``(K n, L m)``.
        shape: ``(n, m)``.
        counts: Rows of each block that count ``(K,)``, and columns ``(L,)``.
        overlaps: Written at ``[start, stop)``, shape ``(K L,)``.
        start: First block, counted along the rows of blocks.
        stop: Behind the last.
    """
    n_across = len(counts[1])
    for block in range(start, stop):
        down, across = block // n_across, block % n_across
        n, m = counts[0][down], counts[1][across]
        top, left = down * shape[0], across * shape[1]
        costs = _negated(products[top : top + n, left : left + m])
        overlaps[block] = -(assignment_value(costs, n) if n == m else transport_value(costs, max(n, m), min(n, m)))


@inlined
def _negated(block: Doubles | Floats) -> Doubles:
    """The block as costs, at least as high as wide, rows filled up with infinity."""
    n, m = block.shape
    width = padded(min(n, m))
    costs = np.full(max(n, m) * width, np.inf)
    in_row, in_column = (width, 1) if n >= m else (1, width)
    for i in range(n):
        for j in range(m):
            costs[i * in_row + j * in_column] = -block[i, j]
    return costs
