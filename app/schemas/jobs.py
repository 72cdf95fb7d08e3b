"""Jobs on the wire."""

from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias
from uuid import UUID

from pydantic import (
    AfterValidator,
    ConfigDict,
    Discriminator,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    Tag,
    ValidationInfo,
    field_validator,
)
from pydantic.config import JsonDict

from app.schemas.distances import ClassDistance
from app.schemas.listing import NEXT
from app.schemas.mlflow import MlflowCreate, MlflowRun
from app.schemas.selecting import Seed, SelectingRequest
from app.schemas.work import (
    ArtifactRead,
    DatasetName,
    Described,
    Description,
    DescriptionPatch,
    NameOfDataset,
    Reply,
    Request,
    ReusableSubmission,
    Share,
    Title,
    WorkRead,
)
from ot3l_core.names import ExportFormat, Precision, Strategy

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

JOB_EXAMPLE_FROM_A_SELECTION: JsonDict = {
    "target": "my-photos",
    "selection": "01890a5d-ac96-774b-bcce-b302099a8057",
    "labels": {"0001.jpg": "ant", "0007.jpg": "bee"},
    "test": "my-flowers",
}
JOB_EXAMPLE_OF_ALL: JsonDict = {
    "target": "my-flowers",
    "source": "digits",
    "strategy": "mixed",
    "alpha": "auto",
    "fine_tune": {"blocks": 2, "epochs": 10, "flip": True},
    "exports": ["onnx", "program", "hub"],
}

FINE_TUNED = "+fine_tuned"
"""Ends the name of the phase that tells how the fine-tuned networks do."""
AUTO: Final = "auto"
AUTO_ALPHAS = (0.0, 0.25, 0.5, 0.75, 1.0)
NO_ALPHA = "no_alpha"
"""Type of the validation error of an alpha that is no number, no list and no ``auto``."""


def _distinct(alphas: tuple[float, ...]) -> tuple[float, ...]:
    if len(set(alphas)) != len(alphas):
        raise ValueError("every alpha may be given once")
    return alphas


def _alpha_tag(alpha: object) -> str | None:
    """Which kind of alpha this is meant to be."""
    match alpha:
        case str():
            return AUTO if alpha == AUTO else None
        case int() | float():
            return "one"
        case list() | tuple():
            return "several"
        case _:
            return None


ALPHA_TAGS = ("one", "several", AUTO)
Alpha: TypeAlias = Annotated[
    Annotated[Share, Tag("one")]
    | Annotated[tuple[Share, ...], Field(min_length=2, max_length=21), AfterValidator(_distinct), Tag("several")]
    | Annotated[Literal["auto"], Tag(AUTO)],
    Discriminator(
        _alpha_tag,
        custom_error_type=NO_ALPHA,
        custom_error_message="must be a number in [0, 1], a list of 2 to 21 of them, or 'auto'",
    ),
]


class TrainingCreate(Request):
    """How the last two dense layers are trained."""

    hidden: StrictInt = Field(default=512, ge=1, le=8192, description="Width of a new penultimate layer.")
    epochs: StrictInt = Field(default=40, ge=1, le=1000)
    batch_size: StrictInt | None = Field(
        default=None, ge=1, le=8192, description="Default: a sixteenth of the training samples, from 4 to 64."
    )
    learning_rate: StrictFloat = Field(default=3e-4, gt=0, le=1)
    weight_decay: StrictFloat = Field(default=1e-4, ge=0, le=1)
    validation_fraction: StrictFloat = Field(
        default=0.1,
        ge=0,
        le=0.5,
        description="Share of the selected samples that chooses the best epoch. Where it would be fewer than 50 "
        "samples, or fewer than the classes, nothing is held out and the last epoch is taken.",
    )
    patience: StrictInt = Field(default=5, ge=1, description="Epochs without improvement before stopping.")


class FineTuneCreate(Request):
    """How the backbone's last blocks and the trained head are tuned together, on pictures that vary a little."""

    blocks: StrictInt | None = Field(
        default=None, ge=1, description="How many of the backbone's last blocks learn. Default: the whole backbone."
    )
    epochs: StrictInt = Field(default=10, ge=1, le=1000)
    batch_size: StrictInt = Field(default=32, ge=1, le=8192)
    learning_rate: StrictFloat = Field(default=3e-4, gt=0, le=1, description="Of the head.")
    backbone_learning_rate: StrictFloat = Field(default=1e-4, gt=0, le=1)
    weight_decay: StrictFloat = Field(default=1e-4, ge=0, le=1)
    warmup_fraction: StrictFloat = Field(
        default=0.1, ge=0, lt=1, description="Share of the steps in which the rates rise."
    )
    label_smoothing: StrictFloat = Field(default=0.0, ge=0, lt=1)
    crop_scale: StrictFloat = Field(
        default=0.5, gt=0, le=1, description="Least share of a picture that a random crop keeps; at 1 none is cropped."
    )
    flip: StrictBool = Field(
        default=False, description="Mirror half of the pictures. Digits and letters do not survive that."
    )
    colour_jitter: StrictFloat = Field(
        default=0.0, ge=0, lt=1, description="How far brightness, contrast and saturation are varied."
    )
    validation_fraction: StrictFloat = Field(
        default=0.1, ge=0, le=0.5, description="As in `training`: with an equal share both hold out the same samples."
    )
    patience: StrictInt = Field(default=5, ge=1, description="Epochs without improvement before stopping.")
    precision: Precision = Field(default=Precision.FLOAT32, description="Arithmetic of the backbone while it learns.")


class JobCreate(SelectingRequest, ReusableSubmission, Description):
    """What to fine-tune on, and how the samples are chosen. Only ``target`` must be given."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [JOB_EXAMPLE, JOB_EXAMPLE_IN_FULL, JOB_EXAMPLE_FROM_A_SELECTION, JOB_EXAMPLE_OF_ALL]
        }
    )

    # What came with the labels is in a table of its own: a list does not read it.
    unstored: ClassVar = ReusableSubmission.unstored | {"name", "labels", "labels_csv"}

    name: Title | None = Field(default=None, description="What to call it; need not be unique.", examples=["trial 7"])
    alpha: Alpha = Field(
        default=0.5,
        description="mixed only: the share taken by set difference; 1 is set_difference. Of several, or of 0, 0.25, "
        "0.5, 0.75 and 1 for `auto`, the one that does best on validation samples is taken.",
    )
    target: DatasetName = Field(description="Name or id of the dataset to learn.")
    selection: UUID | None = Field(
        default=None,
        description="Train on the samples of this selection; how they were chosen may then not be given again.",
    )
    labels: dict[str, str] | None = Field(
        default=None,
        description="Class of each labelled sample of the selection, by its id. Samples without one are left out. "
        "Default: the labels of the target.",
    )
    labels_csv: str | None = Field(
        default=None, description="The same as the text of manifest.csv with its column `label` filled in."
    )
    test: DatasetName | None = Field(
        default=None,
        description="With a selection: the dataset to evaluate on, by its test split, or its pool where it has none. "
        "Default: the target.",
    )
    seeds: tuple[Seed, ...] = Field(
        default=(0, 1, 2),
        min_length=1,
        max_length=20,
        description="One selection and one training for each; with a selection that is given, one training.",
    )
    test_size: StrictInt | None = Field(default=None, ge=1, description="Evaluate on this many of the test samples.")
    training: TrainingCreate = TrainingCreate()
    fine_tune: FineTuneCreate | None = Field(
        default=None, description="Train layers of the backbone too, after the head. Default: the head alone."
    )
    exports: tuple[ExportFormat, ...] = Field(
        default=(), max_length=10, description="Other forms of the network; `hub`: a folder for the Hugging Face hub."
    )
    mlflow: MlflowCreate | None = Field(
        default=None, description="Tell MLflow how it goes, where the operator has named a server; changes no result."
    )

    @property
    def columns(self) -> dict[str, Any]:
        """As the records have it."""
        return super().columns | {"name": self.name}

    @property
    def alphas(self) -> tuple[float, ...]:
        """What to choose among; nothing where alpha is given."""
        match self.alpha:
            case float():
                return ()
            case "auto":
                return AUTO_ALPHAS
            case several:
                return several

    @field_validator("alpha")
    @classmethod
    def _mixes(cls, alpha: Alpha, info: ValidationInfo) -> Alpha:
        if not isinstance(alpha, float) and info.data.get("strategy", Strategy.MIXED) is not Strategy.MIXED:
            raise ValueError("several are for the strategy 'mixed', which alone reads alpha: give one, or none")
        return alpha

    @field_validator("exports")
    @classmethod
    def _once(cls, exports: tuple[ExportFormat, ...]) -> tuple[ExportFormat, ...]:
        return tuple(dict.fromkeys(exports))

    @field_validator("seeds")
    @classmethod
    def _seeds_differ(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) != len(seeds):
            raise ValueError("every seed may be given once: two equal seeds would be one run counted twice")
        return seeds


class JobPatch(DescriptionPatch):
    """What to change of a job's description."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "trial 7", "metadata": {"ticket": None}}]})

    name: Title | None = None


class Spread(Reply):
    """A figure over the seeds."""

    mean: float
    std: float | None = Field(description="Standard deviation over the seeds; empty for one seed.")
    interval: float | None = Field(description="Half-width of the 95% t interval of the mean; empty for one seed.")
    values: list[float] = Field(description="One for each seed, in the order of `seeds`.")


class ReliabilityBinRead(Reply):
    """Test samples of about the same confidence."""

    count: int = Field(description="How many; summed over seeds.")
    confidence: float | None = Field(description="Their mean confidence; empty where there are none.")
    accuracy: float | None = Field(description="Share of them that is right; equal to the confidence where calibrated.")


class PhaseResult(Reply):
    """One row of the report: how well one way of classifying the test split does."""

    phase: str = Field(examples=["zero_shot_conditional", "zero_shot_nearest", "mixed", "mixed+fine_tuned"])
    accuracy: Spread
    macro_f1: Spread
    calibration_error: Spread = Field(description="Gap between confidence and accuracy over the bins of reliability.")
    # What has a default here and below is missing from results of earlier versions.
    log_loss: Spread | None = Field(
        default=None, description="Mean negative log-likelihood of the true classes, in nats."
    )
    brier_loss: Spread | None = Field(
        default=None, description="Mean squared distance from the probabilities to the truth, in [0, 2]."
    )
    reliability: list[ReliabilityBinRead] = Field(
        default=[],
        description="15 bins of equal width, from the least confidence to the greatest; over all seeds together.",
    )
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
    validation_accuracy: list[float] = Field(default=[], description="Empty where nothing was held out.")
    temperature: float = Field(
        default=1.0,
        description="What calibrated the logits: fitted to what was held out, and part of the weights; 1 without.",
    )


class TuningResult(Reply):
    """How the extended fine-tuning of one seed went; the lists begin before the first epoch."""

    seed: int
    blocks: int | None = Field(description="How many of the backbone's last blocks learned; empty for all.")
    n_epochs: int
    best_epoch: int = Field(description="Whose weights were taken; 0 where no epoch was better than the start.")
    train_loss: list[float] = Field(description="On pictures that vary, but for the first.")
    validation_loss: list[float] = Field(description="Empty where nothing was held out.")
    validation_accuracy: list[float] = Field(description="Empty where nothing was held out.")


class AlphaPointRead(Reply):
    """One mixing coefficient."""

    alpha: float
    validation_accuracy: Spread = Field(description="On samples that none of a seed's heads was trained on.")
    test_accuracy: Spread = Field(description="Of the same heads; it has no say in the choice.")


class AlphaSweepRead(Reply):
    """How alpha was chosen."""

    points: list[AlphaPointRead] = Field(description="By alpha, ascending.")
    chosen: float = Field(description="The highest mean validation accuracy; of equals the lowest log loss.")
    n_labels: int = Field(description="Labelled samples that the choice took: those of all alphas together.")


class SelectionResult(Reply):
    """What was selected."""

    size: int
    shortfall: int = Field(description="How many fewer than the budget, because there were no more to take.")
    per_class: list[int] = Field(description="Mean over seeds, rounded; in the order of `classes`.")
    n_unlabelled: int = Field(default=0, description="Samples of a given selection that got no label: left out.")


class CheckpointRead(Reply):
    """Which run's weights the checkpoint holds: those with the best validation, never the best test."""

    seed: int
    accuracy: float = Field(description="Accuracy of exactly these weights on the test split.")
    n_correct: int
    n_test: int
    temperature: float = Field(default=1.0, description="What its logits are divided by, as part of the weights.")


class JobResult(Reply):
    """Everything that was measured."""

    classes: list[str]
    phases: list[PhaseResult] = Field(
        description="Zero-shot, the strategy under its name and, where it was asked for, `<strategy>+fine_tuned` last."
    )
    alpha_sweep: AlphaSweepRead | None = Field(default=None, description="Only where there were several alphas.")
    selection: SelectionResult
    training: list[TrainingResult]
    tuning: list[TuningResult] = Field(default=[], description="Empty without `fine_tune`.")
    checkpoint: CheckpointRead
    class_distances: list[ClassDistance] = Field(description="How far each target class is; empty without a source.")
    n_pool: int
    n_test: int
    n_source: int
    mlflow: MlflowRun | None = Field(default=None, description="Where it was told, if it was asked for and could be.")


class JobSummary(WorkRead, Described):
    """A job without its results."""

    name: str | None
    target: NameOfDataset
    source: NameOfDataset | None
    strategy: Strategy
    alpha: float | None = Field(description="Empty while it is to be chosen among several.")
    request: dict[str, Any] = Field(description="Every setting, defaults filled in.")
    artifacts: list[ArtifactRead]


class JobRead(JobSummary):
    """A job."""

    result: JobResult | None


class JobList(Reply):
    """Jobs, in the order that was asked for."""

    items: list[JobSummary]
    next: str | None = Field(description=NEXT)
