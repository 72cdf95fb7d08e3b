"""Inspect a registered dataset: read every image once, count, fingerprint."""

import logging
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

from celery import shared_task
from PIL import Image

from app.queue import TaskName
from app.schemas.datasets import ClassRead, DatasetSummary
from app.schemas.galleries import GalleryImage
from app.store.records import ArtifactRecord, DatasetRecord
from ot3l_core.data.images import ImageDataset
from ot3l_core.errors import CoreError
from ot3l_core.names import Phase
from worker.galleries import decode_all, pick_from_dataset, write_gallery
from worker.inputs import open_files
from worker.lifecycle import Lifecycle, Outcome
from worker.outputs import store_artifact
from worker.resources import Resources, resources
from worker.telling import Reporter

log = logging.getLogger(__name__)


@shared_task(name=TaskName.INSPECT_DATASET)
def inspect_dataset(work_id: str) -> None:
    """Inspect one dataset."""
    here = resources()
    Lifecycle(here.database, here.settings, DatasetRecord, partial(_compute, here=here)).run(UUID(work_id))


def _compute(record: DatasetRecord, reporter: Reporter, here: Resources) -> Outcome:
    on_progress = reporter.enter(Phase.READING)
    try:
        dataset = open_files(record, here, on_progress)
        shown = decode_all(dataset, pick_from_dataset(dataset), on_progress)
    except CoreError as error:
        error.field = _field_to_blame(error.field, record.request)
        raise
    summary = summarise(dataset)
    log.info("%d classes, %d images in the pool, %d to test on", len(summary.classes), summary.n_pool, summary.n_test)
    values = {"digest": dataset.digest, "result": summary.model_dump(mode="json")}
    reporter.enter(Phase.SAVING)
    return Outcome(values, _save(record, shown, here))


def _save(
    record: DatasetRecord, shown: Sequence[tuple[GalleryImage, Image.Image]], here: Resources
) -> list[ArtifactRecord]:
    with TemporaryDirectory(prefix="ot3l-") as folder:
        return [store_artifact(record, path, here.blobs) for path in write_gallery(Path(folder), shown)]


def _field_to_blame(field: str | None, request: dict[str, Any]) -> str | None:
    """The request's name of a setting that the core knows by its own name."""
    if field in {None, "path"}:
        return next((name for name in ("upload", "path", "root", "dataset") if request.get(name)), None)
    return field


def summarise(dataset: ImageDataset) -> DatasetSummary:
    """What the service needs to know of a dataset."""
    pool, test = (Counter(split.labels.tolist()) if split else Counter() for split in (dataset.pool, dataset.test))
    return DatasetSummary(
        classes=[
            ClassRead(name=name, pool=pool[label], test=test[label]) for label, name in enumerate(dataset.classes)
        ],
        n_pool=pool.total(),
        n_test=test.total(),
    )
