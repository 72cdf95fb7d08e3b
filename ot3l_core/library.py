"""The core in ten lines: what a script or a notebook starts with, and one short way from images to features.

::

    import ot3l_core.library as ot3l

    backbone = ot3l.load_backbone("efficientnet_lite0", input_size=32)
    digits = ot3l.embed_dataset("digits", backbone)

``docs/examples/library.py`` goes on from there. Everything else that is named here is described where it is defined.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch

from ot3l_core.data.features import FeatureCache, cached_features, embed
from ot3l_core.data.images import ImageSplit
from ot3l_core.data.reading import open_dataset
from ot3l_core.data.samples import LabelledSamples
from ot3l_core.data.spec import DatasetSpec
from ot3l_core.errors import DatasetLayoutError, DatasetNotFoundError
from ot3l_core.finetune.backbones import Backbone, load_backbone
from ot3l_core.finetune.checkpoints import load_checkpoint
from ot3l_core.finetune.evaluation import evaluate
from ot3l_core.finetune.training import TrainingSettings, train_head
from ot3l_core.names import DatasetFormat, LabelDistanceMethod, Precision, Strategy
from ot3l_core.otd import label_distances
from ot3l_core.selection import SelectionSettings, select

__all__ = [
    "DatasetFormat",
    "DatasetSpec",
    "EmbeddedDataset",
    "LabelDistanceMethod",
    "LabelledSamples",
    "SelectionSettings",
    "Strategy",
    "TrainingSettings",
    "embed_dataset",
    "evaluate",
    "label_distances",
    "load_backbone",
    "load_checkpoint",
    "select",
    "train_head",
]

_NOTHING: Final = np.empty(0, dtype=np.int64)
_FORMAT_OF: Final = {".zip": DatasetFormat.ZIP, ".npz": DatasetFormat.NPZ, ".parquet": DatasetFormat.PARQUET}


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedDataset:
    """A dataset as a backbone sees it.

    Attributes:
        pool: What may be selected and trained on.
        test: What neither ever sees; without a sample where the dataset holds none out.
    """

    pool: LabelledSamples
    test: LabelledSamples


def embed_dataset(
    dataset: DatasetSpec | Path | str, backbone: Backbone, *, cache: Path | None = None
) -> EmbeddedDataset:
    """Read a labelled dataset and compute its features, on the device of the backbone.

    Args:
        dataset: A description, the path of an image folder or of a zip, npz or parquet file, or a built-in by its name.
        backbone: Whose features.
        cache: Folder in which features are kept, and looked for first; None keeps none.

    Raises:
        DataError: If the dataset is not there, or cannot be read.
        InvalidSettingError: If there is no such built-in.
    """
    found = open_dataset(dataset if isinstance(dataset, DatasetSpec) else _spec_of(dataset))
    kept, device, precision = None if cache is None else FeatureCache(cache), backbone.device, Precision.FLOAT32

    def samples(split: ImageSplit) -> LabelledSamples:
        if kept is None:
            features = embed(split, backbone, device=device, precision=precision)
        else:
            features = cached_features(split, backbone, cache=kept, device=device, precision=precision)
        return LabelledSamples(features, torch.from_numpy(split.labels), found.classes)

    return EmbeddedDataset(
        samples(found.pool), samples(found.pool.take(_NOTHING) if found.test is None else found.test)
    )


def _spec_of(dataset: Path | str) -> DatasetSpec:
    if isinstance(dataset, str):
        return DatasetSpec(DatasetFormat.BUILTIN, dataset=dataset)
    if not dataset.exists():
        raise DatasetNotFoundError(f"there is no file or folder {dataset.name!r}", field="path")
    kind = DatasetFormat.IMAGE_FOLDER if dataset.is_dir() else _FORMAT_OF.get(dataset.suffix.lower())
    if kind is None:
        raise DatasetLayoutError(
            f"{dataset.name!r} is no folder, and its name ends in none of {', '.join(_FORMAT_OF)}: give a DatasetSpec",
            field="path",
        )
    return DatasetSpec(kind, path=dataset)
