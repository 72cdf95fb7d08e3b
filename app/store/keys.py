"""API keys in the database."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, or_, select, update
from sqlalchemy.orm import Session

from app.store.clock import now_plus
from app.store.records import KeyRecord


def add_key(
    session: Session,
    *,
    owner: str,
    name: str,
    digest: str,
    hint: str,
    scopes: Collection[str],
    expires_in: float | None,
) -> KeyRecord:
    """Add a key; ``expires_in`` is in seconds, None for never."""
    expires_at = None if expires_in is None else now_plus(expires_in)
    record = KeyRecord(owner=owner, name=name, digest=digest, hint=hint, scopes=sorted(scopes), expires_at=expires_at)
    session.add(record)
    session.flush()
    return record


def replace_key(session: Session, old: KeyRecord, *, digest: str, hint: str, grace_seconds: float) -> KeyRecord | None:
    """End a key and add one that may do the same, until the same moment; None if the old one had ended.

    Args:
        session: One transaction.
        old: The key to replace.
        digest: Of the new secret.
        hint: Of the new secret.
        grace_seconds: How long the old one goes on, unless it expires before that.
    """
    successor = KeyRecord(
        owner=old.owner, name=old.name, digest=digest, hint=hint, scopes=old.scopes, expires_at=old.expires_at
    )
    if not _end(session, old.id, _is_active(), **_ends_after(grace_seconds)):
        return None
    session.add(successor)
    session.flush()
    return successor


def revoke_key(session: Session, key_id: UUID) -> bool:
    """End a key now; False if it was revoked before."""
    return _end(session, key_id, KeyRecord.revoked_at.is_(None), revoked_at=now_plus())


def find_key(session: Session, owner: str | None, key_id: UUID) -> KeyRecord | None:
    """The key with this id; an owner's, or anybody's."""
    found = select(KeyRecord).where(KeyRecord.id == key_id)
    return session.scalars(found if owner is None else found.where(KeyRecord.owner == owner)).one_or_none()


def find_active_key(session: Session, digest: str) -> KeyRecord | None:
    """The key whose secret has this digest, unless it was revoked or has expired."""
    return session.scalars(select(KeyRecord).where(KeyRecord.digest == digest, _is_active())).one_or_none()


def list_keys(session: Session, owner: str | None, *, before: UUID | None, limit: int) -> list[KeyRecord]:
    """Keys, newest first, those older than ``before``; an owner's, or everybody's."""
    newest_first = select(KeyRecord).order_by(KeyRecord.id.desc()).limit(limit)
    if owner is not None:
        newest_first = newest_first.where(KeyRecord.owner == owner)
    return list(session.scalars(newest_first if before is None else newest_first.where(KeyRecord.id < before)))


def has_active_key(session: Session, scope: str) -> bool:
    """Whether anybody has a key with this scope."""
    return any(scope in scopes for scopes in session.scalars(select(KeyRecord.scopes).where(_is_active())))


def note_uses(session: Session, key_ids: Collection[UUID], *, older_than: float) -> None:
    """Write that keys were used just now, where that was last written more than ``older_than`` seconds ago."""
    stale = or_(KeyRecord.last_used_at.is_(None), KeyRecord.last_used_at < now_plus(-older_than))
    session.execute(update(KeyRecord).where(KeyRecord.id.in_(key_ids), stale).values(last_used_at=now_plus()))


def _end(session: Session, key_id: UUID, still: ColumnElement[bool], **values: Any) -> bool:  # noqa: ANN401 - columns
    ended = update(KeyRecord).where(KeyRecord.id == key_id, still).values(**values).returning(KeyRecord.id)
    return session.execute(ended).scalar_one_or_none() is not None


def _ends_after(seconds: float) -> dict[str, ColumnElement[Any]]:
    if seconds == 0:
        return {"revoked_at": now_plus()}
    end = now_plus(seconds)
    return {"expires_at": case((KeyRecord.expires_at < end, KeyRecord.expires_at), else_=end)}


def _is_active() -> ColumnElement[bool]:
    unexpired = or_(KeyRecord.expires_at.is_(None), KeyRecord.expires_at > now_plus())
    return and_(KeyRecord.revoked_at.is_(None), unexpired)
