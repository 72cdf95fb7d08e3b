"""Distances on the wire."""

from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import ConfigDict, Discriminator, Field, StrictBool, StrictInt, Tag, computed_field, field_validator
from pydantic.config import JsonDict

from app.schemas.features import FeatureRequest
from app.schemas.listing import NEXT
from app.schemas.work import ArtifactRead, DatasetName, NameOfDataset, Reply, ReusableSubmission, Share, WorkRead
from ot3l_core.names import ClassScore, LabelDistanceMethod, TransportMethod

PAIR_EXAMPLE: JsonDict = {"source": "digits", "target": "mnist-5k", "input_size": 112, "max_samples": 1500}
MATRIX_EXAMPLE: JsonDict = {"datasets": ["digits", "mnist-5k", "my-flowers"], "input_size": 112, "max_samples": 1500}

NEITHER_PAIR_NOR_LIST = "neither_pair_nor_list"
"""Type of the validation error of a body that names no datasets, or names them in both ways."""


class DistanceKind(StrEnum):
    """What is measured: one pair, or all pairs of a list."""

    PAIR = "pair"
    MATRIX = "matrix"


class DistanceCreateBase(FeatureRequest, ReusableSubmission):
    """How to measure."""

    reuse: StrictBool = Field(default=True, description=ReusableSubmission.model_fields["reuse"].description)
    method: LabelDistanceMethod = Field(
        default=LabelDistanceMethod.GAUSSIAN, description="Distance between the features of two classes."
    )
    transport: TransportMethod = Field(
        default=TransportMethod.SINKHORN, description="How the transport between two datasets is solved."
    )
    max_samples: StrictInt = Field(
        default=2000, ge=10, le=50_000, description="Samples of each dataset, drawn by class."
    )
    seed: StrictInt = Field(default=0, ge=0, le=2**31 - 1)


class PairDistanceCreate(DistanceCreateBase):
    """From which dataset to which other to measure, and how."""

    model_config = ConfigDict(json_schema_extra={"examples": [PAIR_EXAMPLE]})
    kind: ClassVar = DistanceKind.PAIR

    source: DatasetName = Field(description="Name or id of the dataset to measure from.")
    target: DatasetName = Field(description="Name or id of the dataset to measure to.")
    class_score: ClassScore = Field(default=ClassScore.MEAN, description="How far a target class is, as one number.")


class MatrixDistanceCreate(DistanceCreateBase):
    """Between which datasets to measure all distances, and how."""

    model_config = ConfigDict(json_schema_extra={"examples": [MATRIX_EXAMPLE]})
    kind: ClassVar = DistanceKind.MATRIX

    datasets: tuple[DatasetName, ...] = Field(
        min_length=2,
        max_length=50,
        description="Names or ids, each dataset once. With scaling `unit` the first one's statistics standardise all, "
        "so that the first row is what requests for pairs with it as the source give.",
    )


def _tag(body: object) -> str | None:
    """Which body this is meant to be; None if it is neither, or both."""
    if not isinstance(body, dict):
        return None
    names_pair, names_list = not body.keys().isdisjoint({"source", "target"}), "datasets" in body
    if names_pair == names_list:
        return None
    return DistanceKind.PAIR if names_pair else DistanceKind.MATRIX


DistanceCreate: TypeAlias = Annotated[
    Annotated[PairDistanceCreate, Tag(DistanceKind.PAIR)] | Annotated[MatrixDistanceCreate, Tag(DistanceKind.MATRIX)],
    Discriminator(
        _tag,
        custom_error_type=NEITHER_PAIR_NOR_LIST,
        custom_error_message="name either source and target, or datasets: a list of 2 to 50",
    ),
]
"""A body that names a source and a target, or a list of datasets."""


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


PointRead: TypeAlias = Annotated[list[float], Field(min_length=2, max_length=2)]


class ClassMapRead(Reply):
    """The classes of both datasets as points of one plane, in feature units."""

    source: list[PointRead] = Field(description="One for each source class.")
    target: list[PointRead] = Field(description="One for each target class.")
    explained: Share = Field(description="Share of the variance of all class means that the plane shows.")


class PairResult(Reply):
    """Everything that was measured between a source and a target."""

    kind: Literal[DistanceKind.PAIR] = DistanceKind.PAIR
    dataset_distance: CertifiedDistance
    source_classes: list[str]
    target_classes: list[str]
    label_distances: list[list[float]] = Field(description="Row: source class. Column: target class. Feature units.")
    classes: list[ClassDistance] = Field(description="Target classes, in the order of target_classes.")
    rank_stability: RankStabilityRead | None
    class_map: ClassMapRead | None = Field(
        default=None,
        description="The first two principal components of all class means. Missing from results of earlier versions.",
    )
    n_source: int
    n_target: int


class MergeRead(Reply):
    """One step of a dendrogram: two groups of datasets become one."""

    first: int = Field(description="Below the number Q of datasets: one of them. Else what merge `first - Q` made.")
    second: int = Field(description="The same; drawn after `first`.")
    height: float = Field(description="Mean distance between the datasets of both groups.")
    size: int = Field(description="Datasets in the new group.")


class NearestSource(Reply):
    """The recommended source for one dataset: the nearest of the others."""

    name: str
    nearest: str
    distance: float
    settled: bool = Field(
        description="Whether the certificates prove it: this upper bound lies below the lower bound of every other."
    )


class MatrixResult(Reply):
    """All distances between several datasets. Rows and columns are in the order of `datasets`."""

    kind: Literal[DistanceKind.MATRIX] = DistanceKind.MATRIX
    datasets: list[str]
    n_samples: list[int] = Field(description="Samples of each dataset that were measured.")
    upper: list[list[float]] = Field(description="The distances: this transport exists. Feature units, symmetric.")
    lower: list[list[float]] = Field(description="No transport costs less.")
    gap_percent: list[list[float]]
    converged: list[list[bool]]
    order: list[int] = Field(description="Positions in `datasets` as leaves of the dendrogram: neighbours are near.")
    merges: list[MergeRead] = Field(description="The dendrogram, by average linkage, from the bottom.")
    nearest: list[NearestSource] = Field(description="For each dataset its recommended source.")


class DistanceSummary(WorkRead):
    """A distance without its matrices."""

    kind: DistanceKind
    datasets: list[NameOfDataset] = Field(description="What is measured; of a pair its source and its target.")
    request: dict[str, Any] = Field(description="Every setting, defaults filled in.")
    artifacts: list[ArtifactRead] = Field(description="The files of a matrix; a pair has none.")

    @computed_field(description="Of a pair only.")  # type: ignore[prop-decorator]
    @property
    def source(self) -> str | None:
        """What is measured from."""
        return self.datasets[0] if self.kind is DistanceKind.PAIR else None

    @computed_field(description="Of a pair only.")  # type: ignore[prop-decorator]
    @property
    def target(self) -> str | None:
        """What is measured to."""
        return self.datasets[1] if self.kind is DistanceKind.PAIR else None


class DistanceRead(DistanceSummary):
    """A distance."""

    result: Annotated[PairResult | MatrixResult, Field(discriminator="kind")] | None

    @field_validator("result", mode="before")
    @classmethod
    def _kind_of_older_results(cls, result: object) -> object:
        """Results from before there were matrices do not say that they are of pairs."""
        return {"kind": DistanceKind.PAIR} | result if isinstance(result, dict) else result


class DistanceList(Reply):
    """Distances, in the order that was asked for."""

    items: list[DistanceSummary]
    next: str | None = Field(description=NEXT)
