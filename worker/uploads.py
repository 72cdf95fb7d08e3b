"""Uploads as files of this machine: put together from their parts, verified, and kept under the name of their content.

Any worker does this by itself, for what it shares with the one that did it first may be nothing but the blob store.
What it keeps lies below ``upload_cache/{sha256}/`` and may be deleted whenever nothing runs.
"""

import hashlib
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from uuid import UUID

from app.store.blobs import BlobChangedError, BlobStore
from app.store.records import UploadPartRecord, UploadRecord
from app.store.uploads import get_upload, name_content
from ot3l_core.data.limits import UnpackingLimits
from ot3l_core.data.unpacking import unpack
from ot3l_core.errors import ChecksumMismatchError, DatasetNotFoundError, DiskFullError
from ot3l_core.names import DatasetFormat
from ot3l_core.progress import OnProgress, portion
from worker.resources import Resources

KEEP_FREE: Final = UnpackingLimits().keep_free
_IN_ONE_FILE: Final = frozenset({DatasetFormat.ZIP, DatasetFormat.NPZ, DatasetFormat.PARQUET})
_PARQUET: Final = b"PAR1"
_TREE: Final = "tree"


def fetch_upload(upload_id: UUID, file_format: DatasetFormat, here: Resources, on_progress: OnProgress) -> Path:
    """What was uploaded, as a file or, where the format is a folder, as the folder that the archive holds.

    A parquet upload may be either: one file, or an archive of several.

    Raises:
        DatasetNotFoundError: If the upload is gone.
        ChecksumMismatchError: If the bytes are not those that were announced.
        DiskFullError: If there is no room for it.
        DataError: If it is an archive that cannot be unpacked, or should not be.
        BlobStoreError: If the store does not answer.
    """
    with here.database.reading() as session:
        upload = get_upload(session, upload_id)
    if upload is None:
        raise DatasetNotFoundError("the upload is gone: send the file again, and register it anew", field="upload")
    cache = here.settings.upload_cache
    if upload.sha256 is not None and (kept := _kept(cache / upload.sha256, file_format)) is not None:
        return kept
    cache.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as scratch:
        file = Path(scratch) / _name(file_format)
        sha256 = _assemble(upload, file, here.blobs, portion(on_progress, 0.0, 0.5))
        if upload.sha256 is None:
            with here.database.writing() as session:
                name_content(session, upload_id, sha256)
                session.commit()
        if not _is_one_file(file, file_format):
            file = unpack(file, file.with_name(_TREE), on_progress=portion(on_progress, 0.5, 1.0))
        return _keep(file, cache / sha256)


def _kept(folder: Path, file_format: DatasetFormat) -> Path | None:
    places = [folder / _name(file_format)] if file_format in _IN_ONE_FILE else []
    if file_format not in _IN_ONE_FILE - {DatasetFormat.PARQUET}:
        places.append(folder / _TREE)
    return next(filter(Path.exists, places), None)


def _keep(found: Path, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    place = folder / found.name
    try:
        found.rename(place)
    except OSError:
        # Another worker of this machine may have been faster: what it has kept is the same.
        if not place.exists():
            raise
    return place


def _name(file_format: DatasetFormat) -> str:
    return f"upload.{file_format}"


def _is_one_file(file: Path, file_format: DatasetFormat) -> bool:
    with file.open("rb") as opened:
        is_table = opened.read(len(_PARQUET)) == _PARQUET
    return file_format in _IN_ONE_FILE and (is_table or file_format is not DatasetFormat.PARQUET)


def _assemble(upload: UploadRecord, file: Path, blobs: BlobStore, on_progress: OnProgress) -> str:
    """Put the parts together; gives the sha256 of the whole."""
    if shutil.disk_usage(file.parent).free < upload.size + KEEP_FREE:
        raise DiskFullError(
            f"the worker's disk has no room for the {upload.size} bytes of the upload: free some, or send less",
            field="upload",
        )
    digest = hashlib.sha256()
    with file.open("wb") as assembled:
        for part in upload.parts:
            on_progress(part.number / upload.n_parts)
            content = _read(part, blobs)
            digest.update(content)
            assembled.write(content)
    if upload.sha256 not in {None, digest.hexdigest()}:
        raise ChecksumMismatchError(
            f"sha256 {upload.sha256} was announced for the upload, and {digest.hexdigest()} came: send the file again",
            field="upload",
        )
    return digest.hexdigest()


def _read(part: UploadPartRecord, blobs: BlobStore) -> bytes:
    try:
        content = blobs.read(part.key, part.size, e_tag=part.e_tag)
    except FileNotFoundError as error:
        raise DatasetNotFoundError(
            f"part {part.number} of the upload is gone: send the file again", field="upload"
        ) from error
    except BlobChangedError as error:
        raise _changed(part) from error
    if len(content) != part.size or part.sha256 not in {None, hashlib.sha256(content).hexdigest()}:
        raise _changed(part)
    return content


def _changed(part: UploadPartRecord) -> ChecksumMismatchError:
    return ChecksumMismatchError(
        f"part {part.number} of the upload was changed after it had come: send the file again", field="upload"
    )
