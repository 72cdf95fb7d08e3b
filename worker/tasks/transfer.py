"""Run a targeted-transfer job."""

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

from celery import shared_task

from app.queue import TaskName
from app.schemas.jobs import JobCreate, JobResult
from app.store.records import ArtifactRecord, DatasetRecord, JobRecord
from ot3l_core.data.samples import LabelledSamples
from ot3l_core.errors import TooFewSamplesError
from ot3l_core.finetune.backbones import Backbone
from ot3l_core.finetune.checkpoints import save_checkpoint
from ot3l_core.finetune.training import TrainingSettings
from ot3l_core.names import Phase
from ot3l_core.progress import OnProgress, portion
from ot3l_core.transfer import Run, TransferResult, TransferSettings, run_transfer
from worker.galleries import best_of, draw_gallery
from worker.inputs import JobImages, draw, embed_split, open_backbone, open_registered, selection_settings
from worker.job_files import CHECKPOINT, metadata_of, write_exports, write_report
from worker.job_results import describe_transfer
from worker.lifecycle import Lifecycle, Outcome
from worker.manifests import open_chosen
from worker.mlflow_runs import tell_outcome, told_to_mlflow
from worker.outputs import store_artifact
from worker.resources import Resources, resources
from worker.telling import Reporter
from worker.tuning import ChosenNetwork, Tuning, chosen_network, discard_states, require_blocks, tune_runs

log = logging.getLogger(__name__)


@shared_task(name=TaskName.TRANSFER)
def transfer(work_id: str) -> None:
    """Run one job."""
    here = resources()
    Lifecycle(here.database, here.settings, JobRecord, partial(_compute, here=here)).run(UUID(work_id))
    discard_states(here.settings.tuning_states, here.database)


def _compute(record: JobRecord, reporter: Reporter, here: Resources) -> Outcome:
    request = JobCreate.model_validate(record.request)
    with told_to_mlflow(record, request, here.settings, reporter) as run:
        outcome = _transfer(record, request, reporter, here)
        return outcome if run is None else tell_outcome(run, outcome, request, here, reporter)


def _transfer(record: JobRecord, request: JobCreate, reporter: Reporter, here: Resources) -> Outcome:
    on_progress = reporter.enter(Phase.READING)
    if record.manifest is None:
        images = _read(record.target, record.source, request, here, on_progress)
    else:
        images = open_chosen(record, record.manifest, request, here, on_progress)
    log.info("%d samples in the pool, %d to test on", len(images.pool), len(images.test))
    backbone = open_backbone(request, here)
    if request.fine_tune is not None:
        require_blocks(backbone, request.fine_tune)
    pool, test, source = _embed(images, request, backbone, here, reporter.enter(Phase.EMBEDDING))
    result = run_transfer(
        backbone,
        source=source,
        pool=pool,
        test=test,
        settings=settings_of(request),
        enter=reporter.enter,
        given=images.given,
        on_epoch=reporter.tell_epoch,
    )
    for run in result.runs:
        log.info(
            "seed %d: %d samples selected, accuracy %.4f", run.seed, len(run.selection.indices), run.evaluation.accuracy
        )
    tuning = _tune(record.id, request, images, backbone, result.runs, here, reporter)
    network = chosen_network(backbone, result, tuning)
    described = describe_transfer(
        result,
        tuning,
        network,
        strategy=request.strategy,
        images=images,
        source=source,
    )
    artifacts = _save(record, request, images, network, result, described, here, reporter)
    chosen = {} if result.sweep is None else {"alpha": result.sweep.chosen}
    return Outcome({"result": described.model_dump(mode="json"), **chosen}, artifacts)


def settings_of(request: JobCreate) -> TransferSettings:
    """A request as the core knows it."""
    return TransferSettings(
        selection=selection_settings(
            request, alpha=request.alpha if isinstance(request.alpha, float) else request.alphas[0]
        ),
        training=TrainingSettings(**request.training.model_dump()),
        label_distance=request.label_distance,
        scaling=request.scaling,
        seeds=request.seeds,
        alphas=request.alphas,
    )


def _read(
    target: DatasetRecord, source: DatasetRecord | None, request: JobCreate, here: Resources, on_progress: OnProgress
) -> JobImages:
    opened = open_registered(target, here, on_progress)
    if opened.test is None:
        raise TooFewSamplesError(
            f"{target.name!r} has no test split: register it again with a test_fraction above 0", field="target"
        )
    opened_source = open_registered(source, here, on_progress) if source is not None else None
    pool = draw(opened.pool, request.pool_size)
    return JobImages(
        classes=opened.classes,
        digest=opened.digest,
        pool=pool,
        test=draw(opened.test, request.test_size),
        source=(opened_source, draw(opened_source.pool, request.source_size)) if opened_source else None,
        given=None,
        n_pool=len(pool),
        n_unlabelled=0,
    )


def _embed(
    images: JobImages, request: JobCreate, backbone: Backbone, here: Resources, on_progress: OnProgress
) -> tuple[LabelledSamples, LabelledSamples, LabelledSamples | None]:
    parts = [(images.pool, images.classes), (images.test, images.classes)]
    if images.source is not None:
        source, drawn = images.source
        parts.append((drawn, source.classes))
    total = sum(len(split) for split, _ in parts)
    done, embedded = 0, []
    for split, classes in parts:
        part = portion(on_progress, done / total, (done + len(split)) / total)
        embedded.append(
            embed_split(split, classes, backbone=backbone, request=request, resources=here, on_progress=part)
        )
        done += len(split)
    pool, test, *rest = embedded
    return pool, test, rest[0] if rest else None


def _tune(
    job_id: UUID,
    request: JobCreate,
    images: JobImages,
    backbone: Backbone,
    runs: Sequence[Run],
    here: Resources,
    reporter: Reporter,
) -> Tuning | None:
    if request.fine_tune is None:
        return None
    return tune_runs(
        backbone,
        runs,
        images=images,
        request=request.fine_tune,
        precision=request.precision,
        states=here.settings.tuning_states / str(job_id),
        on_progress=reporter.enter(Phase.TUNING),
        on_epoch=reporter.tell_epoch,
    )


def _save(
    record: JobRecord,
    request: JobCreate,
    images: JobImages,
    network: ChosenNetwork,
    result: TransferResult,
    described: JobResult,
    here: Resources,
    reporter: Reporter,
) -> list[ArtifactRecord]:
    metadata = metadata_of(record, images, described)
    with TemporaryDirectory(prefix="ot3l-") as name:
        folder = Path(name)
        checkpoint = folder / CHECKPOINT
        save_checkpoint(checkpoint, network.backbone, network.head, metadata)
        paths = [checkpoint]
        if request.exports:
            paths += write_exports(checkpoint, request.exports, images, reporter.enter(Phase.EXPORTING))
        on_progress = reporter.enter(Phase.SAVING)
        paths += write_report(folder, record, request, images, network, described, result.runs, metadata)
        selection = next(run.selection for run in result.runs if run.seed == network.seed)
        shown = best_of(selection, images.pool, images.classes)
        paths += draw_gallery(folder, *shown, portion(on_progress, 0.0, 0.5))
        artifacts = []
        for number, path in enumerate(paths):
            on_progress(0.5 + 0.5 * number / len(paths))
            artifacts.append(store_artifact(record, path, here.blobs))
    return artifacts
