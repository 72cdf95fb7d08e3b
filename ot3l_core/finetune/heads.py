"""The two dense layers that are trained, and the scale of features that they are trained on."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from ot3l_core.errors import InvalidSettingError

_ACTIVATIONS: Final[dict[str, type[nn.Module]]] = {"ReLU": nn.ReLU, "Hardswish": nn.Hardswish, "Tanh": nn.Tanh}


@dataclass(frozen=True, slots=True)
class HeadLayout:
    """Shape of a head; JSON-able.

    Attributes:
        feature_dim: D, how many features it reads.
        hidden: Width between its dense layers.
        n_classes: L, how many classes it tells apart.
        activation: Name of a class in ``torch.nn``.

    Raises:
        InvalidSettingError: If the activation is unknown or a size is below 1.
    """

    feature_dim: int
    hidden: int
    n_classes: int
    activation: str = "ReLU"

    def __post_init__(self) -> None:
        for name in ("feature_dim", "hidden", "n_classes"):
            if getattr(self, name) < 1:
                raise InvalidSettingError(f"{name} must be at least 1: got {getattr(self, name)}", field=name)
        if self.activation not in _ACTIVATIONS:
            raise InvalidSettingError(
                f"activation must be one of {', '.join(_ACTIVATIONS)}: got {self.activation!r}", field="activation"
            )


class Head(nn.Module):
    """Dense layer, activation, dense layer; made with undefined weights."""

    def __init__(self, layout: HeadLayout) -> None:
        super().__init__()
        self.layout = layout
        self.penultimate = _blank_dense(layout.feature_dim, layout.hidden)
        self.activation = _ACTIVATIONS[layout.activation]()
        self.output = _blank_dense(layout.hidden, layout.n_classes)

    def forward(self, features: Tensor) -> Tensor:
        """Logits, shape ``(n, L)``, of raw features, shape ``(n, D)``."""
        logits: Tensor = self.output(self.activation(self.penultimate(features)))
        return logits

    @torch.no_grad()
    def probabilities(self, features: Tensor) -> Tensor:
        """Of each class, shape ``(n, L)``; rows sum to 1."""
        return self.forward(features).softmax(dim=1)


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """The change of variable ``z = (x - mean) / spread`` under which a head is trained.

    One spread for all dimensions keeps the distances between samples; a spread for each would blow up the dimensions
    that a small training set hardly uses. Measured on Fashion-MNIST with 50 labels: accuracy 63.1% against 53.6%.

    Attributes:
        mean: Shape ``(D,)``, float64.
        spread: Root mean square deviation over all samples and dimensions.
    """

    mean: Tensor
    spread: float

    def apply(self, features: Tensor) -> Tensor:
        """The features z, shape ``(n, D)``, float32."""
        return ((features.double() - self.mean) / self.spread).float()


def measure_scale(features: Tensor) -> Scale:
    """Mean and spread of features, shape ``(n, D)``; the spread is 1 where all samples are alike."""
    mean = features.double().mean(dim=0)
    spread = float((features.double() - mean).square().mean().sqrt())
    return Scale(mean, spread if spread > 0 else 1.0)


def build_head(layout: HeadLayout, *, seed: int) -> Head:
    """A head with random weights, uniform within 1 / sqrt(inputs) as torch's own dense layers.

    Args:
        layout: Its shape.
        seed: Of the weights; torch's global generator is neither read nor moved.

    Returns:
        The head, on the CPU.
    """
    head = Head(layout)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for dense in (head.penultimate, head.output):
            bound = dense.in_features**-0.5
            dense.weight.uniform_(-bound, bound, generator=generator)
            dense.bias.uniform_(-bound, bound, generator=generator)
    return head


def extend_pretrained(start: nn.Sequential, n_classes: int, *, seed: int) -> Head:
    """A head whose first dense layer is pretrained and whose output layer is random.

    Args:
        start: A dense layer and an activation, such as ``Backbone.penultimate``.
        n_classes: L.
        seed: Of the output layer.

    Returns:
        The head, on the CPU, reading raw features.
    """
    dense, activation = start
    if not isinstance(dense, nn.Linear):
        raise TypeError(f"a head starts with a dense layer: got {type(dense).__name__}")
    layout = HeadLayout(dense.in_features, dense.out_features, n_classes, type(activation).__name__)
    head = build_head(layout, seed=seed)
    head.penultimate.load_state_dict(dense.state_dict())
    return head


@torch.no_grad()
def fold_scale(head: Head, scale: Scale) -> Head:
    """A head on x from one on z: ``W z + b = (W / spread) x + (b - W mean / spread)``, computed in float64."""
    folded = deepcopy(head)
    weight = head.penultimate.weight.double() / scale.spread
    folded.penultimate.weight.copy_(weight)
    folded.penultimate.bias.copy_(head.penultimate.bias.double() - weight @ scale.mean.to(weight.device))
    return folded


def unfold_scale(head: Head, scale: Scale) -> Head:
    """A head on z from one on x; the inverse of ``fold_scale``."""
    return fold_scale(head, Scale(-scale.mean / scale.spread, 1 / scale.spread))


@torch.no_grad()
def fold_temperature(head: Head, temperature: float) -> Head:
    """A head whose logits are those of ``head`` divided by a temperature, so that nothing after it need know of one."""
    folded = deepcopy(head)
    for tensor in (folded.output.weight, folded.output.bias):
        tensor.copy_(tensor.double() / temperature)
    return folded


def _blank_dense(n_inputs: int, n_outputs: int) -> nn.Linear:
    return nn.Linear(n_inputs, n_outputs, device="meta").to_empty(device="cpu")
