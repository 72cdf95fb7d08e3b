"""What a run measures on: real pictures, one backbone, one kind of job."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ot3l_core.data.images import ImageDataset, ImageSplit
from ot3l_core.data.reading import open_dataset
from ot3l_core.data.spec import DatasetSpec
from ot3l_core.data.subsample import stratified_subsample
from ot3l_core.errors import DatasetNotFoundError, TooFewSamplesError
from ot3l_core.names import BuiltinDataset, DatasetFormat, Precision

BACKBONE = "efficientnet_lite0"
INPUT_SIZE = 112
PRECISION = Precision.FLOAT32
_DRAW_SEED = 0

_BUILTIN = DatasetSpec(DatasetFormat.BUILTIN, dataset=BuiltinDataset.MNIST_5K, test_fraction=0.4)
# Colour first: its pictures are files to decode, and each has three channels to resize.
_KNOWN = (
    DatasetSpec(DatasetFormat.PARQUET, Path("cifar10")),
    DatasetSpec(DatasetFormat.TORCHVISION, Path(), "FashionMNIST"),
    DatasetSpec(DatasetFormat.TORCHVISION, Path(), "MNIST"),
    DatasetSpec(DatasetFormat.IMAGE_FOLDER, Path()),
)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much there is to do; a dataset that has less gives what it has."""

    pool: int = 6000
    test: int = 2000
    budget: int = 1000
    seeds: tuple[int, ...] = (0, 1, 2)
    epochs: int = 10
    rounds: int = 3
    files: int = 2000


QUICK = Sizes(pool=400, test=200, budget=200, epochs=2, rounds=2, files=320)


@dataclass(frozen=True, slots=True)
class Setting:
    """What holds for the whole run.

    Attributes:
        spec: The dataset.
        sizes: How much of it.
        threads: Cores that torch may use.
        folder: For what is written on the way; deleted at the end.
    """

    spec: DatasetSpec
    sizes: Sizes
    threads: int
    folder: Path


def find_spec(data: Path | None) -> DatasetSpec:
    """The first of the known datasets that lies in ``data``; without a folder, the one that is always there.

    Raises:
        DatasetNotFoundError: If there is none.
    """
    if data is None:
        return _BUILTIN
    for known in _KNOWN:
        spec = replace(known, path=data / known.required_path)
        marker = spec.required_path / (spec.dataset or "")
        if marker.is_dir() and (spec.format is not DatasetFormat.IMAGE_FOLDER or _has_only_folders(data)):
            return spec
    raise DatasetNotFoundError(f"{data.name!r} holds neither cifar10/, FashionMNIST/ nor MNIST/, nor class folders")


def open_splits(spec: DatasetSpec, sizes: Sizes) -> tuple[ImageDataset, ImageSplit, ImageSplit]:
    """The dataset, and what a job draws from its pool and its test split."""
    dataset = open_dataset(spec)
    if dataset.test is None:
        raise TooFewSamplesError("the dataset has no test split")
    return dataset, _draw(dataset.pool, sizes.pool), _draw(dataset.test, sizes.test)


def title_of(spec: DatasetSpec) -> str:
    """What the tables call a dataset."""
    return spec.dataset or spec.required_path.name


def _draw(split: ImageSplit, size: int) -> ImageSplit:
    return split.take(stratified_subsample(split.labels, size, _DRAW_SEED))


def _has_only_folders(data: Path) -> bool:
    visible: Sequence[Path] = [entry for entry in data.iterdir() if not entry.name.startswith(".")]
    return len(visible) > 1 and all(entry.is_dir() for entry in visible)
