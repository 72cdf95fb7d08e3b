"""What is on this machine, as one file to upload."""

import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from app.client.errors import NotUploadableError
from ot3l_core.names import DatasetFormat

_FORMAT_OF: Final = {
    ".zip": DatasetFormat.ZIP,
    ".npz": DatasetFormat.NPZ,
    ".parquet": DatasetFormat.PARQUET,
    ".tar": DatasetFormat.IMAGE_FOLDER,
    ".tgz": DatasetFormat.IMAGE_FOLDER,
    ".tar.gz": DatasetFormat.IMAGE_FOLDER,
    ".tar.bz2": DatasetFormat.IMAGE_FOLDER,
    ".tar.xz": DatasetFormat.IMAGE_FOLDER,
}
# The oldest moment that a zip can tell: equal files make equal bytes, so that an upload can be gone on with.
_NO_MOMENT: Final = (1980, 1, 1, 0, 0, 0)


def format_of(path: Path) -> DatasetFormat:
    """What a file or folder most likely is, by its name.

    Raises:
        NotUploadableError: If nothing is there, or the name does not say.
    """
    if path.is_dir():
        return DatasetFormat.ZIP
    if not path.is_file():
        raise NotUploadableError(f"There is no file or folder {str(path)!r}.")
    name = path.name.lower()
    for ending, found in _FORMAT_OF.items():
        if name.endswith(ending):
            return found
    raise NotUploadableError(
        f"Nothing in the name {path.name!r} says what it is: name its format, or bring a folder or a file that "
        f"ends in {', '.join(_FORMAT_OF)}."
    )


@contextmanager
def one_file(path: Path) -> Iterator[Path]:
    """The file itself, or a temporary zip of a folder, under the folder's name.

    Raises:
        NotUploadableError: If nothing is there.
    """
    if path.is_file():
        yield path
        return
    if not path.is_dir():
        raise NotUploadableError(f"There is no file or folder {str(path)!r}.")
    with tempfile.TemporaryDirectory(prefix="ot3l-upload-") as folder:
        yield pack(path, Path(folder) / f"{path.resolve().name or 'dataset'}.zip")


def pack(folder: Path, packed: Path) -> Path:
    """Write a zip of all files below a folder but hidden ones, uncompressed, since images are; always in one order.

    Raises:
        NotUploadableError: If there are none.
    """
    files = sorted(_visible(folder))
    if not files:
        raise NotUploadableError(f"The folder {str(folder)!r} has no files.")
    with zipfile.ZipFile(packed, "w") as archive:
        for file in files:
            entry = zipfile.ZipInfo(file.relative_to(folder).as_posix(), _NO_MOMENT)
            is_large = file.stat().st_size >= zipfile.ZIP64_LIMIT
            with file.open("rb") as content, archive.open(entry, "w", force_zip64=is_large) as into:
                shutil.copyfileobj(content, into)
    return packed


def _visible(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (file for name in names if not name.startswith(".") and (file := Path(place, name)).is_file())
