"""Targeted transfer learning from features to a trained head: measure, select, train, evaluate."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ot3l_core.data.samples import LabelledSamples
from ot3l_core.errors import InvalidSettingError, TooFewSamplesError
from ot3l_core.finetune.backbones import Backbone
from ot3l_core.finetune.evaluation import Evaluation, evaluate
from ot3l_core.finetune.training import TrainedHead, TrainingSettings, train_head
from ot3l_core.finetune.zero_shot import conditional_map, nearest_map
from ot3l_core.names import FeatureScaling, LabelDistanceMethod, Phase, Strategy
from ot3l_core.otd import Measured, measure
from ot3l_core.progress import Listener, OnEpoch, OnProgress, ignore_epoch, portion
from ot3l_core.selection import Selection, SelectionSettings, select
from ot3l_core.sweep import AlphaSweep, sweep_alpha

ZERO_SHOT_CONDITIONAL = "zero_shot_conditional"
ZERO_SHOT_NEAREST = "zero_shot_nearest"

_ROWS = 4096

EnterPhase = Callable[[Phase], OnProgress]


@dataclass(frozen=True, slots=True)
class TransferSettings:
    """How to measure, select and train; one selection and one training for each seed.

    Attributes:
        selection: How samples are chosen.
        training: How heads are trained.
        label_distance: Distance between the features of two classes.
        scaling: How features are brought to one scale before distances are taken.
        seeds: One run for each.
        alphas: Mixing coefficients to choose among on validation data; ``selection.alpha`` stands where there are none.

    Raises:
        InvalidSettingError: If there are alphas to choose among for a strategy that mixes nothing.
    """

    selection: SelectionSettings
    training: TrainingSettings
    label_distance: LabelDistanceMethod
    scaling: FeatureScaling
    seeds: tuple[int, ...]
    alphas: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.alphas and self.selection.strategy is not Strategy.MIXED:
            raise InvalidSettingError(
                f"alphas are for the strategy 'mixed': {self.selection.strategy.value!r} reads none", field="alpha"
            )


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """What one seed selected, trained and scored on the test split, with the test probabilities, shape ``(n, L)``."""

    seed: int
    selection: Selection
    trained: TrainedHead
    probabilities: Tensor
    evaluation: Evaluation


@dataclass(frozen=True, slots=True, eq=False)
class TransferResult:
    """Everything a job reports.

    Attributes:
        measured: The distances; None without a source.
        sweep: How alpha was chosen; None where it was given.
        zero_shot: Evaluation of each zero-shot map, by its name.
        runs: One for each seed.
        chosen: The run with the best validation loss, whose head goes into the checkpoint. The test split has no say.
    """

    measured: Measured | None
    sweep: AlphaSweep | None
    zero_shot: dict[str, Evaluation]
    runs: tuple[Run, ...]
    chosen: Run


def run_transfer(
    backbone: Backbone,
    *,
    source: LabelledSamples | None,
    pool: LabelledSamples,
    test: LabelledSamples,
    settings: TransferSettings,
    enter: EnterPhase,
    given: Selection | None = None,
    on_epoch: OnEpoch = ignore_epoch,
) -> TransferResult:
    """Select from the pool, train heads, and evaluate them on a test split that neither ever saw.

    Args:
        backbone: Gives the zero-shot predictions and, where it has one, the start of the head.
        source: Features to measure from; needed by strategies that read scores.
        pool: Features and labels to select from.
        test: Features and labels to evaluate on.
        settings: What to do.
        enter: Called at the start of each phase; returns the callback for its progress.
        given: A selection from the pool that was made before: nothing is selected then, and classes without samples are
            allowed.
        on_epoch: Told of every finished epoch: of each alpha that is tried, then of each seed's head.

    Raises:
        MissingClassError: If a class that must be measured or learned has no samples.
        TooFewSamplesError: If there are fewer than two classes to learn.
        InvalidSettingError: If the strategy needs a source and there is none.
        Cancelled: If a callback says so.
    """
    if pool.n_classes < 2:
        raise TooFewSamplesError("the target has one class: there is nothing to tell apart", field="target")
    if given is None:
        pool.require_every_class("target")
    measured = None if source is None else _measure(source, pool, settings, enter(Phase.MEASURING))
    sweep = None
    if given is not None:
        selections = [given] * len(settings.seeds)
    elif settings.alphas:
        by_alpha = _select_by_alpha(pool, measured, settings, enter(Phase.SELECTING))
        sweep = sweep_alpha(
            by_alpha,
            backbone=backbone,
            pool=pool,
            test=test,
            training=settings.training,
            seeds=settings.seeds,
            listener=Listener(enter(Phase.SWEEPING), on_epoch),
        )
        selections = by_alpha[sweep.chosen]
    else:
        selections = _select(pool, measured, settings, enter(Phase.SELECTING))
    listener = Listener(enter(Phase.TRAINING), on_epoch)
    runs = []
    for number, (seed, selection) in enumerate(zip(settings.seeds, selections, strict=True)):
        part = listener.portion(number / len(selections), (number + 1) / len(selections))
        runs.append(_run(backbone, pool, test, settings.training, seed, selection, part))
    enter(Phase.EVALUATING)
    zero_shot = _zero_shot(backbone, source, pool, test, measured)
    return TransferResult(measured, sweep, zero_shot, tuple(runs), min(runs, key=lambda run: run.trained.best_loss))


def _measure(
    source: LabelledSamples, pool: LabelledSamples, settings: TransferSettings, on_progress: OnProgress
) -> Measured:
    return measure(
        source,
        pool,
        label_distance=settings.label_distance,
        class_score=settings.selection.class_score,
        scaling=settings.scaling,
        with_sample_scores=settings.selection.needs_sample_scores,
        seed=settings.seeds[0],
        on_progress=on_progress,
    )


def _zero_shot(
    backbone: Backbone,
    source: LabelledSamples | None,
    pool: LabelledSamples,
    test: LabelledSamples,
    measured: Measured | None,
) -> dict[str, Evaluation]:
    """Both maps from the backbone's own predictions to target classes (METHOD section 4)."""
    seen = _source_probabilities(backbone, test)
    maps = {ZERO_SHOT_CONDITIONAL: conditional_map(_source_probabilities(backbone, pool), pool.labels, pool.n_classes)}
    if source is not None and measured is not None:
        source_map = conditional_map(_source_probabilities(backbone, source), source.labels, source.n_classes)
        maps[ZERO_SHOT_NEAREST] = nearest_map(source_map, measured.label_distances)
    return {name: evaluate(seen @ zero_shot_map.to(seen.device), test.labels) for name, zero_shot_map in maps.items()}


def _source_probabilities(backbone: Backbone, samples: LabelledSamples) -> Tensor:
    return torch.cat([backbone.source_outputs(rows).softmax(dim=1) for rows in torch.split(samples.features, _ROWS)])


def _select(
    pool: LabelledSamples, measured: Measured | None, settings: TransferSettings, on_progress: OnProgress
) -> list[Selection]:
    return [
        select(
            pool,
            settings=settings.selection,
            class_scores=measured.class_scores if measured else None,
            sample_scores=measured.sample_scores if measured else None,
            seed=seed,
            on_progress=portion(on_progress, number / len(settings.seeds), (number + 1) / len(settings.seeds)),
        )
        for number, seed in enumerate(settings.seeds)
    ]


def _select_by_alpha(
    pool: LabelledSamples, measured: Measured | None, settings: TransferSettings, on_progress: OnProgress
) -> dict[float, list[Selection]]:
    return {
        alpha: _select(
            pool,
            measured,
            replace(settings, selection=replace(settings.selection, alpha=alpha), alphas=()),
            portion(on_progress, number / len(settings.alphas), (number + 1) / len(settings.alphas)),
        )
        for number, alpha in enumerate(settings.alphas)
    }


def _run(
    backbone: Backbone,
    pool: LabelledSamples,
    test: LabelledSamples,
    settings: TrainingSettings,
    seed: int,
    selection: Selection,
    listener: Listener,
) -> Run:
    chosen = pool.take(selection.indices)
    trained = train_head(
        chosen.features.to(backbone.device),
        chosen.labels,
        n_classes=pool.n_classes,
        settings=settings,
        seed=seed,
        start=backbone.penultimate,
        listener=listener,
    )
    probabilities = trained.head.probabilities(test.features.to(backbone.device)).cpu()
    return Run(seed, selection, trained, probabilities, evaluate(probabilities, test.labels))
