"""Uploads in the database."""

import datetime as dt
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, delete, exists, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, lazyload

from app.store.clock import now_plus
from app.store.records import DatasetRecord, UploadPartRecord, UploadRecord


def add_upload(session: Session, *, lasts: dt.timedelta, **columns: Any) -> UploadRecord:  # noqa: ANN401 - columns
    """Add an upload, none of whose parts have arrived."""
    record = UploadRecord(**columns, expires_at=now_plus(lasts.total_seconds()), parts=[])
    session.add(record)
    session.flush()
    return record


def find_upload(session: Session, owner: str, upload_id: UUID, *, with_parts: bool = True) -> UploadRecord | None:
    """The owner's upload with this id; without its parts, which may be thousands, where nobody looks at them."""
    found = select(UploadRecord).where(UploadRecord.id == upload_id, UploadRecord.owner == owner)
    return session.scalars(found if with_parts else found.options(lazyload(UploadRecord.parts))).one_or_none()


def get_upload(session: Session, upload_id: UUID) -> UploadRecord | None:
    """The upload with this id, whosever it is: for workers."""
    return session.get(UploadRecord, upload_id)


def touch_unfinished(session: Session, upload_id: UUID, *, lasts: dt.timedelta) -> bool:
    """Keep an upload for a while longer; False if it takes no more parts. Others who would change it wait meanwhile."""
    return _change(session, upload_id, UploadRecord.completed_at.is_(None), lasts=lasts)


def touch_complete(session: Session, upload_id: UUID, *, lasts: dt.timedelta) -> bool:
    """Keep a complete upload until a dataset that is added in this transaction holds it; False if it is gone."""
    return _change(session, upload_id, UploadRecord.completed_at.is_not(None), lasts=lasts)


def put_part(session: Session, part: UploadPartRecord) -> str | None:
    """Note a part that has arrived; the upload must have been touched in this transaction.

    Returns:
        The key of what it replaces.
    """
    replaced = withdraw_part(session, part.upload_id, part.number)
    session.add(part)
    return replaced


def withdraw_part(session: Session, upload_id: UUID, number: int) -> str | None:
    """Forget a part; the upload must have been touched in this transaction.

    Returns:
        Its key, if it had arrived.
    """
    this = (UploadPartRecord.upload_id == upload_id, UploadPartRecord.number == number)
    return session.execute(delete(UploadPartRecord).where(*this).returning(UploadPartRecord.key)).scalar_one_or_none()


def complete(session: Session, record: UploadRecord, listed: Iterable[UploadPartRecord]) -> bool:
    """End an upload, together with parts that lie in the store and were not noted; False if it had ended.

    What was noted counts, where there are both: it came later.
    """
    ended = update(UploadRecord).where(UploadRecord.id == record.id, UploadRecord.completed_at.is_(None))
    if not _matches(session, ended.values(completed_at=now_plus())):
        return False
    noted = set(session.scalars(select(UploadPartRecord.number).where(UploadPartRecord.upload_id == record.id)))
    session.add_all([part for part in listed if part.number not in noted])
    session.flush()
    session.refresh(record)
    return True


def name_content(session: Session, upload_id: UUID, sha256: str) -> None:
    """Write down what the bytes of an upload are, where nobody said before."""
    unnamed = (UploadRecord.id == upload_id, UploadRecord.sha256.is_(None))
    session.execute(update(UploadRecord).where(*unnamed).values(sha256=sha256))


def remove_upload(session: Session, upload_id: UUID) -> bool:
    """Remove an upload that no dataset uses; its blobs go after the commit. False if there is none."""
    try:
        with session.begin_nested():
            session.execute(delete(UploadPartRecord).where(UploadPartRecord.upload_id == upload_id))
            gone = delete(UploadRecord).where(UploadRecord.id == upload_id).returning(UploadRecord.id)
            return session.execute(gone).scalar_one_or_none() is not None
    except IntegrityError:
        return False


def remove_expired(session: Session, *, limit: int = 100) -> list[UUID]:
    """Remove uploads that nobody has touched for long and no dataset uses; their blobs go after the commit."""
    used = exists().where(DatasetRecord.upload_id == UploadRecord.id)
    expired = select(UploadRecord.id).where(UploadRecord.expires_at < now_plus(), ~used).limit(limit)
    # Whoever touches one at this moment holds it, and keeps it.
    ids = list(session.scalars(expired.with_for_update(skip_locked=True)))
    session.execute(delete(UploadPartRecord).where(UploadPartRecord.upload_id.in_(ids)))
    session.execute(delete(UploadRecord).where(UploadRecord.id.in_(ids)))
    return ids


def _change(session: Session, upload_id: UUID, condition: ColumnElement[bool], *, lasts: dt.timedelta) -> bool:
    touched = update(UploadRecord).where(UploadRecord.id == upload_id, condition)
    return _matches(session, touched.values(expires_at=now_plus(lasts.total_seconds())))


def _matches(session: Session, statement: Any) -> bool:  # noqa: ANN401 - an UPDATE of SQLAlchemy's many types
    return session.execute(statement.returning(UploadRecord.id)).scalar_one_or_none() is not None
