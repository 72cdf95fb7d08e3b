"""Files on their way in, part by part.

Each part is a blob of its own below ``uploads/{id}/``: ``{n}`` where the client puts it into the store itself, and
``{n}-{random}`` where it comes through the service, so that of two clients who send the same part each has a blob of
its own, and the one that is noted last counts. A worker puts the parts together, and only there all bytes are in one
place: it is what verifies the checksum of the whole. The service does where that costs nothing: a single part, or a
file that came in one request.
"""

import contextlib
import datetime as dt
import hashlib
import logging
import math
from collections.abc import Sequence
from uuid import UUID, uuid4

from app.errors import (
    ChecksumMismatchError,
    InUseError,
    InvalidRequestError,
    NotFoundError,
    NotPresignedError,
    TooLargeError,
    UnavailableError,
    UploadCompleteError,
    UploadIncompleteError,
)
from app.schemas.uploads import PartRead, PartUrl, UploadCreate, UploadRead
from app.services.context import Context
from app.services.idempotency import Asked, Done, once
from app.services.limits import require_storage
from app.settings import Settings
from app.store import uploads
from app.store.blobs import BlobStore, BlobStoreError
from app.store.records import UploadPartRecord, UploadRecord
from app.store.sessions import Database

log = logging.getLogger(__name__)

MOST_PARTS = 10_000
"""Larger files come in larger parts."""
URL_SECONDS = 3600
"""How long a client has to begin with a part that it puts into the store itself."""


def begin_upload(context: Context, asked: Asked | None, request: UploadCreate) -> Done[UploadRead]:
    """Make room for a file.

    Raises:
        TooLargeError: If it is larger than this service takes.
        QuotaExceededError: If the owner would store too much.
        IdempotencyKeyReusedError: If the request's key came with another one before.
    """

    def make() -> UploadRead:
        return describe(add_upload(context, request.filename, request.size, sha256=request.sha256))

    done = once(context, asked, make)
    context.session.commit()
    return done


def read_upload(context: Context, upload_id: UUID) -> UploadRead:
    """What has arrived of a file.

    Raises:
        NotFoundError: If there is no such upload.
        UnavailableError: If the store does not say what lies in it.
    """
    record = require_upload(context, upload_id)
    # Nothing is held while the store is asked.
    context.session.commit()
    return describe(record, [] if record.completed_at else _list_parts(context.blobs, record))


def expect_part(context: Context, upload_id: UUID, number: int) -> int:
    """How many bytes a part must have.

    Raises:
        NotFoundError: If there is no such upload.
        InvalidRequestError: If it has no such part.
        UploadCompleteError: If it takes no more parts.
    """
    record = _require_part(context, upload_id, number)
    # Nothing is held while the part comes.
    context.session.commit()
    return record.size_of_part(number)


def keep_part(context: Context, upload_id: UUID, number: int, content: bytes) -> PartRead:
    """Store a part; one that is there already is replaced.

    Raises:
        UploadCompleteError: If the upload takes no more parts.
        UnavailableError: If the store does not take it.
    """
    part = UploadPartRecord(
        upload_id=upload_id,
        number=number,
        key=f"{prefix_of(upload_id)}{number}-{uuid4().hex}",
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )
    try:
        context.blobs.put(part.key, content)
    except (BlobStoreError, OSError) as error:
        raise UnavailableError("The blob store does not take the part: send it again in a while.") from error
    if not uploads.touch_unfinished(context.session, upload_id, lasts=lasts(context.settings)):
        context.session.rollback()
        _discard(context.blobs, [part.key])
        raise _ended(upload_id)
    replaced = uploads.put_part(context.session, part)
    context.session.commit()
    _discard(context.blobs, [replaced] if replaced else [])
    return PartRead.model_validate(part)


def sign_part(
    context: Context, asked: Asked | None, upload_id: UUID, number: int
) -> tuple[PartUrl, Done[UploadRecord]]:
    """Let a client put a part into the store itself; what had arrived of this part no longer counts.

    Raises:
        NotPresignedError: If clients of this service are not sent to the store.
        NotFoundError: If there is no such upload.
        InvalidRequestError: If it has no such part.
        UploadCompleteError: If it takes no more parts.
        UnavailableError: If the store does not let it be signed for.
        IdempotencyKeyReusedError: If the request's key came with another one before.
    """
    record = _require_part(context, upload_id, number)
    if context.blobs.signing is None:
        raise NotPresignedError(f"Send the part to this service: PUT /uploads/{upload_id}/parts/{number}.")
    try:
        url = context.blobs.sign("PUT", f"{prefix_of(upload_id)}{number}", seconds=URL_SECONDS)
    except BlobStoreError as error:
        raise UnavailableError("The blob store does not let parts be signed for: try again in a while.") from error
    withdrawn: list[str] = []

    def make() -> UploadRecord:
        if not uploads.touch_unfinished(context.session, upload_id, lasts=lasts(context.settings)):
            raise _ended(upload_id)
        key = uploads.withdraw_part(context.session, upload_id, number)
        withdrawn.extend([] if key is None else [key])
        return record

    done = once(context, asked, make, about=upload_id)
    context.session.commit()
    _discard(context.blobs, withdrawn)
    return PartUrl(method="PUT", url=url, size=record.size_of_part(number), expires_in=URL_SECONDS), done


def complete_upload(context: Context, asked: Asked | None, upload_id: UUID) -> Done[UploadRead]:
    """End an upload once all of it is there; what has ended stays as it is.

    Raises:
        NotFoundError: If there is no such upload.
        UploadIncompleteError: If parts are missing, or have another size than they must.
        ChecksumMismatchError: If it is known already that the whole is not what was announced.
        UnavailableError: If the store does not say what lies in it.
        IdempotencyKeyReusedError: If the request's key came with another one before.
    """
    record = require_upload(context, upload_id)
    # Nothing is held while the store is asked.
    context.session.commit()
    listed = _list_parts(context.blobs, record) if record.completed_at is None else []

    def make() -> UploadRead:
        if uploads.complete(context.session, record, listed):
            require_whole(record)
            return describe(record)
        return describe(require_upload(context, upload_id))

    done = once(context, asked, make, about=upload_id)
    context.session.commit()
    return done


def abandon_upload(context: Context, upload_id: UUID) -> None:
    """Delete an upload and what has arrived of it.

    Raises:
        NotFoundError: If there is no such upload.
        InUseError: If a dataset uses it.
    """
    require_upload(context, upload_id, with_parts=False)
    if not uploads.remove_upload(context.session, upload_id):
        raise InUseError("A dataset uses the upload: delete the dataset, and the upload goes with it.")
    context.session.commit()
    discard_blobs(context.blobs, [upload_id])


def require_complete(context: Context, upload_id: UUID) -> UploadRecord:
    """The upload that a dataset is to be read from.

    Raises:
        InvalidRequestError: If there is none, or it is not complete.
    """
    record = uploads.find_upload(context.session, context.owner, upload_id, with_parts=False)
    if record is None:
        raise _no_upload(upload_id)
    if record.completed_at is None:
        raise InvalidRequestError.of_field(
            "upload", f"is not complete: send what is missing, then POST /uploads/{upload_id}/complete"
        )
    return record


def hold_upload(context: Context, upload_id: UUID) -> UUID:
    """Keep an upload for the dataset that this transaction adds.

    Raises:
        InvalidRequestError: If it was deleted just now.
    """
    if not uploads.touch_complete(context.session, upload_id, lasts=lasts(context.settings)):
        raise _no_upload(upload_id)
    return upload_id


def expire_uploads(database: Database, blobs: BlobStore) -> int:
    """Delete uploads that were abandoned.

    Returns:
        How many there were.
    """
    with database.writing() as session:
        expired = uploads.remove_expired(session)
        session.commit()
    discard_blobs(blobs, expired)
    return len(expired)


def discard_blobs(blobs: BlobStore, upload_ids: Sequence[UUID]) -> None:
    """Delete whatever lies in the store of uploads whose records are gone."""
    for upload_id in upload_ids:
        try:
            blobs.delete([found.key for found in blobs.list_below(prefix_of(upload_id))])
        except (BlobStoreError, OSError):
            log.warning("upload %s: its blobs are left to be collected later", upload_id, exc_info=True)


def prefix_of(upload_id: UUID) -> str:
    """What the keys of an upload's blobs begin with."""
    return f"uploads/{upload_id}/"


def add_upload(context: Context, filename: str, size: int, *, sha256: str | None) -> UploadRecord:
    """Add an upload to the transaction.

    Raises:
        TooLargeError: If the file is larger than this service takes.
        QuotaExceededError: If the owner would store too much.
    """
    refuse_large(size, context.settings)
    require_storage(context, size)
    return uploads.add_upload(
        context.session,
        lasts=lasts(context.settings),
        owner=context.owner,
        filename=filename,
        size=size,
        part_size=max(context.settings.upload_part_bytes, math.ceil(size / MOST_PARTS)),
        sha256=sha256,
    )


def require_upload(context: Context, upload_id: UUID, *, with_parts: bool = True) -> UploadRecord:
    """The upload with this id.

    Raises:
        NotFoundError: If there is none.
    """
    record = uploads.find_upload(context.session, context.owner, upload_id, with_parts=with_parts)
    if record is None:
        raise NotFoundError(f"There is no upload {upload_id}.")
    return record


def _require_part(context: Context, upload_id: UUID, number: int) -> UploadRecord:
    record = require_upload(context, upload_id, with_parts=False)
    if record.completed_at is not None:
        raise _ended(upload_id)
    if not 1 <= number <= record.n_parts:
        raise InvalidRequestError.of_field("number", f"must be from 1 to {record.n_parts}, the parts of this upload")
    return record


def require_whole(record: UploadRecord) -> None:
    """Refuse an upload of which not everything has arrived.

    Raises:
        UploadIncompleteError: If parts are missing, or have another size than they must.
        ChecksumMismatchError: If it is one part, and not what was announced.
    """
    sizes = {part.number: part.size for part in record.parts}
    missing = [number for number in range(1, record.n_parts + 1) if number not in sizes]
    if missing:
        named = ", ".join(map(str, missing[:10])) + (", ..." if len(missing) > 10 else "")
        raise UploadIncompleteError(f"{len(missing)} of {record.n_parts} parts are missing: send {named}.")
    for number, size in sizes.items():
        if size != record.size_of_part(number):
            raise UploadIncompleteError(
                f"Part {number} has {size} bytes and must have {record.size_of_part(number)}: send it again."
            )
    only = record.parts[0].sha256 if record.n_parts == 1 else None
    if only is not None and record.sha256 not in {None, only}:
        raise mismatch(record.sha256, only)


def _list_parts(blobs: BlobStore, record: UploadRecord) -> list[UploadPartRecord]:
    """The parts that clients have put into the store themselves."""
    if blobs.signing is None:
        return []
    prefix, numbers = prefix_of(record.id), {str(number): number for number in range(1, record.n_parts + 1)}
    try:
        listed = [found for found in blobs.list_below(prefix) if found.key.removeprefix(prefix) in numbers]
    except (BlobStoreError, OSError) as error:
        raise UnavailableError("The blob store does not say what has arrived: try again in a while.") from error
    return [
        UploadPartRecord(
            upload_id=record.id,
            number=numbers[found.key.removeprefix(prefix)],
            key=found.key,
            size=found.size,
            e_tag=found.e_tag,
        )
        for found in listed
    ]


def describe(record: UploadRecord, listed: Sequence[UploadPartRecord] = ()) -> UploadRead:
    """An upload on the wire, with parts that lie in the store and are not noted."""
    arrived = {part.number: part for part in (*listed, *record.parts)}
    return UploadRead.model_validate(record).model_copy(
        update={"parts": [PartRead.model_validate(arrived[number]) for number in sorted(arrived)]}
    )


def _discard(blobs: BlobStore, keys: Sequence[str]) -> None:
    # What stays because the store does not answer goes with the upload.
    with contextlib.suppress(BlobStoreError, OSError):
        blobs.delete(keys)


def refuse_large(size: int, settings: Settings) -> None:
    """Refuse a file that is too large.

    Raises:
        TooLargeError: If it is.
    """
    if size > settings.max_upload_bytes:
        raise TooLargeError.of_field("size", f"a file may have {settings.max_upload_bytes:,} bytes: send a smaller one")


def _ended(upload_id: UUID) -> UploadCompleteError:
    return UploadCompleteError(f"The upload {upload_id} is complete, or deleted: begin another one for other bytes.")


def _no_upload(upload_id: UUID) -> InvalidRequestError:
    return InvalidRequestError.of_field("upload", f"there is no upload {upload_id}: begin one with POST /uploads")


def mismatch(announced: str | None, found: str) -> ChecksumMismatchError:
    """The error of a file that is not what was announced."""
    return ChecksumMismatchError.of_field("sha256", f"{announced} was announced, and {found} came: send the file again")


def lasts(settings: Settings) -> dt.timedelta:
    """How long an upload is kept that nobody touches."""
    return dt.timedelta(hours=settings.upload_hours)
