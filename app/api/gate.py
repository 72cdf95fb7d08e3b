"""The door: who asks, whether they may, and whether it is too much. Nothing behind it runs for a request it refuses."""

from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as AsgiScope

from app.api.limits import RateLimits
from app.api.problems import problem_response, problems
from app.errors import (
    BadHostError,
    ForbiddenError,
    ForeignOriginError,
    KeysRequiredError,
    ServiceError,
    UnauthorizedError,
    UnavailableError,
)
from app.principals import LOCAL, Principal, Scope
from app.services.keyring import KeyRing
from app.settings import Settings, is_loopback
from app.store.sessions import DATABASE_DOWN

OPEN_PATHS: Final = frozenset({"/", "/docs", "/health/live", "/health/ready", "/openapi.json"})
_OPEN_BELOW: Final = "/web/"
"""What anybody may ask for: the dashboard's files tell nothing of anybody's work."""
_ADMIN_PATHS: Final = ("/keys", "/metrics")
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_CHALLENGE: Final = 'Bearer realm="ot3l"'


def is_open(path: str) -> bool:
    """Whether anybody may ask for what is at a path."""
    return path in OPEN_PATHS or path.startswith(_OPEN_BELOW)


class Door(Enum):
    """Whom the gate lets in."""

    KEYS = auto()
    """Whoever sends a key."""
    LOOPBACK = auto()
    """This machine."""
    OPEN = auto()
    """Everybody: the operator has said that something in front of the service asks."""


def door_of(settings: Settings) -> Door:
    """What the settings ask for."""
    if settings.asks_for_keys:
        return Door.KEYS
    return Door.LOOPBACK if is_loopback(settings.host) else Door.OPEN


@dataclass(frozen=True, slots=True)
class Gate:
    """Lets a request through once it is known whose it is; plain ASGI, before any body is read."""

    app: ASGIApp
    door: Door

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Let through, or refuse."""
        if scope["type"] != "http" or is_open(path := _path_of(scope)):
            await self.app(scope, receive, send)
            return
        try:
            principal = await self._admit(scope, path)
            limits: RateLimits | None = scope["app"].state.rate_limits
            marks = {} if limits is None else await limits.take(str(principal.key_id or principal.owner))
        except (ServiceError, *DATABASE_DOWN) as error:
            refusal = error if isinstance(error, ServiceError) else UnavailableError("The database does not answer.")
            await problem_response(refusal, scope["state"]["request_id"])(scope, receive, send)
            return
        scope["state"] |= {"principal": principal, "owner": principal.owner}
        await self.app(scope, receive, _marking(send, marks) if marks else send)

    async def _admit(self, scope: AsgiScope, path: str) -> Principal:
        if self.door is not Door.KEYS:
            if self.door is Door.LOOPBACK:
                _refuse_strangers(scope)
            return LOCAL
        keys: KeyRing = scope["app"].state.keys
        principal = await _recognise(keys, _header(scope, b"authorization") or "")
        needed = needed_scope(scope["method"], path)
        if needed not in principal.scopes:
            raise ForbiddenError(
                f"This key has not the scope {needed.value!r}, which this takes: use one that has.",
                headers={"WWW-Authenticate": f'{_CHALLENGE}, error="insufficient_scope", scope="{needed.value}"'},
            )
        return principal


def needed_scope(method: str, path: str) -> Scope:
    """What a key must allow for a request: whatever is not known to only read, changes something."""
    if any(path == admin or path.startswith(f"{admin}/") for admin in _ADMIN_PATHS):
        return Scope.ADMIN
    return Scope.READ if method in _READING else Scope.WRITE


async def _recognise(keys: KeyRing, authorization: str) -> Principal:
    """Who sent this header (RFC 6750, section 2.1)."""
    kind, _, secret = authorization.partition(" ")
    if kind.lower() != "bearer":
        raise UnauthorizedError(
            "Send a key as `Authorization: Bearer ot3l_...`; whoever runs the service, or an owner's administrator, "
            "makes them.",
            headers={"WWW-Authenticate": _CHALLENGE},
        )
    principal = await keys.find(secret.strip())
    if principal is None:
        # Not which of these it is: whoever has an old key has no right to know.
        raise UnauthorizedError(
            "There is no such key, or it was revoked or has expired.",
            headers={"WWW-Authenticate": f'{_CHALLENGE}, error="invalid_token"'},
        )
    return principal


def _refuse_strangers(scope: AsgiScope) -> None:
    """Refuse what does not come from this machine on purpose, where nobody is asked for a key.

    The address is wrong where somebody else's socket was handed over, or a proxy leads here; the host where a page's
    name was made to lead here (DNS rebinding); the origin where a page posts to an address it only guesses.
    """
    server = scope.get("server")
    if server is None or not _is_loopback(server[0]):
        raise KeysRequiredError(
            "This service asks for no keys and answers on loopback only: set OT3L_HOST to the address that it is to "
            "be reached at, and it asks for keys."
        )
    if not _is_loopback(_hostname(f"//{_header(scope, b'host')}")):
        raise BadHostError(
            "This service asks for no keys and answers to localhost, 127.0.0.1 and [::1] only: use one of these, or "
            "set OT3L_AUTH=on and send a key."
        )
    origin = _header(scope, b"origin")
    if origin is not None and not _is_loopback(_hostname(origin)):
        raise ForeignOriginError(
            "This service asks for no keys and takes requests from pages of this machine only: set OT3L_AUTH=on and "
            "send a key."
        )


@lru_cache(maxsize=1024)
def _hostname(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


_is_loopback = lru_cache(maxsize=1024)(is_loopback)


def _header(scope: AsgiScope, name: bytes) -> str | None:
    found: bytes | None = next((value for key, value in scope["headers"] if key == name), None)
    return None if found is None else found.decode("latin-1")


def _path_of(scope: AsgiScope) -> str:
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def _marking(send: Send, marks: dict[str, str]) -> Send:
    raw = [(name.lower().encode(), value.encode()) for name, value in marks.items()]

    async def send_marked(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *raw]
        await send(message)

    return send_marked


# --- How it looks in the API's document


def document_gate(document: dict[str, Any]) -> None:
    """Write into the API's document what the gate asks for, and what it may answer."""
    schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
    schemes["key"] = {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key; a service that listens on loopback only asks for none.",
    }
    for path, operations in document["paths"].items():
        if path in OPEN_PATHS:
            continue
        for method, operation in operations.items():
            _document_operation(operation, needed_scope(method.upper(), path))


def _document_operation(operation: dict[str, Any], needed: Scope) -> None:
    # Scopes of a bearer are for people to read (OpenAPI 3.1, security requirement object).
    operation["security"] = [{"key": [needed.value]}]
    refusals = {
        401: ("A key is needed.", {"WWW-Authenticate": "RFC 6750."}),
        403: (f"The key has not the scope `{needed.value}`.", {}),
        429: ("Too many requests, or a quota.", {"Retry-After": "Seconds."}),
    }
    for status, (description, headers) in refusals.items():
        described: dict[str, Any] = problems(status)[status] | {"description": description}
        if headers:
            described["headers"] = {
                name: {"description": text, "schema": {"type": "string"}} for name, text in headers.items()
            }
        operation["responses"].setdefault(str(status), described)
