"""Lists against a sort and a filter in plain Python, on both databases."""

import datetime as dt
from operator import itemgetter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from app.states import WorkState
from app.store.datasets import add_dataset
from app.store.jobs import Origin, add_distance, add_job, add_selection
from app.store.listing import Filters, Order, Position, find_shown, list_shown
from app.store.records import (
    DatasetArtifactRecord,
    DatasetRecord,
    DistanceArtifactRecord,
    DistanceRecord,
    JobArtifactRecord,
    JobRecord,
    SelectionRecord,
)

BEGAN = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
OWNER = "mine"
NEWEST = Order("created_at", descending=True)
TAGS = ("a", "A", 'quo"te', "über")
NAMES = (None, "trial", "Trial 7", "trial 7", "über")
MANY = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def add_jobs(session):
    """Jobs of which several were made, and have ended, at the same moment."""
    near, far = (add_dataset(session, Origin(OWNER), name=name, request={"format": "zip"}) for name in ("near", "far"))
    for number in range(30):
        record = add_job(
            session,
            Origin(OWNER if number % 10 else "somebody else"),
            target=far if number % 3 else near,
            source=near if number % 2 else None,
            request={"strategy": ("mixed", "uniform")[number % 2], "alpha": 0.5},
            described={"name": NAMES[number % 5], "tags": list(TAGS[: number % 5]), "notes": {"n": str(number)}},
        )
        record.state = list(WorkState)[number % 5]
        record.created_at = BEGAN + dt.timedelta(microseconds=1000 * (number // 4))
        if WorkState(record.state).is_terminal:
            record.finished_at = BEGAN + dt.timedelta(days=number % 4)
    session.commit()
    return near.id


@pytest.fixture
def stored(database):
    with database.writing() as session:
        near = add_jobs(session)
        session.add_all(
            [
                JobArtifactRecord(job_id=job.id, name=name, key="k", size=1 << 40, sha256="0" * 64, media_type="a/b")
                for job in session.query(JobRecord).limit(3)
                for name in ("b.csv", "a.csv")
            ]
        )
        session.commit()
        everything = session.query(JobRecord).filter_by(owner=OWNER).all()
    return database, near, everything


def wanted(record, near, filters):
    created, name = record.created_at, record.name
    return (
        (not filters.states or record.state in filters.states)
        and (filters.created_after is None or created > filters.created_after)
        and (filters.created_before is None or created < filters.created_before)
        and set(filters.tags) <= set(record.tags)
        and (filters.name_prefix is None or (name is not None and name.startswith(filters.name_prefix)))
        and filters.strategy in {None, record.strategy}
        and (filters.target_id is None or record.target_id == near)
    )


moments = st.none() | st.integers(0, 9).map(lambda step: BEGAN + dt.timedelta(microseconds=1000 * step))


@MANY
@given(
    states=st.lists(st.sampled_from(list(WorkState)), unique=True, max_size=4).map(tuple),
    after=moments,
    before=moments,
    tags=st.lists(st.sampled_from([*TAGS, "none"]), unique=True, max_size=2).map(tuple),
    prefix=st.sampled_from([None, None, "t", "T", "trial", "ü", "x"]),
    strategy=st.sampled_from([None, None, "uniform"]),
    targeted=st.booleans(),
    order=st.builds(Order, st.sampled_from(["created_at", "finished_at"]), descending=st.booleans()),
    limit=st.integers(1, 9),
)
def test_pages_are_what_a_filter_and_a_sort_give(
    stored, *, states, after, before, tags, prefix, strategy, targeted, order, limit
):
    database, near, everything = stored
    filters = Filters(states, after, before, tags, prefix, strategy, target_id=near if targeted else None)
    expected = [record for record in everything if wanted(record, near, filters)]
    expected = [record for record in expected if getattr(record, order.key) is not None]
    expected.sort(key=lambda record: (getattr(record, order.key), record.id), reverse=order.descending)
    seen, position = [], None
    with database.reading() as session:
        while True:
            page = list_shown(session, JobRecord, OWNER, filters, order, after=position, limit=limit)
            assert len(page) <= limit
            seen += page
            if len(page) < limit:
                break
            position = Position(page[-1][order.key], page[-1]["id"])
    assert [shown["id"] for shown in seen] == [record.id for record in expected]


def test_one_query_shows_all_that_a_record_has(stored):
    database, _, everything = stored
    statements = []
    event.listen(database.reading.kw["bind"], "before_cursor_execute", lambda *call: statements.append(call[2]))
    for record in everything:
        statements.clear()
        with database.reading() as session:
            shown = find_shown(session, JobRecord, OWNER, record.id)
            assert len([statement for statement in statements if statement.startswith("SELECT")]) == 1
            again = session.get(JobRecord, record.id)
        for name in ("id", "state", "request", "tags", "notes", "name", "created_at", "finished_at", "result", "alpha"):
            assert shown[name] == getattr(again, name), name
        assert shown["target"] == again.target.name
        assert shown["source"] == (again.source.name if again.source else None)
        assert [(file["name"], file["size"]) for file in shown["artifacts"]] == [
            (file.name, file.size) for file in again.artifacts
        ]
    assert any(shown["artifacts"] for shown in _all(database))


def _all(database):
    with database.reading() as session:
        return list_shown(session, JobRecord, OWNER, Filters(), NEWEST, after=None, limit=100)


def test_nobody_is_shown_what_is_anothers(stored):
    database, _, everything = stored
    with database.reading() as session:
        assert find_shown(session, JobRecord, "somebody else", everything[0].id) is None
        theirs = list_shown(session, JobRecord, "somebody else", Filters(), NEWEST, after=None, limit=100)
    assert len(theirs) == 3
    assert not {shown["id"] for shown in theirs} & {record.id for record in everything}


def test_the_other_kinds_of_work_are_shown_as_well(database):
    with database.writing() as session:
        names = ("first", "second", "third")
        datasets = [add_dataset(session, Origin(OWNER), name=name, request={"labelled": False}) for name in names]
        order = [datasets[2], datasets[0], datasets[2], datasets[1]]
        distance = add_distance(session, Origin(OWNER), kind="matrix", datasets=order, request={})
        other = add_distance(session, Origin(OWNER), kind="pair", datasets=datasets[:2], request={})
        file = {"key": "k", "size": 1, "sha256": "0" * 64, "media_type": "a/b"}
        datasets[0].artifacts += [DatasetArtifactRecord(name=name, **file) for name in "ba"]
        distance.artifacts.append(DistanceArtifactRecord(name="m", key="k", size=1, sha256="0" * 64, media_type="a/b"))
        selection = add_selection(session, Origin(OWNER), target=datasets[1], source=None, request={})
        session.commit()
    with database.reading() as session:
        shown = find_shown(session, DistanceRecord, OWNER, distance.id)
        assert shown["datasets"] == ["third", "first", "third", "second"]
        assert list(map(itemgetter("name"), shown["artifacts"])) == ["m"]
        third = Filters(dataset_id=datasets[2].id)
        assert [
            row["id"] for row in list_shown(session, DistanceRecord, OWNER, third, NEWEST, after=None, limit=9)
        ] == [distance.id]
        first = Filters(dataset_id=datasets[0].id)
        found = list_shown(session, DistanceRecord, OWNER, first, NEWEST, after=None, limit=9)
        assert {row["id"] for row in found} == {distance.id, other.id}
        registered = list_shown(session, DatasetRecord, OWNER, Filters(), NEWEST, after=None, limit=9)
        files = {row["name"]: list(map(itemgetter("name"), row["artifacts"])) for row in registered}
        assert files == {"first": ["a", "b"], "second": [], "third": []}
        assert not find_shown(session, DatasetRecord, OWNER, datasets[0].id)["labelled"]
        assert (find_shown(session, SelectionRecord, OWNER, selection.id)["target"]) == "second"
