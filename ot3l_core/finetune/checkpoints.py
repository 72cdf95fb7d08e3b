"""One file that holds a whole network, backbone and head, and all that is needed to use it.

The file is safetensors: tensors named ``backbone.*`` and ``head.*``, and one metadata entry ``ot3l``, a JSON object.
Reading one runs no code. ``docs/examples/classify.py`` rebuilds the network from it without this package.
"""

import json
import struct
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, TypeAlias

import torch
from PIL import Image
from torch import Tensor, nn

from ot3l_core.errors import CheckpointError, CoreError
from ot3l_core.finetune.architectures import Architecture, build_network, cut_network
from ot3l_core.finetune.backbones import Backbone
from ot3l_core.finetune.heads import Head, HeadLayout
from ot3l_core.finetune.preprocessing import Preprocessing, prepare
from ot3l_core.finetune.weights import copy_weights, digest_of

Json: TypeAlias = "str | int | float | bool | Sequence[Json] | Mapping[str, Json] | None"

FORMAT_VERSION: Final = 1
_ENTRY: Final = "ot3l"
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
        versions: Of the packages it was trained with; those that are installed unless given.
    """

    classes: tuple[str, ...]
    job: str
    dataset_digest: str
    metrics: Mapping[str, Json]
    versions: Mapping[str, str] = field(default_factory=_installed_versions)


@dataclass(frozen=True, slots=True, eq=False)
class LoadedCheckpoint:
    """A network ready to classify.

    Attributes:
        network: Children ``backbone`` and ``head``; prepared pictures ``(b, 3, h, w)`` to logits ``(b, L)``.
        architecture: How the backbone was built and cut.
        preprocessing: How pictures become its input.
        backbone_digest: Of the backbone that the head was trained on.
        metadata: Where it comes from.
    """

    network: nn.Sequential
    architecture: Architecture
    preprocessing: Preprocessing
    backbone_digest: str
    metadata: CheckpointMetadata

    @torch.no_grad()
    def predict(self, pictures: Sequence[Image.Image], *, batch_size: int = 64) -> Tensor:
        """Class probabilities of n pictures, shape ``(n, L)``, float32, on the device of the network."""
        device = next(self.network.parameters()).device
        found = [torch.empty(0, len(self.metadata.classes), device=device)]
        for start in range(0, len(pictures), batch_size):
            chosen = pictures[start : start + batch_size]
            batch = torch.stack([prepare(picture, self.preprocessing) for picture in chosen])
            found.append(self.network(batch.to(device, memory_format=torch.channels_last)).softmax(dim=1))
        return torch.cat(found)


def save_checkpoint(path: Path, backbone: Backbone, head: Head, metadata: CheckpointMetadata) -> None:
    """Write the whole network to one file, wholly or not at all; equal arguments give equal bytes.

    Raises:
        CheckpointError: If the classes are not as many as the head's outputs, or the metrics are no JSON.
    """
    from safetensors.torch import save_file  # noqa: PLC0415 - optional

    if len(metadata.classes) != head.layout.n_classes:
        raise CheckpointError(
            f"a head of {head.layout.n_classes} classes cannot be saved under {len(metadata.classes)} class names"
        )
    tensors = {
        name: tensor.detach().cpu().contiguous() for name, tensor in _join(backbone.network, head).state_dict().items()
    }
    described = {
        "format_version": FORMAT_VERSION,
        "architecture": asdict(backbone.architecture),
        "preprocessing": asdict(backbone.preprocessing),
        "head": asdict(head.layout),
        "backbone": backbone.name,
        "backbone_digest": backbone.digest,
        **asdict(metadata),
    }
    described["digest"] = digest_of(_to_json(described), tensors)
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        save_file(tensors, unfinished, metadata={_ENTRY: _to_json(described)})
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def load_checkpoint(path: Path) -> LoadedCheckpoint:
    """Read a checkpoint and rebuild its network, on the CPU, in evaluation mode.

    Raises:
        CheckpointError: If the file is missing, damaged, altered, of a later version, or no checkpoint at all.
    """
    text, tensors = _read(path)
    try:
        described = json.loads(text)
        _require_unaltered(described, tensors, path.name)
        return _rebuild(described, tensors)
    except CheckpointError:
        raise
    except (ValueError, TypeError, LookupError, AttributeError, ImportError, RuntimeError, CoreError) as error:
        raise CheckpointError(f"{path.name!r} does not describe a network that can be rebuilt: {error}") from error


def _read(path: Path) -> tuple[str, dict[str, Tensor]]:
    from safetensors import SafetensorError, safe_open  # noqa: PLC0415 - optional

    try:
        with safe_open(path, framework="pt") as stored:
            entries = stored.metadata() or {}
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 - it is no mapping
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no file {path.name!r}") from error
    except (SafetensorError, OSError, ValueError, struct.error) as error:
        raise CheckpointError(f"{path.name!r} is no whole safetensors file: fetch it again") from error
    if _ENTRY not in entries:
        raise CheckpointError(f"{path.name!r} holds tensors, but not the description of an ot3l checkpoint")
    return entries[_ENTRY], tensors


def _require_unaltered(described: dict[str, Any], tensors: dict[str, Tensor], file_name: str) -> None:
    if described["format_version"] != FORMAT_VERSION:
        raise CheckpointError(
            f"{file_name!r} has checkpoint format {described['format_version']!r}, this package reads "
            f"{FORMAT_VERSION}: use the package that wrote it"
        )
    rest = {name: value for name, value in described.items() if name != "digest"}
    if described["digest"] != digest_of(_to_json(rest), tensors):
        raise CheckpointError(f"{file_name!r} was altered after it was written: fetch it again")


def _rebuild(described: dict[str, Any], tensors: dict[str, Tensor]) -> LoadedCheckpoint:
    architecture = Architecture(**described["architecture"])
    preprocessing = Preprocessing(
        **described["preprocessing"] | {name: tuple(described["preprocessing"][name]) for name in ("mean", "std")}
    )
    network, _ = cut_network(build_network(architecture), architecture)
    network = _join(network, Head(HeadLayout(**described["head"])))
    copy_weights(network, tensors)
    return LoadedCheckpoint(
        network=network.to(memory_format=torch.channels_last).eval().requires_grad_(requires_grad=False),
        architecture=architecture,
        preprocessing=preprocessing,
        backbone_digest=described["backbone_digest"],
        metadata=CheckpointMetadata(
            classes=tuple(described["classes"]),
            job=described["job"],
            dataset_digest=described["dataset_digest"],
            metrics=described["metrics"],
            versions=described["versions"],
        ),
    )


def _join(backbone: nn.Module, head: Head) -> nn.Sequential:
    network = nn.Sequential()
    network.add_module("backbone", backbone)
    network.add_module("head", head)
    return network


def _to_json(described: Mapping[str, object]) -> str:
    try:
        return json.dumps(described, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"metadata must be JSON with finite numbers: {error}") from error
