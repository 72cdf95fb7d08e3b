"""Inspect a registered dataset: read it once, count it, fingerprint it."""

from uuid import UUID

import numpy as np
from celery import shared_task

from app.queue import TaskName
from app.schemas.datasets import ClassRead, DatasetSummary
from app.store.records import DatasetRecord
from ot3l_core.data.images import ImageDataset
from ot3l_core.data.reading import open_dataset
from ot3l_core.names import Phase
from worker.inputs import spec_of
from worker.lifecycle import Lifecycle, Outcome, Reporter
from worker.resources import resources


@shared_task(name=TaskName.INSPECT_DATASET)
def inspect_dataset(work_id: str) -> None:
    """Inspect one dataset."""
    here = resources()
    Lifecycle(here.database, here.settings, DatasetRecord, _compute).run(UUID(work_id))


def _compute(record: DatasetRecord, reporter: Reporter) -> Outcome:
    reporter.enter(Phase.READING)
    dataset = open_dataset(spec_of(record.request))
    return Outcome({"digest": dataset.digest, "result": summarise(dataset).model_dump(mode="json")})


def summarise(dataset: ImageDataset) -> DatasetSummary:
    """What the service needs to know of a dataset."""
    n_classes = len(dataset.classes)
    pool = np.bincount(dataset.pool.labels, minlength=n_classes)
    test = np.bincount(dataset.test.labels, minlength=n_classes) if dataset.test else np.zeros(n_classes, np.int64)
    return DatasetSummary(
        classes=[
            ClassRead(name=name, pool=int(pool[label]), test=int(test[label]))
            for label, name in enumerate(dataset.classes)
        ],
        n_pool=int(pool.sum()),
        n_test=int(test.sum()),
    )
