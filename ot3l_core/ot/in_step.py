"""Transport between small clouds of equal mass, many problems in step: no loop over them, on any device.

Every problem takes its own path through the algorithm; what differs between them are masks and indices. The compiled
twin of this module is ``ot3l_core.ot.kernels.transport``.

Source:
    ahuja1993network, section 9.7.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class _Problems:
    """P unfinished problems; masses are counted in the largest unit that divides both.

    Attributes:
        costs: Shape ``(P, n, m)``, float64.
        prices: Column potentials, shape ``(P, m)``.
        flow: Mass sent, shape ``(P, n, m)``, int64.
        supply: Mass that rows still have, shape ``(P, n)``.
        room: Mass that columns still lack, shape ``(P, m)``.
    """

    costs: Tensor
    prices: Tensor
    flow: Tensor
    supply: Tensor
    room: Tensor

    def take(self, chosen: Tensor) -> "_Problems":
        return _Problems(*(part[chosen] for part in (self.costs, self.prices, self.flow, self.supply, self.room)))


@dataclass(frozen=True, slots=True, eq=False)
class _Path:
    """The way from a row with supply to a column with room.

    Attributes:
        root: Shape ``(P,)``.
        end: Shape ``(P,)``.
        before: The row before each column, shape ``(P, m)``.
        via: The column before each row, shape ``(P, n)``.
    """

    root: Tensor
    end: Tensor
    before: Tensor
    via: Tensor


def transport_values_in_step(costs: Tensor, row_counts: Tensor, column_counts: Tensor) -> Tensor:
    """The least mean cost of a plan between equal masses, for each problem.

    Args:
        costs: Filled up to one size, shape ``(P, n, m)``, float64.
        row_counts: Rows of each problem that count, shape ``(P,)``.
        column_counts: Columns that count, shape ``(P,)``.

    Returns:
        Shape ``(P,)``.
    """
    values = costs.new_empty(len(costs))
    places = torch.arange(len(costs), device=costs.device)
    problems = _started(costs, row_counts, column_counts)
    while len(places):
        finished = ~(problems.supply > 0).any(1)
        if finished.any():
            done = problems.take(finished)
            spent = torch.where(done.flow > 0, done.costs * done.flow, 0.0)
            values[places[finished]] = spent.sum((1, 2)) / done.flow.sum((1, 2))
            places, problems = places[~finished], problems.take(~finished)
        else:
            _augment(problems, _search(problems))
    return values


def _started(costs: Tensor, row_counts: Tensor, column_counts: Tensor) -> _Problems:
    """Every column buys what it can from its cheapest row."""
    n_problems, n, m = costs.shape
    every = torch.arange(n_problems, device=costs.device)
    is_row = torch.arange(n, device=costs.device) < row_counts[:, None]
    is_column = torch.arange(m, device=costs.device) < column_counts[:, None]
    costs = torch.where(is_row[:, :, None] & is_column[:, None], costs, torch.inf)
    unit = torch.gcd(row_counts, column_counts)[:, None]
    supply, room = is_row * (column_counts[:, None] // unit), is_column * (row_counts[:, None] // unit)
    prices, cheapest = costs.min(1)
    flow = torch.zeros(costs.shape, dtype=torch.int64, device=costs.device)
    for column in range(m):
        row = cheapest[:, column]
        mass = torch.minimum(supply[every, row], room[:, column])
        flow[every, row, column] = mass
        supply[every, row] -= mass
        room[:, column] -= mass
    return _Problems(costs, torch.where(is_column, prices, 0.0), flow, supply, room)


def _search(problems: _Problems) -> _Path:
    """Shortest paths over reduced costs (Dijkstra); keeps the prices such that these stay non-negative."""
    costs, prices = problems.costs, problems.prices
    every = torch.arange(len(costs), device=costs.device)
    root = (problems.supply > 0).int().argmax(1)
    waiting = torch.zeros_like(problems.supply, dtype=torch.bool)
    waiting[every, root] = True
    seen = waiting.clone()
    reach, settled = torch.full_like(prices, torch.inf), torch.zeros_like(prices, dtype=torch.bool)
    before, via = torch.zeros_like(problems.room), torch.zeros_like(problems.supply)
    distance, row_price = prices.new_zeros(len(costs)), costs.new_zeros(problems.supply.shape)
    end = torch.full_like(root, -1)
    while (searching := end < 0).any():
        # Rows that wait are all as far as the column that was settled last.
        row, scans = waiting.int().argmax(1), waiting.any(1) & searching
        waiting[every, row] = False
        through = costs[every, row] - prices + (distance - row_price[every, row])[:, None]
        nearer = (through < reach) & scans[:, None] & ~settled
        reach, before = torch.where(nearer, through, reach), torch.where(nearer, row[:, None], before)
        nearest, column = torch.where(settled, torch.inf, reach).min(1)
        settles = searching & ~waiting.any(1)
        distance = torch.where(settles, nearest, distance)
        free = problems.room[every, column] > 0
        end = torch.where(settles & free, column, end)
        full = settles & ~free
        settled[every, column] |= full
        reached = (problems.flow[every, :, column] > 0) & ~seen & full[:, None]
        waiting |= reached
        seen |= reached
        via = torch.where(reached, column[:, None], via)
        price = costs[every, :, column] - prices[every, column][:, None]
        row_price = torch.where(reached, price, row_price)
    prices += torch.where(settled, reach - distance[:, None], 0.0)
    return _Path(root, end, before, via)


def _augment(problems: _Problems, path: _Path) -> None:
    """Send what fits along each path."""
    every = torch.arange(len(path.root), device=path.root.device)
    mass = torch.minimum(problems.supply[every, path.root], problems.room[every, path.end])
    row, column = path.before[every, path.end], path.end
    while (on_the_way := row != path.root).any():
        column = torch.where(on_the_way, path.via[every, row], column)
        mass = torch.where(on_the_way, torch.minimum(mass, problems.flow[every, row, column]), mass)
        row = torch.where(on_the_way, path.before[every, column], row)
    row, column = path.before[every, path.end], path.end
    problems.flow[every, row, column] += mass
    while (on_the_way := row != path.root).any():
        column = torch.where(on_the_way, path.via[every, row], column)
        moved = torch.where(on_the_way, mass, 0)
        problems.flow[every, row, column] -= moved
        row = torch.where(on_the_way, path.before[every, column], row)
        problems.flow[every, row, column] += moved
    problems.supply[every, path.root] -= mass
    problems.room[every, path.end] -= mass
