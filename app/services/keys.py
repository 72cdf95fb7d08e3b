"""API keys: making them and ending them."""

import hashlib
import logging
import secrets
import string
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from app.errors import KeyEndedError, NotFoundError
from app.principals import Scope
from app.services.context import Context
from app.services.idempotency import Asked, Done, once
from app.settings import Settings
from app.store.keys import add_key, find_key, has_active_key, replace_key, revoke_key
from app.store.records import KeyRecord
from app.store.sessions import DATABASE_DOWN, Session, open_database

log = logging.getLogger(__name__)

_PREFIX: Final = "ot3l_"
_ALPHABET: Final = string.ascii_letters + string.digits
_N_RANDOM: Final = 43
"""Characters of 62 kinds: 256 bits."""
_N_HINT: Final = len(_PREFIX) + 4


class NoKeyError(RuntimeError):
    """Keys are asked for, and nobody has one that could make others."""


def require_first_key(settings: Settings) -> None:
    """Refuse to start where keys are asked for and nobody could make any.

    A database that does not answer is no reason: without it no key is recognised, so that nobody comes in.

    Raises:
        NoKeyError: If there is no active key with the scope ``admin``.
    """
    if not settings.asks_for_keys:
        return
    database = open_database(settings.resolved_database_url)
    try:
        with database.reading() as session:
            found = has_active_key(session, Scope.ADMIN)
    except DATABASE_DOWN:
        log.warning("cannot tell whether there is a key: the database does not answer")
        return
    finally:
        database.close()
    if not found:
        raise NoKeyError(
            f"The service listens on {settings.host} and asks for keys, and there is none with the scope admin. Make "
            "one: python -m app.cli keys create --direct --owner NAME --scope read --scope write --scope admin"
        )


@dataclass(frozen=True, slots=True)
class Issued:
    """A new key, and its secret, which is kept nowhere; None where the request that made it has been answered."""

    record: KeyRecord
    secret: str | None

    @property
    def id(self) -> UUID:
        """The key's."""
        return self.record.id


def create_key(
    session: Session, owner: str, *, name: str, scopes: Collection[Scope], expires_in: float | None
) -> Issued:
    """Make a key; ``expires_in`` is in seconds, None for never. The caller commits."""
    secret = _make_secret()
    record = add_key(
        session,
        owner=owner,
        name=name,
        digest=digest_of(secret),
        hint=secret[:_N_HINT],
        scopes=scopes,
        expires_in=expires_in,
    )
    session.refresh(record)
    return Issued(record, secret)


def rotate_key(session: Session, owner: str | None, key_id: UUID, *, grace_seconds: float) -> Issued:
    """Replace a key by one that may do the same, which is a record of its own: so each tells when it was last used.

    Args:
        session: One transaction; the caller commits.
        owner: Whose key it is; None for whoever runs the service.
        key_id: The key to replace.
        grace_seconds: How long the old one goes on.

    Raises:
        NotFoundError: If the owner has no such key.
        KeyEndedError: If it was revoked, or has expired.
    """
    old = read_key(session, owner, key_id)
    secret = _make_secret()
    successor = replace_key(session, old, digest=digest_of(secret), hint=secret[:_N_HINT], grace_seconds=grace_seconds)
    if successor is None:
        raise KeyEndedError("The key was revoked, or has expired: create another one.")
    session.refresh(successor)
    return Issued(successor, secret)


def end_key(session: Session, owner: str | None, key_id: UUID) -> KeyRecord:
    """Revoke a key; one that was revoked before stays so. The caller commits.

    Raises:
        NotFoundError: If the owner has no such key.
    """
    record = read_key(session, owner, key_id)
    revoke_key(session, record.id)
    session.refresh(record)
    return record


def issue_once(context: Context, asked: Asked | None, make: Callable[[], Issued]) -> Issued:
    """Make a key, or show again, without its secret, the one that the same request has made before.

    Raises:
        IdempotencyKeyReusedError: If the request's Idempotency-Key came with another one before.
    """
    done = once(context, asked, make)
    context.session.commit()
    return done.fresh or Issued(read_key(context.session, context.owner, done.subject_id), None)


def end_once(context: Context, asked: Asked | None, key_id: UUID) -> Done[KeyRecord]:
    """Revoke a key, as ``end_key``, unless the same request has done so before.

    Raises:
        NotFoundError: If the owner has no such key.
        IdempotencyKeyReusedError: If the request's Idempotency-Key came with another one before.
    """
    done = once(context, asked, lambda: end_key(context.session, context.owner, key_id), about=key_id)
    context.session.commit()
    return done


def read_key(session: Session, owner: str | None, key_id: UUID) -> KeyRecord:
    """The key with this id; an owner's, or anybody's for whoever runs the service.

    Raises:
        NotFoundError: If there is none.
    """
    record = find_key(session, owner, key_id)
    if record is None:
        raise NotFoundError(f"There is no key {key_id}.")
    return record


def looks_like_a_secret(text: str) -> bool:
    """Whether a key could have this secret; what could not need not be looked up."""
    return len(text) == len(_PREFIX) + _N_RANDOM and text.startswith(_PREFIX) and text.isascii()


def digest_of(secret: str) -> str:
    """What is kept of a secret.

    A fast hash is enough: slow ones make guessing dear where people choose, and nobody guesses 256 random bits.
    Looking a digest up tells by its timing at the most how the digest of what was sent compares with others, and
    whoever sends it cannot choose that digest: no comparison in constant time is needed.
    """
    return hashlib.sha256(secret.encode()).hexdigest()


def _make_secret() -> str:
    return _PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(_N_RANDOM))
