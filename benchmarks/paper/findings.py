"""What came back from the service."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from benchmarks.paper.catalogue import DataSet, Found
from benchmarks.paper.plan import MS, Arm
from ot3l_core.finetune.evaluation import Spread, summarise

Work: TypeAlias = Mapping[str, Any]
"""A piece of work as the service answers it."""

ZERO_SHOT = ("zero_shot_conditional", "zero_shot_nearest")


@dataclass(frozen=True, slots=True)
class Target:
    """One target and its jobs.

    Attributes:
        found: Which data set it is, and where it was.
        dataset: As registered; None where that failed.
        budget: Samples that the strategies were given.
        jobs: The finished ones, by name of their arm.
    """

    found: Found
    dataset: Work | None = None
    budget: int = 0
    jobs: Mapping[str, Work] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What the service calls it."""
        return self.found.data_set.name

    @property
    def title(self) -> str:
        """What tables call it."""
        return self.found.data_set.title

    def values(self, arm: Arm) -> Sequence[float] | None:
        """Accuracy on the test split for each seed, in percent; None without such a job."""
        if arm.name not in self.jobs:
            return None
        return [100 * value for value in self.jobs[arm.name]["result"]["phases"][-1]["accuracy"]["values"]]

    def accuracy(self, arm: Arm) -> Spread | None:
        """Accuracy over the seeds, in percent."""
        values = self.values(arm)
        return None if values is None else summarise(values)

    def difference(self, first: Arm, second: Arm) -> Spread | None:
        """By how many points the first arm lies above the second, paired by the seeds that both ran."""
        ours, theirs = self.values(first), self.values(second)
        if ours is None or theirs is None:
            return None
        # Every arm runs the plan's seeds from the first one on, some of them not all.
        return summarise([one - other for one, other in zip(ours, theirs, strict=False)])

    def zero_shot(self, name: str) -> float | None:
        """Accuracy of a zero-shot map, in percent: the same for every strategy and seed."""
        phases = self.jobs[MS.name]["result"]["phases"] if MS.name in self.jobs else []
        return next((100 * phase["accuracy"]["mean"] for phase in phases if phase["phase"] == name), None)

    @property
    def sizes(self) -> tuple[int, int, int] | None:
        """Classes, pool and test samples that its jobs saw."""
        job = next(iter(self.jobs.values()), None)
        if job is None:
            return None
        result = job["result"]
        return len(result["classes"]), result["n_pool"], result["n_test"]


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that was asked for and did not come back."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything of one run.

    Attributes:
        source: What was measured from, and where it was.
        source_dataset: As registered.
        targets: Those that were found.
        missing: Those that were not.
        distances: All pairs, with the source first; None where that failed.
        heatmaps: The service's drawings of them, by suffix.
        failures: What else did not come back.
        seconds: The whole run.
    """

    source: Found
    source_dataset: Work
    targets: Sequence[Target]
    missing: Sequence[DataSet]
    distances: Work | None
    heatmaps: Mapping[str, bytes]
    failures: Sequence[Failure]
    seconds: float
