"""What happened to a piece of work, in order.

Events are numbered by the record's own ``last_event``, moved by the same UPDATE that changes the work: whoever lost the
right to write to the work writes no event either, and there is no gap and no double. The first event, that the work
was queued, is the record itself; so is the last one where events have been deleted with age.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Select, insert, select
from sqlalchemy.orm import Session

from app.states import EventKind, WorkState
from app.store.records import EventRecord, WorkRecord

_IDS_A_QUERY = 500
_COLUMNS = (EventRecord.number, EventRecord.at, EventRecord.attempt, EventRecord.kind, EventRecord.body)


@dataclass(frozen=True, slots=True)
class News:
    """Something to be told of a piece of work."""

    kind: EventKind
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was told.

    Attributes:
        number: Its place among the events of its work, from 1.
        at: When it was recorded.
        attempt: Of which claim it tells; 0 before the first one.
        kind: What it tells.
        body: The rest, by kind.
    """

    number: int
    at: dt.datetime
    attempt: int
    kind: EventKind
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class EventPage:
    """Some events of a piece of work, and how far it was when they were read.

    Attributes:
        after: They are those after this number.
        events: In order; there may be more.
        last_event: The number of the last one there is.
        state: Of the work.
    """

    after: int
    events: tuple[Event, ...]
    last_event: int
    state: WorkState

    @property
    def end(self) -> int:
        """The number that the next page begins after."""
        return self.events[-1].number if self.events else self.after

    @property
    def is_last(self) -> bool:
        """Whether the work has ended and nothing of it is left to tell."""
        return self.state.is_terminal and self.end >= self.last_event


@dataclass(frozen=True, slots=True)
class Moved:
    """A record whose ``last_event`` was just moved by as many as are to be told."""

    id: UUID
    attempt: int
    last_event: int


def state_news(state: WorkState, *, error: dict[str, Any] | None, cancel_requested: bool = False) -> News:
    """The news that work is in a state, with what a reader has to know beside."""
    body: dict[str, Any] = {"state": state}
    if error is not None:
        body["error"] = error
    if state is WorkState.RUNNING and cancel_requested:
        body["cancel_requested"] = True
    return News(EventKind.STATE, body)


def add_events(session: Session, moved: Moved, news: Sequence[News]) -> None:
    """Write the news of a record; the number of the last one is its ``last_event``."""
    first = moved.last_event - len(news) + 1
    rows = [
        {"work_id": moved.id, "number": number, "attempt": moved.attempt, "kind": told.kind, "body": told.body}
        for number, told in enumerate(news, start=first)
    ]
    if rows:
        session.execute(insert(EventRecord), rows)


def read_page(session: Session, kind: type[WorkRecord], work_id: UUID, *, after: int, limit: int) -> EventPage | None:
    """The events after a number, at most ``limit``; None if there is no such work."""
    record = session.execute(
        select(kind.state, kind.attempt, kind.last_event, kind.created_at, kind.finished_at, kind.error).where(
            kind.id == work_id
        )
    ).one_or_none()
    if record is None:
        return None
    state = WorkState(record.state)
    # What is told meanwhile belongs to the next page: the state that was read does not know of it.
    events = _read(session, _of(work_id, after).where(EventRecord.number <= record.last_event).limit(limit))
    if after < 1:
        events.insert(0, Event(1, record.created_at, 0, EventKind.STATE, {"state": WorkState.QUEUED}))
    end = events[-1].number if events else after
    if state.is_terminal and end < record.last_event and len(events) < limit:
        ended = state_news(state, error=record.error)
        events.append(Event(record.last_event, record.finished_at, record.attempt, ended.kind, ended.body))
    return EventPage(after, tuple(events), record.last_event, state)


def read_kind(
    session: Session, work_id: UUID, kind: EventKind, *, after: int = 0, attempt: int | None = None, limit: int
) -> list[Event]:
    """The events of one kind after a number, of one attempt or of all."""
    asked = _of(work_id, after).where(EventRecord.kind == kind).limit(limit)
    return _read(session, asked if attempt is None else asked.where(EventRecord.attempt == attempt))


def read_last(session: Session, work_id: UUID, kind: EventKind, *, attempt: int) -> Event | None:
    """The last event of a kind that an attempt told."""
    asked = select(*_COLUMNS).where(
        EventRecord.work_id == work_id, EventRecord.kind == kind, EventRecord.attempt == attempt
    )
    return next(iter(_read(session, asked.order_by(EventRecord.number.desc()).limit(1))), None)


def read_positions(session: Session, kind: type[WorkRecord], ids: Sequence[UUID]) -> dict[UUID, int]:
    """The number of the last event of each of these records; those that are gone are left out."""
    found: dict[UUID, int] = {}
    for start in range(0, len(ids), _IDS_A_QUERY):
        asked = select(kind.id, kind.last_event).where(kind.id.in_(ids[start : start + _IDS_A_QUERY]))
        found |= {row.id: row.last_event for row in session.execute(asked)}
    return found


def _of(work_id: UUID, after: int) -> Select[Any]:
    return (
        select(*_COLUMNS).where(EventRecord.work_id == work_id, EventRecord.number > after).order_by(EventRecord.number)
    )


def _read(session: Session, asked: Select[Any]) -> list[Event]:
    return [
        Event(number, at, attempt, EventKind(kind), body) for number, at, attempt, kind, body in session.execute(asked)
    ]
