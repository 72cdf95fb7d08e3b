"""Recognising keys at the door."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from app.principals import Principal, Scope
from app.services.keys import digest_of, looks_like_a_secret
from app.store.keys import find_active_key, note_uses
from app.store.sessions import DATABASE_DOWN, Database

log = logging.getLogger(__name__)

REMEMBERED_SECONDS: Final = 5.0
"""How long a process takes what it has read of a key for true: revocation is effective within this time."""
N_REMEMBERED: Final = 10_000
NOTED_SECONDS: Final = 60.0
"""How often at the most the last use of one key is written."""
_NOTE_EVERY_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class _Remembered:
    """What was read of a key, or is being read, and how long that counts."""

    answer: asyncio.Task[Principal | None]
    until: float


@dataclass(slots=True)
class KeyRing:
    """The keys that a process was shown of late, so that most requests cost no query.

    Attributes:
        database: Where the keys are.
        seconds: How long an answer counts, also that there is no such key.
        clock: Seconds that only go forward.
    """

    database: Database
    seconds: float = REMEMBERED_SECONDS
    clock: Callable[[], float] = time.monotonic
    _remembered: dict[str, _Remembered] = field(default_factory=dict)
    _used: set[UUID] = field(default_factory=set)

    async def find(self, secret: str) -> Principal | None:
        """Who has this key; None if nobody has, or it has ended.

        Raises:
            DATABASE_DOWN: If it has to be looked up, and the database does not answer.
        """
        if not looks_like_a_secret(secret):
            return None
        digest = digest_of(secret)
        found = self._remembered.get(digest)
        if found is None or found.until <= self.clock():
            found = self._ask(digest)
        # Many requests may wait for one answer; one that is cut off does not take it from the others.
        principal = found.answer.result() if found.answer.done() else await asyncio.shield(found.answer)
        if principal is not None and principal.key_id is not None:
            self._used.add(principal.key_id)
        return principal

    async def note_uses(self) -> None:
        """Write which keys were used since the last time; for a task beside the requests."""
        used, self._used = self._used, set()
        if used:
            await asyncio.to_thread(self._write_uses, used)

    def _ask(self, digest: str) -> _Remembered:
        self._remembered.pop(digest, None)
        if len(self._remembered) >= N_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        # The time counts from before the look: what is revoked after it is gone when that time is over.
        until = self.clock() + self.seconds
        asked = self._remembered[digest] = _Remembered(asyncio.create_task(self._look_up(digest)), until)
        return asked

    async def _look_up(self, digest: str) -> Principal | None:
        try:
            return await asyncio.to_thread(self._read, digest)
        except BaseException:
            # No answer is none: the next request asks again.
            self._remembered.pop(digest, None)
            raise

    def _read(self, digest: str) -> Principal | None:
        with self.database.reading() as session:
            record = find_active_key(session, digest)
        if record is None:
            return None
        return Principal(record.owner, frozenset(map(Scope, record.scopes)), record.id)

    def _write_uses(self, used: set[UUID]) -> None:
        try:
            with self.database.writing() as session:
                note_uses(session, used, older_than=NOTED_SECONDS)
                session.commit()
        except DATABASE_DOWN:
            log.warning("cannot note when keys were used: the database does not answer")


async def note_uses_forever(keys: KeyRing) -> None:
    """Write every few seconds which keys were used."""
    while True:
        await asyncio.sleep(_NOTE_EVERY_SECONDS)
        try:
            await keys.note_uses()
        except Exception:
            log.exception("cannot note when keys were used")
