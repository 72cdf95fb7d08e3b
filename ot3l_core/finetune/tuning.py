"""Extended fine-tuning: the last blocks of a backbone, or all of it, trained together with its head on pictures."""

import json
import math
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from ot3l_core.data.images import ImageSplit
from ot3l_core.errors import InvalidSettingError, ShapeMismatchError, TooFewSamplesError
from ot3l_core.finetune.backbones import Backbone
from ot3l_core.finetune.blocks import last_blocks
from ot3l_core.finetune.course import Course, Loaded
from ot3l_core.finetune.heads import Head, Scale, fold_scale, measure_scale
from ot3l_core.finetune.learner import Learner, build_learner, features_of, score, train_epoch
from ot3l_core.finetune.resuming import TuningState, load_state, moments_of, recall_moments, save_state
from ot3l_core.finetune.training import Epoch
from ot3l_core.finetune.tuning_settings import TuningSettings
from ot3l_core.finetune.validation import validation_split
from ot3l_core.finetune.weights import digest_of
from ot3l_core.names import Phase
from ot3l_core.progress import NOBODY, Listener, OnProgress

_STATE_VERSION: Final = 1


@dataclass(frozen=True, slots=True, eq=False)
class TunedNetwork:
    """Backbone and head of the best epoch.

    Attributes:
        backbone: With weights and a digest of its own; otherwise as the one that was given.
        head: Reads its raw features; in evaluation mode, on its device.
        start: Losses before the first epoch, on pictures as they are.
        best_epoch: The one with the lowest validation loss, 0 where none was better than the start; the last where
            nothing was held out.
        history: One for each epoch that was run; training losses are those of varied pictures and smoothed labels.
    """

    backbone: Backbone
    head: Head
    start: Epoch
    best_epoch: int
    history: tuple[Epoch, ...]


def tune(
    backbone: Backbone,
    head: Head,
    pictures: ImageSplit,
    *,
    settings: TuningSettings,
    seed: int,
    state: Path | None = None,
    listener: Listener = NOBODY,
) -> TunedNetwork:
    """Train a head and the last blocks of its backbone by cross-entropy, on the backbone's device.

    Begin with a head that was trained on features: a random one would first spoil the blocks below it. Give the same
    ``seed`` and ``validation_fraction`` as to ``train_head``, and both hold out the same samples.

    Args:
        backbone: Where it starts; stays as it is.
        head: Reads the backbone's raw features; stays as it is.
        pictures: The selected samples.
        settings: How.
        seed: Of the validation split, the order of samples, their variations and dropout. Same inputs and seed, on the
            same kind of device with as many threads, same bits; how many threads decode does not matter.
        state: A file, written after every epoch, from which a later call with the same arguments goes on to the same
            bits. One that is damaged or belongs to other work is replaced. It is the caller's to delete.
        listener: Told the finished share of all epochs after every batch, and of each epoch once it is in the state,
            from 0 for the start. A call that goes on tells all of them again, so that none is lost with who was told.

    Returns:
        The tuned network, and how training went.

    Raises:
        TooFewSamplesError: If there are no pictures.
        ShapeMismatchError: If backbone, head and labels do not fit each other.
        InvalidSettingError: If the backbone has fewer blocks, or the loss stops being a number.
        DataError: If a picture cannot be read.
    """
    _require_fit(backbone, head, pictures)
    last_blocks(backbone.network, settings.blocks)
    head = deepcopy(head).to(backbone.device)
    fit, held_out = validation_split(torch.from_numpy(pictures.labels), settings.validation_fraction, seed=seed)
    course = Course(pictures, fit.numpy(), held_out.numpy(), settings.batch_size, settings.augmentation, seed)
    work = _identify(backbone, head, pictures, settings, seed) if state else ""
    # Without this, a GPU may add gradients up in another order each time.
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
        reached = load_state(state, work=work) if state else None
        if reached is None:
            learner, reached = _begin(backbone, head, course, settings, listener.on_progress)
        else:
            learner = _resume(backbone, head, reached, settings)
        _tell(reached, seed, listener)
        with closing(_remaining(learner, course, reached)) as loaded:
            stream = _reported(loaded, learner, course, reached, listener.on_progress)
            while not _is_finished(reached, settings):
                reached = _run_epoch(learner, course, reached, stream)
                if state:
                    save_state(state, reached, work=work)
                _tell(reached, seed, listener, since=len(reached.history))
    listener.on_progress(1.0)
    return _finish(learner, backbone, head, reached)


def _begin(
    backbone: Backbone, head: Head, course: Course, settings: TuningSettings, on_progress: OnProgress
) -> tuple[Learner, TuningState]:
    """Measure the scale of the features and where training starts from."""
    sample, validation = course.sample(), course.validation()
    total = _n_batches(course, settings)
    seen = []
    with closing(course.load([*sample, *validation], backbone.preprocessing)) as loaded, torch.no_grad():
        for done, (inputs, labels) in enumerate(loaded):
            on_progress(done / total)
            seen.append((features_of(backbone, inputs, settings.precision), labels.to(backbone.device)))
    scale = measure_scale(torch.cat([features for features, _ in seen[: len(sample)]]))
    learner = build_learner(backbone, head, scale, settings)
    with torch.no_grad():
        scored = [(head(features), labels) for features, labels in seen]
    train_loss, _ = score(scored[: len(sample)])
    weights = learner.copy_weights()
    return learner, TuningState(weights, weights, {}, scale, _epoch(train_loss, scored[len(sample) :]), ())


def _resume(backbone: Backbone, head: Head, reached: TuningState, settings: TuningSettings) -> Learner:
    scale = Scale(reached.scale.mean.to(backbone.device), reached.scale.spread)
    learner = build_learner(backbone, head, scale, settings)
    learner.restore(reached.weights)
    recall_moments(learner.optimizer, learner.parameters, reached.moments)
    return learner


def _n_batches(course: Course, settings: TuningSettings) -> int:
    return len(course.sample()) + len(course.validation()) + settings.epochs * course.n_batches


def _remaining(learner: Learner, course: Course, reached: TuningState) -> Generator[Loaded, None, None]:
    epochs = range(len(reached.history) + 1, learner.settings.epochs + 1)
    batches = (batch for epoch in epochs for batch in (*course.training(epoch), *course.validation()))
    return course.load(batches, learner.backbone.preprocessing)


def _reported(
    loaded: Iterable[Loaded], learner: Learner, course: Course, reached: TuningState, on_progress: OnProgress
) -> Iterator[Loaded]:
    total = _n_batches(course, learner.settings)
    left = (learner.settings.epochs - len(reached.history)) * course.n_batches
    for done, batch in enumerate(loaded, start=total - left):
        on_progress(done / total)
        yield batch


def _tell(reached: TuningState, seed: int, listener: Listener, *, since: int = 0) -> None:
    for number, epoch in islice(enumerate((reached.start, *reached.history)), since, None):
        listener.on_epoch(epoch.report(number, phase=Phase.TUNING, seed=seed))


def _is_finished(reached: TuningState, settings: TuningSettings) -> bool:
    n_epochs = len(reached.history)
    waited = n_epochs - reached.best_epoch
    return n_epochs == settings.epochs or waited >= settings.patience


def _run_epoch(learner: Learner, course: Course, reached: TuningState, stream: Iterator[Loaded]) -> TuningState:
    epoch = len(reached.history) + 1
    train_loss = train_epoch(learner, course, epoch, stream)
    learner.backbone.network.eval()
    with torch.no_grad():
        held_out = islice(stream, len(course.validation()))
        scored = [(learner.logits(inputs), labels.to(learner.backbone.device)) for inputs, labels in held_out]
    finished = _epoch(train_loss, scored)
    if not math.isfinite(finished.judged_loss):
        raise InvalidSettingError(
            f"training diverged in epoch {epoch}: choose lower learning rates, or check that the pictures are whole",
            field="learning_rate",
        )
    weights = learner.copy_weights()
    moments = moments_of(learner.optimizer, learner.parameters)
    history = (*reached.history, finished)
    state = replace(reached, weights=weights, best=weights, moments=moments, history=history)
    return state if state.best_epoch == epoch else replace(state, best=reached.best)


def _epoch(train_loss: float, held_out: list[tuple[Tensor, Tensor]]) -> Epoch:
    return Epoch(train_loss, *(score(held_out) if held_out else (None, None)))


def _finish(learner: Learner, backbone: Backbone, head: Head, final: TuningState) -> TunedNetwork:
    learner.restore(final.best)
    copy = learner.backbone
    copy.network.eval().requires_grad_(requires_grad=False)
    if final.best_epoch == 0:
        tuned, digest = head, backbone.digest
    else:
        tuned, digest = fold_scale(learner.head, learner.scale), digest_of(backbone.digest, copy.network.state_dict())
    tuned = tuned.eval().requires_grad_(requires_grad=False)
    return TunedNetwork(replace(copy, digest=digest), tuned, final.start, final.best_epoch, final.history)


def _identify(backbone: Backbone, head: Head, pictures: ImageSplit, settings: TuningSettings, seed: int) -> str:
    """Digest of all that decides on the final bits."""
    described = {
        "version": _STATE_VERSION,
        "settings": asdict(settings),
        "seed": seed,
        "pictures": pictures.digest,
        "labels": sha256(pictures.labels.tobytes()).hexdigest(),
        "backbone": asdict(backbone.architecture) | asdict(backbone.preprocessing),
        "head": asdict(head.layout),
        "device": backbone.device.type,
        "torch": torch.__version__,
    }
    tensors = {
        f"{part}.{name}": tensor
        for part, layers in (("backbone", backbone.network), ("head", head))
        for name, tensor in layers.state_dict().items()
    }
    return digest_of(json.dumps(described, sort_keys=True), tensors)


def _require_fit(backbone: Backbone, head: Head, pictures: ImageSplit) -> None:
    if not len(pictures):
        raise TooFewSamplesError("there are no pictures to train on: select at least one", field="budget")
    if head.layout.feature_dim != backbone.feature_dim:
        raise ShapeMismatchError(
            f"the head reads {head.layout.feature_dim} features, the backbone makes {backbone.feature_dim}"
        )
    lowest, highest = int(pictures.labels.min()), int(pictures.labels.max())
    if not 0 <= lowest <= highest < head.layout.n_classes:
        raise ShapeMismatchError(f"labels must lie in [0, {head.layout.n_classes}): got {lowest} to {highest}")
