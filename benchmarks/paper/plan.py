"""What is asked of the service: settings, presets and the bodies of requests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ot3l_core.catalogue import DEFAULT_BACKBONE
from ot3l_core.names import Precision, Strategy

_MOST_MEASURED = 10_000


@dataclass(frozen=True, slots=True)
class Arm:
    """One job that every target gets.

    Attributes:
        name: What the results call it.
        title: What tables call it.
        strategy: How it chooses its samples.
        tunes: Whether layers below the head are trained too.
    """

    name: str
    title: str
    strategy: Strategy
    tunes: bool = False


SD = Arm("set_difference", "SD", Strategy.SET_DIFFERENCE)
RS = Arm("random_selection", "RS", Strategy.RANDOM_SELECTION)
MS = Arm("mixed", "MS", Strategy.MIXED)
UNIFORM = Arm("uniform", "uniform", Strategy.UNIFORM)
STRATIFIED = Arm("stratified", "stratified", Strategy.STRATIFIED)
EXTENDED_HEAD = Arm("extended_head", "extended, head", Strategy.EXTENDED)
EXTENDED = Arm("extended", "extended, fine-tuned", Strategy.EXTENDED, tunes=True)
SELECTIONS = (SD, RS, MS, UNIFORM, STRATIFIED)
COMPARISONS = ((MS, SD), (SD, RS), (MS, RS), (MS, UNIFORM))
"""Pairs whose differences are reported."""


@dataclass(frozen=True, slots=True)
class FineTuning:
    """How far extended fine-tuning goes.

    Attributes:
        blocks: The backbone's last ones that learn; None for all.
        epochs: Passes over the pool.
        n_seeds: How many of the plan's seeds: it costs as much as everything else together.
    """

    blocks: int | None
    epochs: int
    n_seeds: int


@dataclass(frozen=True, slots=True)
class Plan:
    """The settings of all experiments. A size of None is all there is.

    Attributes:
        seeds: One selection and one training of every job for each.
        budget: Samples to select; half of the pool where that is less.
        pool_size: Samples of each target to select from.
        test_size: Samples of each target to evaluate on.
        source_size: Samples of the source to measure from.
        fine_tuning: None leaves the extended fine-tuning out.
        input_size: Side of the network's input in pixels; None is the backbone's own.
        backbone: The network.
        precision: Arithmetic of its forward pass.
        alpha: Share of set difference in the mix.
        class_fraction: Share of the classes that count as far, and as near.
    """

    seeds: tuple[int, ...]
    budget: int
    pool_size: int | None
    test_size: int | None
    source_size: int | None
    fine_tuning: FineTuning | None
    input_size: int | None = None
    backbone: str = DEFAULT_BACKBONE
    precision: Precision = Precision.FLOAT32
    alpha: float = 0.5
    class_fraction: float = 0.8

    @property
    def arms(self) -> tuple[Arm, ...]:
        """The jobs of every target."""
        return (*SELECTIONS, EXTENDED_HEAD, *((EXTENDED,) if self.fine_tuning else ()))


PRESETS: Mapping[str, Plan] = {
    "quick": Plan(
        seeds=(0, 1, 2),
        budget=1000,
        pool_size=2000,
        test_size=1000,
        source_size=10_000,
        fine_tuning=FineTuning(blocks=None, epochs=2, n_seeds=1),
        input_size=112,
    ),
    "full": Plan(
        seeds=(0, 1, 2, 3, 4),
        budget=1000,
        pool_size=None,
        test_size=None,
        source_size=50_000,
        fine_tuning=FineTuning(blocks=None, epochs=10, n_seeds=3),
    ),
}


def job_body(plan: Plan, arm: Arm, *, source: str, target: str, budget: int) -> dict[str, Any]:
    """The body of ``POST /jobs``.

    Only a strategy that measures names the source: the others would measure for nothing.
    """
    body = _features(plan) | {
        "target": target,
        "strategy": arm.strategy,
        "alpha": plan.alpha,
        "budget": budget,
        "class_fraction": plan.class_fraction,
        "seeds": plan.seeds,
        "pool_size": plan.pool_size,
        "test_size": plan.test_size,
    }
    if arm.strategy.needs_scores:
        body |= {"source": source, "source_size": plan.source_size}
    if arm.tunes and plan.fine_tuning:
        body["seeds"] = plan.seeds[: plan.fine_tuning.n_seeds]
        body["fine_tune"] = {"blocks": plan.fine_tuning.blocks, "epochs": plan.fine_tuning.epochs}
    return body


def distance_body(plan: Plan, datasets: Sequence[str], *, n_classes: int) -> dict[str, Any]:
    """The body of ``POST /distances``.

    It measures the samples that jobs select from, whose features are there already; ``n_classes`` is how many classes
    the dataset with the most has, and each of them needs a sample.
    """
    n_samples = min(plan.pool_size or _MOST_MEASURED, _MOST_MEASURED)
    return _features(plan) | {"datasets": datasets, "max_samples": max(n_samples, n_classes)}


def budget_for(plan: Plan, n_pool: int) -> int:
    """At most half of what there is to select from: a strategy that takes all has nothing to choose."""
    return min(plan.budget, min(plan.pool_size or n_pool, n_pool) // 2)


def _features(plan: Plan) -> dict[str, Any]:
    return {"backbone": plan.backbone, "input_size": plan.input_size, "precision": plan.precision}
