"""Files that are there wholly or not at all."""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """A name to write under, with the same suffix; the file takes its own name only if nothing was raised."""
    unfinished = path.with_name(f".{uuid.uuid4().hex}.{path.name}")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def folder_written_beside(path: Path) -> Iterator[Path]:
    """A new folder to fill, which takes the name ``path`` only if nothing was raised.

    Raises:
        FileExistsError: If something has that name already.
    """
    if path.exists():
        raise FileExistsError(f"{path.name!r} is there already")
    unfinished = path.with_name(f".{uuid.uuid4().hex}.{path.name}")
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
        unfinished.rename(path)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
