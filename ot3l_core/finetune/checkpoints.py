"""One file that holds a whole network, backbone and head, and all that is needed to use it.

Its tensors are named ``backbone.*`` and ``head.*``. ``classify.py`` beside this module, which is among the examples
too, rebuilds the network from it without this package.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final, TypeAlias

import torch
from PIL import Image
from torch import Tensor, nn

from ot3l_core.errors import CheckpointError, CoreError
from ot3l_core.finetune.architectures import Architecture, build_network, cut_network
from ot3l_core.finetune.backbones import Backbone
from ot3l_core.finetune.described import DescribedTensors, read_described, write_described
from ot3l_core.finetune.heads import Head, HeadLayout
from ot3l_core.finetune.preprocessing import Preprocessing, prepare
from ot3l_core.finetune.weights import copy_weights

Json: TypeAlias = "str | int | float | bool | Sequence[Json] | Mapping[str, Json] | None"

_PACKAGES: Final = ("ot3l", "torch", "torchvision", "efficientnet-lite-pytorch", "pillow")


def _installed_versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


@dataclass(frozen=True, slots=True)
class CheckpointMetadata:
    """What a checkpoint says of where it comes from.

    Attributes:
        classes: The L class names, in the order of the outputs.
        job: Which job trained it.
        dataset_digest: Of the dataset that its samples were selected from.
        metrics: What was measured of exactly these weights; finite numbers, strings, lists and mappings of them.
        temperature: What its logits were divided by to calibrate them; it is part of the output layer's weights.
        versions: Of the packages it was trained with; those that are installed unless given.
    """

    classes: tuple[str, ...]
    job: str
    dataset_digest: str
    metrics: Mapping[str, Json]
    temperature: float = 1.0
    versions: Mapping[str, str] = field(default_factory=_installed_versions)


@dataclass(frozen=True, slots=True, eq=False)
class LoadedCheckpoint:
    """A network ready to classify.

    Attributes:
        network: Children ``backbone`` and ``head``; prepared pictures ``(b, 3, h, w)`` to logits ``(b, L)``.
        architecture: How the backbone was built and cut.
        preprocessing: How pictures become its input.
        backbone: Its name in the catalogue.
        backbone_digest: Of the backbone that the head was trained on.
        metadata: Where it comes from.
    """

    network: nn.Sequential
    architecture: Architecture
    preprocessing: Preprocessing
    backbone: str
    backbone_digest: str
    metadata: CheckpointMetadata

    @torch.no_grad()
    def probabilities(self, batch: Tensor) -> Tensor:
        """Calibrated, of each class, shape ``(b, L)``, of prepared pictures, shape ``(b, 3, h, w)``."""
        device = next(self.network.parameters()).device
        logits: Tensor = self.network(batch.to(device, memory_format=torch.channels_last))
        return logits.softmax(dim=1)

    def predict(self, pictures: Sequence[Image.Image], *, batch_size: int = 64) -> Tensor:
        """Likewise of n pictures, shape ``(n, L)``, float32, on the device of the network."""
        found = [torch.empty(0, len(self.metadata.classes), device=next(self.network.parameters()).device)]
        for start in range(0, len(pictures), batch_size):
            chosen = pictures[start : start + batch_size]
            found.append(self.probabilities(torch.stack([prepare(picture, self.preprocessing) for picture in chosen])))
        return torch.cat(found)


def save_checkpoint(path: Path, backbone: Backbone, head: Head, metadata: CheckpointMetadata) -> None:
    """Write the whole network to one file, wholly or not at all; equal arguments give equal bytes.

    Raises:
        CheckpointError: If the classes are not as many as the head's outputs, or the metrics are no JSON.
    """
    if len(metadata.classes) != head.layout.n_classes:
        raise CheckpointError(
            f"a head of {head.layout.n_classes} classes cannot be saved under {len(metadata.classes)} class names"
        )
    description = {
        "architecture": asdict(backbone.architecture),
        "preprocessing": asdict(backbone.preprocessing),
        "head": asdict(head.layout),
        "backbone": backbone.name,
        "backbone_digest": backbone.digest,
        **asdict(metadata),
    }
    write_described(path, description, _join(backbone.network, head).state_dict())


def load_checkpoint(path: Path) -> LoadedCheckpoint:
    """Read a checkpoint and rebuild its network, on the CPU, in evaluation mode.

    Raises:
        CheckpointError: If the file is missing, damaged, altered, of a later version, or no checkpoint at all.
    """
    stored = read_described(path)
    try:
        return _rebuild(stored)
    except (ValueError, TypeError, LookupError, AttributeError, ImportError, RuntimeError, CoreError) as error:
        raise CheckpointError(f"{path.name!r} does not describe a network that can be rebuilt: {error}") from error


def _rebuild(stored: DescribedTensors) -> LoadedCheckpoint:
    described = stored.description
    architecture = Architecture(**described["architecture"])
    preprocessing = Preprocessing(
        **described["preprocessing"] | {name: tuple(described["preprocessing"][name]) for name in ("mean", "std")}
    )
    network, _ = cut_network(build_network(architecture), architecture)
    network = _join(network, Head(HeadLayout(**described["head"])))
    copy_weights(network, stored.tensors)
    return LoadedCheckpoint(
        network=network.to(memory_format=torch.channels_last).eval().requires_grad_(requires_grad=False),
        architecture=architecture,
        preprocessing=preprocessing,
        backbone=described["backbone"],
        backbone_digest=described["backbone_digest"],
        metadata=CheckpointMetadata(
            classes=tuple(described["classes"]),
            job=described["job"],
            dataset_digest=described["dataset_digest"],
            metrics=described["metrics"],
            temperature=described.get("temperature", 1.0),
            versions=described["versions"],
        ),
    )


def _join(backbone: nn.Module, head: Head) -> nn.Sequential:
    network = nn.Sequential()
    network.add_module("backbone", backbone)
    network.add_module("head", head)
    return network
