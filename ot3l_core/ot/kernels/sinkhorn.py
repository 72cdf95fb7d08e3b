"""What Sinkhorn's iteration and its certificate read of the cost matrix, each in one pass over it.

Rows come in groups of fixed size, and every group has sums of its own: results do not depend on the number of threads.
"""

from typing import NamedTuple

import numpy as np

from ot3l_core.ot.kernels.compiled import Doubles, Floats, inlined, kernel
from ot3l_core.ot.kernels.exponential import exp2, exponent
from ot3l_core.ot.kernels.lanes import WIDTH, if_less, least, load, load_single, splat, store

GROUP = 128
"""Rows whose column sums are kept together."""

# As many terms lose a digit of float32; their sums are added up in float64.
_CHUNK = 1024


class Exponents(NamedTuple):
    """``E_ij = 2^(row_i + column_j - slope C_ij)``, never stored.

    Attributes:
        cost: Shape ``(N, M)``.
        rows: With ``OFFSET`` added, shape ``(N,)``.
        columns: Shape ``(M,)``, of the same type.
        slope: Exponents per unit of cost, of the same type.
    """

    cost: Floats
    rows: Doubles | Floats
    columns: Doubles | Floats
    slope: float


@kernel
def sweep(
    exponents: Exponents,
    row_masses: Floats,
    relaxation: float,
    sent: Floats,
    received: Floats,
    first: int,
    last: int,
) -> None:
    """Sum E over columns, and over rows what the new rows make of it.

    Args:
        exponents: Of E.
        row_masses: Shape ``(N,)``.
        relaxation: The power by which rows are corrected.
        sent: Written: ``sum_j E_ij``, shape ``(N,)``.
        received: Written: ``sum_i a_i sent_i^-relaxation E_ij`` over each group, shape ``(N / GROUP, M)``.
        first: First group.
        last: Behind the last.
    """
    cost, rows, columns, slope = exponents
    n, m = cost.shape
    entries = np.empty((4, m), np.float32)
    power = np.float32(-relaxation)
    for group in range(first, last):
        received[group] = 0
        for i in range(group * GROUP, min((group + 1) * GROUP, n), 4):
            # Four rows at a time share the way of the columns' sums to memory; rows beyond the last repeat it.
            i1, i2, i3 = min(i + 1, n - 1), min(i + 2, n - 1), min(i + 3, n - 1)
            r0, r1, r2, r3 = rows[i], rows[i1], rows[i2], rows[i3]
            s0 = s1 = s2 = s3 = np.float32(0)
            for j in range(m):
                column = columns[j]
                e0 = exp2(exponent(r0, column, slope, cost[i, j]))
                e1 = exp2(exponent(r1, column, slope, cost[i1, j]))
                e2 = exp2(exponent(r2, column, slope, cost[i2, j]))
                e3 = exp2(exponent(r3, column, slope, cost[i3, j]))
                entries[0, j], entries[1, j], entries[2, j], entries[3, j] = e0, e1, e2, e3
                s0, s1, s2, s3 = s0 + e0, s1 + e1, s2 + e2, s3 + e3
            sent[i], sent[i1], sent[i2], sent[i3] = s0, s1, s2, s3
            u0, u1 = row_masses[i] * s0**power, row_masses[i1] * s1**power * (i + 1 < n)
            u2, u3 = row_masses[i2] * s2**power * (i + 2 < n), row_masses[i3] * s3**power * (i + 3 < n)
            for j in range(m):
                received[group, j] += (
                    np.float32(u0) * entries[0, j]
                    + np.float32(u1) * entries[1, j]
                    + np.float32(u2) * entries[2, j]
                    + np.float32(u3) * entries[3, j]
                )


@kernel
def c_transforms(cost: Floats, g: Doubles, f: Doubles, g_parts: Doubles, first: int, last: int) -> None:
    """Write ``f_i = min_j C_ij - g_j``, and ``min_i C_ij - f_i`` over each group of rows.

    Args:
        cost: Shape ``(N, M)``.
        g: Shape ``(M,)``.
        f: Written, shape ``(N,)``.
        g_parts: Written, shape ``(N / GROUP, M)``.
        first: First group.
        last: Behind the last.
    """
    n, m = cost.shape
    whole = m // WIDTH * WIDTH
    for group in range(first, last):
        parts = g_parts[group]
        parts[:] = np.inf
        for i in range(group * GROUP, min((group + 1) * GROUP, n), 2):
            # Two rows at a time; an odd last one is its own neighbour.
            one, other = cost[i], cost[min(i + 1, n - 1)]
            low_one = low_other = splat(np.inf)
            for j in range(0, whole, WIDTH):
                known = load(g, j)
                difference = load_single(one, j) - known
                low_one = if_less(difference, low_one, difference, low_one)
                difference = load_single(other, j) - known
                low_other = if_less(difference, low_other, difference, low_other)
            f_one, f_other = least(low_one), least(low_other)
            for j in range(whole, m):
                f_one, f_other = min(f_one, one[j] - g[j]), min(f_other, other[j] - g[j])
            f[i], f[min(i + 1, n - 1)] = f_one, f_other
            minus_one, minus_other = splat(f_one), splat(f_other)
            for j in range(0, whole, WIDTH):
                left, right = load_single(one, j) - minus_one, load_single(other, j) - minus_other
                left = if_less(left, right, left, right)
                known = load(parts, j)
                store(parts, j, if_less(left, known, left, known))
            for j in range(whole, m):
                parts[j] = min(parts[j], one[j] - f_one, other[j] - f_other)


@kernel
def gibbs_rows(exponents: Exponents, entries: Floats, start: int, stop: int) -> None:
    """Write some rows of E."""
    cost, rows, columns, slope = exponents
    for i in range(start, stop):
        for j in range(cost.shape[1]):
            entries[i, j] = exp2(exponent(rows[i], columns[j], slope, cost[i, j]))


@kernel
def price_rows(
    exponents: Exponents, column_factors: Floats, column_rest: Floats, sums: Doubles, start: int, stop: int
) -> None:
    """Write what rows keep of E once columns were scaled down, and two costs.

    Args:
        exponents: Of E.
        column_factors: ``c``, shape ``(M,)``.
        column_rest: ``s``, shape ``(M,)``.
        sums: Written: ``sum_j E_ij c_j``, ``sum_j E_ij c_j C_ij`` and ``sum_j s_j C_ij``, shape ``(N, 3)``.
        start: First row.
        stop: Behind the last.
    """
    m = exponents.cost.shape[1]
    for i in range(start, stop):
        sums[i] = 0.0
        for begin in range(0, m, _CHUNK):
            mass, price, rest = _price(exponents, column_factors, column_rest, i, begin, min(begin + _CHUNK, m))
            sums[i, 0] += mass
            sums[i, 1] += price
            sums[i, 2] += rest


@inlined
def _price(
    exponents: Exponents, column_factors: Floats, column_rest: Floats, i: int, begin: int, end: int
) -> tuple[np.float32, np.float32, np.float32]:
    row, slope = exponents.rows[i], exponents.slope
    cost, columns = exponents.cost[i, begin:end], exponents.columns[begin:end]
    factors, rests = column_factors[begin:end], column_rest[begin:end]
    mass = price = rest = np.float32(0)
    for j in range(len(cost)):
        own = cost[j]
        share = exp2(exponent(row, columns[j], slope, own)) * factors[j]
        mass += share
        price += share * own
        rest += own * rests[j]
    return mass, price, rest
