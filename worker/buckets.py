"""Datasets in S3 as files of this machine: listed, copied once, and kept under a name made of what was listed.

The names, sizes and ETags of all objects make the key, so that changed objects are another copy. What has come is kept
below ``bucket_cache/.{key}/`` until all of it is there: a copy that was cut short goes on with what is missing.
"""

import hashlib
import json
import shutil
import uuid
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Final

from app.places import BucketPlace, bucket_place
from app.settings import Settings
from app.store.blobs import BlobChangedError, ListedBlob
from app.store.buckets import Bucket, RefusedError, open_bucket
from ot3l_core.data.ahead import compute_ahead
from ot3l_core.data.archives import require_safe_name
from ot3l_core.data.limits import UnpackingLimits
from ot3l_core.data.readers.trees import is_hidden
from ot3l_core.errors import DatasetChangedError, DatasetNotFoundError, DiskFullError, UnsafeDataError
from ot3l_core.progress import OnProgress

_LIMITS: Final = UnpackingLimits()
_THREADS: Final = 16  # they wait for the network most of the time
_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class _Listing:
    """What is to be copied: objects by their paths in the copy; one of the empty path is a file by itself."""

    place: BucketPlace
    objects: dict[str, ListedBlob]

    @property
    def size(self) -> int:
        return sum(listed.size for listed in self.objects.values())

    def key(self, endpoint: str | None) -> str:
        """Of where it is too: an ETag need not tell more than the objects of one key apart."""
        told = sorted((path, listed.size, _version_of(listed)) for path, listed in self.objects.items())
        text = json.dumps([_VERSION, endpoint, str(self.place), told])
        return hashlib.sha256(text.encode()).hexdigest()


def fetch_place(url: str, settings: Settings, on_progress: OnProgress) -> Path:
    """A file or a folder with what lies at a place in S3.

    Args:
        url: As it was registered.
        settings: Where may be read from, and where is kept what was read.
        on_progress: Told the share that has come; may raise ``Cancelled``, and what has come stays.

    Raises:
        DatasetNotFoundError: If nothing is there, or this worker may not read it.
        DatasetChangedError: If objects change meanwhile.
        UnsafeDataError: If there is too much, or an object's key is no path that a file may have.
        DiskFullError: If there is no room for it.
        BlobStoreError: If the store does not answer.
    """
    place = bucket_place(url)
    if not any(place.is_below(allowed) for allowed in settings.dataset_buckets):
        raise DatasetNotFoundError(
            "the dataset must lie below a prefix that this worker may read (OT3L_DATASET_BUCKETS)", field="path"
        )
    bucket = open_bucket(place.bucket, endpoint=settings.dataset_endpoint)
    try:
        listing = _list(bucket, place, settings)
        kept = settings.bucket_cache / listing.key(settings.dataset_endpoint)
        if not kept.exists():
            _copy(bucket, listing, kept, on_progress)
    except RefusedError as error:
        raise DatasetNotFoundError(
            "the store does not let this service read the dataset: ask the operator", field="path"
        ) from error
    return _content(kept, listing)


def _list(bucket: Bucket, place: BucketPlace, settings: Settings) -> _Listing:
    single = bucket.find(place.key) if place.key else None
    if single is not None and not single.size:
        # What consoles put down for an empty folder.
        single = None
    try:
        found = [single] if single is not None else _bounded(bucket.list_below(place.key), settings)
    except FileNotFoundError as error:
        raise _nothing_there() from error
    start = f"{place.key}/" if place.key and single is None else ""
    named = {listed.key.removeprefix(start): listed for listed in found}
    objects = {_path(name).as_posix(): listed for name, listed in named.items() if not _is_passed_over(name)}
    folders = {str(parent) for path in objects for parent in PurePosixPath(path).parents}
    objects = {path: listed for path, listed in objects.items() if path not in folders or listed.size}
    clash = next(iter(objects.keys() & folders), None)
    if clash is not None:
        raise UnsafeDataError(f"{clash[:200]!a} is an object and a folder at once: rename one", field="path")
    if not objects:
        raise _nothing_there()
    return _Listing(place, objects)


def _nothing_there() -> DatasetNotFoundError:
    return DatasetNotFoundError("nothing is at this place in S3: check bucket and prefix", field="path")


def _is_passed_over(name: str) -> bool:
    return any(map(is_hidden, PurePosixPath(name).parts))


def _path(name: str) -> PurePosixPath:
    path = require_safe_name(name)
    if path.as_posix() != name:
        raise UnsafeDataError(f"the object {name[:200]!a} has empty parts in its key: rename it", field="path")
    return path


def _bounded(found: Iterable[ListedBlob], settings: Settings) -> Sequence[ListedBlob]:
    kept, size = [], 0
    for listed in found:
        kept.append(listed)
        size += listed.size
        if len(kept) > _LIMITS.max_files or size > settings.max_upload_bytes:
            raise UnsafeDataError(
                f"there are more than {_LIMITS.max_files} objects or {settings.max_upload_bytes} bytes: name a part of "
                "them, or ask the operator (OT3L_MAX_UPLOAD_BYTES)",
                field="path",
            )
    return kept


def _version_of(listed: ListedBlob) -> str:
    return listed.e_tag or listed.modified_at.isoformat()


def _content(folder: Path, listing: _Listing) -> Path:
    """The folder, or the only file in it, where an object was named and no prefix."""
    (only, *others) = listing.objects.items()
    return folder / only[0] if not others and only[1].key == listing.place.key else folder


def _copy(bucket: Bucket, listing: _Listing, kept: Path, on_progress: OnProgress) -> None:
    unfinished = kept.with_name(f".{kept.name}")
    unfinished.mkdir(parents=True, exist_ok=True)
    missing = {path: listed for path, listed in listing.objects.items() if not _is_there(unfinished / path, listed)}
    size = sum(listed.size for listed in missing.values())
    come = _Count(listing.size - size)

    def on_piece(size: int) -> None:
        # In every thread: who is told to stop raises in all of them.
        on_progress(come.add(size) / listing.size)

    try:
        _require_room(unfinished, size)
        with TemporaryDirectory() as scratch:

            def copy_one(item: tuple[str, ListedBlob]) -> None:
                path, listed = item
                file, arriving = unfinished / path, Path(scratch) / uuid.uuid4().hex
                bucket.copy(listed, arriving, on_piece=on_piece)
                file.parent.mkdir(parents=True, exist_ok=True)
                # Its name says that it is whole.
                arriving.rename(file)

            for _ in compute_ahead(copy_one, missing.items(), threads=_THREADS):
                pass
        unfinished.rename(kept)
    except BlobChangedError as error:
        raise _changed() from error
    except OSError as error:
        # Another worker of this machine may have been faster: what it has kept is the same.
        if kept.exists():
            return
        if isinstance(error, FileNotFoundError):
            raise _changed() from error
        raise
    finally:
        with suppress(OSError):
            # Only where nothing has come.
            unfinished.rmdir()


def _changed() -> DatasetChangedError:
    return DatasetChangedError("objects of the dataset changed while they were read: try again", field="path")


def _is_there(file: Path, listed: ListedBlob) -> bool:
    return file.is_file() and file.stat().st_size == listed.size


def _require_room(folder: Path, size: int) -> None:
    if shutil.disk_usage(folder).free < size + _LIMITS.keep_free:
        raise DiskFullError(
            f"the worker's disk has no room for the {size} bytes of the dataset: free some, or name less", field="path"
        )


class _Count:
    """Bytes, counted by several threads."""

    def __init__(self, start: int) -> None:
        self._count, self._lock = start, Lock()

    def add(self, size: int) -> int:
        with self._lock:
            self._count += size
            return self._count
