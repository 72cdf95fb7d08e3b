"""However a computation ends, its record says so, on both databases."""

import threading
import time

import pytest
import torch
from sqlalchemy.exc import OperationalError

from app.settings import Settings
from app.states import WorkState
from app.store import work
from app.store.blobs import BlobStoreError
from app.store.datasets import add_dataset
from app.store.jobs import Origin
from app.store.records import DatasetRecord
from ot3l_core.errors import CorruptImageError
from ot3l_core.names import Phase
from worker.lifecycle import Lifecycle, Outcome

ORIGIN = Origin("local")

FAST = Settings(heartbeat_seconds=0.02, lease_seconds=10.0)


@pytest.fixture
def work_id(database):
    with database.writing() as session:
        record = add_dataset(session, ORIGIN, name="digits", request={})
        session.commit()
        return record.id


def run(database, work_id, compute, settings=FAST):
    Lifecycle(database, settings, DatasetRecord, compute).run(work_id)
    with database.reading() as session:
        return session.get(DatasetRecord, work_id)


def wait_until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_result_is_recorded_with_its_timings(database, work_id):
    def compute(record, reporter):
        reporter.enter(Phase.READING)(0.5)
        reporter.enter(Phase.SAVING)
        return Outcome({"digest": "d" * 64, "result": {"id": str(record.id)}})

    record = run(database, work_id, compute)
    assert (record.state, record.attempt) == (WorkState.SUCCEEDED, 1)
    assert record.result == {"id": str(work_id)}
    assert set(record.timings) == {"reading", "saving"}
    assert (record.phase, record.progress) == ("saving", 1.0)
    assert record.lease_expires_at is None
    assert record.finished_at >= record.started_at


def test_work_that_is_done_is_not_done_again(database, work_id):
    calls = []

    def compute(record, reporter):
        calls.append(record.id)
        return Outcome({})

    run(database, work_id, compute)
    run(database, work_id, compute)
    assert calls == [work_id]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CorruptImageError("'a.png' is no image", field="path"), "corrupt_image"),
        (MemoryError(), "out_of_memory"),
        (torch.OutOfMemoryError("CUDA out of memory"), "out_of_memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "out_of_memory"),
        (RuntimeError("secret detail"), "internal_error"),
        (BlobStoreError("secret detail"), "storage_unavailable"),
        (ZeroDivisionError("secret detail"), "internal_error"),
    ],
)
def test_an_error_becomes_a_stable_code_and_a_sentence(database, work_id, error, code):
    def compute(record, reporter):
        raise error

    record = run(database, work_id, compute)
    assert record.state == WorkState.FAILED
    assert record.error["code"] == code
    assert len(record.error["message"]) > 10
    assert "secret" not in record.error["message"]


def test_progress_is_seen_while_the_work_runs(database, work_id):
    def seen():
        with database.reading() as session:
            record = session.get(DatasetRecord, work_id)
            return (record.phase, record.progress) == ("embedding", 0.25)

    def compute(record, reporter):
        reporter.enter(Phase.EMBEDDING)(0.25)
        wait_until(seen)
        return Outcome({})

    assert run(database, work_id, compute).state == WorkState.SUCCEEDED


def test_a_request_to_cancel_stops_the_work(database, work_id):
    started = threading.Event()

    def compute(record, reporter):
        on_progress = reporter.enter(Phase.TRAINING)
        started.set()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            on_progress(0.1)
            time.sleep(0.005)
        return Outcome({})

    def cancel():
        started.wait()
        with database.writing() as session:
            work.cancel(session, DatasetRecord, work_id)
            session.commit()

    canceller = threading.Thread(target=cancel)
    canceller.start()
    record = run(database, work_id, compute)
    canceller.join()
    assert (record.state, record.result) == (WorkState.CANCELLED, None)


def test_a_worker_that_lost_its_lease_writes_nothing(database, work_id):
    short = FAST.model_copy(update={"lease_seconds": 0.05, "heartbeat_seconds": 60.0})

    def slow(record, reporter):
        time.sleep(0.2)
        second = run(database, work_id, lambda *_: Outcome({"result": {"by": "second"}}))
        assert second.attempt == 2
        return Outcome({"result": {"by": "first"}})

    assert run(database, work_id, slow, short).result == {"by": "second"}


def test_a_lease_that_is_taken_stops_the_first_worker(database, work_id):
    def compute(record, reporter):
        on_progress = reporter.enter(Phase.TRAINING)
        with database.writing() as session:
            session.get(DatasetRecord, work_id).attempt += 1
            session.commit()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            on_progress(0.1)
            time.sleep(0.005)
        return Outcome({"result": {}})

    record = run(database, work_id, compute)
    assert (record.state, record.attempt, record.result) == (WorkState.RUNNING, 2, None)


def test_a_result_that_cannot_be_stored_fails_at_once(database, work_id):
    record = run(database, work_id, lambda *_: Outcome({"result": {"not": object()}}))
    assert (record.state, record.attempt, record.error["code"]) == (WorkState.FAILED, 1, "internal_error")


def test_a_result_waits_for_a_database_that_is_away(database, work_id, monkeypatch):
    away = [OperationalError("away", None, ConnectionError()), OperationalError("away", None, ConnectionError())]

    def finish(*arguments, **values):
        if away:
            raise away.pop()
        return work_finish(*arguments, **values)

    work_finish = work.finish
    monkeypatch.setattr(work, "finish", finish)
    record = run(database, work_id, lambda *_: Outcome({"result": {"kept": True}}))
    assert (record.state, record.result) == (WorkState.SUCCEEDED, {"kept": True})
    assert not away
