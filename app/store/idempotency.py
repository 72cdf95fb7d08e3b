"""Requests that came with an Idempotency-Key."""

from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from app.store.clock import now_plus
from app.store.records import IdempotencyRecord

KEPT_SECONDS: Final = 24 * 3600.0
"""How long a key stands for the request that it came with."""


def take_key(session: Session, owner: str, key: str, fingerprint: str, subject_id: UUID) -> IdempotencyRecord | None:
    """Have a key stand for the request of this transaction.

    Who takes a key that another transaction has taken, and not committed yet, waits for that.

    Returns:
        None where the key is taken now; else the row of the request that took it before.
    """
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    row = insert(IdempotencyRecord).values(owner=owner, key=key, fingerprint=fingerprint, subject_id=subject_id)
    taken = row.on_conflict_do_nothing().returning(IdempotencyRecord.key)
    if session.execute(taken).one_or_none() is not None:
        return None
    return session.scalars(select(IdempotencyRecord).where(*_named(owner, key))).one()


def tell_subject(session: Session, owner: str, key: str, subject_id: UUID) -> None:
    """Write down what the request made."""
    session.execute(update(IdempotencyRecord).where(*_named(owner, key)).values(subject_id=subject_id))


def forget_requests(session: Session, *, older_than: float = KEPT_SECONDS) -> int:
    """Delete the keys that are older than so many seconds, and say how many there were."""
    old = delete(IdempotencyRecord).where(IdempotencyRecord.created_at < now_plus(-older_than))
    return len(session.scalars(old.returning(IdempotencyRecord.key)).all())


def _named(owner: str, key: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return IdempotencyRecord.owner == owner, IdempotencyRecord.key == key
