"""Backbones on the wire."""

from pydantic import Field

from app.schemas.work import Reply
from ot3l_core.catalogue import WeightsSource


class BackboneRead(Reply):
    """An ImageNet-trained network that a job can start from."""

    name: str
    input_size: int = Field(description="Side of the square image that it was trained on, in pixels.")
    feature_dim: int = Field(description="Length of a feature vector.")
    source: WeightsSource = Field(description="Where its weights come from.")


class BackboneList(Reply):
    """All backbones, by name."""

    items: list[BackboneRead]
    default: str
