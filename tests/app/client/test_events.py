"""Events as they come, over connections that break."""

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.client import AsyncClient, BrokenConnectionError, Client, NotFoundError, UnexpectedReplyError
from app.client.events import EventLines, read_event
from app.states import EventKind, WorkState
from tests.app.served import RESULT, begin, end
from tests.loopback import cutting, one_connection_each

STREAM = (
    b"retry: 2000\r\n\r\n: still here\r\n\r\n"
    + "id: 1\r\nevent: log\r\ndata: {'a':\r\ndata: 'ü\u2028'}\r\n\r\n".encode()
    + b"id: 2\nevent: state\ndata:x\n\n"
)


@given(places=st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_events_are_the_same_wherever_the_stream_is_divided(places):
    lines, found = EventLines(), []
    bounds = [0, *sorted(places), len(STREAM)]
    for start, stop in pairwise(bounds):
        found += lines.feed(STREAM[start:stop])
    assert found == ["{'a':\n'ü\u2028'}", "x"]
    assert lines.retry_seconds == 2.0


@pytest.fixture
def done(url, target, service_database):
    """The id of a job that has ended, and how many events it has."""
    with Client(url) as client:
        job = client.jobs.create(target="target", strategy="uniform")
        end(service_database, begin(service_database, job.id), WorkState.SUCCEEDED, result=RESULT)
        return job.id


def test_every_event_comes_once_however_often_the_connection_breaks(url, done, naps):
    with Client(url) as client:
        whole = list(client.jobs.get(done).events())
    assert [event.number for event in whole] == list(range(1, len(whole) + 1))
    assert [whole[0].body, whole[-1].body] == [{"state": "queued"}, {"state": "succeeded"}]
    for cut in (450, 700, 1100):
        with cutting(url) as way, one_connection_each() as http:
            job = Client(way.url, attempts=6, http=http).jobs.get(done)
            way.cuts = [0, cut, cut, 0, cut]
            assert list(job.events()) == whole
            assert way.n_connections > 5


def test_events_begin_after_the_one_that_is_named(url, done):
    with Client(url) as client:
        job = client.jobs.get(done)
        numbers = [event.number for event in job.events()]
        assert [event.number for event in job.events(after=5)] == numbers[5:]
        assert list(job.events(after=numbers[-1])) == []


def test_events_come_while_the_work_goes_on_and_may_be_left(url, target, service_database):
    with Client(url) as client:
        job = client.jobs.create(target="target", strategy="uniform")
        held = begin(service_database, job.id)
        events = job.events()
        assert next(event for event in events if event.kind is EventKind.EPOCH).body["epoch"] == 1
        events.close()
        stream = job.events(after=3)
        assert next(stream).number == 4
        end(service_database, held, WorkState.SUCCEEDED, result=RESULT)
        assert [event.kind for event in stream][-1] is EventKind.STATE


def test_the_awaited_client_follows_alike(url, done):
    async def go():
        async with AsyncClient(url) as client:
            return [event.number async for event in (await client.jobs.get(done)).events(after=2)]

    with Client(url) as client:
        assert asyncio.run(go()) == [event.number for event in client.jobs.get(done).events(after=2)]


def test_a_service_that_is_gone_is_given_up(url, done, naps):
    with cutting(url) as way, one_connection_each() as http:
        job = Client(way.url, attempts=3, http=http).jobs.get(done)
        way.cuts = [0] * 9
        with pytest.raises(BrokenConnectionError):
            next(job.events())
        assert way.n_connections == 4
    assert len(naps) == 2


def test_what_is_gone_has_no_events(url, done):
    with Client(url) as client:
        job = client.jobs.get(done)
        job.delete()
        with pytest.raises(NotFoundError):
            next(job.events())


def test_what_nobody_knows_yet_is_passed_over_and_nonsense_is_not():
    event = '{"number": 1, "at": "2026-01-01T00:00:00Z", "attempt": 1, "kind": "%s", "body": {}}'
    assert read_event(event % "log").number == 1
    assert read_event(event % "weather") is None
    for nonsense in ("{}", "[]", "x", '{"kind": "log"}', '{"kind": []}'):
        with pytest.raises(UnexpectedReplyError):
            read_event(nonsense)
