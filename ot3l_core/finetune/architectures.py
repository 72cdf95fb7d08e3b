"""Where a pretrained network ends being a backbone: building one and cutting its dense layers off."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import torch
from torch import nn

from ot3l_core.errors import UnknownBackboneError

Argument = bool | int | list[int]


@dataclass(frozen=True, slots=True)
class Architecture:
    """How to build a network's layers and where to cut them; JSON-able.

    Attributes:
        library: The Python package that has the layers.
        name: The network's name in that package.
        arguments: Keyword arguments of its builder.
        cut_module: The child that holds the dense layers.
        cut_keep: How many of that child's own layers, before the dense ones, stay in the backbone.
    """

    library: str
    name: str
    arguments: dict[str, Argument] = field(default_factory=dict)
    cut_module: str = ""
    cut_keep: int = 0


def build_network(architecture: Architecture) -> nn.Module:
    """The whole network with random weights, in evaluation mode; the global random state is left as it was.

    Raises:
        UnknownBackboneError: If its library does not know the name.
    """
    builder = _BUILDERS.get(architecture.library)
    if builder is None:
        raise UnknownBackboneError(
            f"networks come from {' or '.join(_BUILDERS)}: got {architecture.library!r}", field="backbone"
        )
    with torch.random.fork_rng(devices=[]):
        try:
            network = builder(architecture)
        except (TypeError, ValueError) as error:
            raise UnknownBackboneError(
                f"{architecture.library} cannot build {architecture.name!r}: {error}", field="backbone"
            ) from error
    return network.eval().requires_grad_(requires_grad=False)


def cut_network(network: nn.Module, architecture: Architecture) -> tuple[nn.Module, nn.Sequential]:
    """Separate the layers that make features from the dense layers that read them.

    Args:
        network: What ``build_network`` gave; loses its dense layers.
        architecture: Where to cut.

    Returns:
        The backbone and the dense layers; one after the other they compute what ``network`` did.
    """
    layers = getattr(network, architecture.cut_module)
    if not isinstance(layers, nn.Sequential):
        setattr(network, architecture.cut_module, nn.Sequential())
        return network, nn.Sequential(layers)
    setattr(network, architecture.cut_module, layers[: architecture.cut_keep])
    return network, layers[architecture.cut_keep :]


def find_cut(network: nn.Module) -> tuple[str, int]:
    """Where the last two dense layers of an uncut network begin.

    Two dense layers count as a pair where only activations and dropout lie between them, which is so in every
    network of the catalogue. A network with one dense layer is cut before it; one with none (SqueezeNet) after its last
    layer, so that its features are its pooled class responses.

    Returns:
        The name of the child that holds them, and how many of its own layers come before.
    """
    name, last = list(network.named_children())[-1]
    if not isinstance(last, nn.Sequential):
        return name, 0
    dense = [index for index, layer in enumerate(last) if isinstance(layer, nn.Linear)]
    return name, dense[-2:][0] if dense else len(last)


def find_output(network: nn.Module) -> tuple[str, int]:
    """The name of the layer that gives an uncut network's logits, and how many they are."""
    widths = {
        name: layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels
        for name, layer in network.named_modules()
        if isinstance(layer, (nn.Linear, nn.Conv2d))
    }
    return list(widths.items())[-1]


def _build_torchvision(architecture: Architecture) -> nn.Module:
    from torchvision.models import get_model  # noqa: PLC0415 - takes a second to import

    network: nn.Module = get_model(architecture.name, weights=None, **architecture.arguments)
    return network


def _build_lite(architecture: Architecture) -> nn.Module:
    from efficientnet_lite_pytorch import EfficientNet  # noqa: PLC0415 - optional

    network: nn.Module = EfficientNet.from_name(architecture.name, **architecture.arguments)
    return network


_BUILDERS: Final[dict[str, Callable[[Architecture], nn.Module]]] = {
    "torchvision": _build_torchvision,
    "efficientnet_lite_pytorch": _build_lite,
}
