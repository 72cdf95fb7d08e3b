"""Choose the samples of a pool that are worth a label."""

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import torch
from celery import shared_task
from torch import Tensor

from app.queue import TaskName
from app.schemas.selections import MANIFEST_CSV, MANIFEST_JSON, Manifest, SelectionCreate
from app.store.records import ArtifactRecord, SelectionRecord
from ot3l_core.data.images import ImageSplit
from ot3l_core.data.samples import LabelledSamples
from ot3l_core.finetune.backbones import Backbone
from ot3l_core.names import Phase, PoolLabels
from ot3l_core.otd import Measured, measure
from ot3l_core.progress import OnProgress, portion
from ot3l_core.selection import Selection, default_n_classes, pseudo_labels, select
from ot3l_core.transfer import EnterPhase
from worker.galleries import draw_gallery, spread_over
from worker.inputs import draw, embed_split, features_of, open_backbone, open_registered, selection_settings
from worker.lifecycle import Lifecycle, Outcome
from worker.outputs import describe_choice, list_samples, store_artifact, write_manifest
from worker.resources import Resources, resources
from worker.telling import Reporter


@shared_task(name=TaskName.SELECT_SAMPLES)
def select_samples(work_id: str) -> None:
    """Make one selection."""
    here = resources()
    Lifecycle(here.database, here.settings, SelectionRecord, partial(_compute, here=here)).run(UUID(work_id))


def _compute(record: SelectionRecord, reporter: Reporter, here: Resources) -> Outcome:
    request = SelectionCreate.model_validate(record.request)
    target = open_registered(record.target, here, reporter.enter(Phase.READING))
    images = draw(target.pool, request.pool_size, by_class=request.pool_labels is PoolLabels.GIVEN)
    backbone = open_backbone(request, here)
    features, source = _embed(images, record, request, backbone, here, reporter.enter(Phase.EMBEDDING))
    if request.pool_labels is PoolLabels.GIVEN:
        pool = LabelledSamples(features, torch.from_numpy(images.labels), target.classes)
    else:
        pool = stand_in_classes(features, backbone, request)
    measured, selection = choose(pool, source, request, reporter.enter)
    manifest = Manifest(
        strategy=request.strategy,
        pool_labels=request.pool_labels,
        budget=request.budget,
        seed=request.seed,
        n_pool=len(pool),
        pool_digest=images.digest,
        shortfall=selection.shortfall,
        samples=list_samples(selection, images, pool, pool_labels=request.pool_labels),
    )
    described = describe_choice(selection, measured=measured, pool=pool, source=source, pool_labels=request.pool_labels)
    chosen = images.take(selection.indices.numpy())
    artifacts = _save(record, manifest, chosen, here, reporter.enter(Phase.SAVING))
    return Outcome({"result": described.model_dump(mode="json")}, artifacts)


def _embed(
    images: ImageSplit,
    record: SelectionRecord,
    request: SelectionCreate,
    backbone: Backbone,
    here: Resources,
    on_progress: OnProgress,
) -> tuple[Tensor, LabelledSamples | None]:
    """The features of the pool, and the source with its labels."""
    if record.source is None:
        return features_of(images, backbone=backbone, request=request, resources=here, on_progress=on_progress), None
    dataset = open_registered(record.source, here, on_progress)
    split = draw(dataset.pool, request.source_size)
    share = len(images) / (len(images) + len(split))
    features = features_of(
        images, backbone=backbone, request=request, resources=here, on_progress=portion(on_progress, 0.0, share)
    )
    source = embed_split(
        split,
        dataset.classes,
        backbone=backbone,
        request=request,
        resources=here,
        on_progress=portion(on_progress, share, 1.0),
    )
    return features, source


def stand_in_classes(features: Tensor, backbone: Backbone, request: SelectionCreate) -> LabelledSamples:
    """Unlabelled samples with what stands for their classes: clusters, predictions, or one class for all."""
    kind = request.pool_labels
    if kind is None:
        return LabelledSamples(features, torch.zeros(len(features), dtype=torch.int64), ("all",))
    labels = pseudo_labels(
        features,
        backbone.source_outputs(features).cpu(),
        kind=kind,
        n_classes=request.n_classes or default_n_classes(len(features)),
        seed=request.seed,
    )
    noun = kind.value.removesuffix("s")
    return LabelledSamples(features, labels, tuple(f"{noun} {number}" for number in range(int(labels.max()) + 1)))


def choose(
    pool: LabelledSamples, source: LabelledSamples | None, request: SelectionCreate, enter: EnterPhase
) -> tuple[Measured | None, Selection]:
    """Measure how far the pool lies, where there is a source, and choose from it.

    Raises:
        MissingClassError: If a class of the source, or of the pool that is measured, has no samples.
    """
    settings = selection_settings(request, alpha=request.alpha)
    measured = None
    if source is not None:
        measured = measure(
            source,
            pool,
            label_distance=request.label_distance,
            class_score=request.class_score,
            scaling=request.scaling,
            with_sample_scores=settings.needs_sample_scores,
            seed=request.seed,
            on_progress=enter(Phase.MEASURING),
        )
    selection = select(
        pool,
        settings=settings,
        class_scores=measured.class_scores if measured else None,
        sample_scores=measured.sample_scores if measured else None,
        seed=request.seed,
        on_progress=enter(Phase.SELECTING),
    )
    return measured, selection


def _save(
    record: SelectionRecord, manifest: Manifest, chosen: ImageSplit, here: Resources, on_progress: OnProgress
) -> list[ArtifactRecord]:
    with TemporaryDirectory(prefix="ot3l-") as folder:
        as_json, as_csv = Path(folder) / MANIFEST_JSON, Path(folder) / MANIFEST_CSV
        write_manifest(as_json, as_csv, manifest)
        gallery = draw_gallery(Path(folder), *spread_over(manifest.samples, chosen), portion(on_progress, 0.0, 0.9))
        return [store_artifact(record, path, here.blobs) for path in (as_json, as_csv, *gallery)]
