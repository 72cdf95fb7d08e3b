"""How a backbone and its head are tuned together."""

import math
from dataclasses import dataclass, field

from ot3l_core.errors import InvalidSettingError
from ot3l_core.finetune.augmentation import Augmentation
from ot3l_core.names import Precision


@dataclass(frozen=True, slots=True)
class TuningSettings:
    """How a backbone and its head are tuned together; JSON-able.

    Tried on the pool of CIFAR-10 with EfficientNet-lite0 at 112 pixels, 500 samples and one seed: 5 epochs of the whole
    backbone gained 5 points of accuracy over its head alone; of its last 2 blocks, no epoch was better than the start.

    Attributes:
        blocks: How many of the backbone's last blocks learn (``list_blocks``); None for all.
        epochs: Passes over the training samples at most.
        batch_size: Samples a step, at most.
        learning_rate: Of AdamW at its height, for the head.
        backbone_learning_rate: Likewise for the backbone, whose weights are worth more than those of the head.
        weight_decay: Of AdamW, on matrices and convolutions; norms and biases have none.
        warmup_fraction: Share of all steps in which the learning rates rise from 0; over the rest they fall to 0 along
            a cosine.
        label_smoothing: Share of each label that is spread over all classes, in [0, 1).
        augmentation: How pictures are varied; those of the validation split are not.
        validation_fraction: Share of the selected samples that choose the best epoch, as ``TrainingSettings`` has it.
        patience: Epochs without a lower validation loss before training stops.
        precision: Arithmetic of the backbone; head, loss and weights are float32.

    Raises:
        InvalidSettingError: If one is outside its domain.
    """

    blocks: int | None = None
    epochs: int = 10
    batch_size: int = 32
    learning_rate: float = 3e-4
    backbone_learning_rate: float = 1e-4
    weight_decay: float = 1e-4
    warmup_fraction: float = 0.1
    label_smoothing: float = 0.0
    augmentation: Augmentation = field(default_factory=Augmentation)
    validation_fraction: float = 0.1
    patience: int = 5
    precision: Precision = Precision.FLOAT32

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "patience"):
            _require(getattr(self, name) >= 1, name, "at least 1", getattr(self, name))
        if self.blocks is not None:
            _require(self.blocks >= 1, "blocks", "at least 1", self.blocks)
        for name in ("learning_rate", "backbone_learning_rate"):
            _require(0 < getattr(self, name) < math.inf, name, "above 0", getattr(self, name))
        _require(0 <= self.weight_decay < math.inf, "weight_decay", "at least 0", self.weight_decay)
        _require(0 <= self.warmup_fraction < 1, "warmup_fraction", "in [0, 1)", self.warmup_fraction)
        _require(0 <= self.label_smoothing < 1, "label_smoothing", "in [0, 1)", self.label_smoothing)
        _require(0 <= self.validation_fraction <= 0.5, "validation_fraction", "in [0, 0.5]", self.validation_fraction)


def _require(holds: bool, name: str, domain: str, value: float) -> None:  # noqa: FBT001 - a condition, not a switch
    if not holds:
        raise InvalidSettingError(f"{name} must be {domain}: got {value}", field=name)
