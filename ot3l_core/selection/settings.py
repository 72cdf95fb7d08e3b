"""What to choose, how many and by which score."""

from dataclasses import dataclass

from ot3l_core.errors import InvalidSettingError
from ot3l_core.names import ClassScore, Strategy, Unit


@dataclass(frozen=True, slots=True)
class SelectionSettings:
    """How the samples to train on are chosen.

    Attributes:
        strategy: Far samples, near ones, a mix, or a baseline that reads no distance.
        alpha: Share of far samples in the mix, in [0, 1]; ``mixed`` only.
        budget: Samples to choose, at least 1; ``extended`` takes all there are.
        class_fraction: Share of the classes that counts as far, and as near, in (0, 1].
        unit: Whether classes or single samples are far or near.
        class_score: How a class's distances to the source's classes become its score.

    Raises:
        InvalidSettingError: If a number is outside its domain.
    """

    strategy: Strategy = Strategy.MIXED
    alpha: float = 0.5
    budget: int = 1000
    class_fraction: float = 0.8
    unit: Unit = Unit.CLASS
    class_score: ClassScore = ClassScore.MEAN

    @property
    def needs_sample_scores(self) -> bool:
        """Whether single samples are ranked by their distance."""
        return self.strategy.needs_scores and self.unit is Unit.SAMPLE

    def __post_init__(self) -> None:
        if not 0 <= self.alpha <= 1:
            raise InvalidSettingError(f"alpha must lie in [0, 1]: got {self.alpha}", field="alpha")
        if self.budget < 1:
            raise InvalidSettingError(f"budget must be at least 1: got {self.budget}", field="budget")
        if not 0 < self.class_fraction <= 1:
            raise InvalidSettingError(
                f"class_fraction must lie above 0 and at most at 1: got {self.class_fraction}", field="class_fraction"
            )
