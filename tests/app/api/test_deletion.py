"""Deleting over HTTP: what has ended and is not needed goes, with everything that is its own."""

from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from app.states import WorkState
from app.store import work
from app.store.records import (
    DatasetArtifactRecord,
    DatasetRecord,
    DistanceRecord,
    EventRecord,
    JobArtifactRecord,
    JobManifestRecord,
    JobRecord,
    Record,
    SelectionRecord,
)

KINDS = {"jobs": JobRecord, "distances": DistanceRecord, "selections": SelectionRecord}
BODIES = {
    "jobs": {"target": "target", "strategy": "uniform"},
    "distances": {"source": "source", "target": "target"},
    "selections": {"target": "target"},
}

USES = (
    ("jobs", {"strategy": "mixed"}),
    ("jobs", {"strategy": "set_difference"}),
    ("distances", {}),
    ("selections", {}),
)


@pytest.fixture
def submit(client, register):
    """Work of any kind on two datasets."""
    ids = {name: register(name) for name in ("source", "target")}

    def post(noun, **more):
        reply = client.post(f"/{noun}", json=BODIES[noun] | {"reuse": False} | more)
        assert reply.status_code == 202, reply.text
        return reply.json()["id"]

    post.datasets = ids
    return post


def problem(reply):
    return reply.status_code, reply.json()["type"]


def rows_of(database, work_id):
    """How many rows of any table know of a record."""
    with database.reading() as session:
        values = [
            value for table in Record.metadata.sorted_tables for row in session.execute(select(table)) for value in row
        ]
    return values.count(UUID(str(work_id)))


@pytest.mark.parametrize("noun", KINDS)
def test_only_what_has_ended_is_deleted_and_only_once(client, submit, finish, service_database, noun):
    path = f"/{noun}/{(work_id := submit(noun))}"
    assert problem(client.delete(path)) == (409, "not_deletable")
    with service_database.writing() as session:
        held = work.claim(session, KINDS[noun], UUID(work_id), lease_seconds=60)
        session.commit()
    assert problem(client.delete(path)) == (409, "not_deletable")
    with service_database.writing() as session:
        work.finish(session, held, WorkState.FAILED, error={"code": "any", "message": "any", "field": None})
        session.commit()
    assert rows_of(service_database, work_id) > 1
    reply = client.delete(path)
    assert (reply.status_code, reply.content) == (204, b"")
    assert rows_of(service_database, work_id) == 0
    assert problem(client.delete(path)) == problem(client.get(path)) == (404, "not_found")
    assert work_id not in client.get(f"/{noun}").text
    # A worker that is still at it, because it lost its lease, brings nothing back.
    with service_database.writing() as session:
        assert not work.finish(session, held, WorkState.SUCCEEDED)


def test_files_go_too(client, submit, finish, service_database, settings):
    kept, gone = submit("jobs"), submit("jobs")
    blobs = settings.data_dir / "blobs"
    for work_id in (kept, gone):
        for name in ("a.csv", "forgotten"):
            (blobs / "jobs" / work_id).mkdir(parents=True, exist_ok=True)
            (blobs / "jobs" / work_id / name).write_bytes(b"x")
        with service_database.writing() as session:
            told = {"size": 1, "sha256": "0" * 64, "media_type": "text/csv"}
            session.add(JobArtifactRecord(job_id=UUID(work_id), name="a.csv", key=f"jobs/{work_id}/a.csv", **told))
            session.commit()
        finish(JobRecord, UUID(work_id))
    assert client.delete(f"/jobs/{gone}").status_code == 204
    assert [path.name for path in (blobs / "jobs").iterdir()] == [kept]
    assert client.get(f"/jobs/{kept}/artifacts/a.csv").content == b"x"
    assert client.get(f"/jobs/{gone}/artifacts/a.csv").status_code == 404


def test_a_dataset_takes_its_files_along(client, register, service_database, settings):
    kept, gone = register("kept"), register("gone")
    blobs = settings.data_dir / "blobs" / "datasets"
    for dataset_id in (kept, gone):
        (blobs / str(dataset_id)).mkdir(parents=True)
        (blobs / str(dataset_id) / "a.webp").write_bytes(b"x")
        with service_database.writing() as session:
            told = {"name": "a.webp", "key": f"datasets/{dataset_id}/a.webp", "size": 1, "sha256": "0" * 64}
            session.add(DatasetArtifactRecord(dataset_id=dataset_id, media_type="image/webp", **told))
            session.commit()
    assert client.delete("/datasets/gone").status_code == 204
    assert rows_of(service_database, gone) == 0
    assert [path.name for path in blobs.iterdir()] == [str(kept)]
    assert client.get("/datasets/kept/artifacts/a.webp").content == b"x"
    assert client.get("/datasets/gone/artifacts/a.webp").status_code == 404


def test_a_dataset_that_is_used_stays(client, submit, finish):
    path = "/datasets/source"
    assert client.delete("/datasets/none").status_code == 404
    users = [f"/{noun}/{submit(noun, source='source', **more)}" for noun, more in USES]
    for number, user in enumerate(users):
        reply = client.delete(path)
        assert problem(reply) == (409, "in_use")
        # "2 jobs and 1 distance" are three.
        assert sum(int(word) for word in reply.json()["detail"].split() if word.isdigit()) == len(users) - number
        client.post(f"{user}/cancel")
        assert client.delete(user).status_code == 204
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404
    assert client.get("/datasets/target").status_code == 200


def test_a_selection_that_a_job_trains_on_stays(client, submit, finish, service_database):
    selection_id, job_id = submit("selections"), submit("jobs")
    finish(SelectionRecord, UUID(selection_id))
    with service_database.writing() as session:
        test_id = submit.datasets["source"]
        session.add(JobManifestRecord(job_id=UUID(job_id), selection_id=UUID(selection_id), test_id=test_id))
        session.commit()
    reply = client.delete(f"/selections/{selection_id}")
    assert problem(reply) == (409, "in_use")
    assert "1 job:" in reply.json()["detail"]
    # The dataset that it is tested on is used by it too.
    assert "1 job:" in client.delete("/datasets/source").json()["detail"]
    client.post(f"/jobs/{job_id}/cancel")
    for path in (f"/jobs/{job_id}", f"/selections/{selection_id}", "/datasets/source", "/datasets/target"):
        assert client.delete(path).status_code == 204, path
    with service_database.reading() as session:
        assert session.scalars(select(EventRecord)).all() == []


def test_a_dataset_that_gives_way_takes_its_events_along(client, finish, service_database):
    body = {"format": "builtin", "dataset": "digits", "name": "digits"}
    first = client.post("/datasets", json=body).json()["id"]
    finish(DatasetRecord, UUID(first), WorkState.FAILED, error={"code": "any", "message": "any", "field": None})
    assert rows_of(service_database, first) > 1
    second = client.post("/datasets", json=body).json()["id"]
    assert second != first
    assert rows_of(service_database, first) == 0


def test_a_dataset_is_deleted_by_its_id_too(client, register):
    dataset_id = register("digits")
    assert client.delete(f"/datasets/{dataset_id}").status_code == 204
    assert client.delete(f"/datasets/{uuid4()}").status_code == 404


def test_an_upload_goes_with_the_last_dataset_that_uses_it(client, finish, settings, service_database):
    content = b"\0" * 3000
    upload = client.post("/uploads", json={"filename": "digits.npz", "size": len(content)}).json()["id"]
    for number in range(1, client.get(f"/uploads/{upload}").json()["n_parts"] + 1):
        size = client.get(f"/uploads/{upload}").json()["part_size"]
        part = content[(number - 1) * size : number * size]
        assert client.put(f"/uploads/{upload}/parts/{number}", content=part).is_success
    assert client.post(f"/uploads/{upload}/complete").is_success
    for name in ("one", "two"):
        made = client.post("/datasets", json={"format": "npz", "upload": upload, "name": name})
        assert made.status_code == 202, made.text
        finish(DatasetRecord, UUID(made.json()["id"]))
    folder = settings.data_dir / "blobs" / "uploads" / upload
    assert client.delete("/datasets/one").status_code == 204
    assert folder.exists()
    assert client.get(f"/uploads/{upload}").status_code == 200
    assert client.delete("/datasets/two").status_code == 204
    assert not folder.exists()
    assert client.get(f"/uploads/{upload}").status_code == 404
