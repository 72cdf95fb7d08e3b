"""How samples are chosen: the settings that selections and jobs share."""

from typing import Annotated

from pydantic import Field, StrictFloat, StrictInt

from app.schemas.features import FeatureRequest
from app.schemas.work import DatasetName
from ot3l_core.names import ClassScore, LabelDistanceMethod, Strategy, Unit

Seed = Annotated[StrictInt, Field(ge=0, le=2**31 - 1)]


class SelectingRequest(FeatureRequest):
    """The strategy and what it reads, but for alpha: a selection takes one, a job may choose among several."""

    strategy: Strategy = Field(default=Strategy.MIXED, description="How samples are chosen from the target's pool.")
    source: DatasetName | None = Field(
        default=None, description="Name or id of the dataset to measure from. Default: the service's default source."
    )
    budget: StrictInt = Field(default=1000, ge=2, le=10_000_000, description="Samples to choose; at most the pool.")
    class_fraction: StrictFloat = Field(
        default=0.8, gt=0, le=1, description="Share of the target classes that counts as farthest, or nearest."
    )
    unit: Unit = Field(default=Unit.CLASS, description="Rank whole classes, or single samples.")
    class_score: ClassScore = Field(default=ClassScore.MEAN, description="How far a target class is, as one number.")
    label_distance: LabelDistanceMethod = Field(
        default=LabelDistanceMethod.GAUSSIAN, description="Distance between the features of two classes."
    )
    pool_size: StrictInt | None = Field(default=None, ge=2, description="Select from this many of the pool's samples.")
    source_size: StrictInt | None = Field(
        default=None, ge=2, description="Measure from this many of the source's samples."
    )


SELECTING_FIELDS = (
    "alpha",
    *(field for field in SelectingRequest.model_fields if field not in FeatureRequest.model_fields),
)
"""The settings that a job takes from a selection, where it is given one."""
