"""The life of a piece of work in a worker: claim, keep, compute, record."""

import errno
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential

from app.observing.logs import bind
from app.settings import Settings
from app.states import WorkState
from app.store import work
from app.store.blobs import BlobStoreError
from app.store.jobs import get_work
from app.store.records import ArtifactRecord, WorkRecord
from app.store.sessions import DATABASE_DOWN, Database
from app.store.work import Claim
from ot3l_core.errors import Cancelled, CoreError
from worker.counting import count_claim, count_end
from worker.leaving import is_time_to_leave
from worker.scratch import discard_scratch, scratch_folder
from worker.telling import Order, Reporter, lines_told

log = logging.getLogger(__name__)
AnyWork = TypeVar("AnyWork", bound=WorkRecord)

STOP_SECONDS: Final = 3.0
"""How long a computation that was told to stop may take to do so, before its process is ended."""
STOPPED_HARD: Final = 75
"""Exit status of such a process: as EX_TEMPFAIL, for another one takes its place."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a computation leaves behind: columns of its record, and files."""

    values: dict[str, Any]
    artifacts: list[ArtifactRecord] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Lifecycle(Generic[AnyWork]):
    """The way every kind of work is run."""

    database: Database
    settings: Settings
    kind: type[AnyWork]
    compute: Callable[[AnyWork, Reporter], Outcome]

    def run(self, work_id: UUID) -> None:
        """Do the work, unless it is done, cancelled or in other hands.

        However this ends, the record says so: with a result, with a stable error code, or by a lease that runs out.
        """
        discard_scratch(self.settings.scratch, self.database)
        with self.database.writing() as session:
            held = work.claim(session, self.kind, work_id, lease_seconds=self.settings.lease_seconds)
            session.commit()
            record = get_work(session, self.kind, work_id) if held else None
        if held is None or record is None:
            log.info("%s %s: nothing to do", self.kind.__tablename__, work_id)
            return
        count_claim(record)
        reporter = Reporter()
        with self._named(record), lines_told(reporter), self._heartbeat(held, reporter):
            log.info("attempt %d", held.attempt)
            state, outcome = self._compute(held, record, reporter)
            self._record(held, state, outcome, reporter)

    def _named(self, record: AnyWork) -> AbstractContextManager[None]:
        told = {"kind": self.kind.__tablename__, "work_id": str(record.id), "attempt": record.attempt}
        return bind(**told, **({"request_id": record.request_id} if record.request_id else {}))

    def _compute(self, held: Claim, record: AnyWork, reporter: Reporter) -> tuple[WorkState, Outcome]:
        try:
            with scratch_folder(self.settings.scratch, held):
                return WorkState.SUCCEEDED, self.compute(record, reporter)
        except Cancelled:
            return _state_after(reporter.order), Outcome({})
        except CoreError as error:
            log.info("failed: %s", error.code)
            return WorkState.FAILED, explain_failure(error)
        except Exception as error:
            log.exception("failed")
            if _may_pass(error) and record.attempt - record.forgiven < self.settings.max_attempts:
                return WorkState.QUEUED, Outcome({})
            return WorkState.FAILED, explain_failure(error)

    def _record(self, held: Claim, state: WorkState, outcome: Outcome, reporter: Reporter) -> None:
        try:
            ended = self._end(held, state, outcome, reporter)
        except DATABASE_DOWN:
            raise
        except Exception as error:
            # A result that the database refuses would be refused every time: the record says so at once.
            log.exception("the result cannot be recorded")
            state = WorkState.FAILED
            ended = self._end(held, state, explain_failure(error), reporter)
        if ended:
            log.info("%s", state)
        else:
            log.warning("attempt %d lost its lease", held.attempt)

    def _end(self, held: Claim, state: WorkState, outcome: Outcome, reporter: Reporter) -> bool:
        """Write the end of the attempt; a database that is away is waited for as long as a lease runs."""
        patience = Retrying(
            retry=retry_if_exception_type(DATABASE_DOWN),
            wait=wait_exponential(multiplier=0.1, max=2.0),
            stop=stop_after_delay(self.settings.lease_seconds),
            reraise=True,
        )
        phase, timings, news = reporter.phase, reporter.timings, reporter.take_last_news()
        for attempt in patience:
            with attempt, self.database.writing() as session:
                if state is WorkState.QUEUED:
                    ended = work.hand_over(session, held, news=news, forgive=reporter.order is not None)
                else:
                    told = {"phase": phase, "timings": timings, **outcome.values}
                    ended = work.finish(session, held, state, news=news, **told)
                if ended:
                    session.add_all(outcome.artifacts)
                session.commit()
        if ended:
            count_end(self.kind, state, (outcome.values.get("error") or {}).get("code", ""), timings)
        return ended

    @contextmanager
    def _heartbeat(self, held: Claim, reporter: Reporter) -> Iterator[None]:
        done = threading.Event()
        thread = threading.Thread(target=self._beat, args=(held, reporter, done), name=f"heartbeat-{held.id}")
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _beat(self, held: Claim, reporter: Reporter, done: threading.Event) -> None:
        stopped_by = math.inf
        while not done.wait(min(self.settings.heartbeat_seconds, max(stopped_by - time.monotonic(), 0.0))):
            reporter.order = self._renew(held, reporter) or reporter.order
            if reporter.order is None:
                continue
            stopped_by = min(stopped_by, time.monotonic() + STOP_SECONDS)
            if time.monotonic() >= stopped_by:
                self._stop_hard(held, reporter, done)
                return

    def _renew(self, held: Claim, reporter: Reporter) -> Order | None:
        """Keep the lease, tell the news, and see whether there is a reason to stop."""
        news = reporter.take_news()
        cancel_requested: bool | None = False
        try:
            with self.database.writing() as session:
                cancel_requested = work.renew(
                    session,
                    held,
                    lease_seconds=self.settings.lease_seconds,
                    phase=reporter.phase,
                    progress=reporter.share,
                    news=news,
                )
                session.commit()
        except Exception:
            reporter.put_back(news)
            log.warning("%s: heartbeat failed", held.id, exc_info=True)
        if cancel_requested is None:
            return Order.LOST
        if cancel_requested:
            return Order.CANCEL
        return Order.HAND_OVER if is_time_to_leave() else None

    def _stop_hard(self, held: Claim, reporter: Reporter, done: threading.Event) -> None:
        """End the attempt in place of a computation that does not listen, and its process with it.

        Celery starts another process; the message that it sends again finds nothing to do.
        """
        log.warning("%s %s does not stop: its process ends", self.kind.__tablename__, held.id)
        ended = False
        try:
            if reporter.order is not Order.LOST:
                ended = self._end(held, _state_after(reporter.order), Outcome({}), reporter)
        except Exception:
            log.exception("%s %s: its end cannot be recorded", self.kind.__tablename__, held.id)
        # It may have stopped at the last moment, and written its own end.
        if ended or not done.wait(1.0):
            os._exit(STOPPED_HARD)


def _state_after(order: Order | None) -> WorkState:
    return WorkState.QUEUED if order is Order.HAND_OVER else WorkState.CANCELLED


def explain_failure(error: Exception) -> Outcome:
    """An error as the record keeps it: a stable code, and a sentence that a user can act on."""
    if isinstance(error, CoreError):
        return _failure(error.code, str(error), error.field)
    if isinstance(error, BlobStoreError):
        return _failure("storage_unavailable", "The store for files does not answer: once it does, try again.")
    if _is_disk_full(error):
        return _failure("disk_full", "The worker's disk is full: once there is space, try again.")
    if _is_out_of_memory(error):
        return _failure(
            "out_of_memory", "The worker ran out of memory: use fewer samples, or a smaller backbone or input_size."
        )
    return _failure("internal_error", "The worker made a mistake; its log has the details under the id of this record.")


def _may_pass(error: Exception) -> bool:
    """Whether another attempt may go better though nobody changes the request."""
    return isinstance(error, BlobStoreError) or _is_disk_full(error)


def _is_disk_full(error: Exception) -> bool:
    """Libraries that write from native code say it only in the text."""
    told = isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}
    return told or os.strerror(errno.ENOSPC) in str(error)


def _is_out_of_memory(error: Exception) -> bool:
    """Torch says it in two ways: a subclass of RuntimeError on a GPU, and only in the text on a CPU."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in str(error)
    )


def _failure(code: str, message: str, at: str | None = None) -> Outcome:
    return Outcome({"error": {"code": code, "message": message, "field": at}})
