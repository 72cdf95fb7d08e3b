"""Sending: signed, again where it was not taken, to a real server."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, update
from standardwebhooks import Webhook, WebhookVerificationError

from app.services.delivery import RETRY_SECONDS, judge, retry_in, start_due
from app.services.targets import open_outlet
from app.services.webhooks import OLD_SECRET_SECONDS
from app.states import DeliveryState
from app.store import webhooks
from app.store.clock import now_plus
from app.store.migrations import migrate
from app.store.records import DeliveryRecord, WebhookRecord
from app.store.sessions import open_database
from tests.receiver import receiving

SECRET = "whsec_" + "A" * 32
NEW_SECRET = "whsec_" + "B" * 32
ATTEMPTS = len(RETRY_SECONDS) + 1


@pytest.fixture
def receiver():
    with receiving() as server:
        yield server


@pytest.fixture(scope="module")
def service_database(tmp_path_factory):
    url = f"sqlite:///{tmp_path_factory.mktemp('outbox') / 'ot3l.db'}"
    migrate(url)
    opened = open_database(url)
    yield opened
    opened.close()


@pytest.fixture
def outbox(service_database):
    """A database without webhooks."""
    with service_database.writing() as session:
        session.execute(delete(WebhookRecord))
        session.commit()
    return service_database


@pytest.fixture
def message(outbox, receiver):
    """A message that is due."""
    return put(outbox, receiver.url)


def put(outbox, url, name="digits"):
    with outbox.writing() as session:
        hook = webhooks.add_webhook(session, owner="ann", url=url, secret=SECRET, events=["*"])
        data = {"id": str(hook.id), "name": name}
        made = webhooks.add_delivery(session, hook, "job.succeeded", hook.id, at="2026-01-01T00:00:00+00:00", data=data)
        session.commit()
        return made.id


def send_due(outbox, *, private=True):
    """Send everything that is due, once."""

    async def send():
        async with open_outlet(private=private) as outlet, asyncio.TaskGroup() as tasks:
            return await start_due(outbox, outlet, tasks, {})

    return asyncio.run(send())


def make_due(outbox):
    with outbox.writing() as session:
        waiting = update(DeliveryRecord).where(DeliveryRecord.next_attempt_at.is_not(None))
        session.execute(waiting.values(next_attempt_at=now_plus()))
        session.commit()


def read(outbox, message):
    with outbox.reading() as session:
        return session.get(DeliveryRecord, message)


def test_what_arrives_is_signed(outbox, receiver, message):
    assert send_due(outbox) == 1
    [(path, headers, body)] = receiver.requests
    assert (path, headers["content-type"]) == ("/hook?for=ot3l", "application/json")
    assert headers["webhook-id"] == str(message)
    told = Webhook(SECRET).verify(body, headers)
    assert (told["type"], told["data"]["name"]) == ("job.succeeded", "digits")
    with pytest.raises(WebhookVerificationError):
        Webhook(NEW_SECRET).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body.replace(b"digits", b"others"), headers)
    found = read(outbox, message)
    assert (found.state, found.status_code, found.error) == (DeliveryState.DELIVERED, 204, None)
    assert send_due(outbox) == 0


def test_any_name_arrives_as_it_is(outbox, receiver):
    name = 'Blüten "\u2028" \U0001f33c\ud800'[:-1]
    put(outbox, receiver.url, name=name)
    send_due(outbox)
    [(_, headers, body)] = receiver.requests
    assert Webhook(SECRET).verify(body, headers)["data"]["name"] == name


def test_both_secrets_verify_while_one_replaces_the_other(outbox, receiver, message):
    with outbox.writing() as session:
        hook = session.get(WebhookRecord, session.get(DeliveryRecord, message).webhook_id)
        webhooks.replace_secret(session, hook, NEW_SECRET, grace_seconds=OLD_SECRET_SECONDS)
        session.commit()
    send_due(outbox)
    [(_, headers, body)] = receiver.requests
    for secret in (SECRET, NEW_SECRET):
        assert Webhook(secret).verify(body, headers)


def test_what_was_not_taken_is_sent_again_under_the_same_id_until_it_is(outbox, receiver, message):
    receiver.answers = ((500, {}), (302, {"Location": "/elsewhere"}), (200, {}))
    for expected in (DeliveryState.PENDING, DeliveryState.PENDING, DeliveryState.DELIVERED):
        assert send_due(outbox) == 1
        assert read(outbox, message).state == expected
        assert send_due(outbox) == 0
        make_due(outbox)
    assert {headers["webhook-id"] for _, headers, _ in receiver.requests} == {str(message)}
    assert {path for path, *_ in receiver.requests} == {"/hook?for=ot3l"}
    assert len({body for *_, body in receiver.requests}) == 1


def test_in_the_end_it_is_given_up(outbox, receiver, message):
    receiver.answers = ((503, {}),)
    for _ in range(ATTEMPTS):
        assert send_due(outbox) == 1
        make_due(outbox)
    found = read(outbox, message)
    assert (found.state, found.status_code, found.n_attempts) == (DeliveryState.FAILED, 503, ATTEMPTS)
    assert send_due(outbox) == 0


def test_who_is_gone_is_asked_no_more(outbox, receiver, message):
    receiver.answers = ((410, {}),)
    send_due(outbox)
    found = read(outbox, message)
    assert (found.state, found.status_code) == (DeliveryState.FAILED, 410)
    with outbox.reading() as session:
        assert not session.get(WebhookRecord, found.webhook_id).enabled


def test_nobody_there(outbox, receiver):
    port = receiver.server_address[1]
    receiver.server_close()
    message = put(outbox, f"http://127.0.0.1:{port}/")
    assert send_due(outbox) == 1
    found = read(outbox, message)
    assert (found.state, found.status_code) == (DeliveryState.PENDING, None)
    assert "nobody listens" in found.error


@pytest.mark.parametrize("answer", [b"no HTTP\r\n\r\n", b"HTTP/1.1 200 OK\r\nA"])
def test_no_http_there(outbox, receiver, answer):
    receiver.other_words = answer
    message = put(outbox, receiver.url)
    send_due(outbox)
    found = read(outbox, message)
    assert (found.state, found.status_code) == (DeliveryState.PENDING, None)
    assert found.error in {"the answer is no HTTP", "the connection broke before there was an answer"}


def test_no_tls_there(outbox, receiver):
    receiver.other_words = b"220 mail.example ESMTP\r\n"
    message = put(outbox, receiver.url.replace("http", "https"))
    send_due(outbox)
    assert "TLS" in read(outbox, message).error
    assert receiver.requests == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_nothing_reaches_this_machine_unless_the_operator_says_so(outbox, receiver, host):
    message = put(outbox, receiver.url.replace("http", "https").replace("127.0.0.1", host))
    send_due(outbox, private=False)
    found = read(outbox, message)
    assert (found.state, found.status_code) == (DeliveryState.PENDING, None)
    assert "not public" in found.error
    assert receiver.requests == []


@given(attempt=st.integers(1, ATTEMPTS + 3), asked=st.floats(0, 1e9))
def test_waits_grow_and_end(attempt, asked):
    wait = retry_in(attempt, asked)
    if attempt >= ATTEMPTS:
        assert wait is None
        return
    usual = RETRY_SECONDS[attempt - 1]
    assert wait >= 0.8 * usual
    assert wait >= min(asked, RETRY_SECONDS[-1])
    assert wait <= max(1.2 * usual, RETRY_SECONDS[-1])


@pytest.mark.parametrize(
    ("header", "least"), [("1800", 1800), (timedelta(hours=2), 7000), ("9" * 5000, RETRY_SECONDS[-1])]
)
def test_a_receiver_may_ask_for_patience(header, least):
    if isinstance(header, timedelta):
        header = format_datetime(datetime.now(UTC) + header, usegmt=True)
    assert least <= judge(503, header, 1).retry_seconds <= RETRY_SECONDS[-1]


@given(header=st.text() | st.from_regex(r"[0-9 :+-]*(GMT)?", fullmatch=True))
def test_what_cannot_be_read_asks_for_nothing_odd(header):
    assert 4 <= judge(429, header, 1).retry_seconds <= RETRY_SECONDS[-1]


def test_a_receiver_that_hangs_does_not_keep_others_waiting(outbox, receiver):
    """Its messages stay with their sender; those of the others go out."""
    hanging, quick = put(outbox, "http://hanging.example/"), put(outbox, receiver.url)
    released = asyncio.Event()

    async def look_up(host, _port):
        if host == "hanging.example":
            await released.wait()
        return ["127.0.0.1"]

    async def send():
        sending = {}
        async with open_outlet(private=True, look_up=look_up) as outlet, asyncio.TaskGroup() as tasks:
            assert await start_due(outbox, outlet, tasks, sending) == 2
            await sending[read(outbox, quick).webhook_id]
            assert list(sending) == [read(outbox, hanging).webhook_id]
            assert await start_due(outbox, outlet, tasks, sending) == 0
            released.set()

    asyncio.run(send())
    assert read(outbox, quick).state == DeliveryState.DELIVERED
    assert json.loads(receiver.requests[0][2])["type"] == "job.succeeded"
