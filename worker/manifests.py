"""Jobs whose samples were chosen before: which they are, and what they were labelled."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from app.schemas.jobs import JobCreate
from app.schemas.selections import MANIFEST_JSON, Manifest, ManifestSample
from app.store.blobs import BlobStore
from app.store.records import JobManifestRecord, JobRecord, SelectionRecord
from ot3l_core.data.images import ImageDataset, ImageSplit
from ot3l_core.errors import TooFewSamplesError
from ot3l_core.progress import OnProgress
from ot3l_core.selection import Selection
from worker.inputs import JobImages, draw, open_registered
from worker.resources import Resources


def open_chosen(
    record: JobRecord, given: JobManifestRecord, request: JobCreate, here: Resources, on_progress: OnProgress
) -> JobImages:
    """Find the samples that a job was given.

    Raises:
        DatasetChangedError: If a dataset's content is no longer what was inspected.
        TooFewSamplesError: If fewer than two classes have a sample.
    """
    manifest = read_manifest(given.selection, here.blobs)
    target = open_registered(record.target, here, on_progress)
    test = target if given.test is None else open_registered(given.test, here, on_progress)
    places = {sample: place for place, sample in enumerate(target.pool.sample_ids)}
    chosen = target.pool.take(np.array([places[sample.id] for sample in manifest.samples], dtype=np.int64))
    labels = given.labels or _own_labels(target, chosen)
    kept = np.array([place for place, sample in enumerate(chosen.sample_ids) if sample in labels], dtype=np.int64)
    label_of = {name: label for label, name in enumerate(test.classes)}
    pool = chosen.take(kept)
    pool = replace(pool, labels=np.array([label_of[labels[sample]] for sample in pool.sample_ids], dtype=np.int64))
    if len(np.unique(pool.labels)) < 2:
        raise TooFewSamplesError(
            "the selection has samples of one class only: choose more, or with another strategy", field="selection"
        )
    return JobImages(
        classes=test.classes,
        digest=target.digest,
        pool=pool,
        test=draw(test.pool if test.test is None else test.test, request.test_size),
        source=None,
        given=_whole([manifest.samples[place] for place in kept.tolist()], manifest.shortfall),
        n_pool=manifest.n_pool,
        n_unlabelled=len(chosen) - len(pool),
    )


def read_manifest(selection: SelectionRecord, blobs: BlobStore) -> Manifest:
    """What a selection that has succeeded chose."""
    artifact = next(artifact for artifact in selection.artifacts if artifact.name == MANIFEST_JSON)
    return Manifest.model_validate_json(blobs.read(artifact.key, artifact.size))


def _own_labels(target: ImageDataset, chosen: ImageSplit) -> Mapping[str, str]:
    names = (target.classes[label] for label in chosen.labels.tolist())
    return dict(zip(chosen.sample_ids, names, strict=True))


def _whole(samples: list[ManifestSample], shortfall: int) -> Selection:
    return Selection(
        indices=torch.arange(len(samples)),
        reasons=tuple(sample.reason for sample in samples),
        scores=_column([sample.score for sample in samples]),
        shortfall=shortfall,
        shares=_column([sample.weight for sample in samples]),
    )


def _column(values: list[float | None]) -> Tensor | None:
    there = [value for value in values if value is not None]
    return torch.tensor(there, dtype=torch.float64) if len(there) == len(values) else None
