"""Clients that want jobs, and do not give up because a service is being hit."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, TypeAlias

import httpx2

from benchmarks.chaos.plan import Submission
from benchmarks.chaos.specs import SPECS

Document: TypeAlias = dict[str, object]

_TIMEOUT = 10.0
_PATIENCE = 300.0
_END_PATIENCE = 900.0
_PAUSE = 0.3
_HURRY = 0.002
_LAST_WORDS = 300
_ASK_AGAIN: Final = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)


@dataclass(frozen=True, slots=True)
class Client:
    """Somebody who asks until there is an answer.

    Attributes:
        url: Of the service.
        stop: Set when nobody waits for answers any more.
        oddities: Answers that no fault explains.
    """

    url: str
    stop: threading.Event = field(default_factory=threading.Event)
    oddities: list[str] = field(default_factory=list)

    def ask(
        self,
        method: str,
        path: str,
        *,
        json: Document | None = None,
        key: str | None = None,
        patience: float = _PATIENCE,
    ) -> httpx2.Response | None:
        """Ask until there is an answer that asking again would not change; None if there is none for very long."""
        headers = {} if key is None else {"Idempotency-Key": key}
        deadline = time.monotonic() + patience
        reply = None
        while time.monotonic() < deadline:
            with suppress(httpx2.TransportError):
                reply = httpx2.request(method, f"{self.url}{path}", json=json, headers=headers, timeout=_TIMEOUT)
                if reply.status_code not in _ASK_AGAIN:
                    return reply
                if reply.status_code == HTTPStatus.INTERNAL_SERVER_ERROR:
                    self.oddities.append(f"{method} {path}: {words_of(reply)}")
            if self.stop.wait(_PAUSE):
                break
        return reply


@dataclass(slots=True)
class Wish:
    """A job that a client wants, and what it was told about it.

    Attributes:
        submission: What was asked for.
        ids: Of all jobs that answers to it named.
        n_posts: How often it was sent.
        refusal: The answer that ended it, if it was never accepted.
        cancel: The state that the answer to its cancellation showed; None if it had ended, or nobody cancelled it.
        is_deleted: Whether a deletion of it was answered.
        oddities: Answers that nothing explains.
    """

    submission: Submission
    ids: set[str] = field(default_factory=set)
    n_posts: int = 0
    refusal: str | None = None
    cancel: str | None = None
    is_deleted: bool = False
    oddities: list[str] = field(default_factory=list)

    @property
    def path(self) -> str:
        """Of the accepted job."""
        return f"/jobs/{next(iter(self.ids))}"


def fulfil(url: str, wish: Wish, stop: threading.Event) -> None:
    """Post what is wanted until it is accepted, then do what else was drawn for it."""
    client, submission = Client(url, stop, wish.oddities), wish.submission
    if submission.unheard:
        _post_and_leave(client, wish)
    _post(client, wish)
    if not wish.ids:
        return
    if submission.cancel_after is not None:
        stop.wait(submission.cancel_after)
        _cancel(client, wish)
    if submission.again_after is not None:
        stop.wait(submission.again_after)
        _post(client, wish)
    if submission.is_deleted and _has_ended(client, wish):
        _delete(client, wish)


def _post(client: Client, wish: Wish) -> None:
    """The same key every time, so that a job whose acceptance nobody heard of is not made twice."""
    submission = wish.submission
    wish.n_posts += 1
    reply = client.ask("POST", "/jobs", json=SPECS[submission.spec], key=submission.key)
    if reply is not None and reply.is_success:
        wish.ids.add(reply.json()["id"])
    else:
        wish.refusal = words_of(reply)


def _post_and_leave(client: Client, wish: Wish) -> None:
    submission = wish.submission
    wish.n_posts += 1
    with suppress(httpx2.TransportError):
        reply = httpx2.post(
            f"{client.url}/jobs",
            json=SPECS[submission.spec],
            headers={"Idempotency-Key": submission.key},
            timeout=httpx2.Timeout(_TIMEOUT, read=_HURRY),
        )
        if reply.is_success:
            wish.ids.add(reply.json()["id"])


def _cancel(client: Client, wish: Wish) -> None:
    reply = client.ask("POST", f"{wish.path}/cancel", key=f"{wish.submission.key}-cancel")
    if reply is not None and reply.is_success:
        wish.cancel = reply.json()["state"]
    elif reply is None or reply.status_code != HTTPStatus.CONFLICT:
        wish.oddities.append(f"cancel: {words_of(reply)}")


def _delete(client: Client, wish: Wish) -> None:
    reply = client.ask("DELETE", wish.path)
    # Not found: an earlier try, whose answer was lost, did it.
    if reply is not None and reply.status_code in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND}:
        wish.is_deleted = True
    else:
        wish.oddities.append(f"delete: {words_of(reply)}")


def _has_ended(client: Client, wish: Wish) -> bool:
    """Wait for the end, for long; whether it came."""
    deadline = time.monotonic() + _END_PATIENCE
    while time.monotonic() < deadline and not client.stop.wait(_PAUSE):
        reply = client.ask("GET", wish.path)
        if reply is not None and reply.is_success and reply.json()["finished_at"] is not None:
            return True
    return False


def await_all(ask: Callable[[], set[str]], *, patience: float) -> set[str]:
    """Wait until nothing is left of what ``ask`` finds; what is left after ``patience`` seconds."""
    deadline = time.monotonic() + patience
    while (left := ask()) and time.monotonic() < deadline:
        time.sleep(_PAUSE)
    return left


def words_of(reply: httpx2.Response | None) -> str:
    """The beginning of an answer."""
    return "no answer" if reply is None else f"{reply.status_code} {reply.text[:_LAST_WORDS]}"
