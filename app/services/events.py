"""Watching work while it is done."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from app.observing.metrics import OPEN_STREAMS
from app.schemas.events import CurveRead, LineRead, MetricsRead
from app.services.context import Context
from app.states import EventKind
from app.store.events import Event, EventPage, read_kind, read_last, read_page, read_positions
from app.store.records import WorkRecord
from app.store.sessions import DATABASE_DOWN, Database

log = logging.getLogger(__name__)

TICK_SECONDS: Final = 0.5
"""How often one question is asked for all streams of a process together."""
PAGE_SIZE: Final = 200
"""How many events are in memory for a stream at the most."""
MAX_EPOCHS: Final = 200_000
_CURVE = ("phase", "seed", "alpha")
_EPOCH = ("epoch", "train_loss", "validation_loss", "validation_accuracy")

Key = tuple[type[WorkRecord], UUID]


@dataclass(slots=True)
class _Watched:
    """A record that streams of this process follow.

    Attributes:
        n_streams: How many.
        last_event: The number of the last event that is known of; 0 before a stream waits for the next one.
        page: The events that made it move last, for all streams that have got so far.
        moved: Set, and replaced, when it moves.
    """

    n_streams: int = 0
    last_event: int = 0
    page: EventPage | None = None
    moved: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class Watcher:
    """Follows work on behalf of all streams of one process, in one event loop.

    A stream waits for its record to move and asks for nothing itself. Who reads slowly reads from the database when
    there is time: nothing is kept for anybody but the page that is being sent.
    """

    database: Database
    _watched: dict[Key, _Watched] = field(default_factory=dict)

    async def run(self) -> None:
        """Look for what has moved, for ever."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            if not self._watched:
                continue
            try:
                await self._look()
            except DATABASE_DOWN:
                log.warning("events: the database does not answer")
            except Exception:
                log.exception("events: looking for what has moved failed")

    async def follow(self, kind: type[WorkRecord], work_id: UUID, *, after: int) -> AsyncIterator[Event]:
        """The events of a piece of work after a number, as they come, until it has ended."""
        with self._watching((kind, work_id)) as watched:
            while True:
                moved, page = watched.moved, watched.page
                if page is None or page.after != after:
                    page = await asyncio.to_thread(self._read, kind, work_id, after)
                if page is None:
                    return
                for event in page.events:
                    yield event
                after = page.end
                if page.is_last:
                    return
                if after < page.last_event:
                    continue
                watched.last_event = watched.last_event or page.last_event
                # Somebody may know of more already, and will not be told of it again.
                if after >= watched.last_event:
                    await moved.wait()

    @contextmanager
    def _watching(self, key: Key) -> Iterator[_Watched]:
        watched = self._watched.setdefault(key, _Watched())
        watched.n_streams += 1
        try:
            with OPEN_STREAMS.track_inprogress():
                yield watched
        finally:
            watched.n_streams -= 1
            if not watched.n_streams:
                del self._watched[key]

    async def _look(self) -> None:
        known = {key: watched.last_event for key, watched in self._watched.items() if watched.last_event}
        for key, page in (await asyncio.to_thread(self._read_moved, known)).items():
            watched = self._watched.get(key)
            if watched is not None:
                watched.page = page
                watched.last_event = page.last_event if page else watched.last_event
                moved, watched.moved = watched.moved, asyncio.Event()
                moved.set()

    def _read_moved(self, known: dict[Key, int]) -> dict[Key, EventPage | None]:
        """The news of the records that have moved since they were at these numbers; None for those that are gone."""
        by_kind: defaultdict[type[WorkRecord], list[UUID]] = defaultdict(list)
        for kind, work_id in known:
            by_kind[kind].append(work_id)
        moved: dict[Key, EventPage | None] = {}
        with self.database.reading() as session:
            for kind, ids in by_kind.items():
                positions = read_positions(session, kind, ids)
                for work_id in ids:
                    last = known[kind, work_id]
                    if positions.get(work_id) != last:
                        moved[kind, work_id] = read_page(session, kind, work_id, after=last, limit=PAGE_SIZE)
        return moved

    def _read(self, kind: type[WorkRecord], work_id: UUID, after: int) -> EventPage | None:
        with self.database.reading() as session:
            return read_page(session, kind, work_id, after=after, limit=PAGE_SIZE)


def is_told(record: WorkRecord, after: int) -> bool:
    """Whether whoever has the events up to this number has all that there will be."""
    return record.finished_at is not None and after >= record.last_event


def read_metrics(context: Context, record: WorkRecord) -> MetricsRead:
    """Every epoch of the latest attempt, and the seconds of its phases."""
    timings = record.timings
    if timings is None:
        phase = read_last(context.session, record.id, EventKind.PHASE, attempt=record.attempt)
        timings = phase.body["timings"] if phase else {}
    epochs = read_kind(context.session, record.id, EventKind.EPOCH, attempt=record.attempt, limit=MAX_EPOCHS)
    return MetricsRead(attempt=record.attempt, timings=timings, curves=_curves([event.body for event in epochs]))


def read_lines(context: Context, record: WorkRecord, *, since: int, limit: int) -> list[LineRead]:
    """Lines of the log of all attempts, those after the event ``since``."""
    lines = read_kind(context.session, record.id, EventKind.LOG, after=since, limit=limit)
    return [LineRead(number=line.number, at=line.at, attempt=line.attempt, **line.body) for line in lines]


def _curves(epochs: Sequence[dict[str, Any]]) -> list[CurveRead]:
    curves: defaultdict[tuple[Any, ...], dict[int, dict[str, Any]]] = defaultdict(dict)
    for told in epochs:
        # What goes on after a loss may tell an epoch twice.
        curves[tuple(told[name] for name in _CURVE)][told["epoch"]] = told
    return [
        CurveRead(
            **dict(zip(_CURVE, curve, strict=True)),
            **{name: [told[name] for told in by_epoch.values()] for name in _EPOCH},
        )
        for curve, by_epoch in curves.items()
    ]
