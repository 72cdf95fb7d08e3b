"""The rules by which work is claimed, kept, finished and found again.

Every change of state is one conditional UPDATE: what it matched decides who was first.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, func, or_, select, update
from sqlalchemy.orm import Session

from app.states import WorkState
from app.store.clock import now_plus
from app.store.records import WorkRecord


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work on a record until the lease runs out."""

    kind: type[WorkRecord]
    id: UUID
    attempt: int

    def holds(self) -> ColumnElement[bool]:
        """True in SQL while no other attempt was made and nothing has ended."""
        return and_(self.kind.id == self.id, self.kind.attempt == self.attempt, self.kind.state == WorkState.RUNNING)


def claim(session: Session, kind: type[WorkRecord], work_id: UUID, *, lease_seconds: float) -> Claim | None:
    """Take the work if nobody has it; None if it has ended or another worker holds it."""
    free = or_(kind.state == WorkState.QUEUED, _expired(kind))
    attempt = session.execute(
        update(kind)
        .where(kind.id == work_id, free)
        .values(
            state=WorkState.RUNNING,
            attempt=kind.attempt + 1,
            started_at=now_plus(),
            lease_expires_at=now_plus(lease_seconds),
            phase=None,
            progress=0.0,
        )
        .returning(kind.attempt)
    ).scalar_one_or_none()
    return None if attempt is None else Claim(kind, work_id, attempt)


def renew(session: Session, held: Claim, *, lease_seconds: float, phase: str | None, progress: float) -> bool | None:
    """Report progress and keep the lease.

    Returns:
        Whether somebody asked to cancel; None if the claim no longer holds.
    """
    return session.execute(
        update(held.kind)
        .where(held.holds())
        .values(lease_expires_at=now_plus(lease_seconds), phase=phase, progress=progress)
        .returning(held.kind.cancel_requested)
    ).scalar_one_or_none()


def finish(session: Session, held: Claim, state: WorkState, **values: Any) -> bool:  # noqa: ANN401 - columns
    """End the work, if the claim still holds; False if another attempt has taken over."""
    if state is WorkState.SUCCEEDED:
        values["progress"] = 1.0
    ended = session.execute(
        update(held.kind)
        .where(held.holds())
        .values(state=state, finished_at=now_plus(), lease_expires_at=None, **values)
        .returning(held.kind.id)
    ).scalar_one_or_none()
    return ended is not None


def cancel(session: Session, kind: type[WorkRecord], work_id: UUID) -> bool:
    """End queued work at once and ask running work to stop; False if it had already ended."""
    waits = kind.state == WorkState.QUEUED
    found = session.execute(
        update(kind)
        .where(kind.id == work_id, or_(waits, kind.state == WorkState.RUNNING))
        .values(
            cancel_requested=True,
            state=case((waits, WorkState.CANCELLED), else_=kind.state),
            finished_at=case((waits, now_plus()), else_=kind.finished_at),
        )
        .returning(kind.id)
    ).scalar_one_or_none()
    return found is not None


def give_up(session: Session, kind: type[WorkRecord], *, max_attempts: int, error: dict[str, Any]) -> None:
    """End silent work that should not begin again: cancelled, or fatal to ``max_attempts`` workers already."""
    session.execute(
        update(kind)
        .where(_expired(kind), kind.cancel_requested)
        .values(state=WorkState.CANCELLED, finished_at=now_plus(), lease_expires_at=None)
    )
    session.execute(
        update(kind)
        .where(_expired(kind), kind.attempt >= max_attempts)
        .values(state=WorkState.FAILED, finished_at=now_plus(), lease_expires_at=None, error=error)
    )


def release_expired(session: Session, kind: type[WorkRecord]) -> list[UUID]:
    """Queue again what silent workers held; the caller sends the messages after its commit."""
    return sorted(
        session.execute(
            update(kind)
            .where(_expired(kind))
            .values(state=WorkState.QUEUED, lease_expires_at=None, enqueued_at=now_plus())
            .returning(kind.id)
        ).scalars()
    )


def count_queued(session: Session, kind: type[WorkRecord]) -> int:
    """How many records wait for a worker."""
    return session.execute(select(func.count()).where(kind.state == WorkState.QUEUED)).scalar_one()


def touch_stale(session: Session, kind: type[WorkRecord], *, older_than: float, limit: int) -> list[UUID]:
    """Mark the oldest queued work whose message may be lost as sent again just now."""
    stale = (
        select(kind.id)
        .where(kind.state == WorkState.QUEUED, kind.enqueued_at < now_plus(-older_than))
        .order_by(kind.enqueued_at, kind.id)
        .limit(limit)
    )
    return sorted(
        session.execute(
            update(kind)
            .where(kind.id.in_(stale), kind.state == WorkState.QUEUED)
            .values(enqueued_at=now_plus())
            .returning(kind.id)
        ).scalars()
    )


def _expired(kind: type[WorkRecord]) -> ColumnElement[bool]:
    return and_(kind.state == WorkState.RUNNING, kind.lease_expires_at < now_plus())
