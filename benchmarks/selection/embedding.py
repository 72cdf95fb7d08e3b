"""Data sets as features, and the part of them that a seed sees."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from benchmarks.selection.setting import PRECISION, SHARE, SOURCE_SIZE, Setting
from ot3l_core.data.features import FeatureCache, cached_features
from ot3l_core.data.images import ImageSplit
from ot3l_core.data.reading import open_dataset
from ot3l_core.data.samples import LabelledSamples
from ot3l_core.data.spec import DatasetSpec
from ot3l_core.data.subsample import stratified_subsample
from ot3l_core.errors import TooFewSamplesError
from ot3l_core.finetune.backbones import Backbone
from ot3l_core.progress import OnProgress, portion
from ot3l_core.selection.draws import draw
from ot3l_core.selection.geometry import selection_space

_SUBSET_SEED = 0
# Apart from the streams of the strategies.
_DRAWN = 100


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """A data set as features.

    Attributes:
        pool: To choose from.
        test: To test on; nothing else reads it.
        source: To measure distances from, where there is one.
        digest: Of pictures, labels, backbone and precision.
    """

    pool: LabelledSamples
    test: LabelledSamples
    source: LabelledSamples | None
    digest: str


@dataclass(frozen=True, eq=False)
class Drawn:
    """What a strategy gets to see.

    Attributes:
        pool: The samples that a seed drew.
        source: To measure distances from, where there is one.
    """

    pool: LabelledSamples
    source: LabelledSamples | None

    @cached_property
    def points(self) -> Tensor:
        """The pool in the selection space, shape ``(n, D)``."""
        return selection_space(self.pool.features)


def embed_subject(
    spec: DatasetSpec,
    source: LabelledSamples | None,
    *,
    setting: Setting,
    backbone: Backbone,
    cache: FeatureCache,
    on_progress: OnProgress,
) -> Embedded:
    """The features of a data set's pool and test split.

    Raises:
        DataError: If it cannot be read, or has nothing to test on.
    """
    dataset = open_dataset(spec)
    if dataset.test is None:
        raise TooFewSamplesError("there are no pictures to test on")
    splits = _subset(dataset.pool, setting.pool), _subset(dataset.test, setting.test)
    share = len(splits[0]) / sum(map(len, splits))
    parts = portion(on_progress, 0, share), portion(on_progress, share, 1)
    pool, test = (
        _features(split, dataset.classes, backbone, cache, part) for split, part in zip(splits, parts, strict=True)
    )
    identity = [(split.digest, split.labels.tolist()) for split in splits]
    text = json.dumps([identity, backbone.digest, PRECISION.value, _digest(source)])
    return Embedded(pool, test, source, hashlib.sha256(text.encode()).hexdigest())


def embed_source(
    spec: DatasetSpec, *, backbone: Backbone, cache: FeatureCache, on_progress: OnProgress
) -> LabelledSamples:
    """The features of as many samples of the source as are measured from.

    Raises:
        DataError: If it cannot be read.
    """
    dataset = open_dataset(spec)
    return _features(_subset(dataset.pool, SOURCE_SIZE), dataset.classes, backbone, cache, on_progress)


def draw_pool(embedded: Embedded, seed: int) -> Drawn:
    """The part of the pool that a seed draws, whatever the labels."""
    n = len(embedded.pool)
    drawn = torch.from_numpy(draw(n, seed, _DRAWN)[: round(SHARE * n)])
    return Drawn(embedded.pool.take(drawn), embedded.source)


def _subset(split: ImageSplit, size: int) -> ImageSplit:
    return split.take(stratified_subsample(split.labels, size, _SUBSET_SEED))


def _features(
    split: ImageSplit, classes: tuple[str, ...], backbone: Backbone, cache: FeatureCache, on_progress: OnProgress
) -> LabelledSamples:
    features = cached_features(
        split, backbone, cache=cache, device=torch.device("cpu"), precision=PRECISION, on_progress=on_progress
    )
    return LabelledSamples(features, torch.from_numpy(split.labels), classes)


def _digest(source: LabelledSamples | None) -> str | None:
    return None if source is None else hashlib.sha256(source.features.numpy().tobytes()).hexdigest()
