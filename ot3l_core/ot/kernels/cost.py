"""The last step from products to costs, row by row while the products are in cache."""

from typing import NamedTuple

from ot3l_core.ot.kernels.compiled import Floats, Integers, inlined, kernel


class Between(NamedTuple):
    """What is added between groups of points.

    Attributes:
        row_groups: Shape ``(N,)``.
        column_groups: Shape ``(M,)``.
        extra: Shape ``(K, L)``.
    """

    row_groups: Integers
    column_groups: Integers
    extra: Floats


@kernel
def finish_costs(
    products: Floats,
    points: tuple[Floats, Floats],
    squared: tuple[Floats, Floats],
    cancelled: float,
    between: Between,
    start: int,
    stop: int,
) -> None:
    """Turn ``<x_i, y_j>`` into ``|x_i - y_j|^2`` and what is added between their groups, in place.

    Args:
        products: Shape ``(N, M)``.
        points: ``x (N, D)`` and ``y (M, D)``.
        squared: Their squared lengths, ``(N,)`` and ``(M,)``.
        cancelled: Distances below this share of the lengths are taken from differences.
        between: What is added.
        start: First row.
        stop: Behind the last.
    """
    lengths = squared[1]
    for i in range(start, stop):
        row, length = products[i], squared[0][i]
        n_cancelled = 0
        for j in range(len(row)):
            both = length + lengths[j]
            distance = both - 2 * row[j]
            n_cancelled += distance < cancelled * both
            row[j] = distance
        if n_cancelled:
            for j in range(len(row)):
                if row[j] < cancelled * (length + lengths[j]):
                    row[j] = _squared_distance(points[0][i], points[1][j])
        extra = between.extra[between.row_groups[i]]
        for j in range(len(row)):
            row[j] += extra[between.column_groups[j]]


@inlined
def _squared_distance(x: Floats, y: Floats) -> float:
    total = 0.0
    for d in range(len(x)):
        total += (x[d] - y[d]) * (x[d] - y[d])
    return total
