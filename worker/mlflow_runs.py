"""Jobs told to MLflow while they run: settings, every epoch, what was measured, and files.

A thread of its own speaks to the server, and the job never waits for it but at the end, for a bounded time. Whatever
goes wrong there is a line in the log. A job has one run, found by its tag, however many attempts it takes.
"""

import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import urlsplit

from app.schemas.jobs import JobCreate, JobResult
from app.schemas.mlflow import MlflowCreate, MlflowRun
from app.settings import Settings
from app.store.records import JobRecord
from ot3l_core.errors import Cancelled, TrackingUnavailableError
from ot3l_core.progress import EpochReport
from worker.job_files import CHECKPOINT
from worker.lifecycle import Outcome
from worker.mlflow_words import Value, metrics_of_epoch, metrics_of_result, params_of
from worker.resources import Resources
from worker.telling import Order, Reporter

if TYPE_CHECKING:
    from mlflow.entities import Metric
    from mlflow.tracking import MlflowClient

log = logging.getLogger(__name__)
# The owner of a job sees the worker's lines; an address of the operator's is none of them.
_for_the_operator = logging.getLogger("mlflow_runs")

_CREDENTIALS: Final = re.compile(r"//[^/@\s]+@")
JOB_TAG: Final = "ot3l.job"
FILES: Final = ("model_card.md", "report.png", "selection.csv")
_ENDING_SECONDS: Final = 1.0
"""How long work that failed or was cancelled waits: less than it may take to stop."""
_LOOK_SECONDS: Final = 0.1
_MOST_AT_ONCE: Final = 500
_DEFAULTS: Final = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}

_Saying: TypeAlias = Callable[["MlflowClient", str], None]


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What is known of a run before it begins.

    Attributes:
        uri: The tracking server.
        experiment: Its name.
        run_name: The run's.
        job: The job's id.
        tags: What the run is found and filtered by.
        params: The job's settings.
    """

    uri: str
    experiment: str
    run_name: str
    job: str
    tags: dict[str, str]
    params: dict[str, str]


@dataclass(slots=True, eq=False)
class Teller:
    """Tells one run from a thread of its own.

    Attributes:
        facts: What is known of it.
        where: The run, once it is there.
    """

    facts: RunFacts
    where: MlflowRun | None = None
    _waiting: "SimpleQueue[Value | None]" = field(default_factory=SimpleQueue)
    _last: _Saying | None = None
    _given_up: threading.Event = field(default_factory=threading.Event)
    _done: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Begin."""
        target = copy_context().run
        threading.Thread(target=target, args=(self._work,), name=f"mlflow-{self.facts.job}", daemon=True).start()

    def tell_epoch(self, report: EpochReport) -> None:
        """Tell of an epoch, some time later."""
        if not self._done.is_set():
            for value in metrics_of_epoch(report, at=_now()):
                self._waiting.put(value)

    def end(self, last: _Saying | None, *, seconds: float, while_waiting: Callable[[], None] = lambda: None) -> None:
        """Say what is to be said last, and wait for it no longer than that.

        Args:
            last: What to say; None for nothing.
            seconds: How long to wait.
            while_waiting: Called ten times a second; may raise.
        """
        self._last = last
        self._waiting.put(None)
        until = time.monotonic() + seconds
        try:
            while not self._done.wait(min(_LOOK_SECONDS, max(until - time.monotonic(), 0.0))):
                while_waiting()
                if time.monotonic() >= until:
                    log.warning("MLflow has not taken everything within %g s: the job goes on without", seconds)
                    return
        finally:
            # From here on the thread is of no work, and silent.
            self._given_up.set()

    def _work(self) -> None:
        try:
            client, run_id = self._open()
            while (values := self._next()) is not None:
                client.log_batch(run_id, metrics=_metrics(values))
            if self._last is not None and not self._given_up.is_set():
                self._last(client, run_id)
        except Exception as error:  # noqa: BLE001 - a client of the network raises whatever it meets
            if not self._given_up.is_set():
                log.warning("MLflow cannot be told (%s): the job goes on without", type(error).__name__)
                _for_the_operator.warning("job %s: %s", self.facts.job, _CREDENTIALS.sub("//", str(error)))
        finally:
            self._done.set()

    def _next(self) -> Sequence[Value] | None:
        """What waits, at most so much; None once there is no more."""
        first = self._waiting.get()
        if first is None or self._given_up.is_set():
            return None
        values = [first]
        while len(values) < _MOST_AT_ONCE and not self._waiting.empty():
            value = self._waiting.get()
            if value is None:
                self._waiting.put(None)
                break
            values.append(value)
        return values

    def _open(self) -> "tuple[MlflowClient, str]":
        for name, value in _DEFAULTS.items():
            os.environ.setdefault(name, value)
        from mlflow.entities import Param, RunTag  # noqa: PLC0415 - optional
        from mlflow.tracking import MlflowClient  # noqa: PLC0415

        client = MlflowClient(tracking_uri=self.facts.uri)
        experiment_id = _experiment(client, self.facts.experiment)
        found = client.search_runs([experiment_id], f"tags.`{JOB_TAG}` = '{self.facts.job}'", max_results=1)
        if found:
            run_id = found[0].info.run_id
            client.update_run(run_id, status="RUNNING")
        else:
            run_id = client.create_run(experiment_id, run_name=self.facts.run_name, tags=self.facts.tags).info.run_id
        client.log_batch(
            run_id,
            params=[Param(name, value) for name, value in self.facts.params.items()],
            tags=[RunTag(name, value) for name, value in self.facts.tags.items()],
        )
        self.where = MlflowRun(
            run_id=run_id, experiment_id=experiment_id, url=_page(self.facts.uri, experiment_id, run_id)
        )
        if not self._given_up.is_set():
            log.info("MLflow: run %s of experiment %s", run_id, experiment_id)
        return client, run_id


@contextmanager
def told_to_mlflow(
    record: JobRecord, request: JobCreate, settings: Settings, reporter: Reporter
) -> Iterator[Teller | None]:
    """Tell MLflow of the epochs meanwhile, if the job asks for it; a job that does not succeed is told as such.

    Raises:
        TrackingUnavailableError: If the package for it is not installed.
    """
    if request.mlflow is None:
        yield None
        return
    if not settings.mlflow_uri:
        log.warning("this worker has no MLflow to tell (OT3L_MLFLOW_URI)")
        yield None
        return
    if find_spec("mlflow") is None:
        raise TrackingUnavailableError(
            "this worker cannot tell MLflow, for it lacks mlflow-skinny: leave mlflow out, or ask the operator",
            field="mlflow",
        )
    teller = Teller(_facts(record, request, request.mlflow, settings))
    teller.start()
    reporter.listeners.append(teller.tell_epoch)
    try:
        yield teller
    except Cancelled:
        # Handed over or lost, another attempt goes on in the same run.
        teller.end(_ended("KILLED") if reporter.order is Order.CANCEL else None, seconds=_ENDING_SECONDS)
        raise
    except Exception:
        teller.end(_ended("FAILED"), seconds=_ENDING_SECONDS)
        raise


def tell_outcome(run: Teller, outcome: Outcome, request: JobCreate, here: Resources, reporter: Reporter) -> Outcome:
    """Tell what was measured, with files, and put into the result where it was told.

    Raises:
        Cancelled: When told to stop.
    """
    result = JobResult.model_validate(outcome.values["result"])
    wanted = {*FILES, *([CHECKPOINT] if request.mlflow and request.mlflow.checkpoint else [])}
    files = [(file.name, file.key, file.size) for file in outcome.artifacts if file.name in wanted]

    def say(client: "MlflowClient", run_id: str) -> None:
        client.log_batch(run_id, metrics=_metrics(metrics_of_result(result, at=_now())))
        with TemporaryDirectory(prefix="ot3l-") as folder:
            for name, key, size in files:
                path = Path(folder) / name
                path.write_bytes(here.blobs.read(key, size))
                client.log_artifact(run_id, str(path))
        client.set_terminated(run_id, "FINISHED")

    run.end(say, seconds=here.settings.mlflow_seconds, while_waiting=reporter.stop_if_told)
    if run.where is None:
        return outcome
    told = outcome.values["result"] | {"mlflow": run.where.model_dump(mode="json")}
    return replace(outcome, values=outcome.values | {"result": told})


def _facts(record: JobRecord, request: JobCreate, asked: MlflowCreate, settings: Settings) -> RunFacts:
    tags = {
        JOB_TAG: str(record.id),
        "ot3l.attempt": str(record.attempt),
        "ot3l.dataset": record.target.name,
        "ot3l.dataset_digest": record.target.digest or "",
    }
    return RunFacts(
        uri=settings.mlflow_uri,
        experiment=asked.experiment,
        run_name=asked.run_name or record.name or str(record.id),
        job=str(record.id),
        tags=tags,
        params=params_of(request),
    )


def _ended(state: str) -> _Saying:
    return lambda client, run_id: client.set_terminated(run_id, state)


def _experiment(client: "MlflowClient", name: str) -> str:
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - optional

    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    try:
        return str(client.create_experiment(name))
    except MlflowException:
        # Another worker may have been faster.
        found = client.get_experiment_by_name(name)
        if found is None:
            raise
        return str(found.experiment_id)


def _metrics(values: Sequence[Value]) -> "list[Metric]":
    from mlflow.entities import Metric  # noqa: PLC0415 - optional

    return [Metric(value.name, value.number, value.at, value.step) for value in values]


def _page(uri: str, experiment_id: str, run_id: str) -> str | None:
    """The run's page on a server, without what the operator may have put before its name."""
    parts = urlsplit(uri)
    if parts.scheme not in {"http", "https"} or parts.hostname is None:
        return None
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path.rstrip('/')}/#/experiments/{experiment_id}/runs/{run_id}"


def _now() -> int:
    return int(time.time() * 1000)
