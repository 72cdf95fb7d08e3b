"""The eight data sets of the paper, and the ways in which a folder may hold them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from ot3l_core.names import DatasetFormat

Body: TypeAlias = dict[str, str | float]


@dataclass(frozen=True, slots=True)
class Layout:
    """One way in which a folder may hold a data set.

    Attributes:
        needs: Patterns below the folder; each must match something.
        body: Of ``POST /datasets``. Without a path of its own, it gets what the first pattern matched.
    """

    needs: tuple[str, ...]
    body: Mapping[str, str | float]


@dataclass(frozen=True, slots=True)
class DataSet:
    """A data set of the paper.

    Attributes:
        name: What the service and ``--target`` call it.
        title: What tables call it.
        layouts: Where it may be; the first that fits is taken.
    """

    name: str
    title: str
    layouts: tuple[Layout, ...]

    @property
    def looked_for(self) -> str:
        """What would have been accepted, in words."""
        return "; ".join(" with ".join(f"`{need}`" for need in layout.needs) for layout in self.layouts)


@dataclass(frozen=True, slots=True)
class Found:
    """A data set that is there, and how to register it."""

    data_set: DataSet
    body: Body

    @property
    def place(self) -> str:
        """Where it is, below the folder."""
        where = PurePosixPath(str(self.body.get("path") or self.body.get("root")), str(self.body.get("dataset", "")))
        return where.as_posix()


def look(folder: Path, data_sets: Iterable[DataSet]) -> tuple[list[Found], list[DataSet]]:
    """Divide data sets into those that the folder holds and those that are missing."""
    found, missing = [], []
    for data_set in data_sets:
        body = _find(folder, data_set)
        if body is None:
            missing.append(data_set)
        else:
            found.append(Found(data_set, body))
    return found, missing


def _find(folder: Path, data_set: DataSet) -> Body | None:
    for layout in data_set.layouts:
        if all(any(True for _ in folder.glob(need)) for need in layout.needs):
            if layout.body.keys().isdisjoint({"path", "root"}):
                path = min(folder.glob(layout.needs[0])).relative_to(folder).as_posix()
                return {"name": data_set.name, "path": path, **layout.body}
            return {"name": data_set.name, **layout.body}
    return None


def _torchvision(dataset: str, files: Sequence[str], roots: Sequence[str]) -> tuple[Layout, ...]:
    return tuple(
        Layout(
            tuple(PurePosixPath(root, file).as_posix() for file in files),
            {"format": DatasetFormat.TORCHVISION, "dataset": dataset, "root": root},
        )
        for root in roots
    )


def _mnist_like(dataset: str, name: str) -> tuple[Layout, ...]:
    # One file tells which layout it is; where the others are missing, registration says so.
    return _torchvision(dataset, (f"{dataset}/raw/train-images-idx3-ubyte",), (".", name))


def _other_readers(name: str, **more: str | float) -> tuple[Layout, ...]:
    return (
        Layout((f"{name}/train*.parquet",), {"format": DatasetFormat.PARQUET, "path": name, **more}),
        Layout((f"{name}.npz",), {"format": DatasetFormat.NPZ}),
        Layout((f"{name}.zip",), {"format": DatasetFormat.ZIP}),
        Layout((f"{name}/*/*",), {"format": DatasetFormat.IMAGE_FOLDER, "path": name}),
    )


def _imagenet() -> tuple[Layout, ...]:
    # All of a source is measured from: nothing of it is held out.
    whole = {"test_fraction": 0}
    return (
        *_torchvision("ImageNet", ("train", "val"), (".", "imagenet", "ImageNet")),
        *(
            Layout((f"{path}/*/*",), {"format": DatasetFormat.IMAGE_FOLDER, "path": path, **whole})
            for path in ("imagenet", "ImageNet", "tiny-imagenet")
        ),
        Layout(("*[iI]mage[nN]et*.zip",), {"format": DatasetFormat.ZIP, **whole}),
    )


def _coco() -> tuple[Layout, ...]:
    # Fewer would leave less than two to test on.
    least = {"min_class_size": 10}
    # The validation photographs first: their 36,000 objects are enough, and all objects are read at registration.
    annotated = (
        Layout(
            (f"{root}{part}", f"{root}annotations/instances_{part}.json"),
            {
                "format": DatasetFormat.COCO,
                "path": f"{root}{part}",
                "annotations": f"{root}annotations/instances_{part}.json",
                **least,
            },
        )
        for part in ("val2017", "train2017")
        for root in ("", "coco/")
    )
    return (
        *annotated,
        Layout(("*coco*crops*.zip",), {"format": DatasetFormat.ZIP, **least}),
        Layout(("coco-crops/*/*",), {"format": DatasetFormat.IMAGE_FOLDER, "path": "coco-crops", **least}),
    )


SOURCE = DataSet("imagenet", "ImageNet", _imagenet())
TARGETS = (
    DataSet("coco", "COCO crops", _coco()),
    DataSet(
        "cifar10",
        "CIFAR-10",
        (*_torchvision("CIFAR10", ("cifar-10-batches-py",), (".", "cifar10")), *_other_readers("cifar10")),
    ),
    DataSet(
        "cifar100",
        "CIFAR-100",
        (
            *_torchvision("CIFAR100", ("cifar-100-python",), (".", "cifar100")),
            *_other_readers("cifar100", label_column="fine_label"),
        ),
    ),
    DataSet(
        "fashion-mnist",
        "Fashion-MNIST",
        (*_mnist_like("FashionMNIST", "fashion-mnist"), *_other_readers("fashion-mnist")),
    ),
    DataSet(
        "emnist-digits",
        "EMNIST digits",
        (
            *_torchvision("EMNIST-digits", ("EMNIST/raw/emnist-digits-train-images-idx3-ubyte",), (".", "emnist")),
            *_other_readers("emnist-digits"),
        ),
    ),
    DataSet("mnist", "MNIST", (*_mnist_like("MNIST", "mnist"), *_other_readers("mnist"))),
    DataSet("kmnist", "KMNIST", (*_mnist_like("KMNIST", "kmnist"), *_other_readers("kmnist"))),
)
