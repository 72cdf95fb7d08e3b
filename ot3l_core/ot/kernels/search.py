"""What both solvers of transport do with a row of costs: find the least, with its place, in vector registers."""

from typing import NamedTuple

import numpy as np

from ot3l_core.ot.kernels.compiled import Doubles, inlined, kernel
from ot3l_core.ot.kernels.lanes import WIDTH, if_equal, if_less, least, load, splat, store

_PLACES = np.arange(float(WIDTH))


class Priced(NamedTuple):
    """Costs between rows and columns, less what columns are paid.

    Attributes:
        costs: Row after row, each filled up with infinity to a multiple of eight columns.
        n: Rows.
        width: Columns with their filling.
        prices: Column potentials, shape ``(width,)``.
    """

    costs: Doubles
    n: int
    width: int
    prices: Doubles


class Search(NamedTuple):
    """Dijkstra's algorithm over reduced costs.

    Attributes:
        reach: How far each column is that is reached and not settled, shape ``(width,)``.
        unsettled: Prices, minus infinity for settled columns: nothing reaches these again.
        before: The row before each column.
    """

    reach: Doubles
    unsettled: Doubles
    before: Doubles


@kernel
def padded(n_columns: int) -> int:
    """Columns of a row with its filling."""
    return -(-n_columns // WIDTH) * WIDTH


@inlined
def new_search(width: int) -> Search:
    """Room for a search."""
    return Search(np.empty(width), np.empty(width), np.empty(width))


@inlined
def price_columns(priced: Priced, cheapest: Doubles) -> None:
    """Price every column at its least cost, and say which row has it."""
    for j in range(0, priced.width, WIDTH):
        lowest, where = load(priced.costs, j), splat(0.0)
        for i in range(1, priced.n):
            cost = load(priced.costs, i * priced.width + j)
            where = if_less(cost, lowest, splat(float(i)), where)
            lowest = if_less(cost, lowest, cost, lowest)
        # The filling is free, so that it stays infinitely far.
        store(priced.prices, j, if_less(lowest, splat(np.inf), lowest, splat(0.0)))
        store(cheapest, j, where)


@inlined
def two_least(priced: Priced, row: int) -> tuple[float, int, float]:
    """The least reduced cost of a row, its column, and the least of the others."""
    places = load(_PLACES, 0)
    first = second = splat(np.inf)
    where = splat(-1.0)
    for j in range(0, priced.width, WIDTH):
        cost = load(priced.costs, row * priced.width + j) - load(priced.prices, j)
        second = if_less(cost, first, first, if_less(cost, second, cost, second))
        where = if_less(cost, first, places + splat(float(j)), where)
        first = if_less(cost, first, cost, first)
    lowest = least(first)
    column = least(if_equal(first, splat(lowest), where, splat(np.inf)))
    others = if_equal(where, splat(column), second, first)
    return lowest, int(column), least(if_less(others, second, others, second))


@inlined
def start_search(search: Search, priced: Priced) -> None:
    """Nothing is reached and nothing settled."""
    for j in range(priced.width):
        search.reach[j], search.unsettled[j] = np.inf, priced.prices[j]


@inlined
def extend(search: Search, priced: Priced, row: int, offset: float) -> tuple[float, int]:
    """Reach columns through a row that is ``offset`` away.

    Returns:
        How far the nearest column is that is reached and not settled, and which one it is.
    """
    places = load(_PLACES, 0)
    first, where, here, far = splat(np.inf), splat(-1.0), splat(float(row)), splat(offset)
    for j in range(0, priced.width, WIDTH):
        through = load(priced.costs, row * priced.width + j) - load(search.unsettled, j) + far
        known = load(search.reach, j)
        store(search.before, j, if_less(through, known, here, load(search.before, j)))
        known = if_less(through, known, through, known)
        store(search.reach, j, known)
        where = if_less(known, first, places + splat(float(j)), where)
        first = if_less(known, first, known, first)
    nearest = least(first)
    return nearest, int(least(if_equal(first, splat(nearest), where, splat(np.inf))))


@inlined
def settle(search: Search, priced: Priced, column: int, distance: float) -> None:
    """Nothing reaches a settled column again; its price takes up how far it is."""
    search.unsettled[column], search.reach[column] = -np.inf, np.inf
    priced.prices[column] += distance


@inlined
def end_search(search: Search, priced: Priced, distance: float) -> None:
    """Keep reduced costs non-negative, and zero along the path that was found."""
    for j in range(priced.width):
        if search.unsettled[j] == -np.inf:
            priced.prices[j] -= distance
