"""What is durable together, and what at once."""

import pytest
from sqlalchemy import func, select

from app.store.datasets import add_dataset, find_datasets
from app.store.jobs import Origin, add_selection, insert_job
from app.store.records import DatasetRecord, JobRecord, SelectionRecord
from app.store.sessions import begin

OWNER = "local"
ORIGIN = Origin(OWNER)
REQUEST = {"strategy": "uniform", "alpha": 0.5}


@pytest.fixture
def target(database):
    with database.writing() as session:
        add_dataset(session, ORIGIN, name="target", request={})
        session.commit()


def count(database, kind):
    with database.reading() as session:
        return session.scalars(select(func.count()).select_from(kind)).one()


def add_two(session):
    found = find_datasets(session, OWNER, ["target"])["target"]
    begin(session)
    add_dataset(session, ORIGIN, name="other", request={})
    add_selection(session, ORIGIN, target=found, source=None, request={})


@pytest.mark.usefixtures("target")
def test_nothing_after_begin_is_there_before_the_commit_and_all_of_it_after(database):
    with database.submitting() as session:
        add_two(session)
        assert (count(database, DatasetRecord), count(database, SelectionRecord)) == (1, 0)
        session.commit()
    assert (count(database, DatasetRecord), count(database, SelectionRecord)) == (2, 1)


@pytest.mark.usefixtures("target")
def test_a_session_that_is_closed_after_begin_leaves_nothing(database):
    with database.submitting() as session:
        add_two(session)
    assert (count(database, DatasetRecord), count(database, SelectionRecord)) == (1, 0)


@pytest.mark.usefixtures("target")
def test_one_row_is_there_once_it_is_committed_whatever_the_connection_did_before(database):
    with database.submitting() as session:
        add_two(session)
    for number in range(1, 4):
        with database.submitting() as session:
            found = find_datasets(session, OWNER, ["target"])["target"]
            made = insert_job(session, ORIGIN, target=found, source=None, request=REQUEST)
            session.commit()
        assert count(database, JobRecord) == number
        with database.reading() as session:
            record = session.get(JobRecord, made.id)
            shown = {name: getattr(record, name) for name in made.shown if name not in {"target", "artifacts"}}
            assert shown == {name: made.shown[name] for name in shown}
            assert (record.target.name, record.artifacts) == (made.shown["target"], [])
