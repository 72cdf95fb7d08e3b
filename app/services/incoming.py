"""Files that come whole, in one request, and go into the store part by part."""

import hashlib
from dataclasses import dataclass, field
from uuid import UUID

from app.errors import InvalidRequestError
from app.schemas.uploads import UploadRead
from app.services.context import Context
from app.services.idempotency import Asked, Done, once
from app.services.uploads import (
    abandon_upload,
    add_upload,
    describe,
    keep_part,
    mismatch,
    refuse_large,
    require_upload,
    require_whole,
)
from app.store import uploads


@dataclass(slots=True)
class Incoming:
    """A file as far as it has come.

    Attributes:
        upload_id: Of its upload.
        part_size: Bytes of each part but the last.
        n_parts: Those that are stored.
        size: Their bytes.
        digest: Of these.
    """

    upload_id: UUID
    part_size: int
    n_parts: int = 0
    size: int = 0
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    @property
    def sha256(self) -> str:
        """Of all that has come."""
        return self.digest.hexdigest()


def begin_file(context: Context, filename: str, *, at_most: int | None) -> Incoming:
    """Make room for a file.

    Args:
        context: Of the request.
        filename: What to call it.
        at_most: Bytes that it cannot exceed; None if nobody said.

    Raises:
        QuotaExceededError: If the owner would store too much.
    """
    most = context.settings.max_upload_bytes
    record = add_upload(context, filename, min(at_most or most, most), sha256=None)
    context.session.commit()
    return Incoming(record.id, record.part_size)


def keep_next(context: Context, incoming: Incoming, content: bytes) -> None:
    """Store the next part of a file.

    Raises:
        TooLargeError: If the file is larger than this service takes.
        UnavailableError: If the store does not take it.
    """
    incoming.size += len(content)
    refuse_large(incoming.size, context.settings)
    incoming.digest.update(content)
    incoming.n_parts += 1
    keep_part(context, incoming.upload_id, incoming.n_parts, content)


def end_file(context: Context, asked: Asked | None, incoming: Incoming, *, sha256: str | None) -> Done[UploadRead]:
    """End the upload of a file that has come; if it came before, that upload stands, and this one goes.

    Raises:
        InvalidRequestError: If it is empty.
        ChecksumMismatchError: If it is not what was announced.
        IdempotencyKeyReusedError: If the request's key came with another one before.
    """
    if not incoming.size:
        raise InvalidRequestError.of_field("file", "is empty: send one that holds something")
    if sha256 not in {None, incoming.sha256}:
        raise mismatch(sha256, incoming.sha256)

    def make() -> UploadRead:
        record = require_upload(context, incoming.upload_id)
        record.size, record.sha256 = incoming.size, incoming.sha256
        context.session.flush()
        uploads.complete(context.session, record, [])
        require_whole(record)
        return describe(record)

    done = once(context, asked, make)
    context.session.commit()
    if done.fresh is None:
        abandon_upload(context, incoming.upload_id)
    return done


def forget_file(context: Context, incoming: Incoming) -> None:
    """Leave nothing of a file that did not come whole."""
    context.session.rollback()
    abandon_upload(context, incoming.upload_id)
