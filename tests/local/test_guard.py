"""What a client may cost, asked of a real server over raw sockets."""

import asyncio
import contextlib
import itertools
import json
import socket
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from uvicorn import Config, Server

from app.guard import GuardedProtocol, Limits

PATIENCE = 20.0
HEAD = b"HTTP/1.1\r\nHost: here\r\n"


class Impatient(GuardedProtocol):
    """The same, in less time than a test may take."""

    limits = Limits(
        header_seconds=0.5, body_seconds=0.6, body_bytes=500, reply_seconds=0.5, n_pipelined=4, n_connections=20
    )


class Application:
    """Echoes the length of a body; what else it does is in the path. It remembers how requests ended."""

    def __init__(self):
        self.gone = threading.Event()
        self.let_go = threading.Event()

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            while (message := await receive())["type"] != "lifespan.shutdown":
                await send({"type": f"{message['type']}.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        if scope["path"] == "/late":
            await asyncio.sleep(1.0)
        if scope["path"] == "/waiting":
            await asyncio.to_thread(self.let_go.wait, PATIENCE)
        size = 0
        while scope["path"] not in {"/early", "/large"}:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.gone.set()
                return
            size += len(message["body"])
            if not message["more_body"]:
                break
        if scope["path"] == "/large":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for _ in range(1000):
                await send({"type": "http.response.body", "body": bytes(1 << 16), "more_body": True})
            await receive()
            self.gone.set()
            return
        text = f"{scope['method']} {size}".encode()
        headers = [(b"content-length", b"%d" % len(text))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": text})


@pytest.fixture(scope="module")
def application():
    return Application()


@contextlib.contextmanager
def serving(application, protocol):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = Config(application, http=protocol, ws="none", lifespan="on", log_level="critical")
        server = Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield listener.getsockname()
        server.should_exit = True
        thread.join(PATIENCE)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def patient(application):
    with serving(application, GuardedProtocol) as address:
        yield address


@pytest.fixture(scope="module")
def impatient(application):
    with serving(application, Impatient) as address:
        yield address


@pytest.fixture
def client(patient):
    with socket.create_connection(patient, timeout=PATIENCE) as connected:
        yield connected


@pytest.fixture
def slow(impatient):
    """A client of the server that waits for nobody."""
    with socket.create_connection(impatient, timeout=PATIENCE) as connected:
        yield connected


def read_all(client):
    """What the server says until it closes, which it has to."""
    said = b""
    with contextlib.suppress(ConnectionResetError):
        while more := client.recv(1 << 16):
            said += more
    return said


def problem(said):
    head, _, body = said.partition(b"\r\n\r\n")
    assert b"\r\ncontent-type: application/problem+json\r\n" in head
    assert b"\r\nconnection: close" in head
    found = json.loads(body)
    assert head.split()[1] == b"%d" % found["status"]
    return found["status"], found["type"]


def send_all(client, *pieces):
    """Send, whether it is wanted or not."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        for piece in pieces:
            client.sendall(piece)


def drip(client, piece, *, first=b""):
    """Send a piece again and again until the connection is gone, and return what the server said."""
    client.sendall(first)
    deadline = time.monotonic() + PATIENCE
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        while time.monotonic() < deadline:
            client.sendall(piece)
            time.sleep(0.02)
    assert time.monotonic() < deadline
    return read_all(client)


def test_a_request_in_any_pieces_is_the_same_request(patient):
    request = b"POST / " + HEAD + b"Content-Length: 5\r\nConnection: close\r\n\r\nhello"

    @settings(max_examples=25, deadline=None)
    @given(st.sets(st.integers(1, len(request) - 1)))
    def holds(cuts):
        places = [0, *sorted(cuts), len(request)]
        with socket.create_connection(patient, timeout=PATIENCE) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            send_all(client, *(request[start:end] for start, end in itertools.pairwise(places)))
            assert read_all(client).endswith(b"POST 5")

    holds()


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([b"GET / " + HEAD, b"".join(b"X-%d: 1\r\n" % i for i in range(300)), b"\r\n"], id="many"),
        pytest.param([b"GET / " + HEAD, b"X: " + b"x" * 70_000 + b"\r\n\r\n"], id="long"),
        pytest.param([b"GET / " + HEAD, b"X: ", *[b"x" * 50_000] * 200], id="endless value"),
        pytest.param([b"GET / " + HEAD, *[b"x" * 50_000] * 200], id="endless name"),
        pytest.param([b"GET /", *[b"x" * 50_000] * 200], id="endless path"),
        pytest.param(
            [b"POST / " + HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX: ", *[b"x" * 50_000] * 200],
            id="endless trailer",
        ),
        pytest.param(
            [b"POST / " + HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: 1\r\n" * 300], id="many trailers"
        ),
        pytest.param(
            [b"POST / " + HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;", *[b"x" * 50_000] * 200],
            id="endless chunk head",
        ),
    ],
)
def test_a_flood_of_headers_is_refused(client, pieces):
    send_all(client, *pieces)
    assert problem(read_all(client)) == (431, "headers_too_large")


def test_large_headers_below_the_limit_are_taken(client):
    headers = b"".join(b"X-%d: %s\r\n" % (i, b"x" * 300) for i in range(190))
    client.sendall(b"GET / " + HEAD + headers + b"Connection: close\r\n\r\n")
    assert read_all(client).endswith(b"GET 0")


@pytest.mark.parametrize("piece", [b"x", b"\r\n", b"X: 1\r\n"])
def test_headers_that_come_drop_by_drop_are_cut_off(slow, piece):
    first = b"" if piece == b"\r\n" else b"GET / " + HEAD
    assert problem(drip(slow, piece, first=first)) == (408, "request_timeout")


def test_a_client_that_says_nothing_is_left(slow):
    assert read_all(slow) == b""


def test_a_further_request_has_to_come_in_time_too(slow):
    slow.sendall(b"GET / " + HEAD + b"\r\n")
    first = slow.recv(1 << 16)
    while not first.endswith(b"GET 0"):
        first += slow.recv(1 << 16)
    assert problem(drip(slow, b"x", first=b"GET / " + HEAD)) == (408, "request_timeout")


@pytest.mark.parametrize("piece", [b"", b"x"])
def test_a_body_that_hardly_moves_is_cut_off(slow, application, piece):
    application.gone.clear()
    slow.sendall(b"POST / " + HEAD + b"Content-Length: 10000000000\r\n\r\n")
    said = drip(slow, piece) if piece else read_all(slow)
    assert problem(said) == (408, "request_timeout")
    assert application.gone.wait(PATIENCE)


def test_a_body_that_moves_may_take_its_time(slow):
    slow.sendall(b"POST / " + HEAD + b"Content-Length: 50000\r\nConnection: close\r\n\r\n")
    for _ in range(50):
        slow.sendall(bytes(1000))
        time.sleep(0.03)
    assert read_all(slow).endswith(b"POST 50000")


def test_a_service_that_is_slow_to_read_is_not_held_against_the_client(slow):
    size = 4_000_000
    slow.sendall(b"POST /late " + HEAD + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % size + bytes(size))
    assert read_all(slow).endswith(b"POST %d" % size)


def test_who_goes_on_sending_after_the_reply_is_left(slow):
    slow.sendall(b"POST /early " + HEAD + b"Content-Length: 10000000000\r\n\r\n")
    assert drip(slow, bytes(10_000)).endswith(b"POST 0")


def test_a_few_requests_at_once_are_answered_in_their_order(client):
    client.sendall(b"".join(method + b" / " + HEAD + b"\r\n" for method in (b"GET", b"DELETE", b"OPTIONS")))
    said = b""
    while said.count(b" 0") < 3:
        said += client.recv(1 << 16)
    assert [line.split()[0] for line in said.split(b"\r\n\r\n")[1:]][:3] == [b"GET", b"DELETE", b"OPTIONS"]


def test_very_many_requests_at_once_are_not_kept(slow, application):
    application.let_go.clear()
    send_all(slow, b"GET /waiting " + HEAD + b"\r\n" + b"GET / HTTP/1.1\r\n\r\n" * 5000)
    assert read_all(slow) == b""
    application.let_go.set()


def test_what_is_no_http_is_refused(client):
    client.sendall(b"\x16\x03\x01 hello\r\n\r\n")
    assert problem(read_all(client)) == (400, "bad_request")


def test_a_reply_that_nobody_reads_is_given_up(slow, application):
    application.gone.clear()
    slow.sendall(b"GET /large " + HEAD + b"\r\n")
    assert application.gone.wait(PATIENCE)


def test_too_many_connections_are_refused_and_the_rest_goes_on(impatient):
    with contextlib.ExitStack() as open_ones:
        clients = [open_ones.enter_context(socket.create_connection(impatient, PATIENCE)) for _ in range(40)]
        said = [read_all(client) for client in clients]
    # Those that were taken say nothing, and are left.
    assert {problem(answer) for answer in said if answer} == {(503, "unavailable")}
    assert b"" in said
    with socket.create_connection(impatient, PATIENCE) as client:
        client.sendall(b"GET / " + HEAD + b"Connection: close\r\n\r\n")
        assert read_all(client).endswith(b"GET 0")
