"""Selections on the wire, and their manifest."""

from typing import Any

from pydantic import ConfigDict, Field, StrictFloat, StrictInt
from pydantic.config import JsonDict

from app.schemas.distances import ClassDistance
from app.schemas.listing import NEXT
from app.schemas.selecting import Seed, SelectingRequest
from app.schemas.work import ArtifactRead, DatasetName, NameOfDataset, Reply, ReusableSubmission, WorkRead
from ot3l_core.names import PoolLabels, Strategy

SELECTION_EXAMPLE: JsonDict = {"target": "my-photos", "budget": 200}
SELECTION_EXAMPLE_IN_FULL: JsonDict = {
    "target": "my-photos",
    "source": "digits",
    "strategy": "mixed",
    "alpha": 0.5,
    "budget": 200,
    "pool_labels": "clusters",
    "n_classes": 20,
    "input_size": 112,
    "seed": 0,
}

MANIFEST_JSON = "manifest.json"
MANIFEST_CSV = "manifest.csv"


class SelectionCreate(SelectingRequest, ReusableSubmission):
    """What to select from, and how. Only ``target`` must be given; it needs no labels."""

    model_config = ConfigDict(json_schema_extra={"examples": [SELECTION_EXAMPLE, SELECTION_EXAMPLE_IN_FULL]})

    target: DatasetName = Field(description="Name or id of the dataset from whose pool to choose.")
    strategy: Strategy = Field(
        default=Strategy.COVERAGE,
        description="How samples are chosen from the target's pool. coverage reads neither labels nor a source.",
    )
    alpha: StrictFloat = Field(
        default=0.5, ge=0, le=1, description="mixed only: the share taken by set difference; 1 is set_difference."
    )
    seed: Seed = 0
    pool_labels: PoolLabels | None = Field(
        default=None,
        description="What stands for the classes of the pool. given: its labels. clusters, predictions: pseudo-classes "
        "of its features, or of what the backbone takes its images for; labels are not read. "
        "Default: given where there are labels; else clusters where the choice or a source asks for classes.",
    )
    n_classes: StrictInt | None = Field(
        default=None, ge=2, le=10_000, description="How many pseudo-classes. Default: by the size of the pool."
    )


class ManifestSample(Reply):
    """One chosen sample; the columns of manifest.csv."""

    id: str = Field(description="Its name, stable over re-reading.")
    file: str | None = Field(description="Path of its image file inside the dataset, where there is one.")
    reason: str = Field(description="Why it was chosen.", examples=["far"])
    score: float | None = Field(description="What it was ranked by, where the strategy ranks.")
    group: str | None = Field(description="Its class or pseudo-class, where there are any.")
    weight: float | None = Field(description="Share of the pool that it stands for, where the strategy says so.")
    label: str | None = Field(description="Its class, where `pool_labels` is given; else for you to fill in.")


class Manifest(Reply):
    """The samples to label or to train on. Equal images chosen from in an equal way make an equal manifest."""

    strategy: Strategy
    pool_labels: PoolLabels | None
    budget: int
    seed: int
    n_pool: int = Field(description="Samples that were chosen from.")
    pool_digest: str = Field(description="sha256 over their images.")
    shortfall: int = Field(description="How many fewer than the budget, because there were no more to take.")
    samples: list[ManifestSample]


class GroupRead(Reply):
    """A class or pseudo-class of the pool."""

    name: str
    pool: int = Field(description="Samples in it.")
    chosen: int = Field(description="How many of them were chosen.")


class ManifestResult(Reply):
    """What was chosen, in numbers."""

    pool_labels: PoolLabels | None = Field(description="Empty where nothing had to stand for classes.")
    n_pool: int
    n_source: int
    size: int
    shortfall: int = Field(description="How many fewer than the budget, because there were no more to take.")
    groups: list[GroupRead] = Field(description="Empty where there are neither classes nor pseudo-classes.")
    quantisation_error: float | None = Field(
        description="Optimal transport distance (W2) from the pool to the chosen samples, each with its `weight`, in "
        "the space of features that they were chosen in. From coverage and medoids, which look for the samples that "
        "make it small; with medoids no sample stands for one of another class."
    )
    class_distances: list[ClassDistance] = Field(
        description="How far each class or pseudo-class of the pool is; empty without a source."
    )


class SelectionSummary(WorkRead):
    """A selection without its results."""

    target: NameOfDataset
    source: NameOfDataset | None
    request: dict[str, Any] = Field(description="Every setting, defaults filled in.")
    artifacts: list[ArtifactRead]


class SelectionRead(SelectionSummary):
    """A selection."""

    result: ManifestResult | None


class SelectionList(Reply):
    """Selections, in the order that was asked for."""

    items: list[SelectionSummary]
    next: str | None = Field(description=NEXT)
