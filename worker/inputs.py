"""From what the database says to what the core computes on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from app.places import is_remote, places_below
from app.schemas.features import FeatureRequest
from app.schemas.selecting import SelectingRequest
from app.store.records import DatasetRecord
from ot3l_core.data.features import cached_features
from ot3l_core.data.images import ImageDataset, ImageSplit
from ot3l_core.data.reading import open_dataset
from ot3l_core.data.samples import LabelledSamples
from ot3l_core.data.spec import DatasetSpec
from ot3l_core.data.subsample import stratified_subsample
from ot3l_core.errors import DatasetChangedError, WeightsUnavailableError
from ot3l_core.finetune.backbones import Backbone, load_backbone
from ot3l_core.names import DatasetFormat
from ot3l_core.progress import OnProgress
from ot3l_core.selection import Selection, SelectionSettings
from worker.buckets import fetch_place
from worker.resources import Resources
from worker.uploads import fetch_upload

DRAW_SEED = 0
"""Subsets of a dataset do not depend on a job's seeds, so that all jobs share their features."""


def spec_of(request: dict[str, Any], *, uploaded: Path | None = None) -> DatasetSpec:
    """A registered dataset as the readers know it.

    Args:
        request: As it was registered.
        uploaded: What its upload, or what lies in S3, has become on this machine; its paths then lead there.
    """
    path, annotations, test_path = (
        Path(uploaded or "", place) if place else None
        for place in (
            request.get("folder") or request.get("path") or request.get("root"),
            request.get("annotations"),
            request.get("test_path"),
        )
    )
    return DatasetSpec(
        format=DatasetFormat(request["format"]),
        path=path or uploaded,
        dataset=request.get("dataset"),
        annotations=annotations,
        label_column=request.get("label_column"),
        test_path=test_path,
        config=request.get("config"),
        download=request.get("download", False),
        test_fraction=request["test_fraction"],
        min_class_size=request["min_class_size"],
        labelled=request.get("labelled", True),
    )


def open_files(record: DatasetRecord, here: Resources, on_progress: OnProgress) -> ImageDataset:
    """Open a dataset where it is; one that was uploaded, or lies in S3, becomes files of this machine first.

    Raises:
        DataError: If it cannot be read, or what was uploaded is gone or is not what was announced.
        DiskFullError: If what comes from elsewhere does not fit on the disk.
        BlobStoreError: If the store that has it does not answer.
    """
    path = record.request.get("path")
    if record.upload_id is not None:
        uploaded = fetch_upload(record.upload_id, DatasetFormat(record.request["format"]), here, on_progress)
        return open_dataset(spec_of(record.request, uploaded=uploaded))
    if path is not None and is_remote(path):
        fetched = fetch_place(path, here.settings, on_progress)
        return open_dataset(spec_of(record.request | {"path": None}, uploaded=fetched))
    return open_dataset(spec_of(record.request))


def open_registered(record: DatasetRecord, here: Resources, on_progress: OnProgress) -> ImageDataset:
    """Open a dataset that was inspected before.

    Raises:
        DatasetChangedError: If its content is no longer what was inspected.
        CoreError: If it cannot be opened any more.
    """
    dataset = open_files(record, here, on_progress)
    if dataset.digest != record.digest:
        raise DatasetChangedError(
            f"the data of {record.name!r} has changed since it was registered: register it again under another name"
        )
    return dataset


@dataclass(frozen=True, slots=True, eq=False)
class JobImages:
    """The images of a job, before they are features.

    Attributes:
        classes: What is learned.
        digest: Of the dataset that the pool belongs to.
        pool: What to select from; where a selection was given, the labelled samples of it.
        test: What to evaluate on.
        source: What to measure from, and those of its samples that are drawn.
        given: All of the pool, where a selection was given.
        n_pool: How many samples there are, or were, to choose from.
        n_unlabelled: How many of a given selection have no label, and are left out.
    """

    classes: tuple[str, ...]
    digest: str
    pool: ImageSplit
    test: ImageSplit
    source: tuple[ImageDataset, ImageSplit] | None
    given: Selection | None
    n_pool: int
    n_unlabelled: int


def draw(split: ImageSplit, size: int | None, *, by_class: bool = True) -> ImageSplit:
    """At most ``size`` samples of a split: from every class in proportion, or without a look at the labels."""
    if size is None or size >= len(split):
        return split
    labels = split.labels if by_class else np.zeros(len(split), dtype=np.int64)
    return split.take(stratified_subsample(labels, size, DRAW_SEED))


def selection_settings(request: SelectingRequest, *, alpha: float) -> SelectionSettings:
    """How to choose, as the core knows it."""
    return SelectionSettings(
        strategy=request.strategy,
        alpha=alpha,
        budget=request.budget,
        class_fraction=request.class_fraction,
        unit=request.unit,
        class_score=request.class_score,
    )


def open_backbone(request: FeatureRequest, resources: Resources) -> Backbone:
    """The backbone of a request, on the worker's device.

    Raises:
        WeightsUnavailableError: If weights of the user's own are no longer where they were.
    """
    weights = None
    if request.weights is not None:
        weights = next(iter(places_below(request.weights, resources.settings.dataset_roots)), None)
        if weights is None:
            raise WeightsUnavailableError(
                "the weights must lie below a dataset root of this worker (OT3L_DATASET_ROOTS)", field="weights"
            )
    backbone = load_backbone(
        request.backbone, input_size=request.input_size, crop_fraction=request.crop_fraction, weights=weights
    )
    return backbone.to(resources.device)


def features_of(
    split: ImageSplit, *, backbone: Backbone, request: FeatureRequest, resources: Resources, on_progress: OnProgress
) -> Tensor:
    """The features of a split, computed once for every backbone and kept; its labels are not read."""
    return cached_features(
        split,
        backbone,
        cache=resources.cache,
        device=resources.device,
        precision=request.precision,
        on_progress=on_progress,
    )


def embed_split(
    split: ImageSplit,
    classes: tuple[str, ...],
    *,
    backbone: Backbone,
    request: FeatureRequest,
    resources: Resources,
    on_progress: OnProgress,
) -> LabelledSamples:
    """The features of a split with its labels."""
    features = features_of(split, backbone=backbone, request=request, resources=resources, on_progress=on_progress)
    return LabelledSamples(features, torch.from_numpy(split.labels), classes)
