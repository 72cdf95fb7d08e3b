"""Requests until they are answered: what is tried again, with which key, and what an error says."""

import asyncio
import json
from uuid import UUID, uuid4

import pytest

from app.client import (
    AsyncClient,
    BrokenConnectionError,
    Client,
    ClientError,
    InvalidRequestError,
    NotFoundError,
    ServiceFailedError,
    TooManyRequestsError,
    UnauthorizedError,
    UnexpectedReplyError,
    UnreachableError,
)
from app.main import create_app
from app.schemas.jobs import JobCreate, TrainingCreate
from app.states import WorkState
from app.store.records import JobRecord
from tests.loopback import cutting, one_connection_each, scripted, serving

HEALTHY = (200, {"Content-Type": "application/json"}, b'{"status": "ok"}')


def problem(status, code, **headers):
    body = {"type": code, "title": "No.", "status": status, "detail": "not now", "request_id": "r1"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, {"Content-Type": "application/problem+json", **named}, json.dumps(body).encode()


def test_a_job_whose_answer_was_lost_is_made_once(url, target, queue, naps):
    before = len(queue.messages)
    with cutting(url) as way, Client(way.url) as client:
        way.cuts = [0, 0]
        job = client.jobs.create(target="target", strategy="uniform")
        assert way.n_connections == 3
    with Client(url) as client:
        assert [job.id] == [found.id for found in client.jobs.list()]
    assert len(queue.messages) == before + 1
    assert len(naps) == 2
    assert 0 < naps[0] < naps[1]


def test_a_post_keeps_its_key_and_no_other_has_it(naps):
    with scripted(None, problem(503, "unavailable"), problem(422, "invalid_request")) as server:
        client = Client(server.url)
        for _ in range(2):
            with pytest.raises(InvalidRequestError):
                client.jobs.create(target="x")
        client.close()
    first, *same, other = [headers["Idempotency-Key"] for _, _, headers, _ in server.requests]
    assert UUID(first)
    assert same == [first, first]
    assert other != first
    assert {headers["OT3L-Version"] for _, _, headers, _ in server.requests} == {"1"}


def test_the_service_says_how_long_to_wait(naps):
    answers = problem(429, "rate_limited", Retry_After="7"), problem(503, "unavailable", Retry_After="3"), HEALTHY
    with scripted(*answers) as server, Client(server.url) as client:
        assert client.health().status == "ok"
    assert [round(nap) for nap in naps] == [7, 3]


@pytest.mark.parametrize(
    ("answer", "n_requests", "error"),
    [
        (problem(500, "internal_error"), 3, ServiceFailedError),
        (problem(503, "unavailable", Retry_After="3600"), 1, ServiceFailedError),
        (problem(429, "quota_exceeded"), 1, TooManyRequestsError),
        (problem(401, "unauthorized"), 1, UnauthorizedError),
        (None, 3, BrokenConnectionError),
        ((200, {"Content-Type": "text/html"}, b"<html>"), 1, UnexpectedReplyError),
        ((200, {}, b"{}"), 1, UnexpectedReplyError),
        ((404, {"Content-Type": "text/html"}, b"<html>nothing here"), 1, NotFoundError),
        ((502, {}, b""), 3, ServiceFailedError),
    ],
)
def test_what_may_pass_is_tried_again_and_nothing_else(answer, n_requests, error, naps):
    with scripted(answer) as server, Client(server.url, attempts=3) as client:
        with pytest.raises(error) as raised:
            client.health()
        assert len(server.requests) == n_requests
        assert len(naps) == n_requests - 1
    assert str(raised.value)


def test_both_clients_try_alike(monkeypatch):
    async def no_nap(_seconds):
        pass

    monkeypatch.setattr("app.client.wire.anyio.sleep", no_nap)
    with scripted(None, problem(503, "unavailable", Retry_After="1"), HEALTHY) as server:

        async def ask():
            async with AsyncClient(server.url) as client:
                return await client.health()

        assert asyncio.run(ask()).status == "ok"
        assert len(server.requests) == 3


def test_a_deletion_whose_answer_was_lost_has_happened(url, target, naps):
    with cutting(url) as way, one_connection_each() as http:
        dataset = Client(way.url, http=http).datasets.get("target")
        way.cuts = [0]
        dataset.delete()
        assert way.n_connections == 3
    with pytest.raises(NotFoundError), Client(url) as client:
        client.datasets.get("target")


def test_a_refusal_says_all_that_the_service_said(url):
    with Client(url) as client:
        with pytest.raises(InvalidRequestError) as raised:
            client.jobs.create(target="nothing", alpha=2, budgt=3)
        error = raised.value
        assert (error.code, error.status) == ("invalid_request", 422)
        assert {one.field for one in error.errors} == {"alpha", "budgt"}
        assert error.detail == str(error)
        assert error.request_id
        with pytest.raises(NotFoundError) as raised:
            client.jobs.get(uuid4())
        assert raised.value.code == "not_found"
        # A name is no way to another address.
        with pytest.raises(NotFoundError):
            client.jobs.get("../datasets")


def test_bodies_are_those_of_the_wire_and_what_is_not_set_is_the_services(url, target, service_database):
    request = JobCreate(target="target", strategy="uniform", training=TrainingCreate(epochs=3))
    with Client(url) as client:
        job = client.jobs.create(request, budget=7, name="trial")
    with service_database.reading() as session:
        stored = session.get(JobRecord, job.id)
        assert (stored.name, stored.request["budget"], stored.request["training"]["epochs"]) == ("trial", 7, 3)
    assert (job.state, job.latest.request["seeds"]) == (WorkState.QUEUED, [0, 1, 2])


def test_where_nothing_answers_it_says_how_to_start_a_service(naps):
    with Client("http://127.0.0.1:9", attempts=2) as client, pytest.raises(UnreachableError, match="ot3l serve"):
        client.health()
    assert len(naps) == 1


def test_address_and_key_come_from_arguments_or_the_environment(url, monkeypatch):
    monkeypatch.setenv("OT3L_URL", url)
    monkeypatch.setenv("OT3L_API_KEY", "ot3l_secret")
    with scripted(HEALTHY) as server, Client(server.url) as there, Client() as here:
        assert there.health() == here.health()
        assert here.url == url
        [(_, _, headers, _)] = server.requests
        assert headers["Authorization"] == "Bearer ot3l_secret"
    for wrong in ("localhost:8000", "ftp://x", "http://"):
        with pytest.raises(ClientError, match="no address"):
            Client(wrong)


def test_keys_are_asked_for_and_given(keyed_settings, queue, make_key):
    secret = make_key("anna")["Authorization"].removeprefix("Bearer ")
    with serving(create_app(keyed_settings, queue=queue)) as url:
        with Client(url) as stranger, pytest.raises(UnauthorizedError, match="Send a key"):
            stranger.backbones()
        with Client(url, key=secret) as client:
            assert len(client.backbones().items) > 50
