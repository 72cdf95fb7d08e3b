"""Training a head on the features of the selected samples."""

import math
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ot3l_core.errors import InvalidSettingError, ShapeMismatchError, TooFewSamplesError
from ot3l_core.finetune.calibration import fit_temperature
from ot3l_core.finetune.heads import (
    Head,
    HeadLayout,
    build_head,
    extend_pretrained,
    fold_scale,
    fold_temperature,
    measure_scale,
    unfold_scale,
)
from ot3l_core.finetune.validation import validation_split
from ot3l_core.names import Phase
from ot3l_core.progress import NOBODY, EpochReport, Listener

_STEPS_BETWEEN_REPORTS = 16
_STEPS_PER_EPOCH = 16
_SMALLEST_BATCH, _LARGEST_BATCH = 4, 64


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """How a head is trained; the defaults were chosen on pools of Fashion-MNIST and CIFAR-10 at 50 to 1000 labels.

    Attributes:
        hidden: Width between the two dense layers; a pretrained first layer keeps its own.
        epochs: Passes over the training samples at most; the learning rate falls to 0 along a cosine over all of them.
        batch_size: Samples a step; unless given a sixteenth of the training samples, 4 at least and 64 at most. Few
            samples in large batches would get too few steps: on pools of CIFAR-10 and Fashion-MNIST, 50 labels gave
            38.8% and 50.5% in batches of 64 and 48.9% and 59.8% in batches of 4.
        learning_rate: Of AdamW, at the start.
        weight_decay: Of AdamW.
        validation_fraction: Share of the selected samples that choose the best epoch, in [0, 0.5]. Nothing is held out
            where that would be fewer than 50 samples, or fewer than one a class.
        patience: Epochs without a lower validation loss before training stops.

    Raises:
        InvalidSettingError: If one is outside its domain.
    """

    hidden: int = 512
    epochs: int = 40
    batch_size: int | None = None
    learning_rate: float = 3e-4
    weight_decay: float = 1e-4
    validation_fraction: float = 0.1
    patience: int = 5

    def batch_size_for(self, n: int) -> int:
        """Samples a step when there are ``n`` to train on."""
        if self.batch_size is not None:
            return self.batch_size
        return min(max(n // _STEPS_PER_EPOCH, _SMALLEST_BATCH), _LARGEST_BATCH)

    def __post_init__(self) -> None:
        for name in ("hidden", "epochs", "patience"):
            _require(getattr(self, name) >= 1, name, "at least 1", getattr(self, name))
        if self.batch_size is not None:
            _require(self.batch_size >= 1, "batch_size", "at least 1", self.batch_size)
        _require(0 < self.learning_rate < math.inf, "learning_rate", "above 0", self.learning_rate)
        _require(0 <= self.weight_decay < math.inf, "weight_decay", "at least 0", self.weight_decay)
        _require(0 <= self.validation_fraction <= 0.5, "validation_fraction", "in [0, 0.5]", self.validation_fraction)


@dataclass(frozen=True, slots=True)
class Epoch:
    """One pass over the training samples.

    Attributes:
        train_loss: Mean over the pass, while the weights move.
        validation_loss: On the held-out samples afterwards; None where nothing was held out.
        validation_accuracy: Likewise.
    """

    train_loss: float
    validation_loss: float | None
    validation_accuracy: float | None

    @property
    def judged_loss(self) -> float:
        """The validation loss; the training loss where nothing was held out."""
        return self.train_loss if self.validation_loss is None else self.validation_loss

    def report(self, number: int, *, phase: Phase, seed: int) -> EpochReport:
        """What a listener is told of it."""
        return EpochReport(phase=phase, seed=seed, alpha=None, epoch=number, **asdict(self))


@dataclass(frozen=True, slots=True, eq=False)
class TrainedHead:
    """The head of the best epoch.

    Attributes:
        head: Reads raw features and gives calibrated logits; on the device of the training features, in evaluation
            mode.
        best_epoch: Its epoch, from 1: the one with the lowest validation loss, or the last where nothing was held out.
        history: One for each epoch that was run.
        temperature: What its logits were divided by, as part of the output layer: fitted to the held-out samples, 1
            where there are none.
    """

    head: Head
    best_epoch: int
    history: tuple[Epoch, ...]
    temperature: float

    @property
    def epochs_run(self) -> int:
        """How many epochs there were before training stopped."""
        return len(self.history)

    @property
    def best_loss(self) -> float:
        """Validation loss of the best epoch; its training loss where nothing was held out."""
        return self.history[self.best_epoch - 1].judged_loss


def train_head(
    features: Tensor,
    labels: Tensor,
    *,
    n_classes: int,
    settings: TrainingSettings,
    seed: int,
    start: nn.Sequential | None = None,
    listener: Listener = NOBODY,
) -> TrainedHead:
    """Train two dense layers by cross-entropy, on the device of ``features``.

    Args:
        features: Raw features of the selected samples, shape ``(n, D)``.
        labels: Their classes, int64 in ``[0, n_classes)``, shape ``(n,)``.
        n_classes: L; classes without samples are allowed and come out improbable.
        settings: How.
        seed: Of the initial weights, the validation split and the order of samples. Same inputs and seed, same bits.
        start: A pretrained dense layer and its activation to begin with, such as ``Backbone.penultimate``.
        listener: Told the finished share of all epochs, and of each epoch when it is over.

    Returns:
        The head of the best epoch, and how training went.

    Raises:
        TooFewSamplesError: If there are no samples.
        ShapeMismatchError: If features, labels, classes and start do not fit each other.
        InvalidSettingError: If the loss stops being a number.
    """
    _require_fit(features, labels, n_classes, start)
    chosen, held_out = (
        part.to(features.device) for part in validation_split(labels, settings.validation_fraction, seed=seed)
    )
    scale = measure_scale(features[chosen])
    if start is None:
        head = build_head(HeadLayout(features.shape[1], settings.hidden, n_classes), seed=seed).to(features.device)
    else:
        head = unfold_scale(extend_pretrained(start, n_classes, seed=seed).to(features.device), scale)
    scaled, labels = scale.apply(features), labels.to(features.device)
    fit = _Fit(scaled[chosen], labels[chosen], scaled[held_out], labels[held_out])
    best_epoch, history = _run_epochs(head, fit, settings, seed, listener)
    with torch.no_grad():
        temperature = fit_temperature(head(fit.held_out_features), fit.held_out_labels)
    return TrainedHead(fold_temperature(fold_scale(head, scale), temperature).eval(), best_epoch, history, temperature)


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    features: Tensor
    labels: Tensor
    held_out_features: Tensor
    held_out_labels: Tensor


def _run_epochs(
    head: Head, fit: _Fit, settings: TrainingSettings, seed: int, listener: Listener
) -> tuple[int, tuple[Epoch, ...]]:
    """Train ``head`` in place and leave it as it was after its best epoch."""
    order = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(
        head.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    batch_size = settings.batch_size_for(len(fit.labels))
    steps = settings.epochs * math.ceil(len(fit.labels) / batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    best_epoch, best_loss, best_weights = 0, math.inf, {}
    history: list[Epoch] = []
    for epoch in range(1, settings.epochs + 1):
        total = torch.zeros((), device=fit.features.device)
        for batch in _batches(len(fit.labels), batch_size, order):
            if schedule.last_epoch % _STEPS_BETWEEN_REPORTS == 0:
                listener.on_progress(schedule.last_epoch / steps)
            optimizer.zero_grad()
            loss = cross_entropy(head(fit.features[batch]), fit.labels[batch])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            total += loss.detach() * len(batch)
        history.append(_score(head, fit, float(total) / len(fit.labels)))
        current = _judged_loss(history[-1], epoch)
        listener.on_epoch(history[-1].report(epoch, phase=Phase.TRAINING, seed=seed))
        if history[-1].validation_loss is None or current < best_loss:
            best_epoch, best_loss = epoch, current
            best_weights = {name: tensor.clone() for name, tensor in head.state_dict().items()}
        elif epoch - best_epoch >= settings.patience:
            break
    head.load_state_dict(best_weights)
    listener.on_progress(1.0)
    return best_epoch, tuple(history)


def _batches(n: int, batch_size: int, order: torch.Generator) -> tuple[Tensor, ...]:
    return torch.split(torch.randperm(n, generator=order), batch_size)


@torch.no_grad()
def _score(head: Head, fit: _Fit, train_loss: float) -> Epoch:
    if not len(fit.held_out_labels):
        return Epoch(train_loss, None, None)
    logits = head(fit.held_out_features)
    hits = (logits.argmax(dim=1) == fit.held_out_labels).float().mean()
    return Epoch(train_loss, float(cross_entropy(logits, fit.held_out_labels)), float(hits))


def _judged_loss(epoch: Epoch, number: int) -> float:
    loss = epoch.judged_loss
    if not math.isfinite(loss):
        raise InvalidSettingError(
            f"training diverged in epoch {number}: choose a lower learning_rate, or check that the features are finite",
            field="learning_rate",
        )
    return loss


def _require_fit(features: Tensor, labels: Tensor, n_classes: int, start: nn.Sequential | None) -> None:
    if features.ndim != 2 or labels.shape != features.shape[:1]:
        raise ShapeMismatchError(
            f"features must be (n, D) and labels (n,): got {tuple(features.shape)} and {tuple(labels.shape)}"
        )
    if not len(labels):
        raise TooFewSamplesError("there are no samples to train on: select at least one", field="budget")
    if not 0 <= int(labels.min()) <= int(labels.max()) < n_classes:
        raise ShapeMismatchError(f"labels must lie in [0, {n_classes}): got {int(labels.min())} to {int(labels.max())}")
    if start is not None and getattr(start[0], "in_features", None) != features.shape[1]:
        raise ShapeMismatchError(f"the pretrained layer does not read features of length {features.shape[1]}")


def _require(holds: bool, name: str, domain: str, value: float) -> None:  # noqa: FBT001 - a condition, not a switch
    if not holds:
        raise InvalidSettingError(f"{name} must be {domain}: got {value}", field=name)
