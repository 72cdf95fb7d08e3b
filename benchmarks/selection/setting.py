"""What holds for a whole run."""

from dataclasses import dataclass
from typing import Final

from ot3l_core.catalogue import DEFAULT_BACKBONE
from ot3l_core.names import Precision

BACKBONE: Final = DEFAULT_BACKBONE
PRECISION: Final = Precision.FLOAT32
SHARE: Final = 0.8
"""Share of the pool that each seed draws: so that strategies that draw nothing have a spread too."""

SOURCE_SIZE: Final = 4000
"""Samples of the source that the one contender that reads a source measures from."""

FEW, MANY = 450, 1000
"""With the fewer labels, the accuracy of random choice with the more is to be reached."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Sizes of a run; a data set that has less gives what it has.

    Attributes:
        pool: Pictures of each data set to embed for choosing from.
        test: Pictures of each to test on.
        budgets: Labels to spend.
        n_seeds: Each draws its part of the pool, its selection and its training.
        input_size: Side of the network's input in pixels.
    """

    pool: int = 10_000
    test: int = 2_000
    budgets: tuple[int, ...] = (50, 100, 200, FEW, 500, MANY)
    n_seeds: int = 5
    input_size: int = 112

    def budgets_for(self, n_pool: int) -> tuple[int, ...]:
        """The budgets of at most half of what a seed draws: who takes nearly all has nothing to choose."""
        return tuple(budget for budget in self.budgets if budget <= SHARE * n_pool / 2)
