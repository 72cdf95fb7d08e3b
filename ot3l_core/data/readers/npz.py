"""Arrays in a NumPy archive."""

import math
import zipfile
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from pathlib import Path
from tokenize import TokenError
from typing import IO, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ot3l_core.data.archives import UNREADABLE_ZIP, opened_zip, require_usual_method
from ot3l_core.data.images import ArrayImages, ImageDataset, ImageSplit, Pixels, unlabelled_dataset
from ot3l_core.data.limits import refuse_large_memory, refuse_large_picture, refuse_too_many, some_of
from ot3l_core.data.readers.folder import require_file
from ot3l_core.data.readers.labelling import Stored, encode_labels, positions
from ot3l_core.data.spec import DatasetSpec
from ot3l_core.errors import DatasetLayoutError, UnsafeDataError

_READ_HEADER = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
Arrays: TypeAlias = dict[str, NDArray[np.generic]]

_ONE_SPLIT = (("x", "y"), ("images", "labels"))
_TWO_SPLITS = (
    (("x_train", "y_train"), ("x_test", "y_test")),
    (("train_images", "train_labels"), ("test_images", "test_labels")),
)
_POOL_PICTURES = tuple(images for images, _ in (*_ONE_SPLIT, *(train for train, _ in _TWO_SPLITS)))
_LAYOUT = "expected arrays x and y, images and labels, x_train, y_train, x_test and y_test, or train_images etc."


def open_npz(spec: DatasetSpec) -> ImageDataset:
    """Read uint8 pictures ``(n, h, w)``, ``(n, h, w, 1)`` or ``(n, h, w, 3)`` with integer or string labels ``(n,)``.

    An array ``classes`` of strings names the classes 0, 1, ...; without it each is named after its label. Without
    labels, only the pictures of ``x``, ``images``, ``x_train`` or ``train_images`` are read.

    Raises:
        DatasetNotFoundError: If there is no file.
        DatasetLayoutError: If it is no .npz, or the arrays are others.
        UnsafeDataError: If it is or holds a pickle, or would grow beyond reason.
    """
    path = require_file(spec.required_path)
    if not spec.labelled:
        return _open_pool(path)
    arrays = _load(path, lambda stored: {name for pair in _find_splits(stored) for name in pair} | stored & {"classes"})
    pairs = _find_splits(arrays.keys())
    names = _class_names(arrays)
    pixels = [_pixels(arrays[images], images) for images, _ in pairs]
    stored = [_labels(arrays[labels], labels) for _, labels in pairs]
    for (images, labels), pictures, values in zip(pairs, pixels, stored, strict=True):
        if len(pictures) != len(values):
            raise DatasetLayoutError(
                f"every picture needs one label: {images!r} has {len(pictures)}, {labels!r} {len(values)}", field="path"
            )
    classes, encoded = encode_labels(stored, names, field="path")
    splits = [
        ImageSplit(ArrayImages(pictures), labels, positions(split, len(labels)))
        for split, pictures, labels in zip(("train", "test"), pixels, encoded, strict=False)
    ]
    return ImageDataset(classes, splits[0], splits[1] if len(splits) > 1 else None)


def _open_pool(path: Path) -> ImageDataset:
    def choose(stored: AbstractSet[str]) -> AbstractSet[str]:
        name = next((name for name in _POOL_PICTURES if name in stored), None)
        if name is None:
            raise DatasetLayoutError(f"{path.name!r} has no pictures: expected an array x or images", field="path")
        return {name}

    ((name, array),) = _load(path, choose).items()
    pixels = _pixels(array, name)
    return unlabelled_dataset(ArrayImages(pixels), positions("train", len(pixels)))


def _load(path: Path, choose: Callable[[AbstractSet[str]], AbstractSet[str]]) -> Arrays:
    with path.open("rb") as stream:
        start = stream.read(2)
    # Protocol 2 and later: numpy would hand it to the unpickler if it were allowed to.
    if start[:1] == b"\x80":
        raise UnsafeDataError(
            f"{path.name!r} is a pickle, and opening one can run code: save the arrays with numpy.savez", field="path"
        )
    try:
        with opened_zip(path) as (archive, members):
            stored = {name.removesuffix(".npy"): member for name, member in members.items()}
            wanted = {name: stored[name] for name in choose(stored.keys())}
            refuse_large_memory(path.name, sum(member.file_size for member in wanted.values()))
            return {name: _array(archive, member, name, path) for name, member in wanted.items()}
    except (*UNREADABLE_ZIP, MemoryError, SyntaxError, TypeError, RecursionError, TokenError, Warning) as error:
        raise DatasetLayoutError(
            f"{path.name!r} is no readable .npz: save the arrays with numpy.savez", field="path"
        ) from error


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str, path: Path) -> NDArray[np.generic]:
    require_usual_method(member)
    with archive.open(member) as stream:
        _refuse_unread(stream, member, name, path)
    with archive.open(member) as stream:
        array: NDArray[np.generic] = np.lib.format.read_array(stream, allow_pickle=False)
        # What lies behind an array is not read, and neither would be the checksum at its end.
        stream.read(1)
    return array


def _refuse_unread(stream: IO[bytes], member: zipfile.ZipInfo, name: str, path: Path) -> None:
    """Refuse by the header alone what must not be read: numpy takes the memory before it looks at the content."""
    version = np.lib.format.read_magic(stream)
    if version not in _READ_HEADER:
        raise ValueError(version)
    shape, _, kind = _READ_HEADER[version](stream)
    if kind.hasobject:
        raise UnsafeDataError(
            f"array {name!r} of {path.name!r} holds Python objects, and opening them can run code: "
            "save it as uint8, int64 or str",
            field="path",
        )
    refuse_too_many(name, max(shape, default=0))
    size = math.prod(shape) * kind.itemsize
    if min(shape, default=0) < 0 or size != member.file_size - stream.tell():
        raise DatasetLayoutError(
            f"array {name!r} of {path.name!r} says that it has shape {shape} of {kind}, and holds "
            f"{member.file_size - stream.tell()} bytes: save it anew",
            field="path",
        )


def _find_splits(stored: AbstractSet[str]) -> list[tuple[str, str]]:
    for train, test in _TWO_SPLITS:
        if stored >= {*train, *test}:
            return [train, test]
    for pair in (*_ONE_SPLIT, *(train for train, _ in _TWO_SPLITS)):
        if stored >= set(pair):
            return [pair]
    raise DatasetLayoutError(f"{_LAYOUT}: found {some_of(sorted(stored))}", field="path")


def _class_names(arrays: Arrays) -> list[str] | None:
    if "classes" not in arrays:
        return None
    names = arrays["classes"]
    if names.dtype.kind != "U" or names.ndim != 1:
        raise DatasetLayoutError(
            f"'classes' must be an array of strings, shape (classes,): got {names.dtype}, shape {names.shape}",
            field="path",
        )
    return [str(name) for name in names.tolist()]


def _pixels(array: NDArray[np.generic], name: str) -> Pixels:
    if array.dtype != np.uint8:
        holds = "NaN" if array.dtype.kind == "f" and bool(np.isnan(array).any()) else str(array.dtype)
        raise DatasetLayoutError(
            f"{name!r} must be uint8 with values 0 to 255: it holds {holds}; scale, round and convert it", field="path"
        )
    grey = array.ndim == 3 or (array.ndim == 4 and array.shape[3] == 1)
    if not (grey or (array.ndim == 4 and array.shape[3] == 3)) or 0 in array.shape[1:]:
        raise DatasetLayoutError(
            f"{name!r} must have shape (n, h, w), (n, h, w, 1) or (n, h, w, 3): got {array.shape}", field="path"
        )
    refuse_large_picture(name, *array.shape[1:3])
    pixels = array.astype(np.uint8, copy=False)
    return pixels.reshape(pixels.shape[:3]) if grey else pixels


def _labels(array: NDArray[np.generic], name: str) -> Stored:
    # MedMNIST keeps its labels as one column.
    column = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    if column.ndim == 1 and column.dtype.kind in "iu":
        return column.astype(np.int64)
    if column.ndim == 1 and column.dtype.kind == "U":
        return column.astype(np.str_)
    raise DatasetLayoutError(
        f"{name!r} must hold one integer or string per picture, shape (n,): got {array.dtype}, shape {array.shape}",
        field="path",
    )
