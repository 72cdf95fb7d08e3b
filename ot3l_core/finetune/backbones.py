"""The frozen part of a pretrained network."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import torch
from PIL import Image
from torch import Tensor, nn

from ot3l_core.catalogue import BackboneEntry, find_backbone
from ot3l_core.errors import InvalidSettingError, WeightsUnavailableError
from ot3l_core.finetune.architectures import Architecture, build_network, cut_network, find_output
from ot3l_core.finetune.described import DescribedTensors, is_described, read_described
from ot3l_core.finetune.heads import Head, HeadLayout
from ot3l_core.finetune.preprocessing import Preprocessing, prepare
from ot3l_core.finetune.published import Published, describe
from ot3l_core.finetune.weights import copy_weights, digest_of, load_weights, read_weights, strip_prefix


@dataclass(frozen=True, slots=True, eq=False)
class Backbone:
    """A pretrained network up to the input of its last two dense layers (METHOD section 1), never trained further.

    Attributes:
        name: Its name in the catalogue.
        digest: SHA-256 over the name, every weight and the preprocessing: what features depend on.
        feature_dim: D, the length of a feature vector.
        n_source_outputs: Z, how many classes the network was trained on.
        preprocessing: How pictures become its input.
        architecture: How the network was built and cut.
        network: The layers that make features.
        dense: The original layers that read them.
    """

    name: str
    digest: str
    feature_dim: int
    n_source_outputs: int
    preprocessing: Preprocessing
    architecture: Architecture
    network: nn.Module
    dense: nn.Sequential

    @property
    def penultimate(self) -> nn.Sequential | None:
        """The pretrained dense layer before the output layer, and its activation: what a head can start from.

        None where the network has one dense layer or none.
        """
        if sum(isinstance(layer, nn.Linear) for layer in self.dense) < 2:
            return None
        return nn.Sequential(*(layer for layer in self.dense[:-1] if not isinstance(layer, nn.Dropout)))

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.network.parameters()).device

    def preprocess(self, picture: Image.Image) -> Tensor:
        """One picture as input, shape ``(3, input_size, input_size)``, float32, on the CPU."""
        return prepare(picture, self.preprocessing)

    @torch.no_grad()
    def embed(self, batch: Tensor) -> Tensor:
        """Features of b preprocessed pictures.

        Args:
            batch: Shape ``(b, 3, input_size, input_size)``; on any device.

        Returns:
            Shape ``(b, D)``, float32, on the backbone's device.
        """
        features: Tensor = self.network(batch.to(self.device, memory_format=torch.channels_last))
        return features.float()

    @torch.no_grad()
    def source_outputs(self, features: Tensor) -> Tensor:
        """Logits of the network's original classes, shape ``(n, Z)``, from features of shape ``(n, D)``."""
        logits: Tensor = self.dense(features.to(self.device, torch.float32))
        return logits

    def to(self, device: torch.device | str) -> Self:
        """This backbone, its weights moved to ``device``."""
        self.network.to(device)
        self.dense.to(device)
        return self


def load_backbone(
    name: str, *, input_size: int | None = None, crop_fraction: float | None = None, weights: Path | None = None
) -> Backbone:
    """Build a backbone of the catalogue, with its pretrained weights or with a user's own.

    Args:
        name: Its name in the catalogue.
        input_size: Side of its input in pixels; the published one unless given, or that of the checkpoint. Smaller is
            faster.
        crop_fraction: Share of the resized short side that the centre crop keeps; likewise.
        weights: What to use in place of the published weights: a state dict of the whole network, which may tell any
            number of classes apart and may be wrapped as ``read_weights`` and ``strip_prefix`` have it; or a checkpoint
            of ours, whose head becomes the backbone's dense layers.

    Returns:
        The backbone, in evaluation mode, on the CPU.

    Raises:
        UnknownBackboneError: If the catalogue has no such name.
        InvalidSettingError: If the network cannot take this input size, or a setting is outside its domain.
        WeightsUnavailableError: If the weights are neither here nor to be downloaded, or do not fit.
        CheckpointError: If the weights are a checkpoint of ours that is damaged or altered.
    """
    entry = find_backbone(name)
    if weights is not None and is_described(weights):
        backbone = _continue(entry, read_described(weights), input_size, crop_fraction)
    else:
        backbone = _load(entry, describe(entry, input_size=input_size, crop_fraction=crop_fraction), weights)
    if backbone.preprocessing.input_size != entry.input_size:
        _require_size(backbone, entry.input_size)
    return backbone


def _load(entry: BackboneEntry, published: Published, weights: Path | None) -> Backbone:
    path, field = (published.find_weights(), "backbone") if weights is None else (weights, "weights")
    state = read_weights(path, field=field)
    network = build_network(published.architecture)
    state = strip_prefix(state, network)
    output, n_outputs = find_output(network)
    found = state.get(f"{output}.weight")
    if found is not None and found.ndim and len(found) != n_outputs:
        published = published.with_outputs(len(found))
        network = build_network(published.architecture)
    load_weights(network, state, file_name=path.name, field=field)
    tensors = network.state_dict()
    architecture = published.cut(network)
    network, dense = cut_network(network, architecture)
    return _assemble(entry, published.preprocessing, architecture, network, dense, tensors)


def _continue(
    entry: BackboneEntry, stored: DescribedTensors, input_size: int | None, crop_fraction: float | None
) -> Backbone:
    described = stored.description
    if described["backbone"] != entry.name:
        raise WeightsUnavailableError(
            f"the weights are a checkpoint of the backbone {described['backbone']!r}: name that one, and not "
            f"{entry.name!r}",
            field="weights",
        )
    published = describe(
        entry,
        input_size=described["preprocessing"]["input_size"] if input_size is None else input_size,
        crop_fraction=described["preprocessing"]["crop_fraction"] if crop_fraction is None else crop_fraction,
    )
    if n_outputs := described["architecture"]["arguments"].get("num_classes"):
        published = published.with_outputs(n_outputs)
    network = build_network(published.architecture)
    architecture = published.cut(network)
    network, _ = cut_network(network, architecture)
    head = Head(HeadLayout(**described["head"])).eval().requires_grad_(requires_grad=False)
    copy_weights(nn.ModuleDict({"backbone": network, "head": head}), stored.tensors)
    dense = nn.Sequential(head.penultimate, head.activation, head.output)
    return _assemble(entry, published.preprocessing, architecture, network, dense, stored.tensors)


def _assemble(
    entry: BackboneEntry,
    preprocessing: Preprocessing,
    architecture: Architecture,
    network: nn.Module,
    dense: nn.Sequential,
    tensors: dict[str, Tensor],
) -> Backbone:
    identity = json.dumps([entry.name, asdict(preprocessing)], sort_keys=True, separators=(",", ":"))
    widths = [(layer.in_features, layer.out_features) for layer in dense if isinstance(layer, nn.Linear)]
    n_outputs = widths[-1][1] if widths else find_output(network)[1]
    return Backbone(
        name=entry.name,
        digest=digest_of(identity, tensors),
        feature_dim=widths[0][0] if widths else n_outputs,
        n_source_outputs=n_outputs,
        preprocessing=preprocessing,
        architecture=architecture,
        network=network.to(memory_format=torch.channels_last),
        dense=dense,
    )


def _require_size(backbone: Backbone, native: int) -> None:
    size = backbone.preprocessing.input_size
    try:
        fits = backbone.embed(torch.zeros(1, 3, size, size)).shape[1] == backbone.feature_dim
    except (RuntimeError, ValueError, AssertionError):
        fits = False
    if not fits:
        raise InvalidSettingError(
            f"{backbone.name} cannot take pictures of {size} x {size} pixels: leave input_size at {native}",
            field="input_size",
        )
