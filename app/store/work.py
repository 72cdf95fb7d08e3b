"""The rules by which work is claimed, kept, finished and found again.

Every change of state is one conditional UPDATE: what it matched decides who was first. The same UPDATE numbers the
events that tell of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Update, and_, case, func, or_, select, update
from sqlalchemy.orm import Session

from app.states import WorkState
from app.store.clock import now_plus
from app.store.events import Moved, News, add_events, state_news
from app.store.records import WorkRecord
from app.store.webhooks import announce


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work on a record until the lease runs out."""

    kind: type[WorkRecord]
    id: UUID
    attempt: int

    def holds(self) -> ColumnElement[bool]:
        """True in SQL while no other attempt was made and nothing has ended."""
        return and_(self.kind.id == self.id, self.kind.attempt == self.attempt, self.kind.state == WorkState.RUNNING)


@dataclass(frozen=True, slots=True, order=True)
class Waiting:
    """A record that a worker is to be told of."""

    id: UUID
    priority: int


def claim(session: Session, kind: type[WorkRecord], work_id: UUID, *, lease_seconds: float) -> Claim | None:
    """Take the work if nobody has it; None if it has ended or another worker holds it."""
    free = or_(kind.state == WorkState.QUEUED, _expired(kind))
    taken = (
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
    )
    rows = _change_state(session, kind, taken)
    return Claim(kind, work_id, rows[0].attempt) if rows else None


def renew(
    session: Session,
    held: Claim,
    *,
    lease_seconds: float,
    phase: str | None,
    progress: float,
    news: Sequence[News] = (),
) -> bool | None:
    """Report progress, tell the news and keep the lease.

    Returns:
        Whether somebody asked to cancel; None if the claim no longer holds.
    """
    kind = held.kind
    row = session.execute(
        update(kind)
        .where(held.holds())
        .values(
            lease_expires_at=now_plus(lease_seconds),
            phase=phase,
            progress=progress,
            last_event=kind.last_event + len(news),
        )
        .returning(kind.cancel_requested, kind.last_event)
    ).one_or_none()
    if row is None:
        return None
    add_events(session, Moved(held.id, held.attempt, row.last_event), news)
    return bool(row.cancel_requested)


def finish(session: Session, held: Claim, state: WorkState, *, news: Sequence[News] = (), **values: Any) -> bool:  # noqa: ANN401 - columns
    """Tell the last news and end the work, if the claim still holds; False if another attempt has taken over."""
    if state is WorkState.SUCCEEDED:
        values["progress"] = 1.0
    ended = (
        update(held.kind)
        .where(held.holds())
        .values(state=state, finished_at=now_plus(), lease_expires_at=None, **values)
    )
    return bool(_change_state(session, held.kind, ended, news))


def hand_over(session: Session, held: Claim, *, forgive: bool, news: Sequence[News] = ()) -> bool:
    """Let another worker have the work, or end it if somebody asked to cancel; False if the claim no longer holds.

    As its message is gone, the sweep sends another: with its next look if the attempt is forgiven, and does not
    count against the work; after a while otherwise.
    """
    kind = held.kind
    left = (
        update(kind)
        .where(held.holds())
        .values(
            state=case((kind.cancel_requested, WorkState.CANCELLED), else_=WorkState.QUEUED),
            finished_at=case((kind.cancel_requested, now_plus()), else_=None),
            lease_expires_at=None,
            forgiven=kind.forgiven + int(forgive),
            enqueued_at=kind.created_at if forgive else now_plus(),
        )
    )
    return bool(_change_state(session, kind, left, news))


def cancel(session: Session, kind: type[WorkRecord], work_id: UUID) -> bool:
    """End queued work at once and ask running work to stop; False if it had already ended."""
    waits, runs = kind.state == WorkState.QUEUED, kind.state == WorkState.RUNNING
    asked = (
        update(kind)
        .where(kind.id == work_id, or_(waits, and_(runs, ~kind.cancel_requested)))
        .values(
            cancel_requested=True,
            state=case((waits, WorkState.CANCELLED), else_=kind.state),
            finished_at=case((waits, now_plus()), else_=kind.finished_at),
        )
    )
    if _change_state(session, kind, asked):
        return True
    return session.execute(select(kind.id).where(kind.id == work_id, runs)).one_or_none() is not None


def retry(session: Session, kind: type[WorkRecord], work_id: UUID) -> bool:
    """Queue failed or cancelled work again, with as many attempts as new work has; False if it is neither."""
    again = (
        update(kind)
        .where(kind.id == work_id, kind.state.in_([WorkState.FAILED, WorkState.CANCELLED]))
        .values(
            state=WorkState.QUEUED,
            cancel_requested=False,
            forgiven=kind.attempt,
            phase=None,
            progress=0.0,
            started_at=None,
            finished_at=None,
            timings=None,
            error=None,
            result=None,
            enqueued_at=now_plus(),
        )
    )
    return bool(_change_state(session, kind, again))


def give_up(session: Session, kind: type[WorkRecord], *, max_attempts: int, error: dict[str, Any]) -> None:
    """End silent work that should not begin again: cancelled, or fatal to ``max_attempts`` workers already."""
    ended = {"finished_at": now_plus(), "lease_expires_at": None}
    cancelled = update(kind).where(_expired(kind), kind.cancel_requested)
    _change_state(session, kind, cancelled.values(state=WorkState.CANCELLED, **ended))
    fatal = update(kind).where(_expired(kind), kind.attempt - kind.forgiven >= max_attempts)
    _change_state(session, kind, fatal.values(state=WorkState.FAILED, error=error, **ended))


def release_expired(session: Session, kind: type[WorkRecord]) -> list[Waiting]:
    """Queue again what silent workers held; the caller sends the messages after its commit."""
    released = (
        update(kind).where(_expired(kind)).values(state=WorkState.QUEUED, lease_expires_at=None, enqueued_at=now_plus())
    )
    return sorted(Waiting(row.id, row.priority) for row in _change_state(session, kind, released))


def count_queued(session: Session, kind: type[WorkRecord]) -> int:
    """How many records wait for a worker."""
    return session.execute(select(func.count()).where(kind.state == WorkState.QUEUED)).scalar_one()


def touch_stale(session: Session, kind: type[WorkRecord], *, older_than: float, limit: int) -> list[Waiting]:
    """Mark the oldest queued work whose message may be lost as sent again just now."""
    stale = (
        select(kind.id)
        .where(kind.state == WorkState.QUEUED, kind.enqueued_at < now_plus(-older_than))
        .order_by(kind.enqueued_at, kind.id)
        .limit(limit)
    )
    touched = session.execute(
        update(kind)
        .where(kind.id.in_(stale), kind.state == WorkState.QUEUED)
        .values(enqueued_at=now_plus())
        .returning(kind.id, kind.priority)
    )
    return sorted(Waiting(row.id, row.priority) for row in touched)


def _expired(kind: type[WorkRecord]) -> ColumnElement[bool]:
    return and_(kind.state == WorkState.RUNNING, kind.lease_expires_at < now_plus())


def _change_state(
    session: Session, kind: type[WorkRecord], change: Update, news: Sequence[News] = ()
) -> Sequence[Row[Any]]:
    """Make a change, and tell the news and then the new state of whatever it matched; ends, to webhooks as well."""
    rows = session.execute(
        change.values(last_event=kind.last_event + len(news) + 1).returning(
            kind.id, kind.attempt, kind.last_event, kind.priority, kind.state, kind.cancel_requested, kind.error
        )
    ).all()
    for row in rows:
        told = state_news(WorkState(row.state), error=row.error, cancel_requested=row.cancel_requested)
        add_events(session, Moved(row.id, row.attempt, row.last_event), [*news, told])
    announce(session, kind, [row.id for row in rows if WorkState(row.state).is_terminal])
    return rows
