"""Events of work as they come: a parser of server-sent events, and the flow that goes on where a connection ended."""

import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Final

from pydantic import ValidationError

from app.client.calls import Request, not_ours, refusal
from app.client.errors import UnexpectedReplyError
from app.client.flows import FIRST_SECONDS, passes, seconds_before
from app.client.wire import Stream, Wire
from app.schemas.events import EventRead
from app.states import EventKind

_KINDS: Final = frozenset(EventKind)


@dataclass(slots=True)
class EventLines:
    """Bytes of a stream of server-sent events, to the data of each.

    Attributes:
        retry_seconds: How long to wait before coming again, as the service said last.
    """

    retry_seconds: float = FIRST_SECONDS
    _rest: bytes = b""
    _data: list[str] = field(default_factory=list)

    def feed(self, piece: bytes) -> list[str]:
        """Data of the events that are complete with this piece."""
        # A carriage return at the end may be half of a line's end; the service writes CRLF and we take LF too.
        *lines, self._rest = (self._rest + piece).split(b"\n")
        found = (self._take(line.removesuffix(b"\r").decode()) for line in lines)
        return [data for data in found if data is not None]

    def _take(self, line: str) -> str | None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            data, self._data = "\n".join(self._data), []
            return data or None
        if name == "data":
            self._data.append(value)
        elif name == "retry" and value.isdecimal():
            self.retry_seconds = int(value) / 1000
        return None


async def follow(wire: Wire, path: str, *, after: int) -> AsyncGenerator[EventRead, None]:
    """Events after a number, each once, until the work has ended and all were told.

    A connection that ends is begun again after the last event that came.

    Raises:
        RefusedError: If the service says no.
        ConnectionFailedError: If the connection broke again and again, and nothing came in between.
    """
    failures, retry_seconds = 0, FIRST_SECONDS
    while True:
        last = after
        try:
            async with wire.stream(_asking(path, after)) as stream:
                if await _is_over(stream):
                    return
                lines = EventLines(retry_seconds)
                async for piece in stream.pieces:
                    for event in filter(None, map(read_event, lines.feed(piece))):
                        after = event.number
                        yield event
                retry_seconds = lines.retry_seconds
        except Exception as error:
            failures = failures + 1 if after == last else 1
            if not passes(error) or failures >= wire.attempts:
                raise
            await wire.sleep(seconds_before(failures, error))
        else:
            # After the last event of work that has ended the next answer is 204.
            await wire.sleep(0.0 if after > last else retry_seconds)


async def _is_over(stream: Stream) -> bool:
    """Whether there is nothing more to come, ever.

    Raises:
        RefusedError: If the service says no.
        UnexpectedReplyError: If it says neither that nor yes.
    """
    if stream.status in {200, 204}:
        return stream.status == 204
    reply = await stream.whole()
    raise refusal(reply) or not_ours(reply)


def read_event(data: str) -> EventRead | None:
    """The event that this is; None of a kind that this client does not know.

    Raises:
        UnexpectedReplyError: If it is no event at all.
    """
    try:
        told: Mapping[str, object] = json.loads(data)
        return EventRead.model_validate(told) if told["kind"] in _KINDS else None
    except (ValueError, TypeError, KeyError, ValidationError) as error:
        raise UnexpectedReplyError("The stream holds what is no event of an OT3L service.") from error


def _asking(path: str, after: int) -> Request:
    headers = {"Accept": "text/event-stream", "Accept-Encoding": "identity"}
    return Request("GET", path, headers | ({"Last-Event-ID": str(after)} if after else {}))
