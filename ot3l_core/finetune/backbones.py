"""The frozen part of a pretrained network."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import torch
from PIL import Image
from torch import Tensor, nn

from ot3l_core.catalogue import find_backbone
from ot3l_core.errors import InvalidSettingError
from ot3l_core.finetune.architectures import Architecture, build_network, cut_network
from ot3l_core.finetune.preprocessing import Preprocessing, prepare
from ot3l_core.finetune.published import describe
from ot3l_core.finetune.weights import digest_of, load_weights, read_weights


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
    """Build a backbone of the catalogue with its pretrained weights.

    Args:
        name: Its name in the catalogue.
        input_size: Side of its input in pixels; the published one unless given. Smaller is faster.
        crop_fraction: Share of the resized short side that the centre crop keeps; the published one unless given.
        weights: A state dict of the whole network to use in place of the published weights.

    Returns:
        The backbone, in evaluation mode, on the CPU.

    Raises:
        UnknownBackboneError: If the catalogue has no such name.
        InvalidSettingError: If the network cannot take this input size, or a setting is outside its domain.
        WeightsUnavailableError: If the weights are neither here nor to be downloaded, or do not fit.
    """
    entry = find_backbone(name)
    published = describe(entry, input_size=input_size, crop_fraction=crop_fraction)
    path = published.find_weights() if weights is None else weights
    state = read_weights(path)
    network = build_network(published.architecture)
    load_weights(network, state, file_name=path.name)
    digest = digest_of(
        json.dumps([name, asdict(published.preprocessing)], sort_keys=True, separators=(",", ":")), network.state_dict()
    )
    architecture = published.cut(network)
    network, dense = cut_network(network.to(memory_format=torch.channels_last), architecture)
    backbone = Backbone(
        name=name,
        digest=digest,
        feature_dim=entry.feature_dim,
        n_source_outputs=_n_outputs(dense) or entry.feature_dim,
        preprocessing=published.preprocessing,
        architecture=architecture,
        network=network,
        dense=dense,
    )
    if input_size not in {None, entry.input_size}:
        _require_size(backbone, entry.input_size)
    return backbone


def _n_outputs(dense: nn.Sequential) -> int:
    return next((layer.out_features for layer in reversed(dense) if isinstance(layer, nn.Linear)), 0)


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
