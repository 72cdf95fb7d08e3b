"""The best assignment between equally many points.

Prices start at the columns' least costs; rows then bid for columns as in an auction, as long as that is cheap; the
rows that are left get their columns along shortest paths over reduced costs.

Source:
    jonker1987shortest.
"""

from typing import NamedTuple

import numpy as np

from ot3l_core.ot.kernels.compiled import Doubles, Integers, inlined, kernel
from ot3l_core.ot.kernels.search import (
    Priced,
    Search,
    end_search,
    extend,
    new_search,
    padded,
    price_columns,
    settle,
    start_search,
    two_least,
)

_NOBODY = -1


class _Holding(NamedTuple):
    """Who has what.

    Attributes:
        column_of: The column of each row, shape ``(n,)``.
        row_of: The row of each column, shape ``(n,)``.
        free: Rows without a column stand at its start, shape ``(n,)``.
    """

    column_of: Integers
    row_of: Integers
    free: Integers


@inlined
def assignment_value(costs: Doubles, n: int) -> float:
    """The least mean of n entries, one of each row and column.

    Args:
        costs: n rows of n costs with their filling.
        n: How many.
    """
    width = padded(n)
    column_of = np.empty(n, np.int64)
    assign(costs, n, column_of, np.empty(width))
    total = 0.0
    for i in range(n):
        total += costs[i * width + column_of[i]]
    return total / n


@kernel
def assign(costs: Doubles, n: int, column_of: Integers, prices: Doubles) -> None:
    """Write the best assignment and the column potentials that prove it.

    Args:
        costs: n rows of n costs with their filling.
        n: How many.
        column_of: Written, shape ``(n,)``.
        prices: Written, a row with its filling.
    """
    priced = Priced(costs, n, padded(n), prices)
    search, cheapest = new_search(priced.width), np.empty(priced.width)
    holding = _Holding(column_of, np.empty(n, np.int64), np.empty(n, np.int64))
    price_columns(priced, cheapest)
    n_free = _bid(priced, holding, _buy(priced, holding, cheapest))
    for place in range(n_free):
        _augment(priced, holding, search, holding.free[place])


@inlined
def _buy(priced: Priced, holding: _Holding, cheapest: Doubles) -> int:
    """Give every column to its cheapest row where that has none yet, and lower its price as far as it stays the best.

    Returns:
        How many rows are left.
    """
    holding.column_of[:] = _NOBODY
    holding.row_of[:] = _NOBODY
    for j in range(priced.n):
        i = int(cheapest[j])
        if holding.column_of[i] == _NOBODY:
            holding.column_of[i], holding.row_of[j] = j, i
    n_free = 0
    for i in range(priced.n):
        if holding.column_of[i] == _NOBODY:
            holding.free[n_free] = i
            n_free += 1
        elif priced.n > 1:
            lowest, column, second = two_least(priced, i)
            if column == holding.column_of[i]:
                priced.prices[column] -= second - lowest
    return n_free


@inlined
def _bid(priced: Priced, holding: _Holding, n_free: int) -> int:
    """Let rows take their best column and lower its price until their next best is as good.

    Returns:
        How many rows are left.
    """
    # Beyond about one bid for every other row, wars over prices cost more than the paths that end them.
    n_bids, n_stuck = n_free + priced.n // 2, 0
    while n_stuck < n_free and n_bids > 0:
        n_bids -= 1
        i = holding.free[n_free - 1]
        lowest, column, second = two_least(priced, i)
        holder = holding.row_of[column]
        if second > lowest:
            priced.prices[column] -= second - lowest
        elif holder != _NOBODY:
            holding.free[n_free - 1] = holding.free[n_stuck]
            holding.free[n_stuck] = i
            n_stuck += 1
            continue
        holding.column_of[i], holding.row_of[column] = column, i
        n_free -= 1
        if holder != _NOBODY:
            holding.column_of[holder] = _NOBODY
            holding.free[n_free] = holder
            n_free += 1
    return n_free


@inlined
def _augment(priced: Priced, holding: _Holding, search: Search, root: int) -> None:
    """Give ``root`` a column along the shortest path to a free one (Dijkstra over reduced costs)."""
    start_search(search, priced)
    nearest, column = extend(search, priced, root, 0.0)
    while holding.row_of[column] != _NOBODY:
        row = holding.row_of[column]
        offset = nearest - (priced.costs[row * priced.width + column] - priced.prices[column])
        settle(search, priced, column, nearest)
        nearest, column = extend(search, priced, row, offset)
    end_search(search, priced, nearest)
    row = _NOBODY
    while row != root:
        row = int(search.before[column])
        holding.row_of[column] = row
        column, holding.column_of[row] = holding.column_of[row], column
