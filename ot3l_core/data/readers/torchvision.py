"""Datasets of torchvision, by name and in torchvision's own layout."""

import csv
import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from ot3l_core.data.archives import is_writable
from ot3l_core.data.images import ArrayImages, EncodedImages, ImageDataset, Images, ImageSplit, Indices, Pixels
from ot3l_core.data.limits import refuse_large_description, refuse_large_memory
from ot3l_core.data.readers.cifar import CIFAR, open_cifar
from ot3l_core.data.readers.folder import list_folder, read_image_file, real_file
from ot3l_core.data.readers.labelling import encode_labels, positions
from ot3l_core.data.readers.trees import Listing, tree_dataset
from ot3l_core.data.spec import DatasetSpec
from ot3l_core.errors import DatasetLayoutError, DatasetNotFoundError, InvalidSettingError, UnsafeDataError

_DESCRIPTIONS: Final = frozenset({".csv", ".json", ".mat", ".txt"})
# The one archive whose checksum torchvision does not know.
_AIRCRAFT: Final = "fgvc-aircraft-2013b.tar.gz"
Arguments: TypeAlias = Mapping[str, str | bool]


@dataclass(frozen=True, slots=True)
class _Known:
    """A dataset class and how to ask it for its splits.

    Attributes:
        kind: Name of the class in ``torchvision.datasets``.
        splits: Its arguments for the pool and, where there is one, for the test split.
        expects: What it looks for below the root.
        in_files: Whether every picture is an image file of its own.
    """

    kind: str
    splits: tuple[Arguments, ...]
    expects: tuple[str, ...]
    in_files: bool = True


_FLAG: tuple[Arguments, ...] = ({"train": True}, {"train": False})
_SPLIT: tuple[Arguments, ...] = ({"split": "train"}, {"split": "test"})
_VAL: tuple[Arguments, ...] = ({"split": "train"}, {"split": "val"})
_TRAINVAL: tuple[Arguments, ...] = ({"split": "trainval"}, {"split": "test"})
_PLACES: tuple[Arguments, ...] = ({"split": "train-standard"}, {"split": "val"})
_UNDIVIDED: tuple[Arguments, ...] = ({},)


def _arrays(kind: str, splits: tuple[Arguments, ...], *expects: str) -> _Known:
    return _Known(kind, splits, expects, in_files=False)


def _mnist_like(kind: str) -> _Known:
    files = (f"{part}-{content}-ubyte" for part in ("train", "t10k") for content in ("images-idx3", "labels-idx1"))
    return _arrays(kind, _FLAG, *(f"{kind}/raw/{file}" for file in files))


def _emnist(split: str) -> _Known:
    files = (f"{part}-{content}-ubyte" for part in ("train", "test") for content in ("images-idx3", "labels-idx1"))
    arguments = tuple({"split": split, **flag} for flag in _FLAG)
    return _arrays("EMNIST", arguments, *(f"EMNIST/raw/emnist-{split}-{file}" for file in files))


# Left out: PCAM, which needs h5py; FER2013, LFWPeople and CelebA, whose targets are no single fixed class per file.
_KNOWN = {
    known.kind: known
    for known in (
        *map(_mnist_like, ("MNIST", "FashionMNIST", "KMNIST")),
        _arrays(
            "QMNIST", _FLAG, "QMNIST/raw/qmnist-train-images-idx3-ubyte", "QMNIST/raw/qmnist-train-labels-idx2-int"
        ),
        *(_arrays(kind, _FLAG, *published.files) for kind, published in CIFAR.items()),
        _arrays("USPS", _FLAG, "usps.bz2", "usps.t.bz2"),
        _arrays("SVHN", _SPLIT, "train_32x32.mat", "test_32x32.mat"),
        _arrays("STL10", _SPLIT, "stl10_binary"),
        _arrays("SEMEION", _UNDIVIDED, "semeion.data"),
        _Known("CLEVRClassification", _VAL, ("clevr/CLEVR_v1.0",)),
        _Known("Country211", _SPLIT, ("country211",)),
        _Known("DTD", _SPLIT, ("dtd/dtd",)),
        _Known("EuroSAT", _UNDIVIDED, ("eurosat/2750",)),
        _Known("FGVCAircraft", _TRAINVAL, ("fgvc-aircraft-2013b",)),
        _Known("Flowers102", _SPLIT, ("flowers-102/jpg", "flowers-102/imagelabels.mat", "flowers-102/setid.mat")),
        _Known("Food101", _SPLIT, ("food-101/meta", "food-101/images")),
        _Known("GTSRB", _SPLIT, ("gtsrb/GTSRB/Training", "gtsrb/GTSRB/Final_Test", "gtsrb/GT-final_test.csv")),
        _Known("ImageNet", _VAL, ("train", "val")),
        _Known("Imagenette", _VAL, ("imagenette2",)),
        _Known("OxfordIIITPet", _TRAINVAL, ("oxford-iiit-pet/images", "oxford-iiit-pet/annotations")),
        _Known("Places365", _PLACES, ("categories_places365.txt", "data_large_standard", "val_large")),
        _Known("RenderedSST2", _SPLIT, ("rendered-sst2",)),
        _Known("StanfordCars", _SPLIT, ("stanford_cars",)),
        _Known("SUN397", _UNDIVIDED, ("SUN397",)),
    )
} | {f"EMNIST-{split}": _emnist(split) for split in ("balanced", "byclass", "bymerge", "digits", "letters", "mnist")}


class _Dataset(Protocol):
    """What is common to torchvision's labelled datasets."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> tuple[str | Path, int]: ...


@dataclass(frozen=True, slots=True, eq=False)
class _Opened:
    images: Images
    labels: Indices
    ids: tuple[str, ...]
    names: list[str] | None
    in_files: bool


def open_torchvision(spec: DatasetSpec) -> ImageDataset:
    """Read a dataset in torchvision's layout, through torchvision's own class where that opens no pickle.

    Raises:
        InvalidSettingError: If none of the supported classes has the name.
        DatasetNotFoundError: If files are missing below the root, and could not be downloaded if that was asked for.
        DatasetLayoutError: If the files hold something else.
        UnsafeDataError: If reading them could run code, leave the root or exhaust the machine.
    """
    name, root = spec.required_dataset, spec.required_path.resolve()
    if name not in _KNOWN:
        raise InvalidSettingError(
            f"no supported dataset of torchvision is named {name!r}: choose one of {', '.join(sorted(_KNOWN))}",
            field="dataset",
        )
    known = _KNOWN[name]
    _refuse_hostile(known, root, download=spec.download)
    if name in CIFAR or name == "ImageNet":
        return _open_ourselves(known, root, download=spec.download)
    opened = [
        _open(known, arguments, root, part, download=spec.download)
        for part, arguments in zip(("train", "test"), known.splits, strict=False)
    ]
    classes, encoded = encode_labels([part.labels for part in opened], opened[0].names, field="dataset")
    splits = [
        ImageSplit(part.images, labels, part.ids, part.ids if part.in_files else None)
        for part, labels in zip(opened, encoded, strict=True)
    ]
    return ImageDataset(classes, splits[0], splits[1] if len(splits) > 1 else None)


def _refuse_hostile(known: _Known, root: Path, *, download: bool) -> None:
    """Refuse what torchvision would follow, wait for, unpack, unpickle or inflate without a look."""
    for top in sorted({PurePosixPath(file).parts[0] for file in known.expects}):
        if (root / top).is_dir():
            for file in list_folder(root, top).files:
                if PurePosixPath(file).suffix in _DESCRIPTIONS:
                    refuse_large_description(file, (root / file).stat().st_size)
        elif (root / top).exists():
            refuse_large_memory(top, real_file(root, top).stat().st_size)
    if (root / known.kind / "processed").exists():
        raise UnsafeDataError(
            f"'{known.kind}/processed' below the root holds pickles of an old version of torchvision: remove it",
            field="path",
        )
    if download and (root / _AIRCRAFT).exists():
        raise UnsafeDataError(
            f"{_AIRCRAFT!r} is below the root, and torchvision would unpack it unchecked: unpack it, and remove it",
            field="path",
        )


def _open_ourselves(known: _Known, root: Path, *, download: bool) -> ImageDataset:
    """What torchvision keeps in pickles, or would make pickles of."""
    if not all((root / file).exists() for file in known.expects):
        if not download or known.kind not in CIFAR:
            raise _unreadable(known, root, download=False)
        _fetch(known, root)
    if known.kind in CIFAR:
        return open_cifar(CIFAR[known.kind], root)
    listings = [list_folder(root, top) for top in known.expects]
    files = [file for listing in listings for file in listing.files]
    folders = [folder for listing in listings for folder in listing.folders]
    return tree_dataset(Listing(files, folders), lambda file: read_image_file(root, file))


def _fetch(known: _Known, root: Path) -> None:
    from torchvision import datasets  # noqa: PLC0415 - slow to import

    kind = getattr(datasets, known.kind)
    try:
        datasets.utils.download_and_extract_archive(kind.url, str(root), filename=kind.filename, md5=kind.tgz_md5)
    except (OSError, RuntimeError) as error:
        raise _unreadable(known, root, download=True) from error


def _open(known: _Known, arguments: Arguments, root: Path, part: str, *, download: bool) -> _Opened:
    from scipy.io.matlab import MatReadError  # noqa: PLC0415 - optional
    from torchvision import datasets  # noqa: PLC0415 - slow to import

    kind = getattr(datasets, known.kind)
    settings: dict[str, object] = {**arguments, "download": download}
    if "loader" in inspect.signature(kind).parameters:
        settings["loader"] = _keep_path
    try:
        if known.kind == "USPS" and not download:
            _require_published(kind, root, part)
        dataset = kind(root, **settings)
        if known.in_files:
            return _from_files(root, _files(dataset, known.kind), _class_names(dataset))
        labels = _labels(dataset)
        ids = positions(part, len(labels))
        return _Opened(
            ArrayImages(_pixels(dataset.data, len(labels))), labels, ids, _class_names(dataset), in_files=False
        )
    except (
        RuntimeError, OSError, ValueError, TypeError, AssertionError, AttributeError, EOFError, LookupError,
        OverflowError, MemoryError, csv.Error, MatReadError, Warning,
    ) as error:  # fmt: skip
        raise _unreadable(known, root, download=download) from error


def _require_published(kind: type, root: Path, part: str) -> None:
    """Refuse a file to inflate that is not the published one, as torchvision itself does for the others."""
    from torchvision.datasets.utils import check_integrity  # noqa: PLC0415 - slow to import

    _, file, checksum = kind.split_list[part]  # type: ignore[attr-defined]
    if not check_integrity(root / file, checksum):
        raise RuntimeError(file)


def _keep_path(path: str | Path) -> str | Path:
    return path


def _files(dataset: _Dataset, kind: str) -> Iterable[tuple[str | Path, int]]:
    # These two have no loader to replace.
    match kind:
        case "GTSRB":
            return list(vars(dataset)["_samples"])
        case "OxfordIIITPet":
            return list(zip(vars(dataset)["_images"], vars(dataset)["_labels"], strict=True))
        case _:
            return [dataset[index] for index in range(len(dataset))]


def _from_files(root: Path, files: Iterable[tuple[str | Path, int]], names: list[str] | None) -> _Opened:
    paths, labels = zip(*files, strict=True)
    ids = tuple(Path(path).relative_to(root).as_posix() for path in paths)
    if not all(map(is_writable, ids)):
        raise ValueError(root)
    images = EncodedImages(lambda index: read_image_file(root, ids[index]), ids)
    return _Opened(images, np.array(labels, dtype=np.int64), ids, names, in_files=True)


def _pixels(stored: ArrayLike, count: int) -> Pixels:
    pixels = np.asarray(stored, dtype=np.uint8)
    # SVHN and STL10 keep channels before rows.
    pixels = pixels.transpose(0, 2, 3, 1) if pixels.ndim == 4 and pixels.shape[1] == 3 else pixels
    if len(pixels) != count or pixels.ndim not in {3, 4} or pixels.shape[3:] not in {(), (3,)} or 0 in pixels.shape[1:]:
        raise ValueError(pixels.shape)
    return pixels


def _labels(dataset: _Dataset) -> Indices:
    held = vars(dataset)
    labels = np.asarray(held["targets"] if "targets" in held else held["labels"], dtype=np.int64)
    # QMNIST's other columns say who wrote the digit.
    return labels[:, 0] if labels.ndim == 2 else labels


def _class_names(dataset: _Dataset) -> list[str] | None:
    # Imagenette's own names are tuples of synonyms, its WordNet ids are single words.
    names: Sequence[str] | None = getattr(dataset, "wnids", None) or getattr(dataset, "classes", None)
    if names is not None and not all(isinstance(name, str) for name in names):
        raise TypeError(names)
    return None if names is None else list(names)


def _unreadable(known: _Known, root: Path, *, download: bool) -> DatasetNotFoundError | DatasetLayoutError:
    missing = [file for file in known.expects if not (root / file).exists()]
    if not missing:
        return DatasetLayoutError(
            f"torchvision cannot read {known.kind} below the root: restore {', '.join(known.expects)}", field="path"
        )
    remedy = "downloading it failed" if download else "put it there, or ask for a download"
    return DatasetNotFoundError(
        f"torchvision expects {', '.join(missing)} below the root for {known.kind}: {remedy}", field="path"
    )
