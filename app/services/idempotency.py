"""Carrying out once what is asked for twice."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, cast
from uuid import UUID

from app.errors import IdempotencyKeyReusedError
from app.services.context import Context
from app.store.idempotency import take_key, tell_subject

_NOT_MADE_YET = UUID(int=0)


class Identified(Protocol):
    """Something that can be found again."""

    # A record's id is a column to whoever compares it with a protocol.
    @property
    def id(self) -> object:
        """Under this UUID."""
        ...


Subject = TypeVar("Subject", bound=Identified)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that a client may send again, because it cannot know what became of it.

    Attributes:
        key: What the client calls it; its own for each thing that it wants done.
        fingerprint: Equal for equal requests.
    """

    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Done(Generic[Subject]):
    """What came of a request.

    Attributes:
        subject_id: What it made, or was about.
        fresh: The same, where it was done just now; None where it had been done before.
    """

    subject_id: UUID
    fresh: Subject | None


def fingerprint_of(method: str, target: str, body: bytes) -> str:
    """Equal for requests with the same method, target (path and query) and, byte for byte, body."""
    digest = hashlib.sha256(f"{method} {target}\n".encode())
    digest.update(body)
    return digest.hexdigest()


def once(
    context: Context, asked: Asked | None, make: Callable[[], Subject], *, about: UUID | None = None
) -> Done[Subject]:
    """Do what a request asks for, unless the same request has been carried out before.

    To use it in a route that POSTs: take ``asked: AskedDep`` (app/api/idempotency.py), hand it to the use case, and
    there::

        done = once(context, asked, lambda: add_thing(context.session, ...))
        context.session.commit()
        thing = done.fresh or read_thing(context, done.subject_id)

    and in the route say ``Idempotency-Replayed`` where ``done.fresh`` is None (``mark_replayed``). The key is taken in
    the context's transaction, before anything else: of two equal requests at the same moment the second waits for the
    first. So ``make`` comes with all checks, may raise, and must not commit, since the key must not be durable without
    the id of what was made; what it raises leaves no key, once the session is closed. Where the request is about
    something that is there already (to cancel it, to rotate its secret) say so in ``about``: then ``make`` may commit.
    Send messages, and show secrets, only where ``done.fresh`` is there.

    Args:
        context: On whose behalf; with a session for writing.
        asked: The request; None where it came without a key, and is simply carried out.
        make: Does it, and returns what it made.
        about: The id of what ``make`` will return, where that is known.

    Raises:
        IdempotencyKeyReusedError: If the key came with another request before.
    """
    if asked is None:
        made = make()
        return Done(cast("UUID", made.id), made)
    earlier = take_key(context.session, context.owner, asked.key, asked.fingerprint, about or _NOT_MADE_YET)
    if earlier is not None:
        if earlier.fingerprint != asked.fingerprint:
            raise IdempotencyKeyReusedError(
                "This Idempotency-Key came with another request: give each request a key of its own, and send a key "
                "again only with the same method, path and body."
            )
        return Done(earlier.subject_id, None)
    made = make()
    subject_id = cast("UUID", made.id)
    if about is None:
        tell_subject(context.session, context.owner, asked.key, subject_id)
    return Done(subject_id, made)
