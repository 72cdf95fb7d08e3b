"""How images become features: the settings that distances and jobs share."""

from pydantic import Field, StrictFloat, StrictInt, field_validator

from app.schemas.work import Request, ServerPath
from ot3l_core.catalogue import DEFAULT_BACKBONE, find_backbone
from ot3l_core.errors import UnknownBackboneError
from ot3l_core.names import FeatureScaling, Precision


class FeatureRequest(Request):
    """The backbone and what it is fed."""

    backbone: str = Field(default=DEFAULT_BACKBONE, description="A name from GET /backbones.", examples=["resnet18"])
    weights: ServerPath | None = Field(
        default=None,
        description="Weights to use in place of the published ones: a state dict of this backbone's architecture "
        "(safetensors, or from torch.save; nothing in it is run), or a checkpoint of ours. On the server, below one of "
        "its dataset roots.",
        examples=["weights/my-resnet18.safetensors"],
    )
    input_size: StrictInt | None = Field(
        default=None, ge=32, le=1024, description="Side of the square image in pixels; default: the backbone's own."
    )
    crop_fraction: StrictFloat | None = Field(
        default=None, ge=0.25, le=1, description="Share of the short side that is kept; default: the backbone's own."
    )
    precision: Precision = Field(
        default=Precision.FLOAT32, description="Arithmetic of the forward pass; bfloat16 trades exactness for speed."
    )
    scaling: FeatureScaling = Field(
        default=FeatureScaling.UNIT,
        description="unit: standardised by the source, or the first of a list of datasets, then unit length. "
        "raw: as they are. For distances only.",
    )

    @field_validator("backbone")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            return find_backbone(name).name
        except UnknownBackboneError as error:
            raise ValueError(str(error)) from error
