"""The best plan between different numbers of points of equal mass.

Masses are counted in the largest unit that divides both, so they are integers. Columns buy from their cheapest row;
what rows are left with moves along shortest paths over reduced costs.

Source:
    ahuja1993network, section 9.7.
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
)

_UNSEEN = -1


class _Shipment(NamedTuple):
    """What goes where.

    Attributes:
        flow: Mass from each row to each column, shape ``(m, n)``.
        supply: Mass that rows still have, shape ``(n,)``.
        room: Mass that columns still lack, shape ``(m,)``.
        senders: The rows that send to each column, shape ``(m, n)``.
        n_senders: How many they are, shape ``(m,)``.
    """

    flow: Integers
    supply: Integers
    room: Integers
    senders: Integers
    n_senders: Integers


@inlined
def transport_value(costs: Doubles, n: int, m: int) -> float:
    """The least mean cost of a plan between n and m points of equal mass; quicker if n is the larger.

    Args:
        costs: n rows of m costs with their filling.
        n: Rows.
        m: Columns.
    """
    width, unit = padded(m), _greatest_common_divisor(n, m)
    priced, search, cheapest = Priced(costs, n, width, np.empty(width)), new_search(width), np.empty(width)
    supply, room = np.full(n, m // unit), np.full(m, n // unit)
    shipment = _Shipment(np.zeros((m, n), np.int64), supply, room, np.empty((m, n), np.int64), np.zeros(m, np.int64))
    via = np.empty(n, np.int64)
    price_columns(priced, cheapest)
    for j in range(m):
        i = int(cheapest[j])
        mass = min(supply[i], room[j])
        supply[i] -= mass
        room[j] -= mass
        _send(shipment, j, i, mass)
    for root in range(n):
        while supply[root] > 0:
            end = _find(priced, shipment, search, via, root)
            _augment(shipment, search, via, root, end)
    total = 0.0
    for j in range(m):
        for place in range(shipment.n_senders[j]):
            i = shipment.senders[j, place]
            total += costs[i * width + j] * shipment.flow[j, i]
    return total / (n * (m // unit))


@kernel
def _greatest_common_divisor(a: int, b: int) -> int:
    while b > 0:
        a, b = b, a % b
    return a


@inlined
def _send(shipment: _Shipment, column: int, row: int, mass: int) -> None:
    """Send mass, which may be negative, and keep the list of those who send to the column."""
    had = shipment.flow[column, row]
    shipment.flow[column, row] = had + mass
    if had == 0 and mass > 0:
        shipment.senders[column, shipment.n_senders[column]] = row
        shipment.n_senders[column] += 1
    elif had > 0 and had + mass == 0:
        place = 0
        while shipment.senders[column, place] != row:
            place += 1
        shipment.n_senders[column] -= 1
        shipment.senders[column, place] = shipment.senders[column, shipment.n_senders[column]]


@inlined
def _find(priced: Priced, shipment: _Shipment, search: Search, via: Integers, root: int) -> int:
    """The nearest column with room (Dijkstra over reduced costs); ``before`` and ``via`` lead back to ``root``."""
    via[:] = _UNSEEN
    via[root] = priced.width
    start_search(search, priced)
    nearest, column = extend(search, priced, root, 0.0)
    while shipment.room[column] == 0:
        full, distance, price = column, nearest, priced.prices[column]
        settle(search, priced, full, distance)
        for place in range(shipment.n_senders[full]):
            row = shipment.senders[full, place]
            if via[row] == _UNSEEN:
                via[row] = full
                offset = distance - (priced.costs[row * priced.width + full] - price)
                nearest, column = extend(search, priced, row, offset)
        if column == full:
            # All its senders had been seen: look again at what was reached before.
            nearest, column = extend(search, priced, root, np.inf)
    end_search(search, priced, nearest)
    return column


@inlined
def _augment(shipment: _Shipment, search: Search, via: Integers, root: int, end: int) -> None:
    """Send what fits along the path that was found."""
    mass = min(shipment.supply[root], shipment.room[end])
    row = int(search.before[end])
    while row != root:
        mass = min(mass, shipment.flow[via[row], row])
        row = int(search.before[via[row]])
    shipment.supply[root] -= mass
    shipment.room[end] -= mass
    row = int(search.before[end])
    _send(shipment, end, row, mass)
    while row != root:
        column = via[row]
        _send(shipment, column, row, -mass)
        row = int(search.before[column])
        _send(shipment, column, row, mass)
