"""One entrance for every storage format."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ot3l_core.data.images import ImageDataset, ImageSplit
from ot3l_core.data.limits import require_class_names
from ot3l_core.data.readers.archive import open_zip
from ot3l_core.data.readers.builtin import open_builtin
from ot3l_core.data.readers.coco import open_coco
from ot3l_core.data.readers.folder import open_image_folder
from ot3l_core.data.readers.huggingface import open_huggingface
from ot3l_core.data.readers.npz import open_npz
from ot3l_core.data.readers.parquet import open_parquet
from ot3l_core.data.readers.torchvision import open_torchvision
from ot3l_core.data.spec import DatasetSpec
from ot3l_core.data.splitting import stratified_split
from ot3l_core.errors import MissingClassError, TooFewSamplesError
from ot3l_core.names import DatasetFormat

_READERS: Mapping[DatasetFormat, Callable[[DatasetSpec], ImageDataset]] = {
    DatasetFormat.BUILTIN: open_builtin,
    DatasetFormat.TORCHVISION: open_torchvision,
    DatasetFormat.IMAGE_FOLDER: open_image_folder,
    DatasetFormat.ZIP: open_zip,
    DatasetFormat.PARQUET: open_parquet,
    DatasetFormat.HUGGINGFACE: open_huggingface,
    DatasetFormat.NPZ: open_npz,
    DatasetFormat.COCO: open_coco,
}


def open_dataset(spec: DatasetSpec) -> ImageDataset:
    """Find a dataset's samples, classes and splits; pictures are decoded later.

    Classes of fewer than ``min_class_size`` samples are dropped first; then, where the data has no test split of its
    own, one is held out. A dataset without labels is one pool.

    Raises:
        InvalidSettingError: If a setting names something unknown.
        DatasetNotFoundError: If nothing is at the place that was named.
        DatasetLayoutError: If something is there, in another layout.
        UnsafeDataError: If reading it could run code, escape its folder or exhaust the machine.
        MissingClassError: If a class folder is empty, or the test split has a class that the pool lacks.
        TooFewSamplesError: If fewer than two classes remain, or a pool without labels has fewer than two pictures.
    """
    found = _READERS[spec.format](spec)
    if not spec.labelled:
        return _require_choice(found)
    dataset = _without_small_classes(found, spec.min_class_size)
    require_class_names(dataset.classes)
    if len(dataset.classes) < 2:
        raise TooFewSamplesError(
            f"{len(dataset.classes)} classes have at least {spec.min_class_size} samples: at least 2 are needed",
            field="min_class_size" if spec.min_class_size > 1 else "dataset" if spec.path is None else "path",
        )
    if dataset.test is None or not len(dataset.test):
        return _with_held_out_test(dataset, spec.test_fraction)
    unknown = np.flatnonzero(np.bincount(dataset.pool.labels, minlength=len(dataset.classes)) == 0).tolist()
    if unknown:
        named = ", ".join(repr(dataset.classes[label]) for label in unknown[:5])
        raise MissingClassError(
            f"{len(unknown)} classes of the test split have no sample to train on ({named}): add some, or remove them",
            field="path",
        )
    return dataset


def _require_choice(pool: ImageDataset) -> ImageDataset:
    if len(pool.pool) < 2:
        raise TooFewSamplesError(
            f"there are {len(pool.pool)} pictures to choose from: at least 2 are needed", field="path"
        )
    return pool


def _without_small_classes(dataset: ImageDataset, min_class_size: int) -> ImageDataset:
    splits = [split for split in (dataset.pool, dataset.test) if split is not None]
    counts = np.bincount(np.concatenate([split.labels for split in splits]), minlength=len(dataset.classes))
    kept = counts >= min_class_size
    if kept.all():
        return dataset
    classes = tuple(name for name, keep in zip(dataset.classes, kept.tolist(), strict=True) if keep)
    test = None if dataset.test is None else _only(dataset.test, kept)
    return ImageDataset(classes, _only(dataset.pool, kept), test)


def _only(split: ImageSplit, kept: NDArray[np.bool_]) -> ImageSplit:
    """The samples of the kept classes, whose labels close ranks."""
    left = split.take(np.flatnonzero(kept[split.labels]))
    return replace(left, labels=(np.cumsum(kept) - 1)[left.labels])


def _with_held_out_test(dataset: ImageDataset, fraction: float) -> ImageDataset:
    pool, test = stratified_split(dataset.pool.labels, fraction)
    if not len(test):
        return ImageDataset(dataset.classes, dataset.pool, None)
    return ImageDataset(dataset.classes, dataset.pool.take(pool), dataset.pool.take(test))
