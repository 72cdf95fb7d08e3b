"""A job's result as the service keeps it."""

from collections.abc import Sequence

import torch

from app.schemas.jobs import (
    FINE_TUNED,
    AlphaPointRead,
    AlphaSweepRead,
    CheckpointRead,
    JobResult,
    PhaseResult,
    ReliabilityBinRead,
    SelectionResult,
    Spread,
    TrainingResult,
    TuningResult,
)
from ot3l_core.data.samples import LabelledSamples
from ot3l_core.finetune.evaluation import Evaluation, ReliabilityBin, summarise
from ot3l_core.finetune.training import Epoch
from ot3l_core.names import Strategy
from ot3l_core.sweep import AlphaSweep
from ot3l_core.transfer import Run, TransferResult
from worker.inputs import JobImages
from worker.outputs import describe_measured
from worker.tuning import ChosenNetwork, Tuning


def describe_transfer(
    result: TransferResult,
    tuning: Tuning | None,
    network: ChosenNetwork,
    *,
    strategy: Strategy,
    images: JobImages,
    source: LabelledSamples | None,
) -> JobResult:
    """Everything that was measured.

    Args:
        result: What was selected, trained and evaluated.
        tuning: What became of it in extended fine-tuning.
        network: What goes into the checkpoint.
        strategy: How it was selected.
        images: What it was selected from and evaluated on.
        source: What was measured from.
    """
    classes = images.classes
    phases = [describe_phase(name, [evaluation]) for name, evaluation in result.zero_shot.items()]
    phases.append(describe_phase(strategy.value, [run.evaluation for run in result.runs]))
    if tuning is not None:
        phases.append(describe_phase(strategy.value + FINE_TUNED, tuning.evaluations))
    return JobResult(
        classes=list(classes),
        phases=phases,
        alpha_sweep=None if result.sweep is None else _describe_sweep(result.sweep),
        selection=_describe_selection(result.runs, images),
        training=[_describe_training(run) for run in result.runs],
        tuning=[] if tuning is None else _describe_tuning(tuning),
        checkpoint=_describe_checkpoint(network),
        class_distances=describe_measured(result.measured, source.classes if source else (), classes),
        n_pool=images.n_pool,
        n_test=len(images.test),
        n_source=len(source) if source else 0,
    )


def describe_phase(name: str, evaluations: Sequence[Evaluation]) -> PhaseResult:
    """One row of the report over several seeds."""
    recalls = zip(*(evaluation.per_class_recall for evaluation in evaluations), strict=True)
    confusion = torch.tensor([evaluation.confusion for evaluation in evaluations]).sum(dim=0)
    bins = zip(*(evaluation.reliability for evaluation in evaluations), strict=True)
    return PhaseResult(
        phase=name,
        accuracy=_spread([evaluation.accuracy for evaluation in evaluations]),
        macro_f1=_spread([evaluation.macro_f1 for evaluation in evaluations]),
        calibration_error=_spread([evaluation.calibration_error for evaluation in evaluations]),
        log_loss=_spread([evaluation.log_loss for evaluation in evaluations]),
        brier_loss=_spread([evaluation.brier_loss for evaluation in evaluations]),
        reliability=[_together(parts) for parts in bins],
        per_class_recall=[_mean([value for value in values if value is not None]) for values in recalls],
        confusion=confusion.tolist(),
    )


def _together(parts: Sequence[ReliabilityBin]) -> ReliabilityBinRead:
    """One bin over all seeds."""
    count = sum(part.count for part in parts)
    confidence = sum(part.count * part.confidence for part in parts if part.confidence is not None)
    right = sum(part.count * part.accuracy for part in parts if part.accuracy is not None)
    if not count:
        return ReliabilityBinRead(count=0, confidence=None, accuracy=None)
    return ReliabilityBinRead(count=count, confidence=confidence / count, accuracy=right / count)


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _spread(values: list[float]) -> Spread:
    found = summarise(values)
    return Spread(mean=found.mean, std=found.std, interval=found.half_width, values=values)


def _describe_sweep(sweep: AlphaSweep) -> AlphaSweepRead:
    points = [
        AlphaPointRead(
            alpha=point.alpha,
            validation_accuracy=_spread([evaluation.accuracy for evaluation in point.validation]),
            test_accuracy=_spread([evaluation.accuracy for evaluation in point.test]),
        )
        for point in sweep.points
    ]
    return AlphaSweepRead(points=points, chosen=sweep.chosen, n_labels=sweep.n_labels)


def _describe_selection(runs: Sequence[Run], images: JobImages) -> SelectionResult:
    labels = torch.from_numpy(images.pool.labels)
    counts = [torch.bincount(labels[run.selection.indices], minlength=len(images.classes)) for run in runs]
    return SelectionResult(
        size=len(runs[0].selection.indices),
        shortfall=runs[0].selection.shortfall,
        per_class=torch.stack(counts).double().mean(dim=0).round().int().tolist(),
        n_unlabelled=images.n_unlabelled,
    )


def _describe_training(run: Run) -> TrainingResult:
    return TrainingResult(
        seed=run.seed,
        n_selected=len(run.selection.indices),
        n_epochs=run.trained.epochs_run,
        best_epoch=run.trained.best_epoch,
        temperature=run.trained.temperature,
        **_curves(run.trained.history),
    )


def _describe_tuning(tuning: Tuning) -> list[TuningResult]:
    return [
        TuningResult(
            seed=course.seed,
            blocks=tuning.blocks,
            n_epochs=len(course.epochs) - 1,
            best_epoch=course.best_epoch,
            **_curves(course.epochs),
        )
        for course in tuning.courses
    ]


def _curves(epochs: Sequence[Epoch]) -> dict[str, list[float]]:
    return {
        "train_loss": [epoch.train_loss for epoch in epochs],
        "validation_loss": [epoch.validation_loss for epoch in epochs if epoch.validation_loss is not None],
        "validation_accuracy": [epoch.validation_accuracy for epoch in epochs if epoch.validation_accuracy is not None],
    }


def _describe_checkpoint(network: ChosenNetwork) -> CheckpointRead:
    return CheckpointRead(
        seed=network.seed,
        accuracy=network.evaluation.accuracy,
        n_correct=sum(row[label] for label, row in enumerate(network.evaluation.confusion)),
        n_test=network.evaluation.n,
        temperature=network.temperature,
    )
