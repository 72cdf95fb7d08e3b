"""How often one key may ask, and how much one owner may have."""

import asyncio
import datetime as dt
import logging
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st
from starlette.testclient import TestClient

from app.api.limits import REST_SECONDS, RateLimitError, open_rate_limits
from app.errors import QuotaExceededError, RateLimitedError
from app.main import create_app
from app.principals import Scope
from app.services.context import Context
from app.services.limits import require_room, require_storage
from app.settings import Settings
from app.states import WorkState
from app.store.records import (
    DatasetArtifactRecord,
    DatasetRecord,
    DistanceArtifactRecord,
    DistanceRecord,
    JobArtifactRecord,
    JobRecord,
    SelectionArtifactRecord,
    SelectionRecord,
    UploadRecord,
)
from app.store.usage import stored_bytes
from tests.fakes import RecordingQueue

MINUTE = 60
DATASET = {"format": "builtin", "dataset": "digits"}


class Clock:
    """Stands at the beginning of a minute until it is moved."""

    now = 20_000.0 * MINUTE

    def __call__(self):
        return self.now


def limits_of(broker_url, rate_limit, clock):
    """Limits as one process has them."""
    limits = open_rate_limits(Settings(broker_url=broker_url, rate_limit=rate_limit))
    limits.clock = clock
    return limits


def told_by(headers):
    """What remains and the seconds until all of it is back, by policy."""
    return {
        name: (int(left), int(wait))
        for name, left, wait in re.findall(r'"(\d+s)";r=(\d+);t=(\d+)', headers["RateLimit"])
    }


# --- How often


@given(quota=st.integers(1, 5), asked=st.lists(st.integers(0, 8), min_size=1, max_size=4), into=st.integers(0, 59))
@effort(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_in_every_window_there_are_as_many_as_there_may_be(broker_url, quota, asked, into):
    clock, who = Clock(), uuid4().hex
    clock.now += into

    async def run():
        processes = [limits_of(broker_url, f"{quota}/minute", clock) for _ in range(2)]
        for amount in asked:
            for number in range(amount):
                try:
                    headers, admitted = await processes[number % 2].take(who), True
                except RateLimitedError as refusal:
                    headers, admitted = refusal.headers, False
                    assert headers["Retry-After"] == str(MINUTE - into)
                assert admitted == (number < quota)
                assert headers["RateLimit-Policy"] == f'"60s";q={quota};w=60'
                assert told_by(headers) == {"60s": (max(0, quota - number - 1), MINUTE - into)}
            clock.now += MINUTE
        for process in processes:
            await process.close()

    asyncio.run(run())


def test_what_a_short_window_refuses_does_not_count_in_a_long_one(broker_url):
    async def run():
        clock, who = Clock(), uuid4().hex
        limits = limits_of(broker_url, "3/minute; 2/second", clock)
        assert told_by(await limits.take(who)) == {"1s": (1, 1), "60s": (2, 60)}
        await limits.take(who)
        for _ in range(5):
            with pytest.raises(RateLimitedError) as refused:
                await limits.take(who)
            assert "2 requests in 1 s" in refused.value.detail
        clock.now += 1
        assert told_by(await limits.take(who)) == {"1s": (1, 1), "60s": (0, 59)}
        with pytest.raises(RateLimitedError) as refused:
            await limits.take(who)
        assert "3 requests in 60 s: ask again in 59 s" in refused.value.detail
        await limits.close()

    asyncio.run(run())


@pytest.fixture
def limited(keyed_settings, queue, make_key, broker_url):
    """A service in which a key may ask twice a minute."""
    make_key()
    asked = keyed_settings.model_copy(update={"rate_limit": "2/minute", "broker_url": broker_url})
    with TestClient(create_app(asked, queue=queue), base_url="http://localhost") as client:
        client.app.state.rate_limits.clock = Clock()
        yield client


def test_a_key_that_asks_too_often_is_told_when_to_come_back(limited, make_key):
    anna, ben = make_key("anna"), make_key("anna")
    replies = [limited.get("/jobs", headers=anna) for _ in range(4)]
    assert [reply.status_code for reply in replies] == [200, 200, 429, 429]
    assert [told_by(reply.headers)["60s"][0] for reply in replies] == [1, 0, 0, 0]
    refused = replies[-1]
    assert refused.json()["type"] == "rate_limited"
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["Retry-After"] == "60"
    assert limited.get("/jobs", headers=ben).status_code == 200
    limited.app.state.rate_limits.clock.now += MINUTE
    assert limited.get("/jobs", headers=anna).status_code == 200


def test_errors_count_and_tell_too_and_health_does_not(limited, make_key):
    anna = make_key("anna", Scope.READ)
    for _ in range(5):
        assert limited.get("/health/live").status_code == 200
    assert told_by(limited.get("/nowhere", headers=anna).headers) == {"60s": (1, 60)}


def test_without_a_limit_nothing_is_said_and_nobody_is_asked(client):
    assert client.app.state.rate_limits is None
    assert "RateLimit" not in client.get("/jobs").headers


def test_a_broker_that_is_down_lets_everything_through(caplog):
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        url = f"redis://127.0.0.1:{taken.getsockname()[1]}/0"

    async def run():
        limits = limits_of(url, "1/minute", Clock())
        assert [await limits.take("anna") for _ in range(50)] == [{}] * 50
        await limits.close()

    with caplog.at_level(logging.WARNING):
        asyncio.run(run())
    assert len([record for record in caplog.records if "broker" in record.message]) == 1


def test_a_broker_that_is_silent_is_left_alone_for_a_while():
    async def run():
        n_connections = 0

        async def say_nothing(reader, writer):
            nonlocal n_connections
            n_connections += 1
            await reader.read()
            writer.close()

        clock = Clock()
        async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as silent:
            limits = limits_of(f"redis://127.0.0.1:{silent.sockets[0].getsockname()[1]}/0", "1/minute", clock)
            for rests in range(1, 3):
                for _ in range(20):
                    assert await limits.take("anna") == {}
                assert n_connections == rests
                clock.now += REST_SECONDS
            # Of those that come together after a rest, one asks.
            assert await asyncio.gather(*(limits.take("anna") for _ in range(20))) == [{}] * 20
            assert n_connections == 3
            await limits.close()

    asyncio.run(run())


def test_counting_goes_on_when_the_broker_is_back(broker_url):
    async def run():
        clock, who = Clock(), uuid4().hex
        limits = limits_of(broker_url, "1/minute", clock)
        with closing(socket.create_server(("127.0.0.1", 0))) as taken:
            down = limits_of(f"redis://127.0.0.1:{taken.getsockname()[1]}/0", "1/minute", clock)
        back, limits.storage = limits.storage, down.storage
        assert await limits.take(who) == {}
        limits.storage = back
        assert await limits.take(who) == {}
        clock.now += REST_SECONDS
        assert told_by(await limits.take(who)) == {"60s": (0, 59)}
        with pytest.raises(RateLimitedError):
            await limits.take(who)
        await limits.close()
        await down.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    "wrong",
    [{"rate_limit": "often"}, {"rate_limit": "5/fortnight"}, {"rate_limit": "5/second", "broker_url": "amqp://x"}],
)
def test_a_limit_that_means_nothing_is_refused_at_the_start(wrong):
    with pytest.raises(RateLimitError, match="OT3L_RATE_LIMIT"):
        open_rate_limits(Settings(**wrong))


# --- How much


@pytest.fixture
def bounded(keyed_settings, queue, make_key):
    """A service in which an owner may have two pieces of work under way."""
    make_key()
    asked = keyed_settings.model_copy(update={"max_queued": 2})
    with TestClient(create_app(asked, queue=queue), base_url="http://localhost") as client:
        yield client


def test_work_that_is_one_too_many_is_refused_and_not_stored(bounded, queue, make_key, finish):
    anna, ben = make_key("anna"), make_key("ben")

    def post(name, headers):
        return bounded.post("/datasets", json=DATASET | {"name": name}, headers=headers)

    made = [post(name, anna).json() for name in ("a", "b")]
    refused = post("c", anna)
    assert (refused.status_code, refused.json()["type"]) == (429, "quota_exceeded")
    assert (refused.json()["used"], refused.json()["allowed"]) == (2, 2)
    assert {item["id"] for item in bounded.get("/datasets", headers=anna).json()["items"]} == {m["id"] for m in made}
    assert len(queue.messages) == 2
    assert post("c", ben).status_code == 202
    assert bounded.get(f"/datasets/{made[0]['id']}", headers=anna).status_code == 200
    finish(DatasetRecord, UUID(made[0]["id"]), digest="0" * 64, result={})
    assert post("c", anna).status_code == 202


def context_of(session, owner="anna", **asked):
    return Context(session, RecordingQueue(), None, Settings(**asked), owner)


def test_of_many_at_once_as_many_come_in_as_there_may_be(database):
    allowed, asking = 3, 8

    def submit(number):
        with database.writing() as session:
            session.add(DatasetRecord(owner="anna", name=f"d{number}", request={}))
            try:
                require_room(context_of(session, max_queued=allowed))
            except QuotaExceededError as refusal:
                return refusal.extras
            session.commit()
            return None

    with ThreadPoolExecutor(asking) as threads:
        refusals = [refusal for refusal in threads.map(submit, range(asking)) if refusal is not None]
    assert refusals == [{"used": allowed, "allowed": allowed}] * (asking - allowed)


def test_what_has_ended_takes_no_place(database):
    with database.writing() as session:
        session.add_all(DatasetRecord(owner="anna", name=state, request={}, state=state) for state in WorkState)
        require_room(context_of(session, max_queued=2))
        with pytest.raises(QuotaExceededError):
            require_room(context_of(session, max_queued=1))


def artifact(record, size):
    return record(name="a", key="k", size=size, sha256="0" * 64, media_type="text/plain")


def test_every_file_of_an_owner_counts_and_no_other(database):
    with database.writing() as session:
        for owner, unit in (("anna", 1), ("ben", 10_000)):
            target = DatasetRecord(
                owner=owner, name="d", request={}, artifacts=[artifact(DatasetArtifactRecord, 1000 * unit)]
            )
            session.add_all(
                [
                    JobRecord(
                        owner=owner,
                        target=target,
                        strategy="uniform",
                        request={},
                        artifacts=[artifact(JobArtifactRecord, unit)],
                    ),
                    DistanceRecord(
                        owner=owner, kind="matrix", request={}, artifacts=[artifact(DistanceArtifactRecord, 10 * unit)]
                    ),
                    SelectionRecord(
                        owner=owner,
                        target=target,
                        request={},
                        artifacts=[artifact(SelectionArtifactRecord, 100 * unit)],
                    ),
                    UploadRecord(
                        owner=owner,
                        filename="f",
                        size=(1 << 40) * unit,
                        part_size=1,
                        expires_at=dt.datetime.now(dt.UTC),
                    ),
                ]
            )
        used = 1111 + (1 << 40)
        assert stored_bytes(session, "anna") == used
        assert stored_bytes(session, "nobody") == 0
        require_storage(context_of(session, max_stored_bytes=used + 5), 5)
        require_room(context_of(session, max_stored_bytes=used))
        with pytest.raises(QuotaExceededError):
            require_storage(context_of(session, max_stored_bytes=used + 5), 6)
        with pytest.raises(QuotaExceededError):
            require_room(context_of(session, max_stored_bytes=used - 1))
