"""Class folders on disk."""

import os
from pathlib import Path

from ot3l_core.data.images import ImageDataset
from ot3l_core.data.limits import refuse_large_image
from ot3l_core.data.readers.trees import Listing, is_hidden, pile_dataset, tree_dataset
from ot3l_core.data.spec import DatasetSpec
from ot3l_core.errors import DatasetLayoutError, DatasetNotFoundError, UnsafeDataError


def open_image_folder(spec: DatasetSpec) -> ImageDataset:
    """Read ``root/class/picture``, or ``root/train/class/picture`` with ``root/test/class/picture``.

    Without labels, every picture below the root is read.

    Raises:
        DatasetNotFoundError: If there is no folder, or a part of it cannot be listed.
        DatasetLayoutError: If the tree is another one.
        MissingClassError: If a class folder holds no image.
        UnsafeDataError: If a symbolic link leaves the folder, or pickles stand where images belong.
    """
    root = require_folder(spec.required_path)
    dataset_of = tree_dataset if spec.labelled else pile_dataset
    return dataset_of(_list(root), lambda name: read_image_file(root, name))


def require_folder(root: Path) -> Path:
    """The real path of a folder.

    Raises:
        DatasetNotFoundError: If nothing is there.
        DatasetLayoutError: If a file is there.
    """
    if not root.exists():
        raise DatasetNotFoundError(f"there is no folder {root.name!r} at the path that was given", field="path")
    if not root.is_dir():
        raise DatasetLayoutError(f"{root.name!r} is a file where a folder of images is expected", field="path")
    return root.resolve()


def require_file(path: Path, *, field: str = "path") -> Path:
    """The path of a file.

    Raises:
        DatasetNotFoundError: If nothing is there.
        DatasetLayoutError: If a folder is there.
    """
    if not path.exists():
        raise DatasetNotFoundError(f"there is no file {path.name!r} at the path that was given", field=field)
    if not path.is_file():
        raise DatasetLayoutError(f"{path.name!r} is no regular file", field=field)
    return path


def read_image_file(root: Path, name: str) -> bytes:
    """The bytes of one image file below ``root``.

    Raises:
        DatasetNotFoundError: If it is gone or may not be read.
        UnsafeDataError: If it leaves the root or is too large for an image.
    """
    path = root / name
    _refuse_escape(root, path, name)
    try:
        refuse_large_image(name, path.stat().st_size)
        return path.read_bytes()
    except OSError as error:
        raise DatasetNotFoundError(f"{name!r} cannot be read: {error.strerror}", field="path") from error


def _refuse_escape(root: Path, path: Path, name: str) -> None:
    if not path.resolve().is_relative_to(root):
        raise UnsafeDataError(
            f"{name!r} leads out of the dataset's folder: put the file itself into the folder", field="path"
        )


def _list(root: Path) -> Listing:
    files: list[str] = []
    folders: list[str] = []
    pending = [""]
    while pending:
        folder = pending.pop()
        try:
            with os.scandir(root / folder) as entries:
                visible = [entry for entry in entries if not is_hidden(entry.name)]
        except OSError as error:
            raise DatasetNotFoundError(f"folder {folder!r} cannot be listed: {error.strerror}", field="path") from error
        for entry in visible:
            name = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_symlink():
                _refuse_escape(root, Path(entry.path), name)
            if entry.is_dir(follow_symlinks=False):
                folders.append(name)
                pending.append(name)
            elif entry.is_dir():
                raise UnsafeDataError(f"{name!r} is a link to a folder, which could go round in circles", field="path")
            elif entry.is_file():
                files.append(name)
    return Listing(files, folders)
