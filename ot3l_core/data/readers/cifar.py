"""CIFAR as it is published: pickles, read without unpickling."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from ot3l_core.data.images import ArrayImages, ImageDataset, ImageSplit
from ot3l_core.data.readers.folder import real_file
from ot3l_core.data.readers.labelling import encode_labels, positions
from ot3l_core.data.readers.pickled import read_plain
from ot3l_core.errors import DatasetLayoutError


@dataclass(frozen=True, slots=True)
class Published:
    """Where the parts of a CIFAR are.

    Attributes:
        folder: Below the root.
        splits: Files of the pool and of the test split.
        labels: Key of the labels in these.
        names: File of the classes' names, and their key in it.
    """

    folder: str
    splits: tuple[tuple[str, ...], tuple[str, ...]]
    labels: str
    names: tuple[str, str]

    @property
    def files(self) -> tuple[str, ...]:
        """All of them, below the root."""
        return tuple(f"{self.folder}/{file}" for file in (*self.splits[0], *self.splits[1], self.names[0]))


CIFAR: Final[Mapping[str, Published]] = {
    "CIFAR10": Published(
        "cifar-10-batches-py",
        (tuple(f"data_batch_{part}" for part in range(1, 6)), ("test_batch",)),
        "labels",
        ("batches.meta", "label_names"),
    ),
    "CIFAR100": Published("cifar-100-python", (("train",), ("test",)), "fine_labels", ("meta", "fine_label_names")),
}


def open_cifar(published: Published, root: Path) -> ImageDataset:
    """Read the pictures, labels and names below a root.

    Raises:
        DatasetLayoutError: If a file is damaged or holds something else.
        UnsafeDataError: If a file asks for code to be run, or leads out of the root.
    """
    file, key = published.names
    content = read_plain(real_file(root, f"{published.folder}/{file}"))
    names = content.get(key)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise _unexpected(file)
    parts = [
        _split(published, root, part, files) for part, files in zip(("train", "test"), published.splits, strict=True)
    ]
    classes, encoded = encode_labels([part.labels for part in parts], names, field="dataset")
    pool, test = (ImageSplit(part.images, labels, part.sample_ids) for part, labels in zip(parts, encoded, strict=True))
    return ImageDataset(classes, pool, test)


def _split(published: Published, root: Path, name: str, files: tuple[str, ...]) -> ImageSplit:
    pixels, labels = [], []
    for file in files:
        content = read_plain(real_file(root, f"{published.folder}/{file}"))
        rows, stored = content.get("data"), content.get(published.labels)
        if not isinstance(rows, np.ndarray) or rows.shape[1:] != (3072,) or not isinstance(stored, list):
            raise _unexpected(file)
        if len(rows) != len(stored) or not all(isinstance(label, int) and 0 <= label < 2**31 for label in stored):
            raise _unexpected(file)
        pixels.append(rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
        labels.append(np.array(stored, dtype=np.int64))
    together = np.concatenate(labels)
    return ImageSplit(ArrayImages(np.concatenate(pixels)), together, positions(name, len(together)))


def _unexpected(file: str) -> DatasetLayoutError:
    return DatasetLayoutError(f"{file!r} does not hold what CIFAR's file of that name does: restore it", field="path")
