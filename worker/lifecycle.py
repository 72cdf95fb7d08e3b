"""The life of a piece of work in a worker: claim, keep, compute, record."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from uuid import UUID

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential

from app.settings import Settings
from app.states import WorkState
from app.store import work
from app.store.blobs import BlobStoreError
from app.store.jobs import get_work
from app.store.records import ArtifactRecord, WorkRecord
from app.store.sessions import DATABASE_DOWN, Database
from app.store.work import Claim
from ot3l_core.errors import Cancelled, CoreError
from ot3l_core.names import Phase
from ot3l_core.progress import OnProgress

log = logging.getLogger(__name__)
AnyWork = TypeVar("AnyWork", bound=WorkRecord)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a computation leaves behind: columns of its record, and files."""

    values: dict[str, Any]
    artifacts: list[ArtifactRecord] = field(default_factory=list)


@dataclass(slots=True)
class Reporter:
    """What the computation says of itself, and what it is told. Shared with the heartbeat's thread."""

    stop: threading.Event = field(default_factory=threading.Event)
    phase: Phase | None = None
    share: float = 0.0
    timings: dict[str, float] = field(default_factory=dict)
    _since: float = field(default_factory=time.monotonic)

    def enter(self, phase: Phase) -> OnProgress:
        """Begin a phase; the callback reports its progress and raises ``Cancelled`` when told to stop."""
        self._close_phase()
        self.phase, self.share = phase, 0.0
        self._report(0.0)
        return self._report

    def leave(self) -> dict[str, float]:
        """End the last phase and give the seconds of each."""
        self._close_phase()
        return {name: round(seconds, 3) for name, seconds in self.timings.items()}

    def _close_phase(self) -> None:
        now = time.monotonic()
        if self.phase is not None:
            self.timings[self.phase] = self.timings.get(self.phase, 0.0) + now - self._since
        self._since = now

    def _report(self, share: float) -> None:
        if self.stop.is_set():
            raise Cancelled("the work was told to stop")
        self.share = min(max(share, 0.0), 1.0)


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
        with self.database.writing() as session:
            held = work.claim(session, self.kind, work_id, lease_seconds=self.settings.lease_seconds)
            session.commit()
            record = get_work(session, self.kind, work_id) if held else None
        if held is None or record is None:
            log.info("%s %s: nothing to do", self.kind.__tablename__, work_id)
            return
        log.info("%s %s: attempt %d", self.kind.__tablename__, work_id, held.attempt)
        reporter = Reporter()
        with self._heartbeat(held, reporter):
            state, outcome = self._compute(record, reporter)
            self._record(held, state, outcome, reporter)

    def _compute(self, record: AnyWork, reporter: Reporter) -> tuple[WorkState, Outcome]:
        try:
            return WorkState.SUCCEEDED, self.compute(record, reporter)
        except Cancelled:
            return WorkState.CANCELLED, Outcome({})
        except CoreError as error:
            log.info("%s %s failed: %s", self.kind.__tablename__, record.id, error.code)
            return WorkState.FAILED, explain_failure(error)
        except Exception as error:
            log.exception("%s %s failed", self.kind.__tablename__, record.id)
            return WorkState.FAILED, explain_failure(error)

    def _record(self, held: Claim, state: WorkState, outcome: Outcome, reporter: Reporter) -> None:
        phase, timings = reporter.phase, reporter.leave()
        try:
            ended = self._finish(held, state, outcome, phase=phase, timings=timings)
        except DATABASE_DOWN:
            raise
        except Exception as error:
            # A result that the database refuses would be refused every time: the record says so at once.
            log.exception("%s %s: the result cannot be recorded", self.kind.__tablename__, held.id)
            state = WorkState.FAILED
            ended = self._finish(held, state, explain_failure(error), phase=phase, timings=timings)
        if ended:
            log.info("%s %s: %s", self.kind.__tablename__, held.id, state)
        else:
            log.warning("%s %s: attempt %d lost its lease", self.kind.__tablename__, held.id, held.attempt)

    def _finish(self, held: Claim, state: WorkState, outcome: Outcome, **report: Any) -> bool:  # noqa: ANN401 - columns
        """Write the end of the work; a database that is away is waited for as long as a lease runs."""
        patience = Retrying(
            retry=retry_if_exception_type(DATABASE_DOWN),
            wait=wait_exponential(multiplier=0.1, max=2.0),
            stop=stop_after_delay(self.settings.lease_seconds),
            reraise=True,
        )
        for attempt in patience:
            with attempt, self.database.writing() as session:
                ended = work.finish(session, held, state, **report, **outcome.values)
                if ended:
                    session.add_all(outcome.artifacts)
                session.commit()
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
        while not done.wait(self.settings.heartbeat_seconds):
            try:
                with self.database.writing() as session:
                    cancel_requested = work.renew(
                        session,
                        held,
                        lease_seconds=self.settings.lease_seconds,
                        phase=reporter.phase,
                        progress=reporter.share,
                    )
                    session.commit()
            except Exception:
                log.warning("%s: heartbeat failed", held.id, exc_info=True)
                continue
            if cancel_requested is None or cancel_requested:
                # Told to stop, or no longer ours: either way nobody waits for this result.
                reporter.stop.set()
                return


def explain_failure(error: Exception) -> Outcome:
    """An error as the record keeps it: a stable code, and a sentence that a user can act on."""
    if isinstance(error, CoreError):
        return _failure(error.code, str(error), error.field)
    if isinstance(error, BlobStoreError):
        return _failure(
            "storage_unavailable", "The results could not be stored; once the store answers, submit the job again."
        )
    if _is_out_of_memory(error):
        return _failure(
            "out_of_memory", "The worker ran out of memory: use fewer samples, or a smaller backbone or input_size."
        )
    return _failure("internal_error", "The worker made a mistake; its log has the details under the id of this record.")


def _is_out_of_memory(error: Exception) -> bool:
    """Torch says it in two ways: a subclass of RuntimeError on a GPU, and only in the text on a CPU."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in str(error)
    )


def _failure(code: str, message: str, at: str | None = None) -> Outcome:
    return Outcome({"error": {"code": code, "message": message, "field": at}})
