"""The migrations make what the records say, and take it back, with what is stored."""

import datetime as dt
import uuid

import pytest
from sqlalchemy import MetaData, create_engine, inspect, select
from sqlalchemy.exc import IntegrityError

from alembic import command
from app.store.datasets import find_dataset
from app.store.jobs import Origin, add_distance, add_job, add_selection, get_work
from app.store.listing import Filters, Order, list_shown
from app.store.migrations import migrate, migration_config
from app.store.records import (
    DatasetArtifactRecord,
    DatasetRecord,
    DistanceArtifactRecord,
    DistanceRecord,
    JobManifestRecord,
    JobRecord,
    SelectionArtifactRecord,
)
from app.store.sessions import open_database

ORIGIN = Origin("local")
NEWEST = Order("created_at", descending=True)
LATER = {"selections", "selection_artifacts", "job_manifests", "events", "api_keys", "idempotency_keys"}
LATER |= {"dataset_artifacts", "uploads", "upload_parts", "webhooks", "webhook_deliveries", "chores"}

MOMENT = dt.datetime(2025, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
PAIR, JOB, NEAR, FAR = (uuid.UUID(int=number) for number in range(1, 5))


@pytest.fixture
def opened(empty_database_url):
    made = open_database(empty_database_url)
    yield made
    made.close()


def tables_of(url):
    engine = create_engine(url)
    names = set(inspect(engine).get_table_names()) - {"alembic_version"}
    engine.dispose()
    return names


def work_row(work_id, **more):
    moments = dict.fromkeys(("enqueued_at", "created_at"), MOMENT)
    fixed = {"progress": 1.0, "attempt": 1, "cancel_requested": False, "request": {"seed": 3}, "result": {"n": [1, 2]}}
    return {"id": work_id, "state": "succeeded"} | moments | fixed | more


def fill_first_revision(database):
    """Two datasets, a distance and a job with a file, as revision 0001 stores them."""
    with database.engine.begin() as connection:
        tables = MetaData()
        tables.reflect(connection)
        native = database.engine.dialect.name == "postgresql"

        def add(table, row):
            row = {
                name: value if native or not isinstance(value, uuid.UUID) else value.hex for name, value in row.items()
            }
            row = {
                name: value if native or value != MOMENT else MOMENT.replace(tzinfo=None) for name, value in row.items()
            }
            connection.execute(tables.tables[table].insert().values(row))

        add("datasets", work_row(NEAR, name="near", digest="0" * 64))
        add("datasets", work_row(FAR, name="far", digest="1" * 64))
        add("distances", work_row(PAIR, source_id=FAR, target_id=NEAR))
        add("jobs", work_row(JOB, strategy="mixed", alpha=0.5, target_id=NEAR, source_id=None))
        add(
            "artifacts",
            {"job_id": JOB, "name": "a.csv", "key": "jobs/a", "size": 7, "sha256": "2" * 64, "media_type": "text/csv"},
        )


def distances_of(database):
    with database.engine.connect() as connection:
        tables = MetaData()
        tables.reflect(connection)
        return connection.execute(select(tables.tables["distances"])).mappings().all()


def spoil_a_state(database):
    with database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE distances SET state = 'asleep'")


def test_upgrading_makes_exactly_the_records(empty_database_url):
    migrate(empty_database_url)
    command.check(migration_config(empty_database_url))
    made = {"datasets", "distances", "distance_datasets", "distance_artifacts", "jobs", "artifacts"}
    assert tables_of(empty_database_url) == made | LATER


def test_downgrading_leaves_nothing_and_upgrading_again_works(empty_database_url):
    migrate(empty_database_url)
    command.downgrade(migration_config(empty_database_url), "base")
    assert tables_of(empty_database_url) == set()
    migrate(empty_database_url)
    command.check(migration_config(empty_database_url))


def test_migrating_twice_changes_nothing(empty_database_url):
    migrate(empty_database_url)
    migrate(empty_database_url)
    assert "jobs" in tables_of(empty_database_url)


def test_an_older_distance_keeps_its_datasets_and_a_job_its_files(empty_database_url, opened):
    migrate(empty_database_url, "0001")
    fill_first_revision(opened)
    migrate(empty_database_url)
    with opened.reading() as session:
        record = get_work(session, DistanceRecord, PAIR)
        assert record.kind == "pair"
        assert [dataset.name for dataset in record.datasets] == ["far", "near"]
        assert (record.result, record.request, record.created_at) == ({"n": [1, 2]}, {"seed": 3}, MOMENT)
        assert record.artifacts == []
        assert [artifact.key for artifact in get_work(session, JobRecord, JOB).artifacts] == ["jobs/a"]
    with pytest.raises(IntegrityError):
        spoil_a_state(opened)


def test_downgrading_keeps_pairs_and_drops_what_has_no_place(empty_database_url, opened):
    migrate(empty_database_url, "0001")
    fill_first_revision(opened)
    before = distances_of(opened)
    migrate(empty_database_url)
    with opened.writing() as session:
        datasets = [find_dataset(session, "local", name) for name in ("near", "far")]
        matrix = add_distance(session, ORIGIN, kind="matrix", datasets=datasets, request={})
        matrix.artifacts.append(
            DistanceArtifactRecord(name="m.csv", key="distances/m", size=1, sha256="3" * 64, media_type="text/csv")
        )
        session.commit()
    opened.close()
    command.downgrade(migration_config(empty_database_url), "0001")
    assert [dict(row) for row in distances_of(opened)] == [dict(row) for row in before]
    with pytest.raises(IntegrityError):
        spoil_a_state(opened)
    migrate(empty_database_url)
    command.check(migration_config(empty_database_url))
    with opened.reading() as session:
        (record,) = list_shown(session, DistanceRecord, "local", Filters(), NEWEST, after=None, limit=5)
        assert record["datasets"] == ["far", "near"]


def test_downgrading_drops_selections_and_keeps_the_jobs_that_used_them(empty_database_url, opened):
    migrate(empty_database_url, "0001")
    fill_first_revision(opened)
    migrate(empty_database_url)
    with opened.writing() as session:
        near = find_dataset(session, "local", "near")
        selection = add_selection(session, ORIGIN, target=near, source=None, request={})
        selection.artifacts.append(
            SelectionArtifactRecord(name="m.csv", key="selections/m", size=1, sha256="3" * 64, media_type="text/csv")
        )
        manifest = JobManifestRecord(selection=selection, test=None, labels={"a.png": "ant"})
        job = add_job(
            session, ORIGIN, target=near, source=None, request={"strategy": "mixed", "alpha": 0.5}, manifest=manifest
        )
        session.commit()
    with opened.reading() as session:
        assert get_work(session, JobRecord, job.id).manifest.labels == {"a.png": "ant"}
        assert get_work(session, JobRecord, JOB).manifest is None
    opened.close()
    command.downgrade(migration_config(empty_database_url), "0002")
    assert not tables_of(empty_database_url) & {"selections", "selection_artifacts", "job_manifests"}
    migrate(empty_database_url)
    with opened.reading() as session:
        found = list_shown(session, JobRecord, "local", Filters(), NEWEST, after=None, limit=5)
        assert {record["id"] for record in found} == {JOB, job.id}


def test_downgrading_drops_the_files_of_datasets_and_keeps_the_datasets(empty_database_url, opened):
    migrate(empty_database_url, "0001")
    fill_first_revision(opened)
    migrate(empty_database_url, "0005")
    assert "dataset_artifacts" not in tables_of(empty_database_url)
    migrate(empty_database_url)
    with opened.writing() as session:
        near = get_work(session, DatasetRecord, NEAR)
        assert (near.name, near.digest, near.artifacts) == ("near", "0" * 64, [])
        file = {"name": "g.webp", "key": "datasets/g", "size": 1 << 40, "sha256": "3" * 64, "media_type": "image/webp"}
        near.artifacts.append(DatasetArtifactRecord(**file))
        session.commit()
    with opened.writing() as session:
        # A file belongs to a dataset that is there.
        session.add(DatasetArtifactRecord(dataset_id=JOB, **file))
        with pytest.raises(IntegrityError):
            session.flush()
    with opened.reading() as session:
        assert [found.size for found in get_work(session, DatasetRecord, NEAR).artifacts] == [1 << 40]
    opened.close()
    command.downgrade(migration_config(empty_database_url), "0005")
    assert "dataset_artifacts" not in tables_of(empty_database_url)
    migrate(empty_database_url)
    command.check(migration_config(empty_database_url))
    with opened.reading() as session:
        assert [get_work(session, DatasetRecord, found).name for found in (NEAR, FAR)] == ["near", "far"]
        assert get_work(session, DatasetRecord, NEAR).artifacts == []
        assert [dataset.name for dataset in get_work(session, DistanceRecord, PAIR).datasets] == ["far", "near"]


def test_downgrading_gives_an_alpha_to_jobs_that_have_none(empty_database_url, opened):
    migrate(empty_database_url, "0001")
    fill_first_revision(opened)
    migrate(empty_database_url)
    with opened.writing() as session:
        assert get_work(session, JobRecord, JOB).alpha == 0.5
        get_work(session, JobRecord, JOB).alpha = 0.125
        near = find_dataset(session, "local", "near")
        job = add_job(session, ORIGIN, target=near, source=None, request={"strategy": "mixed", "alpha": "auto"})
        session.commit()
    with opened.reading() as session:
        assert get_work(session, JobRecord, job.id).alpha is None
    opened.close()
    command.downgrade(migration_config(empty_database_url), "0003")
    with opened.engine.begin() as connection, pytest.raises(IntegrityError):
        connection.exec_driver_sql("UPDATE jobs SET alpha = NULL")
    opened.close()
    migrate(empty_database_url)
    command.check(migration_config(empty_database_url))
    with opened.reading() as session:
        assert [get_work(session, JobRecord, work_id).alpha for work_id in (JOB, job.id)] == [0.125, 0.5]
        assert [artifact.key for artifact in get_work(session, JobRecord, JOB).artifacts] == ["jobs/a"]
