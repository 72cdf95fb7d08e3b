"""What a request's body may be, whatever server is in front."""

import asyncio
import json

import pytest

from app.api.bodies import BodyLimits, BodyRefusedError

DEEP = b"[" * 1_000_000


def scope_of(method="POST", **headers):
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "method": method, "path": "/", "headers": named}


def receive_from(*messages):
    """A server that hands over these messages, and then nothing for ever."""
    waiting = list(messages)

    async def receive():
        if waiting:
            return waiting.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    return receive


def piece(size, *, more=True):
    return {"type": "http.request", "body": b"x" * size, "more_body": more}


def read_all(scope, receive, **limits):
    """How many bytes an application gets that reads to the end."""
    got = []

    async def app(scope, receive, send):
        while True:
            message = await receive()
            got.append(len(message["body"]))
            if not message["more_body"]:
                return

    asyncio.run(BodyLimits(app, **{"most": 100, "seconds": 5.0} | limits)(scope, receive, None))
    return sum(got)


def refusal_of(*arguments, **limits):
    with pytest.raises(BodyRefusedError) as refused:
        read_all(*arguments, **limits)
    return refused.value.problem.type, refused.value.status_code


def test_a_body_up_to_the_limit_passes():
    assert read_all(scope_of(), receive_from(piece(60), piece(40, more=False))) == 100
    assert read_all(scope_of(content_length="100"), receive_from(piece(100, more=False))) == 100
    assert read_all(scope_of(), receive_from(piece(0, more=False))) == 0


def test_a_body_that_says_it_is_too_large_is_refused_before_it_comes():
    assert refusal_of(scope_of(content_length="101"), receive_from()) == ("too_large", 413)
    assert refusal_of(scope_of(content_length="9" * 30), receive_from()) == ("too_large", 413)


def test_a_body_that_grows_too_large_is_cut():
    assert refusal_of(scope_of(), receive_from(piece(60), piece(41))) == ("too_large", 413)


def test_a_body_that_keeps_silent_is_cut():
    assert refusal_of(scope_of(), receive_from(piece(1)), seconds=0.01) == ("request_timeout", 408)


def test_who_waits_for_the_client_to_leave_may_wait():
    async def app(scope, receive, send):
        assert not (await receive())["more_body"]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await receive()

    limited = BodyLimits(app, most=100, seconds=0.01)
    asyncio.run(limited(scope_of(), receive_from(piece(1, more=False)), None))


def test_a_request_without_a_body_is_passed_on_untouched():
    seen = []

    async def app(scope, receive, send):
        seen.append(receive)

    receive = receive_from()
    asyncio.run(BodyLimits(app, most=1)(scope_of("GET"), receive, None))
    assert seen == [receive]


UNREADABLE = [
    DEEP,
    b'{"a":' * 100_000,
    b"[" * 900 + b"]" * 900,
    b'{"seed": ' + b"9" * 100_000 + b"}",
    b"\xff\xfe{}",
    b'{"name": "\\ud800"}',
    b'{"name": "\\u0000"}',
    b"",
    b"null",
]


def test_json_that_cannot_be_read_is_the_clients_fault(client):
    for path in ("/jobs", "/datasets", "/distances", "/selections", "/uploads", "/webhooks"):
        for body in UNREADABLE:
            reply = client.post(path, content=body, headers={"Content-Type": "application/json"})
            assert (reply.status_code, reply.json()["type"]) == (422, "invalid_request"), (path, body[:20])


def test_a_body_of_another_kind_is_no_json(client):
    body = json.dumps({"format": "builtin", "dataset": "digits"}).encode()
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        reply = client.post("/datasets", content=body, headers={"Content-Type": content_type})
        assert (reply.status_code, reply.json()["type"]) == (415, "unsupported_media_type")
    for content_type in ("application/json; charset=utf-8", "application/vnd.any+json"):
        assert client.post("/datasets", content=body, headers={"Content-Type": content_type}).status_code in {202, 409}


def test_the_limit_of_the_settings_holds_for_every_route(client, settings):
    most = settings.max_body_bytes
    for path in ("/jobs", "/datasets", "/uploads"):
        reply = client.post(
            path, content=b"{}", headers={"Content-Type": "application/json", "Content-Length": str(most + 1)}
        )
        assert (reply.status_code, reply.json()["type"]) == (413, "too_large")
        assert reply.headers["Content-Type"] == "application/problem+json"

    def endless():
        for _ in range(most // (1 << 20) + 1):
            yield b" " * (1 << 20)

    assert client.post("/jobs", content=endless(), headers={"Content-Type": "application/json"}).status_code == 413
