"""From what the core computed to what the database and the blob store keep."""

import csv
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from app.schemas.distances import ClassDistance, MatrixResult, MergeRead, NearestSource
from app.schemas.jobs import (
    CheckpointRead,
    JobResult,
    PhaseResult,
    SelectionResult,
    Spread,
    TrainingResult,
)
from app.store.blobs import BlobStore
from app.store.records import (
    ArtifactRecord,
    DistanceArtifactRecord,
    DistanceRecord,
    JobArtifactRecord,
    JobRecord,
)
from ot3l_core.finetune.evaluation import Evaluation, summarise
from ot3l_core.names import Strategy
from ot3l_core.otd import DatasetMatrix
from ot3l_core.transfer import Run, TransferResult

MEDIA_TYPES = {
    ".safetensors": "application/octet-stream",
    ".csv": "text/csv; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}


def describe_transfer(
    result: TransferResult,
    *,
    strategy: Strategy,
    classes: tuple[str, ...],
    source_classes: tuple[str, ...],
    sizes: dict[str, int],
    pool_labels: Tensor,
) -> JobResult:
    """A job's result as the service keeps it."""
    phases = [describe_phase(name, [evaluation]) for name, evaluation in result.zero_shot.items()]
    phases.append(describe_phase(strategy.value, [run.evaluation for run in result.runs]))
    chosen = result.chosen
    return JobResult(
        classes=list(classes),
        phases=phases,
        selection=_describe_selection(result.runs, pool_labels, len(classes)),
        training=[_describe_training(run) for run in result.runs],
        checkpoint=CheckpointRead(
            seed=chosen.seed,
            accuracy=chosen.evaluation.accuracy,
            n_correct=sum(chosen.evaluation.confusion[label][label] for label in range(len(classes))),
            n_test=chosen.evaluation.n,
        ),
        class_distances=[]
        if result.measured is None
        else describe_classes(result.measured.label_distances, result.measured.class_scores, source_classes, classes),
        **sizes,
    )


def describe_classes(
    label_distances: Tensor, class_scores: Tensor, source_classes: Sequence[str], target_classes: Sequence[str]
) -> list[ClassDistance]:
    """Each target class with its score and its nearest source class."""
    nearest = label_distances.min(dim=0)
    rows = zip(target_classes, class_scores.tolist(), nearest.indices.tolist(), nearest.values.tolist(), strict=True)
    return [
        ClassDistance(name=name, score=score, nearest_source=source_classes[index], nearest_distance=distance)
        for name, score, index, distance in rows
    ]


def describe_phase(name: str, evaluations: Sequence[Evaluation]) -> PhaseResult:
    """One row of the report over several seeds."""
    recalls = zip(*(evaluation.per_class_recall for evaluation in evaluations), strict=True)
    confusion = torch.tensor([evaluation.confusion for evaluation in evaluations]).sum(dim=0)
    return PhaseResult(
        phase=name,
        accuracy=_spread([evaluation.accuracy for evaluation in evaluations]),
        macro_f1=_spread([evaluation.macro_f1 for evaluation in evaluations]),
        calibration_error=_spread([evaluation.calibration_error for evaluation in evaluations]),
        per_class_recall=[_mean([value for value in values if value is not None]) for values in recalls],
        confusion=confusion.tolist(),
    )


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _spread(values: list[float]) -> Spread:
    found = summarise(values)
    return Spread(mean=found.mean, std=found.std, interval=found.half_width, values=values)


def _describe_selection(runs: Sequence[Run], pool_labels: Tensor, n_classes: int) -> SelectionResult:
    counts = torch.stack([torch.bincount(pool_labels[run.selection.indices], minlength=n_classes) for run in runs])
    return SelectionResult(
        size=len(runs[0].selection.indices),
        shortfall=runs[0].selection.shortfall,
        per_class=counts.double().mean(dim=0).round().int().tolist(),
    )


def _describe_training(run: Run) -> TrainingResult:
    history = run.trained.history
    return TrainingResult(
        seed=run.seed,
        n_selected=len(run.selection.indices),
        n_epochs=run.trained.epochs_run,
        best_epoch=run.trained.best_epoch,
        train_loss=[epoch.train_loss for epoch in history],
        validation_loss=[epoch.validation_loss for epoch in history if epoch.validation_loss is not None],
    )


def write_selection(path: Path, runs: Sequence[Run], sample_ids: Sequence[str], labels: Sequence[str]) -> None:
    """Which samples each seed selected, and why."""
    rows = []
    for run in runs:
        scores = [None] * len(run.selection.indices) if run.selection.scores is None else run.selection.scores.tolist()
        picked = zip(run.selection.indices.tolist(), run.selection.reasons, scores, strict=True)
        rows += [(run.seed, sample_ids[index], labels[index], reason, score) for index, reason, score in picked]
    _write_rows(path, ("seed", "sample", "label", "reason", "score"), rows)


def write_predictions(
    path: Path, probabilities: Tensor, sample_ids: Sequence[str], labels: Sequence[str], classes: Sequence[str]
) -> None:
    """What the checkpoint's network says of every test sample."""
    best = probabilities.max(dim=1)
    predicted = [classes[index] for index in best.indices.tolist()]
    rows = zip(sample_ids, labels, predicted, best.values.tolist(), strict=True)
    _write_rows(path, ("sample", "label", "predicted", "confidence"), rows)


def _write_rows(path: Path, header: Sequence[str], rows: Any) -> None:  # noqa: ANN401 - whatever csv takes
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def describe_matrix(found: DatasetMatrix, names: Sequence[str], n_samples: Sequence[int]) -> MatrixResult:
    """The distances between many datasets as the service keeps them."""
    nearest = [
        NearestSource(
            name=names[own],
            nearest=names[entry.index],
            distance=float(found.upper[own, entry.index]),
            settled=entry.settled,
        )
        for own, entry in enumerate(found.nearest)
    ]
    return MatrixResult(
        datasets=list(names),
        n_samples=list(n_samples),
        upper=found.upper.tolist(),
        lower=found.lower.tolist(),
        gap_percent=found.gap_percent.tolist(),
        converged=found.converged.tolist(),
        order=list(found.order),
        merges=[MergeRead.model_validate(merge) for merge in found.merges],
        nearest=nearest,
    )


def write_matrix(path: Path, names: Sequence[str], values: Sequence[Sequence[float]]) -> None:
    """A table with the datasets' names above and before the values, which keep every digit."""
    rows = [(name, *row) for name, row in zip(names, values, strict=True)]
    _write_rows(path, ("dataset", *names), rows)


def store_artifact(owner: JobRecord | DistanceRecord, path: Path, blobs: BlobStore) -> ArtifactRecord:
    """Put a file into the blob store, under a key made of its content.

    Two attempts at the same work write equal bytes to equal keys, so that neither can harm the other.
    """
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    key = f"{owner.__tablename__}/{owner.id}/{sha256}{path.suffix}"
    blobs.put_file(key, path)
    told: dict[str, Any] = {
        "name": path.name,
        "key": key,
        "size": path.stat().st_size,
        "sha256": sha256,
        "media_type": MEDIA_TYPES[path.suffix],
    }
    if isinstance(owner, JobRecord):
        return JobArtifactRecord(job_id=owner.id, **told)
    return DistanceArtifactRecord(distance_id=owner.id, **told)
