"""Where the mass of a rounded plan goes and what it costs, in one pass over the cost."""

from typing import NamedTuple

import numpy as np

from ot3l_core.ot.kernels.compiled import Doubles, Floats, Integers, kernel
from ot3l_core.ot.kernels.exponential import exp2, exponent
from ot3l_core.ot.kernels.sinkhorn import Exponents


class Rounding(NamedTuple):
    """``P = diag(u) E diag(v) + r s^T``.

    Attributes:
        row_factors: ``u``, shape ``(N,)``.
        column_factors: ``v``, shape ``(M,)``.
        row_rest: ``r``, shape ``(N,)``.
        column_rest: ``s``, shape ``(M,)``.
    """

    row_factors: Floats
    column_factors: Floats
    row_rest: Floats
    column_rest: Floats


class Sums(NamedTuple):
    """What is added up.

    Attributes:
        by_row: Written: ``sum_j P_ij C_ij``, shape ``(N,)``.
        by_column: ``sum_i P_ij C_ij`` is added, shape ``(M,)``.
        by_group: The mass moved between groups is added, shape ``(K, L)``.
    """

    by_row: Doubles
    by_column: Doubles
    by_group: Doubles


@kernel
def tally_rows(
    exponents: Exponents, rounding: Rounding, groups: tuple[Integers, Integers], sums: Sums, start: int, stop: int
) -> None:
    """Add up rows of a plan.

    Args:
        exponents: Of its E.
        rounding: What became of it.
        groups: Of rows ``(N,)`` and of columns ``(M,)``.
        sums: Added to.
        start: First row.
        stop: Behind the last.
    """
    cost, rows, columns, slope = exponents
    _, factors, _, rests = rounding
    masses = np.empty(cost.shape[1], np.float32)
    for i in range(start, stop):
        own, row, factor, rest = cost[i], rows[i], rounding.row_factors[i], rounding.row_rest[i]
        total = 0.0
        for j in range(len(own)):
            mass = factor * exp2(exponent(row, columns[j], slope, own[j])) * factors[j] + rest * rests[j]
            masses[j] = mass
            spent = np.float64(mass * own[j])
            total += spent
            sums.by_column[j] += spent
        sums.by_row[i] = total
        onto = sums.by_group[groups[0][i]]
        for j in range(len(own)):
            onto[groups[1][j]] += masses[j]
