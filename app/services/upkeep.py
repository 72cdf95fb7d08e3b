"""Chores that keep what is stored from growing for ever: each is done by one process at a time, now and then.

Blobs that nothing refers to are left by attempts that lost their lease, by crashes between a deletion's commit and its
end, and by clients that go on sending parts of an upload that is gone. Deleting them takes nothing from anybody:

- A record is committed before anybody can store a blob of it, so a blob without a record is of one that was deleted.
- While work is queued or running, its blobs are left alone, however old: the attempt that makes them may be about to
  record them. Their rows are written by the transaction that ends the work.
- Once work has ended, an attempt that is still at it has lost its claim, and records nothing any more. Only a retry
  could begin it again, and store and record equal bytes under an equal key: while blobs of ended work are deleted, its
  row is held, so that the retry begins after that.
- Of an upload that is there nothing is deleted, whether noted or not.

None of this rests on a clock. ``orphan_seconds`` comes on top: it is the time in which an operator who has put back an
old copy of the database can think better of it.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final, TypeVar

from app.services.uploads import expire_uploads
from app.settings import Settings
from app.store import upkeep
from app.store.blobs import BlobStore
from app.store.idempotency import forget_requests
from app.store.sessions import DATABASE_DOWN, Database, Session

log = logging.getLogger(__name__)

TICK_SECONDS: Final = 30.0
USUAL_SECONDS: Final = 3600.0
UPLOADS_SECONDS: Final = 300.0
ROWS_AT_ONCE: Final = 2000
KEYS_AT_ONCE: Final = 500
HELD_AT_ONCE: Final = 50
DAY: Final = 24 * 3600.0

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Premises:
    """What is kept up.

    Attributes:
        database: The records.
        blobs: The bytes.
        settings: The operator's.
        stop: Set when the process ends: a chore leaves off where it is, and is done again another time.
    """

    database: Database
    blobs: BlobStore
    settings: Settings
    stop: threading.Event


@dataclass(frozen=True, slots=True)
class Chore:
    """Something that has to be done now and then.

    Attributes:
        name: For the database.
        every: Seconds from one time to the next.
        do: Does it, and says how many things are gone.
    """

    name: str
    every: float
    do: Callable[[Premises], int]


async def keep_up_forever(database: Database, blobs: BlobStore, settings: Settings) -> None:
    """Do every chore when it is due, unless another process does."""
    stop = threading.Event()
    premises = Premises(database, blobs, settings, stop)
    try:
        while True:
            await asyncio.sleep(min(TICK_SECONDS, settings.orphan_seconds))
            await asyncio.to_thread(keep_up, premises)
    finally:
        stop.set()


def keep_up(premises: Premises) -> dict[str, int]:
    """Do the chores that are due; one that fails is tried again when it is due again, and keeps no other from it.

    Returns:
        How many things are gone, for each chore that was done here.
    """
    done: dict[str, int] = {}
    for chore in chores(premises.settings):
        try:
            if _take(premises.database, chore):
                done[chore.name] = chore.do(premises)
        except DATABASE_DOWN:
            log.warning("chore %s: the database does not answer", chore.name)
        except Exception:
            log.exception("chore %s failed; it is done again in %.0f s", chore.name, chore.every)
        if done.get(chore.name):
            log.info("chore %s: %d gone", chore.name, done[chore.name])
    return done


def chores(settings: Settings) -> tuple[Chore, ...]:
    """All there are."""
    return (
        Chore("uploads", UPLOADS_SECONDS, _expire_uploads),
        Chore("requests", USUAL_SECONDS, _forget_requests),
        Chore("events", USUAL_SECONDS, _forget_events),
        Chore("deliveries", USUAL_SECONDS, _forget_deliveries),
        Chore("orphans", min(USUAL_SECONDS, settings.orphan_seconds), collect_orphans),
    )


def collect_orphans(premises: Premises) -> int:
    """Delete blobs that nothing refers to; why that is safe stands above.

    Raises:
        BlobStoreError: If the store does not answer.
    """
    newest = datetime.now(UTC) - timedelta(seconds=premises.settings.orphan_seconds)
    old = (
        found.key
        for found in premises.blobs.list_below("")
        if found.modified_at < newest and upkeep.is_collectable(found.key)
    )
    gone = 0
    for keys in _batches(old, KEYS_AT_ONCE):
        if premises.stop.is_set():
            break
        with premises.database.reading() as session:
            unrecorded = sorted(upkeep.find_unrecorded(session, keys))
        # Few at a time: on SQLite nobody else writes meanwhile.
        for few in _batches(unrecorded, HELD_AT_ONCE):
            gone += _delete_garbage(premises, few)
    return gone + premises.blobs.remove_unfinished(older_than=premises.settings.orphan_seconds)


def _delete_garbage(premises: Premises, keys: list[str]) -> int:
    with premises.database.writing() as session:
        garbage = upkeep.hold_garbage(session, keys)
        premises.blobs.delete(sorted(garbage))
        session.commit()
    return len(garbage)


def _expire_uploads(premises: Premises) -> int:
    return _repeat(premises, lambda: expire_uploads(premises.database, premises.blobs))


def _forget_requests(premises: Premises) -> int:
    with premises.database.writing() as session:
        gone = forget_requests(session)
        session.commit()
    return gone


def _forget_events(premises: Premises) -> int:
    older_than = premises.settings.event_days * DAY
    return _forget(premises, lambda s: upkeep.forget_events(s, older_than=older_than, limit=ROWS_AT_ONCE))


def _forget_deliveries(premises: Premises) -> int:
    older_than = premises.settings.event_days * DAY
    return _forget(premises, lambda s: upkeep.forget_deliveries(s, older_than=older_than, limit=ROWS_AT_ONCE))


def _forget(premises: Premises, forget: Callable[[Session], int]) -> int:
    def once() -> int:
        with premises.database.writing() as session:
            gone = forget(session)
            session.commit()
        return gone

    return _repeat(premises, once)


def _repeat(premises: Premises, do: Callable[[], int]) -> int:
    """Do something until nothing is left of it, a little at a time, so that nobody waits long for a lock."""
    total = 0
    while not premises.stop.is_set() and (gone := do()):
        total += gone
    return total


def _take(database: Database, chore: Chore) -> bool:
    with database.reading() as session:
        if not upkeep.is_due(session, chore.name):
            return False
    with database.writing() as session:
        taken = upkeep.take_chore(session, chore.name, every=chore.every)
        session.commit()
    return taken


def _batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
