"""Deleting while others are at it, on both databases."""

import threading

import pytest

from app.states import WorkState
from app.store import deletion, work
from app.store.datasets import add_dataset
from app.store.jobs import Origin, add_selection, find_work
from app.store.records import DatasetRecord, SelectionRecord
from app.store.sessions import REFERENT_GONE

ORIGIN = Origin("ann")


@pytest.fixture
def dataset_id(database):
    with database.writing() as session:
        dataset = add_dataset(session, ORIGIN, name="digits", request={})
        session.commit()
        assert work.cancel(session, DatasetRecord, dataset.id)
        session.commit()
        return dataset.id


def in_another_thread(do):
    """Begin something that has to wait, and give what ends the waiting."""
    outcome = []
    thread = threading.Thread(target=lambda: outcome.append(do()))
    thread.start()

    def join():
        thread.join(30)
        return outcome

    return join


def test_what_is_deleted_cannot_be_referred_to_at_the_same_moment(database, dataset_id):
    with database.writing() as reader:
        dataset = find_work(reader, DatasetRecord, "ann", dataset_id)

    def refer():
        with database.writing() as session:
            try:
                target = session.merge(dataset, load=False)
                add_selection(session, ORIGIN, target=target, source=None, request={})
                session.commit()
            except REFERENT_GONE:
                return "refused"
            return "added"

    with database.writing() as session:
        assert deletion.hold(session, DatasetRecord, dataset_id) == WorkState.CANCELLED
        join = in_another_thread(refer)
        assert deletion.count_uses(session, DatasetRecord, dataset_id) == {}
        deletion.remove_work(session, DatasetRecord, dataset_id)
        session.commit()
    assert join() == ["refused"]


def test_what_is_deleted_is_not_begun_again(database, dataset_id):
    def retry():
        with database.writing() as session:
            again = work.retry(session, DatasetRecord, dataset_id)
            session.commit()
            return again

    with database.writing() as session:
        deletion.hold(session, DatasetRecord, dataset_id)
        join = in_another_thread(retry)
        deletion.remove_work(session, DatasetRecord, dataset_id)
        session.commit()
    assert join() == [False]
    with database.reading() as session:
        assert deletion.hold(session, DatasetRecord, dataset_id) is None


def test_uses_are_counted_by_kind(database, dataset_id):
    with database.writing() as session:
        dataset = find_work(session, DatasetRecord, "ann", dataset_id)
        for source in (None, dataset):
            add_selection(session, ORIGIN, target=dataset, source=source, request={})
        session.commit()
        assert deletion.count_uses(session, DatasetRecord, dataset_id) == {SelectionRecord: 2}
