"""What surrounds every request: its id, the version of the API, a line in the log, a count."""

import logging
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.problems import problem_response
from app.errors import UnsupportedVersionError
from app.observing.logs import bind_request
from app.observing.metrics import REQUEST_SECONDS, REQUESTS

API_VERSION: Final = "1"
"""Moves when a client that followed docs/api.md would break."""
VERSIONS: Final = frozenset({API_VERSION})
_SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_UNMATCHED = "(none)"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

log = logging.getLogger("ot3l.requests")


@dataclass(frozen=True, slots=True)
class Envelope:
    """The outermost layer of the application, in plain ASGI: it costs every request, and so does little."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and tell what was answered."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500
        request_id = _request_id(scope["headers"])
        scope.setdefault("state", {})["request_id"] = request_id
        bind_request(request_id)
        marks = [(b"x-request-id", request_id.encode()), (b"ot3l-version", API_VERSION.encode())]

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *marks]
            await send(message)

        try:
            await self._answer(scope, receive, send_marked)
        finally:
            _tell(scope, status, time.perf_counter() - began)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = _header(scope["headers"], b"ot3l-version")
        if asked is not None and asked.decode("latin-1") not in VERSIONS:
            known = ", ".join(sorted(VERSIONS))
            error = UnsupportedVersionError(f"OT3L-Version: there is {known}; without the header it is {API_VERSION}.")
            await problem_response(error, scope["state"]["request_id"])(scope, receive, send)
            return
        await self.app(scope, receive, send)


def _request_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The client's own, so that its logs and ours can be laid side by side; a new one where there is no sane one."""
    given = _header(headers, b"x-request-id")
    return given.decode() if given is not None and _SANE_ID.fullmatch(given) else uuid4().hex


def _header(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    return next((value for key, value in headers if key == name), None)


def _tell(scope: Scope, status: int, seconds: float) -> None:
    # The template, not the path: a path may hold anything, and would make a count of its own each time.
    route = getattr(scope.get("route"), "path", _UNMATCHED)
    method = scope["method"] if scope["method"] in _METHODS else "(other)"
    REQUESTS.labels(method, route, status).inc()
    REQUEST_SECONDS.labels(method, route).observe(seconds)
    told = {"method": method, "route": route, "status": status, "seconds": round(seconds, 4)}
    owner = scope["state"].get("owner")
    log.info("request", extra=told if owner is None else told | {"owner": owner})
