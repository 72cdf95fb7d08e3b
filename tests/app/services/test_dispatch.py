"""Lost messages and dead workers are found; long queues are left alone."""

import time
from uuid import UUID

import pytest

from app.errors import UnavailableError
from app.queue import TaskName
from app.services.dispatch import sweep
from app.states import WorkState
from app.store import work
from app.store.records import DatasetRecord


@pytest.fixture
def eager(settings):
    return settings.model_copy(update={"requeue_seconds": 0.02})


@pytest.fixture
def queued(client, queue):
    """Three datasets that wait for inspection."""
    return [
        UUID(client.post("/datasets", json={"format": "builtin", "dataset": "digits", "name": name}).json()["id"])
        for name in ("a", "b", "c")
    ]


def test_messages_that_were_lost_are_sent_again_once(service_database, queue, eager, queued):
    queue.messages.clear()
    time.sleep(0.05)
    assert sweep(service_database, queue, eager) == 3
    assert queue.messages == [(TaskName.INSPECT_DATASET, work_id) for work_id in queued]
    time.sleep(0.05)
    assert sweep(service_database, queue, eager) == 0


def test_a_queue_that_is_only_long_is_left_alone(service_database, queue, eager, queued):
    time.sleep(0.05)
    assert sweep(service_database, queue, eager) == 0
    del queue.messages[0]
    assert sweep(service_database, queue, eager) == 1


def test_young_messages_are_not_taken_for_lost(service_database, queue, settings, queued):
    queue.messages.clear()
    assert sweep(service_database, queue, settings) == 0


def test_work_of_a_silent_worker_is_sent_again(service_database, queue, settings, queued):
    queue.messages.clear()
    with service_database.writing() as session:
        work.claim(session, DatasetRecord, queued[0], lease_seconds=0.01)
        work.claim(session, DatasetRecord, queued[1], lease_seconds=60)
        session.commit()
    time.sleep(0.05)
    assert sweep(service_database, queue, settings) == 1
    assert queue.messages == [(TaskName.INSPECT_DATASET, queued[0])]
    with service_database.reading() as session:
        assert session.get(DatasetRecord, queued[0]).state == WorkState.QUEUED


def test_a_broker_that_is_down_loses_nothing(service_database, queue, eager, queued):
    queue.messages.clear()
    time.sleep(0.05)
    queue.down = True
    with pytest.raises(UnavailableError):
        sweep(service_database, queue, eager)
    queue.down = False
    assert sweep(service_database, queue, eager) == 3
