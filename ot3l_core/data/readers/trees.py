"""Folders named after classes, on disk or in an archive."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeAlias

import numpy as np

from ot3l_core.data.archives import is_writable
from ot3l_core.data.decoding import IMAGE_SUFFIXES
from ot3l_core.data.images import EncodedImages, ImageDataset, ImageSplit, unlabelled_dataset
from ot3l_core.errors import DatasetLayoutError, MissingClassError, UnsafeDataError

Parts: TypeAlias = tuple[str, ...]

POOL_NAMES = frozenset({"train", "training", "pool"})
# A test split wins over a validation split: the latter is cut from what was selected.
TEST_NAMES = ("test", "testing", "val", "valid", "validation")
_LAYOUT = "expected class/picture, or train/class/picture and test/class/picture"
_PILE = "expected pictures, in any folders"
_PICKLES = frozenset({".pkl", ".pickle", ".pt", ".pth"})


@dataclass(frozen=True, slots=True)
class Listing:
    """What lies below a root, hidden entries left out.

    Attributes:
        files: Names of files relative to the root, divided by ``/``.
        folders: Names of folders, likewise.
    """

    files: Sequence[str]
    folders: Sequence[str]


def is_hidden(name: str) -> bool:
    """Whether one part of a path is not meant for readers: dot files and what macOS adds to archives."""
    return name.startswith(".") or name == "__MACOSX"


def tree_dataset(listing: Listing, read: Callable[[str], bytes]) -> ImageDataset:
    """The dataset that a tree of class folders is.

    The tree may lie in one enclosing folder, and may be divided into a pool and a test split. Classes and pictures are
    sorted by name; files that are no images are passed over.

    Args:
        listing: The tree.
        read: The bytes of a file of the listing; safe to call from several threads.

    Raises:
        UnsafeDataError: If there are pickles where images belong.
        DatasetLayoutError: If there are no images, or some lie outside of any class or have unwritable names.
        MissingClassError: If a class folder holds no image.
    """
    pictures = _pictures(listing)
    folders = {PurePosixPath(name).parts for name in listing.folders}
    if not pictures:
        raise _no_images(listing, _LAYOUT)
    depth = _enclosing_depth(pictures)
    pool_root, test_root = _split_roots(pictures, depth)
    in_pool = _below(pictures, pool_root)
    in_test = _below(pictures, test_root) if test_root is not None else []
    roots = [root for root in (pool_root, test_root) if root is not None]
    _require_full_classes(pictures, folders, roots)
    classes = tuple(sorted({parts[len(roots[0])] for parts in in_pool} | {parts[len(roots[-1])] for parts in in_test}))
    pool = _split(in_pool, len(pool_root), classes, read)
    test = _split(in_test, len(roots[-1]), classes, read) if in_test else None
    return ImageDataset(classes, pool, test)


def pile_dataset(listing: Listing, read: Callable[[str], bytes]) -> ImageDataset:
    """The unlabelled pool that all images of a tree are, whatever folders they lie in, sorted by name.

    Args:
        listing: The tree.
        read: The bytes of a file of the listing; safe to call from several threads.

    Raises:
        UnsafeDataError: If there are pickles where images belong.
        DatasetLayoutError: If there are no images, or some have unwritable names.
    """
    pictures = _pictures(listing)
    if not pictures:
        raise _no_images(Listing(listing.files, ()), _PILE)
    ids = tuple("/".join(parts) for parts in pictures)
    return unlabelled_dataset(EncodedImages(lambda index: read(ids[index]), ids), ids, in_files=True)


def _pictures(listing: Listing) -> list[Parts]:
    names = [name for name in listing.files if _is_image(name)]
    strange = next((name for name in names if not is_writable(name)), None)
    if strange is not None:
        raise DatasetLayoutError(
            f"there is an image named {strange[:200]!a}: rename it to short text without control characters",
            field="path",
        )
    return sorted(PurePosixPath(name).parts for name in names)


def _is_image(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES


def _no_images(listing: Listing, layout: str) -> DatasetLayoutError | UnsafeDataError | MissingClassError:
    endings = Counter(PurePosixPath(name).suffix.lower() or "no ending" for name in listing.files)
    pickles = sorted(_PICKLES & endings.keys())
    if pickles:
        return UnsafeDataError(
            f"there are {pickles[0]} files and no images: such files are not read, because opening them can run code; "
            "export the pictures as PNG or JPEG files or as an .npz of uint8 arrays",
            field="path",
        )
    if endings:
        found = ", ".join(f"{count} x {ending}" for ending, count in endings.most_common(3))
        return DatasetLayoutError(f"there are no images, only {found}: {layout}", field="path")
    if listing.folders:
        return MissingClassError(
            f"no class folder holds an image, for one {min(listing.folders)!r}: add images to each", field="path"
        )
    return DatasetLayoutError(f"there is nothing in it: {layout}", field="path")


def _enclosing_depth(pictures: Sequence[Parts]) -> int:
    """How many enclosing folders hold the whole tree: those shared by all, class folders and split names excepted."""
    shallowest = min(map(len, pictures))
    shared = 0
    while shared < shallowest - 2 and pictures[0][shared] == pictures[-1][shared]:
        shared += 1
    return shared


def _split_roots(pictures: Sequence[Parts], depth: int) -> tuple[Parts, Parts | None]:
    enclosing = pictures[0][:depth]
    tops = {parts[depth] for parts in pictures}
    pools = sorted(tops & POOL_NAMES)
    tests = [name for name in TEST_NAMES if name in tops]
    if not pools or not tests:
        return enclosing, None
    if len(pools) > 1 or tops - POOL_NAMES - set(TEST_NAMES):
        beside = sorted(tops - {pools[0], *TEST_NAMES})
        raise DatasetLayoutError(
            f"beside {pools[0]!r} and {tests[0]!r} there is {beside[0]!r}: {_LAYOUT}, and nothing else", field="path"
        )
    return (*enclosing, pools[0]), (*enclosing, tests[0])


def _below(pictures: Sequence[Parts], root: Parts) -> list[Parts]:
    found = [parts for parts in pictures if parts[: len(root)] == root]
    stray = [parts for parts in found if len(parts) < len(root) + 2]
    if stray:
        raise DatasetLayoutError(
            f"{len(stray)} images lie in no class folder, for one {'/'.join(stray[0])!r}: {_LAYOUT}", field="path"
        )
    return found


def _require_full_classes(pictures: Sequence[Parts], folders: set[Parts], roots: Sequence[Parts]) -> None:
    for root in roots:
        full = {parts[: len(root) + 1] for parts in pictures}
        empty = sorted(parts for parts in folders - full if len(parts) == len(root) + 1 and parts[:-1] == root)
        if empty:
            raise MissingClassError(
                f"{len(empty)} class folders hold no image, for one {'/'.join(empty[0])!r}: "
                "add images to each or remove it",
                field="path",
            )


def _split(pictures: Sequence[Parts], depth: int, classes: Sequence[str], read: Callable[[str], bytes]) -> ImageSplit:
    ids = tuple("/".join(parts) for parts in pictures)
    label_of = {name: label for label, name in enumerate(classes)}
    labels = np.array([label_of[parts[depth]] for parts in pictures], dtype=np.int64)
    return ImageSplit(EncodedImages(lambda index: read(ids[index]), ids), labels, ids, file_names=ids)
