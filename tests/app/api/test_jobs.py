"""Submitting, watching and cancelling jobs over HTTP."""

import hashlib
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event
from starlette.testclient import TestClient

from app.api.files import parse_range
from app.errors import RangeError
from app.main import create_app
from app.queue import TaskName
from app.schemas.jobs import JobCreate
from app.store.blobs import open_blobs
from app.store.listing import Filters, Order, list_shown
from app.store.records import JobArtifactRecord, JobRecord

CONTENT = bytes(range(256)) * 5000


@pytest.fixture
def job(client, register, queue):
    register("source")
    register("target")
    queue.messages.clear()
    reply = client.post("/jobs", json={"target": "target", "source": "source", "strategy": "mixed", "alpha": 0.25})
    assert reply.status_code == 202, reply.text
    return reply


@pytest.fixture
def finished_job(job, finish, settings, service_database, tmp_path):
    (tmp_path / "file").write_bytes(CONTENT)
    open_blobs(settings.resolved_blob_url).put_file("some/key", tmp_path / "file")
    job_id = UUID(job.json()["id"])
    finish(JobRecord, job_id)
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    with service_database.writing() as session:
        artifact = JobArtifactRecord(
            job_id=job_id,
            name="checkpoint.safetensors",
            key="some/key",
            size=len(CONTENT),
            sha256=sha256,
            media_type="application/octet-stream",
        )
        session.add(artifact)
        session.commit()
    return job_id


def test_a_job_is_stored_then_enqueued(client, queue, job):
    body = job.json()
    assert job.headers["Location"] == f"/jobs/{body['id']}"
    assert (body["target"], body["source"], body["strategy"], body["alpha"]) == ("target", "source", "mixed", 0.25)
    assert body["request"]["budget"] == 1000
    assert queue.messages == [(TaskName.TRANSFER, UUID(body["id"]))]
    assert client.get(job.headers["Location"]).json() == body
    assert [item["id"] for item in client.get("/jobs").json()["items"]] == [body["id"]]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"alpha": 1.5}, "alpha"),
        ({"alpha": -0.1}, "alpha"),
        ({"alpha": "some"}, "alpha"),
        ({"alpha": None}, "alpha"),
        ({"alpha": [0.5]}, "alpha"),
        ({"alpha": [0.5, 0.5]}, "alpha"),
        ({"alpha": [0, 0.5, 1.5]}, "alpha.2"),
        ({"alpha": [number / 22 for number in range(22)]}, "alpha"),
        ({"alpha": "auto", "strategy": "medoids"}, "alpha"),
        ({"fine_tune": {"blocks": 0}}, "fine_tune.blocks"),
        ({"fine_tune": {"label_smoothing": 1}}, "fine_tune.label_smoothing"),
        ({"exports": ["pdf"]}, "exports.0"),
        ({"mlflow": {"experiment": "pets"}}, "mlflow"),
        ({"mlflow": {"run_name": "pets"}}, "mlflow.experiment"),
        ({"mlflow": {"experiment": "pets", "uri": "http://elsewhere"}}, "mlflow.uri"),
        ({"weights": "../outside.pt"}, "weights"),
        ({"weights": "nothing.pt"}, "weights"),
        ({"strategy": "best"}, "strategy"),
        ({"budget": 0}, "budget"),
        ({"backbone": "resnet19"}, "backbone"),
        ({"seeds": []}, "seeds"),
        ({"seeds": [1, 1]}, "seeds"),
        ({"class_fraction": 0}, "class_fraction"),
        ({"training": {"epochs": 0}}, "training.epochs"),
        ({"target": "unknown"}, "target"),
        ({"source": "unknown"}, "source"),
        ({"source": None}, "source"),
        ({"metod": "exact"}, "metod"),
        ({"pool_size": 1}, "pool_size"),
        ({"crop_fraction": 1e-9}, "crop_fraction"),
    ],
)
def test_a_bad_job_names_its_field(client, register, queue, body, field):
    register("source")
    register("target")
    queue.messages.clear()
    reply = client.post("/jobs", json={"target": "target", "source": "source"} | body)
    assert (reply.status_code, reply.json()["type"]) == (422, "invalid_request")
    assert [error["field"] for error in reply.json()["errors"]] == [field]
    assert queue.messages == []


def test_mlflow_is_told_where_the_operator_has_named_one(settings, queue, register):
    register("target")
    told = settings.model_copy(update={"mlflow_uri": "http://mlflow.example.com"})
    body = {"target": "target", "strategy": "uniform", "mlflow": {"experiment": "pets"}}
    with TestClient(create_app(told, queue=queue), base_url="http://localhost") as client:
        reply = client.post("/jobs", json=body)
    assert reply.status_code == 202, reply.text
    assert reply.json()["request"]["mlflow"] == {"experiment": "pets", "run_name": None, "checkpoint": False}


@pytest.mark.parametrize(("alpha", "told"), [("auto", "auto"), ([1, 0, 0.3], [1.0, 0.0, 0.3])])
def test_alpha_is_empty_until_it_is_chosen(client, register, finish, alpha, told):
    register("source")
    register("target")
    reply = client.post("/jobs", json={"target": "target", "source": "source", "alpha": alpha})
    assert reply.status_code == 202, reply.text
    assert (reply.json()["alpha"], reply.json()["request"]["alpha"]) == (None, told)
    finish(JobRecord, UUID(reply.json()["id"]), alpha=0.25)
    assert client.get(reply.headers["Location"]).json()["alpha"] == 0.25


def test_what_to_choose_among_is_what_was_asked_for():
    assert JobCreate(target="a", alpha="auto").alphas == (0.0, 0.25, 0.5, 0.75, 1.0)
    assert JobCreate(target="a", alpha=[1, 0]).alphas == (1.0, 0.0)
    assert JobCreate(target="a", alpha=1).alphas == ()
    assert JobCreate(target="a", strategy="uniform", alpha=0.1).alphas == ()


def test_own_weights_are_named_as_the_client_named_them(client, register, settings):
    register("target")
    (settings.dataset_roots[0] / "mine.pt").touch()
    reply = client.post("/jobs", json={"target": "target", "strategy": "uniform", "weights": "mine.pt"})
    assert (reply.status_code, reply.json()["request"]["weights"]) == (202, "mine.pt")
    assert str(settings.dataset_roots[0]) not in reply.text
    for path, body in (("/selections", {"target": "target"}), ("/distances", {"datasets": ["target", "target"]})):
        refused = client.post(path, json=body | {"weights": "other.pt"})
        assert [error["field"] for error in refused.json()["errors"]] == ["weights"]


def test_a_result_of_an_earlier_version_is_still_read(client, job, finish):
    spread = {"mean": 0.5, "std": None, "interval": None, "values": [0.5]}
    phase = {"phase": "mixed", "per_class_recall": [0.5], "confusion": [[1]]}
    training = {"seed": 0, "n_selected": 9, "n_epochs": 1, "best_epoch": 1, "train_loss": [1.0], "validation_loss": []}
    earlier = {
        "classes": ["cat"],
        "phases": [phase | dict.fromkeys(("accuracy", "macro_f1", "calibration_error"), spread)],
        "selection": {"size": 9, "shortfall": 0, "per_class": [9]},
        "training": [training],
        "checkpoint": {"seed": 0, "accuracy": 0.5, "n_correct": 1, "n_test": 2},
        "class_distances": [],
        "n_pool": 9,
        "n_test": 2,
        "n_source": 0,
    }
    finish(JobRecord, UUID(job.json()["id"]), result=earlier)
    result = client.get(job.headers["Location"]).json()["result"]
    assert (result["phases"][0]["log_loss"], result["tuning"], result["alpha_sweep"]) == (None, [], None)


def test_an_unknown_backbone_gets_a_suggestion(client, register):
    register("target")
    reply = client.post("/jobs", json={"target": "target", "strategy": "uniform", "backbone": "resnet19"})
    assert "resnet18" in reply.json()["detail"]


def test_a_strategy_without_distances_needs_no_source(client, register):
    register("target")
    reply = client.post("/jobs", json={"target": "target", "strategy": "uniform"})
    assert (reply.status_code, reply.json()["source"]) == (202, None)


def test_a_target_that_cannot_be_learned_is_refused(client, register):
    classes = [{"name": name, "pool": pool, "test": 5} for name, pool in (("cat", 9), ("dog", 0))]
    register("target")
    register("gap", {"classes": classes, "n_pool": 9, "n_test": 10})
    register("untested", {"classes": classes[:1] * 2, "n_pool": 18, "n_test": 0})
    assert client.post("/jobs", json={"target": "target", "strategy": "uniform", "pool_size": 2}).status_code == 202
    register(
        "many", {"classes": [{"name": f"c{i}", "pool": 9, "test": 5} for i in range(5)], "n_pool": 45, "n_test": 25}
    )
    few = client.post("/jobs", json={"target": "many", "strategy": "uniform", "pool_size": 4})
    assert [error["field"] for error in few.json()["errors"]] == ["pool_size"]
    assert "'dog'" in client.post("/jobs", json={"target": "gap", "strategy": "uniform"}).json()["detail"]
    assert "test_fraction" in client.post("/jobs", json={"target": "untested", "strategy": "uniform"}).json()["detail"]


def test_a_dataset_that_is_not_inspected_is_not_ready(client):
    client.post("/datasets", json={"format": "builtin", "dataset": "digits", "name": "target"})
    reply = client.post("/jobs", json={"target": "target", "strategy": "uniform"})
    assert (reply.status_code, reply.json()["type"]) == (409, "not_ready")


def test_cancelling(client, job, finish):
    reply = client.post(job.headers["Location"] + "/cancel")
    assert (reply.status_code, reply.json()["state"]) == (202, "cancelled")
    again = client.post(job.headers["Location"] + "/cancel")
    assert (again.status_code, again.json()["type"]) == (409, "not_cancellable")
    assert client.post(f"/jobs/{UUID(int=0)}/cancel").status_code == 404


def test_a_checkpoint_is_not_there_before_the_job_is_done(client, job):
    reply = client.get(job.headers["Location"] + "/checkpoint")
    assert (reply.status_code, reply.json()["type"]) == (409, "not_ready")


def test_the_checkpoint_comes_whole_with_its_digest(client, finished_job):
    reply = client.get(f"/jobs/{finished_job}/checkpoint")
    assert reply.content == CONTENT
    assert reply.headers["ETag"] == f'"{hashlib.sha256(CONTENT).hexdigest()}"'
    assert reply.headers["Content-Length"] == str(len(CONTENT))
    assert client.get(f"/jobs/{finished_job}/artifacts/checkpoint.safetensors").content == CONTENT
    assert client.get(f"/jobs/{finished_job}/artifacts/other").status_code == 404


def test_asking_for_the_head_sends_no_content(client, finished_job):
    reply = client.head(f"/jobs/{finished_job}/checkpoint")
    assert (reply.status_code, reply.content) == (200, b"")
    assert reply.headers["Content-Length"] == str(len(CONTENT))
    assert reply.headers["ETag"] == f'"{hashlib.sha256(CONTENT).hexdigest()}"'


def test_a_file_that_the_store_lost_is_unavailable(client, finished_job, settings):
    (settings.data_dir / "blobs" / "some" / "key").unlink()
    reply = client.get(f"/jobs/{finished_job}/checkpoint")
    assert (reply.status_code, reply.json()["type"]) == (503, "unavailable")


def test_lists_do_not_read_results(client, job, service_database):
    statements = []
    event.listen(service_database.engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    with service_database.reading() as session:
        order = Order("created_at", descending=True)
        assert len(list_shown(session, JobRecord, "local", Filters(), order, after=None, limit=5)) == 1
    (select,) = [statement for statement in statements if statement.startswith("SELECT")]
    assert "result" not in select


def test_a_download_resumes_where_it_stopped(client, finished_job):
    url = f"/jobs/{finished_job}/checkpoint"
    rest = client.get(url, headers={"Range": "bytes=1000-"})
    assert (rest.status_code, rest.content) == (206, CONTENT[1000:])
    assert rest.headers["Content-Range"] == f"bytes 1000-{len(CONTENT) - 1}/{len(CONTENT)}"
    etag = rest.headers["ETag"]
    assert client.get(url, headers={"Range": "bytes=5-9", "If-Range": etag}).content == CONTENT[5:10]
    assert client.get(url, headers={"Range": "bytes=5-9", "If-Range": '"other"'}).content == CONTENT
    assert client.get(url, headers={"If-None-Match": etag}).status_code == 304
    beyond = client.get(url, headers={"Range": f"bytes={len(CONTENT)}-"})
    assert (beyond.status_code, beyond.headers["Content-Range"]) == (416, f"bytes */{len(CONTENT)}")


@given(size=st.integers(1, 50), first=st.integers(0, 60), length=st.integers(1, 60))
def test_a_range_selects_what_slicing_would(size, first, length):
    data = bytes(range(size))
    expected = data[first : first + length]
    header = f"bytes={first}-{first + length - 1}"
    if not expected:
        with pytest.raises(RangeError):
            parse_range(header, size)
        return
    start, end = parse_range(header, size)
    assert data[start:end] == expected
    start, end = parse_range(f"bytes=-{length}", size)
    assert data[start:end] == data[-length:]


@pytest.mark.parametrize(
    "header", ["bytes=" + "9" * 5000 + "-", "bytes=-", "bytes=5-2", "bytes=0-1,3-4", "lines=1-2", "bytes=a-b", ""]
)
def test_a_range_that_means_nothing_is_ignored(header):
    assert parse_range(header, 10) is None
