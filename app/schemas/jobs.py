"""Jobs on the wire."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import ConfigDict, Field, field_validator
from pydantic.config import JsonDict

from app.schemas.distances import ClassDistance
from app.schemas.features import FeatureRequest
from app.schemas.work import ArtifactRead, DatasetName, Reply, Request, WorkRead
from ot3l_core.names import ClassScore, LabelDistanceMethod, Strategy, Unit

JOB_EXAMPLE: JsonDict = {"target": "mnist-5k", "strategy": "mixed", "alpha": 0.5}
JOB_EXAMPLE_IN_FULL: JsonDict = {
    "target": "mnist-5k",
    "source": "digits",
    "strategy": "mixed",
    "alpha": 0.5,
    "budget": 500,
    "input_size": 112,
    "seeds": [0, 1, 2],
    "training": {"epochs": 40},
}

Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]


class TrainingCreate(Request):
    """How the last two dense layers are trained."""

    hidden: int = Field(default=512, ge=1, le=8192, description="Width of a new penultimate layer.")
    epochs: int = Field(default=40, ge=1, le=1000)
    batch_size: int = Field(default=64, ge=1, le=8192)
    learning_rate: float = Field(default=3e-4, gt=0, le=1)
    weight_decay: float = Field(default=1e-4, ge=0, le=1)
    validation_fraction: float = Field(
        default=0.1,
        ge=0,
        le=0.5,
        description="Share of the selected samples that chooses the best epoch. Where it would be fewer than 50 "
        "samples, or fewer than the classes, nothing is held out and the last epoch is taken.",
    )
    patience: int = Field(default=10, ge=1, description="Epochs without improvement before stopping.")


class JobCreate(FeatureRequest):
    """What to fine-tune on, and how the samples are chosen. Only ``target`` must be given."""

    model_config = ConfigDict(json_schema_extra={"examples": [JOB_EXAMPLE, JOB_EXAMPLE_IN_FULL]})

    target: DatasetName = Field(description="Name or id of the dataset to learn.")
    strategy: Strategy = Field(default=Strategy.MIXED, description="How samples are chosen from the target's pool.")
    alpha: float = Field(
        default=0.5, ge=0, le=1, description="mixed only: the share taken by set difference; 1 is set_difference."
    )
    source: DatasetName | None = Field(
        default=None, description="Name or id of the dataset to measure from. Default: the service's default source."
    )
    budget: int = Field(default=1000, ge=2, le=10_000_000, description="Samples to train on; at most the pool.")
    class_fraction: float = Field(
        default=0.8, gt=0, le=1, description="Share of the target classes that counts as farthest, or nearest."
    )
    unit: Unit = Field(default=Unit.CLASS, description="Rank whole classes, or single samples.")
    class_score: ClassScore = Field(default=ClassScore.MEAN, description="How far a target class is, as one number.")
    label_distance: LabelDistanceMethod = Field(
        default=LabelDistanceMethod.GAUSSIAN, description="Distance between the features of two classes."
    )
    seeds: tuple[Seed, ...] = Field(
        default=(0, 1, 2), min_length=1, max_length=20, description="One selection and one training for each."
    )
    pool_size: int | None = Field(default=None, ge=2, description="Select from this many of the pool's samples.")
    test_size: int | None = Field(default=None, ge=1, description="Evaluate on this many of the test samples.")
    source_size: int | None = Field(default=None, ge=2, description="Measure from this many of the source's samples.")
    training: TrainingCreate = TrainingCreate()

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) != len(seeds):
            raise ValueError("every seed may be given once: two equal seeds would be one run counted twice")
        return seeds


class Spread(Reply):
    """A figure over the seeds."""

    mean: float
    std: float | None = Field(description="Standard deviation over the seeds; empty for one seed.")
    interval: float | None = Field(description="Half-width of the 95% t interval of the mean; empty for one seed.")
    values: list[float] = Field(description="One for each seed, in the order of `seeds`.")


class PhaseResult(Reply):
    """One row of the report: how well one way of classifying the test split does."""

    phase: str = Field(examples=["zero_shot_conditional", "zero_shot_nearest", "mixed"])
    accuracy: Spread
    macro_f1: Spread
    calibration_error: Spread
    per_class_recall: list[float | None] = Field(description="Mean over seeds; empty where the test has no sample.")
    confusion: list[list[int]] = Field(description="Row: true class. Column: predicted class. Summed over seeds.")


class TrainingResult(Reply):
    """How the training of one seed went."""

    seed: int
    n_selected: int
    n_epochs: int
    best_epoch: int
    train_loss: list[float]
    validation_loss: list[float] = Field(description="Empty where nothing was held out.")


class SelectionResult(Reply):
    """What was selected."""

    size: int
    shortfall: int = Field(description="How many fewer than the budget, because there were no more to take.")
    per_class: list[int] = Field(description="Mean over seeds, rounded; in the order of `classes`.")


class CheckpointRead(Reply):
    """Which run's weights the checkpoint holds: those with the best validation, never the best test."""

    seed: int
    accuracy: float = Field(description="Accuracy of exactly these weights on the test split.")
    n_correct: int
    n_test: int


class JobResult(Reply):
    """Everything that was measured."""

    classes: list[str]
    phases: list[PhaseResult]
    selection: SelectionResult
    training: list[TrainingResult]
    checkpoint: CheckpointRead
    class_distances: list[ClassDistance] = Field(description="How far each target class is; empty without a source.")
    n_pool: int
    n_test: int
    n_source: int


class JobSummary(WorkRead):
    """A job without its results."""

    target: str
    source: str | None
    strategy: Strategy
    alpha: float
    request: dict[str, Any] = Field(description="Every setting, defaults filled in.")
    artifacts: list[ArtifactRead]

    @field_validator("source", "target", mode="before")
    @classmethod
    def _name(cls, dataset: object) -> object:
        return getattr(dataset, "name", dataset)


class JobRead(JobSummary):
    """A job."""

    result: JobResult | None


class JobList(Reply):
    """Jobs, newest first."""

    items: list[JobSummary]
    next: UUID | None = Field(description="Pass as `before` for the next page; empty on the last.")
