"""Features to measure on: made up like a CNN's, or real ones through the product's own readers and backbone."""

from pathlib import Path

import torch
from torch import Tensor

from benchmarks.problem import Problem, names
from ot3l_core.data.features import FeatureCache, cached_features
from ot3l_core.data.images import ImageSplit
from ot3l_core.data.reading import open_dataset
from ot3l_core.data.samples import LabelledSamples
from ot3l_core.data.spec import DatasetSpec
from ot3l_core.data.subsample import stratified_subsample
from ot3l_core.finetune.backbones import Backbone, load_backbone
from ot3l_core.names import DatasetFormat, FeatureScaling, LabelDistanceMethod, Precision
from ot3l_core.otd import label_distances, scale_features

_SEED = 0
_DECAY = 0.7
_INPUT_SIZE = 112

REAL_TARGETS = {
    "cifar100": DatasetSpec(DatasetFormat.PARQUET, Path("cifar100"), label_column="fine_label"),
    "fashion-mnist": DatasetSpec(DatasetFormat.TORCHVISION, Path(), "FashionMNIST"),
}
_REAL_SOURCE = DatasetSpec(DatasetFormat.ZIP, Path("tiny-imagenet-200x50.zip"), test_fraction=0)


def made_up(
    n_classes: tuple[int, int], n_samples: tuple[int, int], *, n_features: int = 512, seed: int = _SEED
) -> Problem:
    """Source and target as a CNN would show them, scaled as the product scales by default.

    A sample is ``relu(class mean + noise)``; the noise has a covariance with decaying spectrum that is stretched
    differently in every class, and the target's classes are shifted together.

    Args:
        n_classes: Of source and target.
        n_samples: Of source and target, over all classes, which are as equal as can be.
        n_features: D.
        seed: Decides everything.
    """
    generator = torch.Generator().manual_seed(seed)
    spectrum = torch.arange(1, n_features + 1).float() ** -_DECAY
    spectrum *= (n_features / spectrum.square().sum()).sqrt()
    mixing = torch.randn(n_features, n_features, generator=generator) * (spectrum / n_features**0.5)[:, None]
    source = _domain(n_classes[0], n_samples[0], mixing, torch.zeros(n_features), generator)
    target = _domain(n_classes[1], n_samples[1], mixing, 0.5 * torch.randn(n_features, generator=generator), generator)
    return _finished(source, target)


def _domain(
    n_classes: int, n_samples: int, mixing: Tensor, shift: Tensor, generator: torch.Generator
) -> LabelledSamples:
    n_features = len(mixing)
    means = 0.7 * torch.randn(n_classes, n_features, generator=generator) + shift
    stretches = torch.exp(0.3 * torch.randn(n_classes, n_features, generator=generator))
    labels = torch.arange(n_samples) % n_classes
    labels = labels[torch.randperm(n_samples, generator=generator)]
    noise = torch.randn(n_samples, n_features, generator=generator) @ mixing
    features = torch.relu(means[labels] + stretches[labels] * noise)
    return LabelledSamples(features, labels, names(n_classes))


def real(folder: Path, target: str, *, cache: Path, class_size: int | None, n_samples: int | None) -> Problem:
    """Real features: Tiny-ImageNet against one of ``REAL_TARGETS``.

    Args:
        folder: Holds the datasets.
        target: Which target.
        cache: Folder that keeps the features.
        class_size: As many samples of each class, where given.
        n_samples: As many samples of each dataset, where given.
    """
    backbone = load_backbone("efficientnet_lite0", input_size=_INPUT_SIZE)
    source, other = (
        _embedded(_below(folder, spec), backbone, cache, class_size, n_samples)
        for spec in (_REAL_SOURCE, REAL_TARGETS[target])
    )
    return _finished(source, other)


def _below(folder: Path, spec: DatasetSpec) -> DatasetSpec:
    path = folder / spec.required_path
    return DatasetSpec(
        spec.format, path, spec.dataset, label_column=spec.label_column, test_fraction=spec.test_fraction
    )


def _embedded(
    spec: DatasetSpec, backbone: Backbone, cache: Path, class_size: int | None, n_samples: int | None
) -> LabelledSamples:
    pool = open_dataset(spec)
    split = pool.pool
    if n_samples is not None:
        split = split.take(stratified_subsample(split.labels, n_samples, _SEED))
    if class_size is not None:
        split = _equal_classes(split, class_size)
    features = cached_features(
        split, backbone, cache=FeatureCache(cache), device=torch.device("cpu"), precision=Precision.FLOAT32
    )
    return _without_empty_classes(features, torch.from_numpy(split.labels))


def _equal_classes(split: ImageSplit, class_size: int) -> ImageSplit:
    """The first samples of each class that has as many."""
    labels = torch.from_numpy(split.labels)
    members = [torch.nonzero(labels == k).flatten()[:class_size] for k in range(int(labels.max()) + 1)]
    return split.take(torch.cat([some for some in members if len(some) == class_size]).numpy())


def _without_empty_classes(features: Tensor, labels: Tensor) -> LabelledSamples:
    present, relabelled = torch.unique(labels, return_inverse=True)
    return LabelledSamples(features, relabelled, names(len(present)))


def _finished(source: LabelledSamples, target: LabelledSamples) -> Problem:
    """On one scale, with the label cost that all contenders are given."""
    source, target = scale_features(source, target, scaling=FeatureScaling.UNIT)
    distances = label_distances(source, target, method=LabelDistanceMethod.MEANS)
    return Problem(source, target, distances.square().float())
