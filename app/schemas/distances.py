"""Distances on the wire."""

from typing import Any
from uuid import UUID

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from app.schemas.features import FeatureRequest
from app.schemas.work import DatasetName, NamesDatasets, Reply, WorkRead
from ot3l_core.names import ClassScore, LabelDistanceMethod, TransportMethod

DISTANCE_EXAMPLE: JsonDict = {"source": "digits", "target": "mnist-5k", "input_size": 112, "max_samples": 1500}


class DistanceCreate(FeatureRequest):
    """Which datasets to measure, and how."""

    model_config = ConfigDict(json_schema_extra={"examples": [DISTANCE_EXAMPLE]})

    source: DatasetName = Field(description="Name or id of the dataset to measure from.")
    target: DatasetName = Field(description="Name or id of the dataset to measure to.")
    method: LabelDistanceMethod = Field(
        default=LabelDistanceMethod.GAUSSIAN, description="Distance between the features of two classes."
    )
    transport: TransportMethod = Field(
        default=TransportMethod.SINKHORN, description="How the transport between the two datasets is solved."
    )
    class_score: ClassScore = Field(default=ClassScore.MEAN, description="How far a target class is, as one number.")
    max_samples: int = Field(default=2000, ge=10, le=50_000, description="Samples of each dataset, drawn by class.")
    seed: int = Field(default=0, ge=0, le=2**31 - 1)


class ClassDistance(Reply):
    """How far one target class lies."""

    name: str
    score: float = Field(description="Higher is farther from the source.")
    nearest_source: str = Field(description="The closest source class.")
    nearest_distance: float


class CertifiedDistance(Reply):
    """The optimal transport distance between two labelled datasets, without geomloss' factor 1/2."""

    value: float
    lower: float = Field(description="No transport costs less: from dual potentials.")
    upper: float = Field(description="This transport exists: from a rounded plan.")
    gap_percent: float
    converged: bool
    n_iterations: int
    spread: float | None = Field(description="Standard deviation over the batches; only for minibatch.")


class RankStabilityRead(Reply):
    """Whether another draw of samples would rank the classes alike."""

    mean: float = Field(description="Mean Spearman correlation between the rankings of bootstrap resamples.")
    spread: float = Field(description="Its standard deviation over the pairs of resamples.")
    n_resamples: int


class DistanceResult(Reply):
    """Everything that was measured."""

    dataset_distance: CertifiedDistance
    source_classes: list[str]
    target_classes: list[str]
    label_distances: list[list[float]] = Field(description="Row: source class. Column: target class. Feature units.")
    classes: list[ClassDistance] = Field(description="Target classes, in the order of target_classes.")
    rank_stability: RankStabilityRead | None
    n_source: int
    n_target: int


class DistanceSummary(NamesDatasets, WorkRead):
    """A distance without its matrices."""

    source: str
    target: str
    request: dict[str, Any] = Field(description="Every setting, defaults filled in.")


class DistanceRead(DistanceSummary):
    """A distance."""

    result: DistanceResult | None


class DistanceList(Reply):
    """Distances, newest first."""

    items: list[DistanceSummary]
    next: UUID | None = Field(description="Pass as `before` for the next page; empty on the last.")
