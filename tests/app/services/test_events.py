"""Streams get every event once and in order, however many there are and however slowly they read."""

import asyncio
from contextlib import suppress

import pytest

from app.services import events
from app.services.events import Watcher
from app.states import EventKind, WorkState
from app.store import work
from app.store.datasets import add_dataset
from app.store.events import News
from app.store.jobs import Origin
from app.store.records import DatasetRecord


@pytest.fixture
def ids(database, monkeypatch):
    """Two records, and a watcher that looks often."""
    monkeypatch.setattr(events, "TICK_SECONDS", 0.01)
    with database.writing() as session:
        records = [add_dataset(session, Origin("local"), name=name, request={}) for name in ("a", "b")]
        session.commit()
        return [record.id for record in records]


def do_work(database, work_id, sizes):
    """Renew with so much news each time, then finish."""
    with database.writing() as session:
        held = work.claim(session, DatasetRecord, work_id, lease_seconds=60)
        session.commit()
    for size in sizes:
        told = [News(EventKind.LOG, {"message": str(number)}) for number in range(size)]
        with database.writing() as session:
            work.renew(session, held, lease_seconds=60, phase=None, progress=0.0, news=told)
            session.commit()
    with database.writing() as session:
        work.finish(session, held, WorkState.SUCCEEDED)
        session.commit()


async def watching(database, *tasks):
    watcher = Watcher(database)
    looking = asyncio.create_task(watcher.run())
    try:
        return watcher, await asyncio.wait_for(asyncio.gather(*(task(watcher) for task in tasks)), 60)
    finally:
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking


def follow(work_id, after=0, pause=0.0):
    async def collect(watcher):
        numbers = []
        async for event in watcher.follow(DatasetRecord, work_id, after=after):
            numbers.append(event.number)
            if pause:
                await asyncio.sleep(pause)
        return numbers

    return collect


def test_every_stream_gets_everything_once_and_in_order(database, ids):
    sizes = [number % 8 for number in range(20)]
    # One more than a page at once.
    sizes.append(events.PAGE_SIZE + 1)

    async def busy(_watcher):
        for work_id in ids:
            await asyncio.to_thread(do_work, database, work_id, sizes)

    last = 3 + sum(sizes)
    streams = [follow(work_id, after, pause) for work_id in ids for after in (0, 7) for pause in (0.0, 0.001)] * 3
    watcher, (_, *seen) = asyncio.run(watching(database, busy, *streams))
    assert seen == [list(range(after + 1, last + 1)) for _ in ids for after in (0, 7) for _ in range(2)] * 3
    assert not watcher._watched


def test_a_stream_that_waits_asks_nothing_and_all_of_them_one_question(database, ids, monkeypatch):
    reads, questions = [], []
    read_page, read_positions = events.read_page, events.read_positions
    asked_often = asyncio.Event()

    def note_question(session, kind, asked):
        questions.append(asked)
        if len(questions) == 5:
            loop.call_soon_threadsafe(asked_often.set)
        return read_positions(session, kind, asked)

    monkeypatch.setattr(events, "read_page", lambda *given, **named: reads.append(given) or read_page(*given, **named))
    monkeypatch.setattr(events, "read_positions", note_question)

    async def busy(_watcher):
        nonlocal loop
        loop = asyncio.get_running_loop()
        await asked_often.wait()
        before = len(reads)
        await asyncio.to_thread(do_work, database, ids[0], [1, 1])
        return before

    loop = None
    n_streams = 40
    _, (before, *seen) = asyncio.run(watching(database, busy, *[follow(ids[0])] * n_streams))
    assert seen == [[1, 2, 3, 4, 5]] * n_streams
    # The first page of each; what moves while all wait is read once for all of them.
    assert before <= n_streams + 1
    assert len(reads) - before <= n_streams // 2
    assert all(asked == [ids[0]] for asked in questions)


def test_a_stream_ends_when_its_work_is_deleted(database, ids):
    async def delete(_watcher):
        await asyncio.sleep(0.05)
        with database.writing() as session:
            session.delete(session.get(DatasetRecord, ids[0]))
            session.commit()

    _, (_, seen) = asyncio.run(watching(database, delete, follow(ids[0])))
    assert seen == [1]


def test_a_stream_that_is_left_is_forgotten(database, ids):
    async def leave(watcher):
        stream = watcher.follow(DatasetRecord, ids[0], after=0)
        assert (await anext(stream)).body == {"state": "queued"}
        assert watcher._watched
        await stream.aclose()

    watcher, _ = asyncio.run(watching(database, leave))
    assert not watcher._watched
