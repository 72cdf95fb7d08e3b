"""What tuning changes, step by step."""

import math
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import islice

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.modules.batchnorm import _BatchNorm

from ot3l_core.finetune.backbones import Backbone
from ot3l_core.finetune.blocks import Block, last_blocks, release
from ot3l_core.finetune.course import Course, Loaded
from ot3l_core.finetune.heads import Head, Scale, unfold_scale
from ot3l_core.finetune.tuning_settings import TuningSettings
from ot3l_core.names import Precision


@dataclass(frozen=True, slots=True, eq=False)
class Learner:
    """A backbone and a head that learn together.

    Attributes:
        backbone: Of which ``blocks`` learn.
        head: Reads features on ``scale``, the change of variable under which heads are trained.
        scale: Of the features at the start.
        blocks: Those that learn.
        parameters: All that learns, by names below ``backbone.`` and ``head.``; training moves nothing else.
        optimizer: Of the parameters.
        settings: How they learn.
    """

    backbone: Backbone
    head: Head
    scale: Scale
    blocks: tuple[Block, ...]
    parameters: dict[str, nn.Parameter]
    optimizer: torch.optim.AdamW
    settings: TuningSettings

    def logits(self, inputs: Tensor) -> Tensor:
        """Shape ``(b, L)``, of inputs ``(b, 3, h, w)`` on any device."""
        features = features_of(self.backbone, inputs, self.settings.precision)
        logits: Tensor = self.head(self.scale.apply(features))
        return logits

    def copy_weights(self) -> dict[str, Tensor]:
        """What has been learned so far."""
        return {name: parameter.detach().clone() for name, parameter in self.parameters.items()}

    @torch.no_grad()
    def restore(self, weights: dict[str, Tensor]) -> None:
        """Go back to what ``copy_weights`` gave."""
        for name, parameter in self.parameters.items():
            parameter.copy_(weights[name])


def build_learner(backbone: Backbone, head: Head, scale: Scale, settings: TuningSettings) -> Learner:
    """Copies of a backbone and of a head on raw features, ready to learn."""
    copy = replace(backbone, network=deepcopy(backbone.network), dense=deepcopy(backbone.dense))
    blocks = last_blocks(copy.network, settings.blocks)
    release(copy.network, blocks)
    unfolded = unfold_scale(head, scale).requires_grad_(requires_grad=True)
    parameters = {
        f"{part}.{name}": parameter
        for part, layers in (("backbone", copy.network), ("head", unfolded))
        for name, parameter in layers.named_parameters()
        if parameter.requires_grad
    }
    return Learner(copy, unfolded, scale, blocks, parameters, _build_optimizer(parameters, settings), settings)


def features_of(backbone: Backbone, inputs: Tensor, precision: Precision) -> Tensor:
    """Features of a batch as ``embed`` computes them, so that what is tuned is used under the same arithmetic.

    Autograd remembers nothing before the first block that learns, for no parameter there asks for a gradient.
    """
    device = backbone.device
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision is Precision.BFLOAT16):
        features: Tensor = backbone.network(inputs.to(device, memory_format=torch.channels_last))
    return features.float()


def score(scored: list[tuple[Tensor, Tensor]]) -> tuple[float, float]:
    """Cross-entropy and accuracy of batches of logits ``(b, L)`` against their labels ``(b,)``."""
    logits, labels = (torch.cat(parts) for parts in zip(*scored, strict=True))
    hits = (logits.argmax(dim=1) == labels).float().mean()
    return float(cross_entropy(logits, labels)), float(hits)


def train_epoch(learner: Learner, course: Course, epoch: int, stream: Iterator[Loaded]) -> float:
    """One pass over the training pictures.

    Args:
        learner: Learns.
        course: Which pictures there are.
        epoch: Its number, from 1.
        stream: Begins with the epoch's training batches, and is left after them.

    Returns:
        The mean loss over the pass, while the weights move.
    """
    settings, device = learner.settings, learner.backbone.device
    _set_training(learner)
    total = torch.zeros((), device=device)
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(course.layers_seed(epoch))
        first = (epoch - 1) * course.n_steps
        for step, (inputs, on_cpu) in enumerate(islice(stream, course.n_steps), first):
            labels = on_cpu.to(device)
            share = _rate_share(step, settings.epochs * course.n_steps, settings.warmup_fraction)
            for group in learner.optimizer.param_groups:
                group["lr"] = group["initial_lr"] * share
            learner.optimizer.zero_grad()
            loss = cross_entropy(learner.logits(inputs), labels, label_smoothing=settings.label_smoothing)
            loss.backward()  # type: ignore[no-untyped-call]
            learner.optimizer.step()
            total += loss.detach() * len(labels)
    return float(total) / len(course.fit)


def _rate_share(step: int, n_steps: int, warmup_fraction: float) -> float:
    """Learning rate of a step, counted from 0, as a share of its height."""
    warmup = math.ceil(warmup_fraction * n_steps)
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (n_steps - warmup)))


def _set_training(learner: Learner) -> None:
    """Let what learns drop out what it drops out in training.

    What is frozen stays as it is used. So do the statistics of all batch norms: those of a few hundred pictures would
    replace those of the million that the weights were made for, and a batch of one would have none.
    """
    learner.backbone.network.eval()
    for block in learner.blocks:
        for part in block.parts:
            for layer in learner.backbone.network.get_submodule(part).modules():
                layer.training = not isinstance(layer, _BatchNorm)


def _build_optimizer(parameters: dict[str, nn.Parameter], settings: TuningSettings) -> torch.optim.AdamW:
    rates = {"backbone.": settings.backbone_learning_rate, "head.": settings.learning_rate}
    groups = [
        {
            "params": [
                parameter
                for name, parameter in parameters.items()
                if name.startswith(part) and (parameter.ndim > 1) == decays
            ],
            "lr": rate,
            "initial_lr": rate,
            "weight_decay": settings.weight_decay if decays else 0.0,
        }
        for part, rate in rates.items()
        for decays in (True, False)
    ]
    return torch.optim.AdamW(groups)
