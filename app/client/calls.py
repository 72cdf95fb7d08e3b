"""What is said over the wire, as values: a ``Call`` is a request, and how its reply is read. Nothing here sends any."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final, Generic, TypeVar
from urllib.parse import urlencode

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import to_json

from app.client.errors import CLASS_OF, RefusedError, ServiceFailedError, UnexpectedReplyError
from app.schemas.problems import ProblemRead
from app.schemas.work import Reply as Body

T = TypeVar("T")
B = TypeVar("B", bound=Body)


KEY_HEADER: Final = "Idempotency-Key"


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    Attributes:
        method: In capitals.
        address: Path and query below the service's own address; or a whole address, to which no key is sent.
        headers: Besides those of every request.
        content: The body.
    """

    method: str
    address: str
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""

    def with_header(self, name: str, value: str) -> "Request":
        """The same with one more header."""
        return replace(self, headers={**self.headers, name: value})


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply, read to its end.

    Attributes:
        status: Its number.
        headers: By their names in small letters.
        content: The body.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes = b""


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A request whose reply means something.

    Attributes:
        request: What to send.
        read: What a reply of success says.
    """

    request: Request
    read: Callable[[Reply], T]


def call(
    method: str,
    path: str,
    read: Callable[[Reply], T],
    *,
    body: object = None,
    query: Mapping[str, object] | None = None,
) -> Call[T]:
    """A call with a JSON body, if there is one, and a query of what is neither None nor empty."""
    address = f"{path}?{urlencode(pairs)}" if (pairs := list(_pairs(query or {}))) else path
    if body is None:
        return Call(Request(method, address), read)
    return Call(Request(method, address, {"Content-Type": "application/json"}, to_json(body)), read)


def reading(body: type[B]) -> Callable[[Reply], B]:
    """Read a reply as a body of the wire.

    Returns:
        A function that raises `UnexpectedReplyError` where the reply is no such body.
    """

    def read(reply: Reply) -> B:
        try:
            return body.model_validate_json(reply.content)
        except ValidationError as error:
            raise not_ours(reply) from error

    return read


def reading_lines(body: type[B]) -> Callable[[Reply], list[B]]:
    """Read a reply as one JSON body a line."""
    adapter = TypeAdapter(body)

    def read(reply: Reply) -> list[B]:
        try:
            return [adapter.validate_json(line) for line in reply.content.splitlines()]
        except ValidationError as error:
            raise not_ours(reply) from error

    return read


def read_nothing(reply: Reply) -> None:
    """Take a reply that has nothing to say."""


def read_bytes(reply: Reply) -> bytes:
    """Take a reply as it is."""
    return reply.content


def body_of(request: BaseModel | None, settings: Mapping[str, object]) -> dict[str, object]:
    """What to ask for: what was set of a body, and of single settings. What was not set is the service's to choose."""
    written = {} if request is None else request.model_dump(mode="json", exclude_unset=True)
    return {**written, **settings}


def refusal(reply: Reply) -> RefusedError | None:
    """The error that a reply tells of; None where it tells of none."""
    if reply.status < 400:
        return None
    error = CLASS_OF.get(reply.status, ServiceFailedError if reply.status >= 500 else RefusedError)
    return error(_problem(reply), retry_after=seconds(reply.headers.get("retry-after")))


def seconds(retry_after: str | None) -> float | None:
    """What a Retry-After header says; None where it names a date, or there is none."""
    return float(retry_after) if retry_after is not None and retry_after.strip().isdecimal() else None


def not_ours(reply: Reply) -> UnexpectedReplyError:
    """The error of a reply that this service would not give."""
    kind = reply.headers.get("content-type", "no content type")
    return UnexpectedReplyError(
        f"The reply is none of an OT3L service: status {reply.status}, {kind}. Is the URL right?"
    )


def _problem(reply: Reply) -> ProblemRead:
    try:
        # Whoever answers in between may say `about:blank`, or nothing of all this.
        return ProblemRead.model_validate(
            {"type": "", "title": "", "status": reply.status, **json.loads(reply.content)}
        )
    except (ValueError, TypeError):
        said = reply.content[:200].decode(errors="replace").strip().partition("\n")[0]
        return ProblemRead(
            type=f"http_{reply.status}",
            title="Refused.",
            status=reply.status,
            detail=f"Status {reply.status} from something that is no OT3L service{f': {said}' if said else ''}.",
            request_id=reply.headers.get("x-request-id"),
        )


def _pairs(query: Mapping[str, object]) -> Iterable[tuple[str, str]]:
    for name, value in query.items():
        for one in value if isinstance(value, (list, tuple, set, frozenset)) else (value,):
            if one is not None:
                yield name, str(one.value if isinstance(one, Enum) else one)
