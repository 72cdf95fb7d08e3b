"""Run a targeted-transfer job."""

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

from celery import shared_task

from app.queue import TaskName
from app.schemas.jobs import JobCreate, JobResult
from app.store.records import ArtifactRecord, DatasetRecord, JobRecord
from ot3l_core.data.images import ImageDataset, ImageSplit
from ot3l_core.data.samples import LabelledSamples
from ot3l_core.errors import TooFewSamplesError
from ot3l_core.finetune.backbones import Backbone
from ot3l_core.finetune.checkpoints import CheckpointMetadata, save_checkpoint
from ot3l_core.finetune.training import TrainingSettings
from ot3l_core.names import Phase
from ot3l_core.progress import OnProgress, portion
from ot3l_core.selection import SelectionSettings
from ot3l_core.transfer import TransferResult, TransferSettings, run_transfer
from worker.inputs import draw, embed_split, open_backbone, open_registered
from worker.lifecycle import Lifecycle, Outcome, Reporter
from worker.outputs import describe_transfer, store_artifact, write_predictions, write_selection
from worker.resources import Resources, resources


@shared_task(name=TaskName.TRANSFER)
def transfer(work_id: str) -> None:
    """Run one job."""
    here = resources()
    Lifecycle(here.database, here.settings, JobRecord, partial(_compute, here=here)).run(UUID(work_id))


@dataclass(frozen=True, slots=True, eq=False)
class _Images:
    """The images of a job, before they are features."""

    target: ImageDataset
    pool: ImageSplit
    test: ImageSplit
    source: ImageDataset | None
    source_pool: ImageSplit | None


def _compute(record: JobRecord, reporter: Reporter, here: Resources) -> Outcome:
    request = JobCreate.model_validate(record.request)
    reporter.enter(Phase.READING)
    images = _read(record.target, record.source, request)
    backbone = open_backbone(request, here)
    pool, test, source = _embed(images, request, backbone, here, reporter.enter(Phase.EMBEDDING))
    result = run_transfer(
        backbone, source=source, pool=pool, test=test, settings=settings_of(request), enter=reporter.enter
    )
    on_progress = reporter.enter(Phase.SAVING)
    described = describe_transfer(
        result,
        strategy=request.strategy,
        classes=images.target.classes,
        source_classes=images.source.classes if images.source else (),
        sizes={"n_pool": len(pool), "n_test": len(test), "n_source": len(source) if source else 0},
        pool_labels=pool.labels,
    )
    artifacts = _save(record, images, backbone, result, described, here, on_progress)
    return Outcome({"result": described.model_dump(mode="json")}, artifacts)


def settings_of(request: JobCreate) -> TransferSettings:
    """A request as the core knows it."""
    return TransferSettings(
        selection=SelectionSettings(
            strategy=request.strategy,
            alpha=request.alpha,
            budget=request.budget,
            class_fraction=request.class_fraction,
            unit=request.unit,
            class_score=request.class_score,
        ),
        training=TrainingSettings(**request.training.model_dump()),
        label_distance=request.label_distance,
        scaling=request.scaling,
        seeds=request.seeds,
    )


def _read(target: DatasetRecord, source: DatasetRecord | None, request: JobCreate) -> _Images:
    opened = open_registered(target)
    if opened.test is None:
        raise TooFewSamplesError(
            f"{target.name!r} has no test split: register it again with a test_fraction above 0", field="target"
        )
    opened_source = open_registered(source) if source is not None else None
    return _Images(
        target=opened,
        pool=draw(opened.pool, request.pool_size),
        test=draw(opened.test, request.test_size),
        source=opened_source,
        source_pool=draw(opened_source.pool, request.source_size) if opened_source else None,
    )


def _embed(
    images: _Images, request: JobCreate, backbone: Backbone, here: Resources, on_progress: OnProgress
) -> tuple[LabelledSamples, LabelledSamples, LabelledSamples | None]:
    parts = [(images.pool, images.target.classes), (images.test, images.target.classes)]
    if images.source is not None and images.source_pool is not None:
        parts.append((images.source_pool, images.source.classes))
    total = sum(len(split) for split, _ in parts)
    done, embedded = 0, []
    for split, classes in parts:
        part = portion(on_progress, done / total, (done + len(split)) / total)
        embedded.append(
            embed_split(split, classes, backbone=backbone, request=request, resources=here, on_progress=part)
        )
        done += len(split)
    pool, test, *source = embedded
    return pool, test, source[0] if source else None


def _save(
    record: JobRecord,
    images: _Images,
    backbone: Backbone,
    result: TransferResult,
    described: JobResult,
    here: Resources,
    on_progress: OnProgress,
) -> list[ArtifactRecord]:
    classes = images.target.classes
    pool_labels, test_labels = ([classes[label] for label in split.labels] for split in (images.pool, images.test))
    with TemporaryDirectory(prefix="ot3l-") as folder:
        checkpoint, selection, predictions = (
            Path(folder) / name for name in ("checkpoint.safetensors", "selection.csv", "predictions.csv")
        )
        save_checkpoint(
            checkpoint,
            backbone,
            result.chosen.trained.head,
            CheckpointMetadata(
                classes=classes,
                # The request and not the id: equal jobs make equal bytes, whoever ran them and however often.
                job=json.dumps(record.request, sort_keys=True),
                dataset_digest=images.target.digest,
                metrics=described.checkpoint.model_dump(),
            ),
        )
        write_selection(selection, result.runs, images.pool.sample_ids, pool_labels)
        write_predictions(predictions, result.chosen.probabilities, images.test.sample_ids, test_labels, classes)
        artifacts = []
        for number, path in enumerate((checkpoint, selection, predictions)):
            on_progress(number / 3)
            artifacts.append(store_artifact(record, path, here.blobs))
    return artifacts
