"""How much body a request may bring, and how long it may keep silent over it.

The server in front of the application limits headers and connections (``app/guard.py``); this holds for any server.
"""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final

from fastapi import HTTPException, Request
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import RequestTimeoutError, ServiceError, TooLargeError

SILENCE_SECONDS: Final = 30.0
"""How long nothing at all may come of a body that is not complete."""
_IN_SCOPE: Final = "ot3l.body"
# No route reads the body of these.
_WITHOUT_BODY: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class BodyRefusedError(HTTPException):
    """Ends the reading of a body. An error of HTTP, because FastAPI takes any other for a body that is not JSON."""

    def __init__(self, problem: ServiceError) -> None:
        super().__init__(problem.status, problem.detail)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """Refuses bodies that are too large or too slow; plain ASGI, and nothing at all for requests without one.

    Attributes:
        app: What is behind it.
        most: Bytes that a body may have, unless its route takes more.
        seconds: How long it may keep silent.
    """

    app: ASGIApp
    most: int
    seconds: float = SILENCE_SECONDS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, with a body that ends."""
        if scope["type"] == "http" and scope["method"] not in _WITHOUT_BODY:
            receive = scope[_IN_SCOPE] = _Body(receive, _announced(scope), self.most, self.seconds)
        await self.app(scope, receive, send)


@dataclass(slots=True)
class _Body:
    """A body, as far as it has come.

    Attributes:
        receive: Where it comes from.
        announced: Its size by Content-Length, if it says so.
        most: Bytes that it may have.
        seconds: How long it may keep silent.
        size: Bytes that have come.
        complete: Whether these are all; what is received after that is the client's leaving, which may take its time.
    """

    receive: Receive
    announced: int | None
    most: float
    seconds: float
    size: int = 0
    complete: bool = False

    async def __call__(self) -> Message:
        """The next piece of it.

        Raises:
            BodyRefusedError: If it is too large, or does not come.
        """
        if self.complete:
            return await self.receive()
        if self.announced is not None and self.announced > self.most:
            raise self._too_large()
        try:
            async with asyncio.timeout(self.seconds):
                message = await self.receive()
        except TimeoutError as error:
            problem = RequestTimeoutError(f"Nothing came of the body for {self.seconds:g} seconds: send it again.")
            raise BodyRefusedError(problem) from error
        self.size += len(message.get("body", b""))
        if self.size > self.most:
            raise self._too_large()
        self.complete = not message.get("more_body", False)
        return message

    def _too_large(self) -> BodyRefusedError:
        return BodyRefusedError(
            TooLargeError(
                f"The body of this request may have {self.most:,.0f} bytes; files of datasets come in by POST /uploads."
            )
        )


def _announced(scope: Scope) -> int | None:
    announced = Headers(scope=scope).get("content-length", "")
    return int(announced) if announced.isascii() and announced.isdecimal() else None


def announced_size(request: Request) -> int | None:
    """Bytes of the body by the request's Content-Length, if it has one."""
    return _announced(request.scope)


def allow_body(request: Request, most: float) -> None:
    """Let the body of this request have more, or fewer, bytes than that of others; said before it is read."""
    request.scope[_IN_SCOPE].most = most


async def body_of(request: Request) -> AsyncGenerator[bytes, None]:
    """The body piece by piece; a client that leaves in the middle is no mistake of ours."""
    try:
        async for piece in request.stream():
            yield piece
    except ClientDisconnect as error:
        raise HTTPException(400, "The connection ended before the body did.") from error
