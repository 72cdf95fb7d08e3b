"""What one connection may cost before any request of it is understood: bytes of headers, time, silence.

uvicorn's fast parser keeps whatever it is sent and waits as long as it takes. Here is where that ends.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may take.

    Attributes:
        header_bytes: Of the request line and all headers, or trailers, together.
        n_headers: Headers and trailers of one request.
        header_seconds: From the connection, or from the first byte of a further request, to the end of its headers.
        body_seconds: How often a body is looked at.
        body_bytes: What has to have come of it since then. A service that is slow to read is not held against it.
        reply_seconds: How long a reply may wait for a client that does not read it.
        n_pipelined: Requests that may wait for the reply to an earlier one on the same connection.
        n_connections: Open at once, for one process.
    """

    header_bytes: int = 64 << 10
    n_headers: int = 200
    header_seconds: float = 10.0
    body_seconds: float = 30.0
    body_bytes: int = 30 << 10
    reply_seconds: float = 120.0
    n_pipelined: int = 16
    n_connections: int = 4096


class _Part(Enum):
    """Where in a request its bytes are."""

    HEADERS = auto()
    BODY = auto()


class _RefusedError(Exception):
    """Ends the parsing of a request that has been answered here."""


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with an end to everything; what it refuses, it explains as an RFC 9457 problem."""

    limits: ClassVar[Limits] = Limits()

    _part = _Part.HEADERS
    _n_headers = 0
    _header_bytes = 0
    _unread_bytes = 0
    _body_bytes = 0
    _held_up = False
    _receiving: asyncio.TimerHandle | None = None
    _replying: asyncio.TimerHandle | None = None

    # --- The connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, unless there are too many, and expect a request soon."""
        super().connection_made(transport)
        if len(self.connections) > self.limits.n_connections:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", "Too many connections: try again in a while.")
        else:
            self._expect(self.limits.header_seconds, self._on_slow_headers)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what was expected."""
        self._expect_nothing()
        self.resume_writing()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Wait for the client to read, but not for ever."""
        super().pause_writing()
        if self._replying is None:
            self._replying = self.loop.call_later(self.limits.reply_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on with the reply."""
        if self._replying is not None:
            self._replying.cancel()
            self._replying = None
        super().resume_writing()

    # --- What is received

    def data_received(self, data: bytes) -> None:
        """Parse, and look at what the bytes were good for."""
        if self.transport.is_closing():
            return
        body_bytes = self._body_bytes
        self._unread_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._body_bytes > body_bytes:
            self._unread_bytes = 0
        if self._unread_bytes > self.limits.header_bytes:
            # One header, or trailer, that does not end: the parser keeps it and says nothing.
            self._refuse_large_headers()
        elif self._receiving is None and (self._part is _Part.BODY or self._unread_bytes):
            self._expect_the_rest()

    def on_message_begin(self) -> None:
        """Count anew."""
        super().on_message_begin()
        self._n_headers = self._header_bytes = 0

    def on_url(self, url: bytes) -> None:
        """Count the request line with the headers."""
        self._count_header(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a header, or a trailer."""
        self._n_headers += 1
        self._count_header(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start the request, if there are not too many before it."""
        self._expect_nothing()
        if len(self.pipeline) >= self.limits.n_pipelined:
            self.transport.abort()
            raise _RefusedError
        self._part = _Part.BODY
        self._body_bytes = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Count what the service is given."""
        self._body_bytes += len(body)
        super().on_body(body)
        self._held_up |= self.flow.read_paused

    def on_message_complete(self) -> None:
        """Expect nothing more of this request."""
        self._part = _Part.HEADERS
        self._unread_bytes = 0
        self._expect_nothing()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Leave a client that goes on sending to a request that has been answered."""
        super().on_response_complete()
        if self._part is _Part.BODY and self.cycle.response_complete and not self.transport.is_closing():
            self._expect(self.limits.header_seconds, self.transport.close)

    def _count_header(self, n_bytes: int) -> None:
        self._header_bytes += n_bytes
        if self._header_bytes > self.limits.header_bytes or self._n_headers > self.limits.n_headers:
            self._refuse_large_headers()
            raise _RefusedError

    # --- What is expected

    def _expect(self, seconds: float, otherwise: Callable[[], None]) -> None:
        self._expect_nothing()
        self._receiving = self.loop.call_later(seconds, otherwise)

    def _expect_nothing(self) -> None:
        if self._receiving is not None:
            self._receiving.cancel()
            self._receiving = None

    def _expect_the_rest(self) -> None:
        if self._part is _Part.HEADERS:
            self._expect(self.limits.header_seconds, self._on_slow_headers)
        else:
            self._held_up = self.flow.read_paused
            self._expect(self.limits.body_seconds, lambda seen=self._body_bytes: self._judge_body(seen))  # type: ignore[misc]

    def _on_slow_headers(self) -> None:
        if not self._unread_bytes:
            # Opened in good time by somebody who then wanted nothing.
            self.transport.close()
            return
        self._refuse_slow(f"The headers of a request have to be here within {self.limits.header_seconds:g} seconds.")

    def _judge_body(self, seen: int) -> None:
        if self._held_up or self._body_bytes - seen >= self.limits.body_bytes:
            self._expect_the_rest()
        else:
            floor = self.limits.body_bytes / self.limits.body_seconds
            self._refuse_slow(f"The body of a request has to come at {floor:,.0f} bytes a second or more.")

    # --- What is refused

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        if not self.transport.is_closing():
            self._refuse(HTTPStatus.BAD_REQUEST, "bad_request", msg)

    def _refuse_slow(self, detail: str) -> None:
        self._refuse(HTTPStatus.REQUEST_TIMEOUT, "request_timeout", detail)

    def _refuse_large_headers(self) -> None:
        most = f"{self.limits.n_headers} headers and {self.limits.header_bytes:,} bytes of them"
        self._refuse(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large", f"A request may have at most {most}."
        )

    def _refuse(self, status: HTTPStatus, code: str, detail: str) -> None:
        self._expect_nothing()
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and not cycle.response_complete:
            # Nothing may be written into a reply that has begun, nor before one that is due.
            if cycle.response_started or self._part is not _Part.BODY or self.pipeline:
                self.transport.abort()
                return
            cycle.disconnected = True
        self.transport.write(_problem(status, code, detail, self.server_state.default_headers))
        self.transport.close()


def _problem(status: HTTPStatus, code: str, detail: str, headers: list[tuple[bytes, bytes]]) -> bytes:
    problem = {"type": code, "title": f"{status.phrase}.", "status": status.value, "detail": detail}
    body = json.dumps(problem).encode()
    lines = [
        *(name + b": " + value for name, value in headers),
        b"content-type: application/problem+json",
        b"content-length: %d" % len(body),
        b"connection: close",
    ]
    return STATUS_LINE[status] + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body
