"""Who chooses: the strategies of the product, and what was tried beside them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from benchmarks.selection import candidates
from benchmarks.selection.candidates import Begin, Choose
from benchmarks.selection.embedding import Drawn
from ot3l_core.names import Strategy
from ot3l_core.selection import SelectionSettings, select


@dataclass(frozen=True, slots=True)
class Contender:
    """A way to choose.

    Attributes:
        name: What results call it.
        reads_labels: Whether it reads labels of the whole pool, and not only of what it chooses.
        begin: Given what a seed drew, the seed and the largest budget: the places chosen, by budget.
        most: The largest budget it can afford; None for any.
        needs_source: Whether it measures distances to a source.
        tried: Whether it is no strategy of the product.
    """

    name: str
    reads_labels: bool
    begin: Begin
    most: int | None = None
    needs_source: bool = False
    tried: bool = True


def _strategy(strategy: Strategy) -> Contender:
    return Contender(strategy.value, strategy.needs_labels, partial(_begin, strategy), tried=False)


def _begin(strategy: Strategy, drawn: Drawn, seed: int, _: int) -> Choose:
    def choose(budget: int) -> Tensor:
        return select(drawn.pool, settings=SelectionSettings(strategy=strategy, budget=budget), seed=seed).indices

    return choose


UNIFORM, STRATIFIED, COVERAGE, MEDOIDS, FITTED = (
    _strategy(strategy)
    for strategy in (Strategy.UNIFORM, Strategy.STRATIFIED, Strategy.COVERAGE, Strategy.MEDOIDS, Strategy.FITTED)
)
BALANCED = Contender("balanced_ot", reads_labels=True, begin=candidates.balanced)
CONTENDERS: Mapping[str, Contender] = {
    contender.name: contender
    for contender in (
        UNIFORM,
        STRATIFIED,
        COVERAGE,
        MEDOIDS,
        FITTED,
        BALANCED,
        Contender("medoids_far", reads_labels=True, begin=candidates.far_medoids, needs_source=True),
        Contender("medoids_hard", reads_labels=True, begin=candidates.hard_medoids),
        Contender("medoids_dense", reads_labels=True, begin=candidates.dense_medoids),
        Contender("k_centre", reads_labels=False, begin=candidates.k_centre),
        Contender("facility_location", reads_labels=False, begin=candidates.facility_location, most=200),
    )
}
