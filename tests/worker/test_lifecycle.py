"""However a computation ends, its record says so, on both databases."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import torch
from sqlalchemy.exc import OperationalError

from app.settings import Settings
from app.states import EventKind, WorkState
from app.store import work
from app.store.blobs import BlobStoreError
from app.store.datasets import add_dataset
from app.store.events import read_page
from app.store.jobs import Origin
from app.store.records import DatasetRecord
from ot3l_core.errors import CorruptImageError
from ot3l_core.names import Phase
from ot3l_core.progress import EpochReport
from worker import leaving
from worker.lifecycle import STOPPED_HARD, Lifecycle, Outcome
from worker.scratch import discard_scratch

ORIGIN = Origin("local")


@pytest.fixture
def fast(tmp_path):
    return Settings(data_dir=tmp_path, heartbeat_seconds=0.02, lease_seconds=10.0)


@pytest.fixture
def work_id(database):
    with database.writing() as session:
        record = add_dataset(session, ORIGIN, name="digits", request={})
        session.commit()
        return record.id


@pytest.fixture
def run(database, fast, work_id):
    def run_here(compute, **other):
        settings = fast.model_copy(update=other)
        Lifecycle(database, settings, DatasetRecord, compute).run(work_id)
        return read(database, work_id)

    return run_here


def read(database, work_id):
    with database.reading() as session:
        return session.get(DatasetRecord, work_id)


def events_of(database, work_id):
    with database.reading() as session:
        return read_page(session, DatasetRecord, work_id, after=0, limit=10_000).events


def states_of(database, work_id):
    return [event.body["state"] for event in events_of(database, work_id) if event.kind is EventKind.STATE]


def until_stopped(record, reporter):
    on_progress = reporter.enter(Phase.TRAINING)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        on_progress(0.1)
        time.sleep(0.005)
    return Outcome({"result": {"stopped": False}})


def wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_result_is_recorded_with_its_timings(database, work_id, run):
    def compute(record, reporter):
        reporter.enter(Phase.READING)(0.5)
        reporter.enter(Phase.SAVING)
        return Outcome({"digest": "d" * 64, "result": {"id": str(record.id)}})

    record = run(compute)
    assert (record.state, record.attempt) == (WorkState.SUCCEEDED, 1)
    assert record.result == {"id": str(work_id)}
    assert set(record.timings) == {"reading", "saving"}
    assert (record.phase, record.progress) == ("saving", 1.0)
    assert record.lease_expires_at is None
    assert record.finished_at >= record.started_at


def test_work_that_is_done_is_not_done_again(database, work_id, run):
    calls = []

    def compute(record, reporter):
        calls.append(record.id)
        return Outcome({})

    run(compute)
    run(compute)
    assert calls == [work_id]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CorruptImageError("'a.png' is no image", field="path"), "corrupt_image"),
        (MemoryError(), "out_of_memory"),
        (torch.OutOfMemoryError("CUDA out of memory"), "out_of_memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "out_of_memory"),
        (RuntimeError("secret detail"), "internal_error"),
        (ZeroDivisionError("secret detail"), "internal_error"),
    ],
)
def test_an_error_becomes_a_stable_code_and_a_sentence(database, work_id, run, error, code):
    def compute(record, reporter):
        raise error

    record = run(compute)
    assert record.state == WorkState.FAILED
    assert record.error["code"] == code
    assert len(record.error["message"]) > 10
    assert "secret" not in record.error["message"]


def test_progress_is_seen_while_the_work_runs(database, work_id, run):
    def seen():
        with database.reading() as session:
            record = session.get(DatasetRecord, work_id)
            return (record.phase, record.progress) == ("embedding", 0.25)

    def compute(record, reporter):
        reporter.enter(Phase.EMBEDDING)(0.25)
        wait_until(seen)
        return Outcome({})

    assert run(compute).state == WorkState.SUCCEEDED


def test_a_request_to_cancel_stops_the_work(database, work_id, run):
    def cancelled(record, reporter):
        with database.writing() as session:
            work.cancel(session, DatasetRecord, work_id)
            session.commit()
        return until_stopped(record, reporter)

    record = run(cancelled)
    assert (record.state, record.result) == (WorkState.CANCELLED, None)
    assert set(record.timings) == {"training"}


def test_a_worker_that_lost_its_lease_writes_nothing(database, work_id, run):
    def slow(record, reporter):
        reporter.enter(Phase.READING)
        time.sleep(0.2)
        second = run(lambda *_: Outcome({"result": {"by": "second"}}))
        assert second.attempt == 2
        reporter.enter(Phase.SAVING)
        return Outcome({"result": {"by": "first"}})

    assert run(slow, lease_seconds=0.05, heartbeat_seconds=60.0).result == {"by": "second"}
    assert states_of(database, work_id) == ["queued", "running", "running", "succeeded"]
    assert all(event.kind is not EventKind.PHASE for event in events_of(database, work_id))


def test_a_lease_that_is_taken_stops_the_first_worker(database, work_id, run):
    def compute(record, reporter):
        with database.writing() as session:
            session.get(DatasetRecord, work_id).attempt += 1
            session.commit()
        return until_stopped(record, reporter)

    record = run(compute)
    assert (record.state, record.attempt, record.result) == (WorkState.RUNNING, 2, None)


def test_a_result_that_cannot_be_stored_fails_at_once(database, work_id, run):
    record = run(lambda *_: Outcome({"result": {"not": object()}}))
    assert (record.state, record.attempt, record.error["code"]) == (WorkState.FAILED, 1, "internal_error")


def test_a_result_waits_for_a_database_that_is_away(database, work_id, run, monkeypatch):
    away = [OperationalError("away", None, ConnectionError()), OperationalError("away", None, ConnectionError())]

    def finish(*arguments, **values):
        if away:
            raise away.pop()
        return work_finish(*arguments, **values)

    work_finish = work.finish
    monkeypatch.setattr(work, "finish", finish)
    record = run(lambda *_: Outcome({"result": {"kept": True}}))
    assert (record.state, record.result) == (WorkState.SUCCEEDED, {"kept": True})
    assert not away


def test_everything_that_happens_is_told_in_order_and_once(database, work_id, run, caplog):
    caplog.set_level("INFO")
    epochs = [
        EpochReport(
            phase=Phase.TRAINING,
            seed=seed,
            alpha=None,
            epoch=epoch,
            train_loss=1.0 / epoch,
            validation_loss=float("nan"),
            validation_accuracy=None,
        )
        for seed in (0, 1)
        for epoch in range(1, 21)
    ]

    def compute(record, reporter):
        reporter.enter(Phase.EMBEDDING)
        on_progress = reporter.enter(Phase.TRAINING)
        for number, epoch in enumerate(epochs):
            reporter.tell_epoch(epoch)
            on_progress(number / len(epochs))
            time.sleep(0.002)
        return Outcome({"result": {}})

    record = run(compute)
    events = events_of(database, work_id)
    assert [event.number for event in events] == list(range(1, record.last_event + 1))
    assert states_of(database, work_id) == ["queued", "running", "succeeded"]
    assert events[-1].body == {"state": "succeeded"}
    told = [event.body for event in events if event.kind is EventKind.EPOCH]
    assert [(body["seed"], body["epoch"]) for body in told] == [(epoch.seed, epoch.epoch) for epoch in epochs]
    assert told[0] == {
        "phase": "training",
        "seed": 0,
        "alpha": None,
        "epoch": 1,
        "train_loss": 1.0,
        "validation_loss": None,
        "validation_accuracy": None,
    }
    assert [event.body["phase"] for event in events if event.kind is EventKind.PHASE] == ["embedding", "training"]
    shares = [event.body["progress"] for event in events if event.kind is EventKind.PROGRESS]
    assert shares == sorted(shares)
    assert len(shares) <= 20
    assert any("attempt 1" in event.body["message"] for event in events if event.kind is EventKind.LOG)


def test_news_wait_for_a_database_that_is_away(database, work_id, run, monkeypatch):
    away = [OperationalError("away", None, ConnectionError()) for _ in range(3)]
    work_renew = work.renew

    def renew(*arguments, **values):
        if away:
            raise away.pop()
        return work_renew(*arguments, **values)

    monkeypatch.setattr(work, "renew", renew)

    def compute(record, reporter):
        reporter.enter(Phase.EMBEDDING)
        wait_until(lambda: not away)
        return Outcome({})

    run(compute)
    phases = [event.body["phase"] for event in events_of(database, work_id) if event.kind is EventKind.PHASE]
    assert phases == ["embedding"]


def test_work_is_handed_over_when_the_worker_leaves(database, work_id, run):
    leaving.leave_within(0.1)
    try:
        left = run(until_stopped)
    finally:
        leaving.stay()
    assert (left.state, left.lease_expires_at, left.finished_at) == (WorkState.QUEUED, None, None)
    assert (left.attempt, left.forgiven) == (1, 1)
    with database.writing() as session:
        assert [waiting.id for waiting in work.touch_stale(session, DatasetRecord, older_than=0.0, limit=1)] == [
            work_id
        ]
        session.commit()
    again = run(lambda *_: Outcome({"result": {}}), max_attempts=1)
    assert (again.state, again.attempt) == (WorkState.SUCCEEDED, 2)
    assert states_of(database, work_id) == ["queued", "running", "queued", "running", "succeeded"]


def test_work_that_ends_in_time_is_not_handed_over(run):
    leaving.leave_within(10)
    try:
        assert run(lambda *_: Outcome({"result": {}})).state == WorkState.SUCCEEDED
    finally:
        leaving.stay()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BlobStoreError("secret detail"), "storage_unavailable"),
        (OSError(28, "secret detail"), "disk_full"),
        (RuntimeError("secret detail: No space left on device"), "disk_full"),
    ],
)
def test_what_may_pass_is_tried_again_and_not_for_ever(run, error, code):
    def compute(record, reporter):
        raise error

    first = run(compute, max_attempts=2)
    assert (first.state, first.forgiven, first.error) == (WorkState.QUEUED, 0, None)
    second = run(compute, max_attempts=2)
    assert (second.state, second.attempt, second.error["code"]) == (WorkState.FAILED, 2, code)
    assert "secret" not in second.error["message"]


def test_temporary_files_lie_in_the_attempts_own_folder_and_go_with_it(work_id, run, fast):
    left = fast.scratch / f"datasets.{work_id}.0"
    (left / "deep").mkdir(parents=True)
    seen = []

    def compute(record, reporter):
        seen.append(Path(tempfile.mkdtemp()))
        (seen[0] / "file").write_text("unfinished")
        assert not left.exists()
        raise ZeroDivisionError

    before = tempfile.gettempdir()
    assert run(compute).state == WorkState.FAILED
    assert seen[0].is_relative_to(fast.scratch)
    assert not list(fast.scratch.iterdir())
    assert tempfile.gettempdir() == before


def test_only_what_nobody_works_on_is_discarded(database, work_id, run, fast):
    stranger = fast.scratch / f"jobs.{work_id}.1"

    def compute(record, reporter):
        stranger.mkdir()
        (fast.scratch / f"datasets.{work_id}.7").mkdir()
        discard_scratch(fast.scratch, database)
        assert [folder.name for folder in fast.scratch.iterdir()] == [f"datasets.{work_id}.1"]
        return Outcome({})

    assert run(compute).state == WorkState.SUCCEEDED


DEAF = """
import sys, time
from pathlib import Path
from uuid import UUID
from app.settings import Settings
from app.store.records import DatasetRecord
from app.store.sessions import open_database
from ot3l_core.names import Phase
from worker import leaving, lifecycle

lifecycle.STOP_SECONDS = 0.3

def compute(record, reporter):
    reporter.enter(Phase.TRAINING)
    Path("started").touch()
    if "leave" in sys.argv:
        leaving.leave_within(0.3)
    time.sleep(60)

settings = Settings(data_dir=Path("data"), heartbeat_seconds=0.05, lease_seconds=10.0)
lifecycle.Lifecycle(open_database(sys.argv[1]), settings, DatasetRecord, compute).run(UUID(sys.argv[2]))
"""


@pytest.mark.parametrize(("order", "state"), [("cancel", WorkState.CANCELLED), ("leave", WorkState.QUEUED)])
def test_a_computation_that_does_not_listen_is_ended_with_its_process(
    database, database_url, work_id, tmp_path, order, state
):
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", DEAF, database_url, str(work_id), order]
    with subprocess.Popen(command, cwd=tmp_path, env=environment) as process:
        try:
            wait_until((tmp_path / "started").exists)
            if order == "cancel":
                with database.writing() as session:
                    work.cancel(session, DatasetRecord, work_id)
                    session.commit()
            assert process.wait(30) == STOPPED_HARD
        finally:
            process.kill()
    record = read(database, work_id)
    assert (record.state, record.lease_expires_at, record.result) == (state, None, None)
    assert [event.body["phase"] for event in events_of(database, work_id) if event.kind is EventKind.PHASE] == [
        "training"
    ]
    assert states_of(database, work_id)[-1] == state
    assert order == "leave" or set(record.timings) == {"training"}
