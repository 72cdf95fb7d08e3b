"""What a run found, by data set, contender and budget."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TypeAlias

from benchmarks.selection.cells import Cell
from benchmarks.selection.contenders import UNIFORM, Contender
from benchmarks.selection.subjects import Subject
from ot3l_core.finetune.evaluation import Spread, summarise

Arm: TypeAlias = tuple[Contender, int]
"""A contender with a budget."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One data set and what was measured on it.

    Attributes:
        subject: Which.
        n_classes: Its classes.
        n_pool: Pictures that seeds draw from.
        n_test: Pictures to test on.
        budgets: Those that it is large enough for, ascending.
        cells: All that is known of it, by contender's name, budget and seed.
    """

    subject: Subject
    n_classes: int
    n_pool: int
    n_test: int
    budgets: tuple[int, ...]
    cells: Mapping[tuple[str, int, int], Cell]

    def has(self, *arms: Arm) -> bool:
        """Whether all of these ran."""
        ran = {(name, budget) for name, budget, _ in self.cells}
        return all((contender.name, budget) in ran for contender, budget in arms)

    def values(self, arm: Arm) -> list[float]:
        """Accuracy for each seed, in percent, ascending by seed."""
        return [cell.accuracy for cell in self._cells(arm)]

    def accuracy(self, arm: Arm) -> Spread:
        """Accuracy over the seeds, in percent."""
        return summarise(self.values(arm))

    def distance(self, arm: Arm) -> float:
        """W2 from the drawn pool to the selection, mean over the seeds."""
        return fmean(cell.distance for cell in self._cells(arm))

    def gains(self, arm: Arm, over: Arm) -> list[float]:
        """By how many points one arm lies above another, for each seed: both saw the same draw of the pool."""
        return [one - other for one, other in zip(self.values(arm), self.values(over), strict=True)]

    def _cells(self, arm: Arm) -> list[Cell]:
        contender, budget = arm
        keys = sorted(key for key in self.cells if key[:2] == (contender.name, budget))
        return [self.cells[key] for key in keys]


def uniform_at(budget: int) -> Arm:
    """Random choice, which everything is measured against."""
    return UNIFORM, budget


def mean_gain(measured: Sequence[Measured], arm: Arm, over: Arm) -> Spread | None:
    """The gain in points, averaged over the data sets that ran both, then mean and interval over the seeds."""
    rows = [one.gains(arm, over) for one in measured if one.has(arm, over)]
    return summarise([fmean(column) for column in zip(*rows, strict=True)]) if rows else None


def wins(measured: Sequence[Measured], arm: Arm, over: Arm) -> tuple[int, int]:
    """In how many of the seeds of all data sets the first lies above the second, and how many there are."""
    gains = [gain for one in measured if one.has(arm, over) for gain in one.gains(arm, over)]
    return sum(gain > 0 for gain in gains), len(gains)
