"""From what the database says to what the core computes on."""

from pathlib import Path
from typing import Any

import torch

from app.schemas.features import FeatureRequest
from app.store.records import DatasetRecord
from ot3l_core.data.features import cached_features
from ot3l_core.data.images import ImageDataset, ImageSplit
from ot3l_core.data.reading import open_dataset
from ot3l_core.data.samples import LabelledSamples
from ot3l_core.data.spec import DatasetSpec
from ot3l_core.data.subsample import stratified_subsample
from ot3l_core.errors import DatasetChangedError
from ot3l_core.finetune.backbones import Backbone, load_backbone
from ot3l_core.names import DatasetFormat
from ot3l_core.progress import OnProgress
from worker.resources import Resources

DRAW_SEED = 0
"""Subsets of a dataset do not depend on a job's seeds, so that all jobs share their features."""


def spec_of(request: dict[str, Any]) -> DatasetSpec:
    """A registered dataset as the readers know it."""
    path, annotations, test_path = (
        Path(place) if place else None
        for place in (request.get("path") or request.get("root"), request.get("annotations"), request.get("test_path"))
    )
    return DatasetSpec(
        format=DatasetFormat(request["format"]),
        path=path,
        dataset=request.get("dataset"),
        annotations=annotations,
        label_column=request.get("label_column"),
        test_path=test_path,
        download=request.get("download", False),
        test_fraction=request["test_fraction"],
        min_class_size=request["min_class_size"],
    )


def open_registered(record: DatasetRecord) -> ImageDataset:
    """Open a dataset that was inspected before.

    Raises:
        DatasetChangedError: If its content is no longer what was inspected.
    """
    dataset = open_dataset(spec_of(record.request))
    if dataset.digest != record.digest:
        raise DatasetChangedError(
            f"the data of {record.name!r} has changed since it was registered: register it again under another name"
        )
    return dataset


def draw(split: ImageSplit, size: int | None) -> ImageSplit:
    """At most ``size`` samples of a split, from every class in proportion."""
    if size is None or size >= len(split):
        return split
    return split.take(stratified_subsample(split.labels, size, DRAW_SEED))


def open_backbone(request: FeatureRequest, resources: Resources) -> Backbone:
    """The backbone of a request, on the worker's device."""
    backbone = load_backbone(request.backbone, input_size=request.input_size, crop_fraction=request.crop_fraction)
    return backbone.to(resources.device)


def embed_split(
    split: ImageSplit,
    classes: tuple[str, ...],
    *,
    backbone: Backbone,
    request: FeatureRequest,
    resources: Resources,
    on_progress: OnProgress,
) -> LabelledSamples:
    """The features of a split, computed once for every backbone and kept."""
    features = cached_features(
        split,
        backbone,
        cache=resources.cache,
        device=resources.device,
        precision=request.precision,
        on_progress=on_progress,
    )
    return LabelledSamples(features, torch.from_numpy(split.labels), classes)
