"""Targeted transfer learning from features to a trained head: measure, select, train, evaluate."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ot3l_core.data.samples import LabelledSamples
from ot3l_core.errors import TooFewSamplesError
from ot3l_core.finetune.backbones import Backbone
from ot3l_core.finetune.evaluation import Evaluation, evaluate
from ot3l_core.finetune.training import TrainedHead, TrainingSettings, train_head
from ot3l_core.finetune.zero_shot import conditional_map, nearest_map
from ot3l_core.names import ClassScore, FeatureScaling, LabelDistanceMethod, Phase, Unit
from ot3l_core.otd import class_scores, dataset_distance, label_distances, scale_features
from ot3l_core.progress import OnProgress, portion
from ot3l_core.selection import Selection, SelectionSettings, select

ZERO_SHOT_CONDITIONAL = "zero_shot_conditional"
ZERO_SHOT_NEAREST = "zero_shot_nearest"

_ROWS = 4096

EnterPhase = Callable[[Phase], OnProgress]


@dataclass(frozen=True, slots=True)
class TransferSettings:
    """How to measure, select and train; one selection and one training for each seed."""

    selection: SelectionSettings
    training: TrainingSettings
    label_distance: LabelDistanceMethod
    scaling: FeatureScaling
    seeds: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Distances from the source to the target's pool.

    Attributes:
        label_distances: W2 in feature units, shape ``(K, L)``.
        class_scores: How far each target class is, shape ``(L,)``.
        sample_scores: Each pool sample's share of the transport cost, shape ``(M,)``, where the settings need it.
    """

    label_distances: Tensor
    class_scores: Tensor
    sample_scores: Tensor | None


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
        zero_shot: Evaluation of each zero-shot map, by its name.
        runs: One for each seed.
        chosen: The run with the best validation loss, whose head goes into the checkpoint. The test split has no say.
    """

    measured: Measured | None
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
) -> TransferResult:
    """Select from the pool, train heads, and evaluate them on a test split that neither ever saw.

    Args:
        backbone: Gives the zero-shot predictions and, where it has one, the start of the head.
        source: Features to measure from; needed by strategies that read scores.
        pool: Features and labels to select from.
        test: Features and labels to evaluate on.
        settings: What to do.
        enter: Called at the start of each phase; returns the callback for its progress.

    Raises:
        MissingClassError: If a class that must be measured or learned has no samples.
        TooFewSamplesError: If there are fewer than two classes to learn.
        InvalidSettingError: If the strategy needs a source and there is none.
        Cancelled: If a progress callback says so.
    """
    if pool.n_classes < 2:
        raise TooFewSamplesError("the target has one class: there is nothing to tell apart", field="target")
    pool.require_every_class("target")
    measured = _measure(source, pool, settings, enter(Phase.MEASURING)) if source is not None else None
    enter(Phase.SELECTING)
    selections = _select(pool, measured, settings)
    on_progress = enter(Phase.TRAINING)
    runs = []
    for number, (seed, selection) in enumerate(zip(settings.seeds, selections, strict=True)):
        part = portion(on_progress, number / len(selections), (number + 1) / len(selections))
        runs.append(_run(backbone, pool, test, settings.training, seed, selection, part))
    enter(Phase.EVALUATING)
    zero_shot = _zero_shot(backbone, source, pool, test, measured)
    return TransferResult(measured, zero_shot, tuple(runs), min(runs, key=lambda run: run.trained.best_loss))


def _measure(
    source: LabelledSamples, pool: LabelledSamples, settings: TransferSettings, on_progress: OnProgress
) -> Measured:
    source.require_every_class("source")
    source, pool = scale_features(source, pool, scaling=settings.scaling)
    selection = settings.selection
    distances = label_distances(
        source, pool, method=settings.label_distance, seed=settings.seeds[0], on_progress=portion(on_progress, 0.0, 0.5)
    )
    plan_is_read = selection.class_score is ClassScore.PLAN
    samples_are_ranked = selection.strategy.needs_scores and selection.unit is Unit.SAMPLE
    if not (plan_is_read or samples_are_ranked):
        return Measured(distances, class_scores(distances, class_score=selection.class_score), None)
    whole = dataset_distance(
        source,
        pool,
        label_cost=distances.square(),
        seed=settings.seeds[0],
        on_progress=portion(on_progress, 0.5, 1.0),
    )
    scores = class_scores(distances, class_score=selection.class_score, class_plan=whole.class_plan)
    return Measured(distances, scores, whole.sample_scores)


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


def _select(pool: LabelledSamples, measured: Measured | None, settings: TransferSettings) -> list[Selection]:
    return [
        select(
            pool.labels,
            n_classes=pool.n_classes,
            settings=settings.selection,
            class_scores=measured.class_scores if measured else None,
            sample_scores=measured.sample_scores if measured else None,
            seed=seed,
        )
        for seed in settings.seeds
    ]


def _run(
    backbone: Backbone,
    pool: LabelledSamples,
    test: LabelledSamples,
    settings: TrainingSettings,
    seed: int,
    selection: Selection,
    on_progress: OnProgress,
) -> Run:
    chosen = pool.take(selection.indices)
    trained = train_head(
        chosen.features.to(backbone.device),
        chosen.labels,
        n_classes=pool.n_classes,
        settings=settings,
        seed=seed,
        start=backbone.penultimate,
        on_progress=on_progress,
    )
    probabilities = trained.head.probabilities(test.features.to(backbone.device)).cpu()
    return Run(seed, selection, trained, probabilities, evaluate(probabilities, test.labels))
