"""Class folders on disk."""

import os
import stat
from pathlib import Path

from ot3l_core.data.images import ImageDataset
from ot3l_core.data.limits import refuse_large_image, refuse_too_many
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
    return dataset_of(list_folder(root), lambda name: read_image_file(root, name))


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


def real_file(root: Path, name: str, *, field: str = "path") -> Path:
    """The path of a file that lies below a root.

    Raises:
        DatasetNotFoundError: If nothing is there.
        DatasetLayoutError: If something else is there.
        UnsafeDataError: If it leaves the root.
    """
    _refuse_escape(root, root / name, name)
    return require_file(root / name, field=field)


def read_image_file(root: Path, name: str) -> bytes:
    """The bytes of one image file below ``root``.

    Raises:
        DatasetNotFoundError: If it is gone or may not be read.
        UnsafeDataError: If it leaves the root, is no regular file or is too large for an image.
    """
    path = root / name
    _refuse_escape(root, path, name)
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise UnsafeDataError(f"{name!r} is no regular file: put the picture itself there", field="path")
        refuse_large_image(name, found.st_size)
        return path.read_bytes()
    except OSError as error:
        raise DatasetNotFoundError(f"{name!r} cannot be read: {error.strerror}", field="path") from error


def _refuse_escape(root: Path, path: Path, name: str) -> None:
    try:
        inside = path.resolve().is_relative_to(root)
    except (OSError, RuntimeError, ValueError) as error:  # links in a circle, names that are none
        raise UnsafeDataError(f"{name!r} is no path of a file: name a file in the folder", field="path") from error
    if not inside:
        raise UnsafeDataError(
            f"{name!r} leads out of the dataset's folder: put the file itself into the folder", field="path"
        )


def list_folder(root: Path, top: str = "") -> Listing:
    """Everything below ``root/top`` but hidden files, and links to nothing.

    Args:
        root: A real path, which no link may leave.
        top: Where to begin; names are relative to the root all the same.

    Raises:
        DatasetNotFoundError: If a folder cannot be listed.
        UnsafeDataError: If a link leads out of the root or to a folder, something is neither a file nor a folder, or
            there are too many files.
    """
    files: list[str] = []
    folders: list[str] = []
    pending = [top]
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
            elif Path(entry.path).exists():
                raise UnsafeDataError(f"{name!r} is neither a file nor a folder: take it out", field="path")
        refuse_too_many(root.name, len(files) + len(folders))
    return Listing(files, folders)
