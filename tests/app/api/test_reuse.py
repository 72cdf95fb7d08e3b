"""Answering with work that did the same before, and saying what a request would do."""

from uuid import UUID

import pytest

from app.schemas.selections import Manifest, ManifestSample
from app.services.reuse import reuse_key_of
from app.states import WorkState
from app.store.blobs import open_blobs
from app.store.records import (
    DatasetRecord,
    DistanceRecord,
    IdempotencyRecord,
    JobRecord,
    SelectionArtifactRecord,
    SelectionRecord,
)

PAIR = {"source": "source", "target": "target"}
JOB = {"target": "target", "strategy": "uniform"}
FAILURE = {"code": "corrupt_image", "message": "torn", "field": None}


@pytest.fixture
def datasets(register, queue):
    found = {name: register(name) for name in ("source", "target")}
    queue.messages.clear()
    return found


def id_of(reply, status):
    assert reply.status_code == status, reply.text
    return UUID(reply.json()["id"])


def test_an_equal_distance_is_answered_with_the_first(client, datasets, queue, finish):
    first = client.post("/distances", json=PAIR)
    made = id_of(first, 202)
    for state in ("queued", "succeeded"):
        if state == "succeeded":
            finish(DistanceRecord, made)
        again = client.post("/distances", json=PAIR | {"target": str(datasets["target"]), "priority": 9})
        assert (id_of(again, 200), again.headers["Location"]) == (made, first.headers["Location"])
        assert again.json()["state"] == state
    assert len(queue.messages) == 1
    fresh = id_of(client.post("/distances", json=PAIR | {"reuse": False}), 202)
    assert fresh != made
    assert id_of(client.post("/distances", json=PAIR), 200) == made


def test_other_settings_are_other_work(client, datasets):
    others = ({}, {"seed": 1}, {"max_samples": 30}, {"target": "source", "source": "target"})
    bodies = [*(PAIR | body for body in others), {"datasets": ["source", "target"]}]
    made = {id_of(client.post("/distances", json=body), 202) for body in bodies}
    assert len(made) == len(bodies)


@pytest.mark.parametrize("state", [WorkState.FAILED, WorkState.CANCELLED])
def test_what_did_not_succeed_is_done_again(client, datasets, finish, state):
    made = id_of(client.post("/distances", json=PAIR), 202)
    finish(DistanceRecord, made, state, error=FAILURE if state is WorkState.FAILED else None)
    assert id_of(client.post("/distances", json=PAIR), 202) != made


def test_changed_images_are_other_work(client, datasets, service_database):
    made = id_of(client.post("/distances", json=PAIR), 202)
    with service_database.writing() as session:
        session.get(DatasetRecord, datasets["target"]).digest = "f" * 64
        session.commit()
    assert id_of(client.post("/distances", json=PAIR), 202) != made


def test_own_weights_may_be_others_tomorrow(client, datasets, settings):
    (settings.dataset_roots[0] / "mine.pt").touch()
    made = {id_of(client.post("/distances", json=PAIR | {"weights": "mine.pt"}), 202) for _ in range(2)}
    assert len(made) == 2


@pytest.mark.parametrize(("path", "body", "kind"), [("/jobs", JOB, JobRecord), ("/selections", JOB, SelectionRecord)])
def test_jobs_and_selections_are_reused_only_where_that_is_asked_for(client, datasets, finish, path, body, kind):
    first = id_of(client.post(path, json=body), 202)
    second = id_of(client.post(path, json=body), 202)
    assert first != second
    finish(kind, second)
    # What has succeeded is better than what is older and may yet fail.
    assert id_of(client.post(path, json=body | {"reuse": True}), 200) == second
    assert id_of(client.post(path, json=body | {"reuse": True, "budget": 7}), 202) not in {first, second}


def test_a_job_keeps_its_own_description(client, datasets):
    made = client.post("/jobs", json=JOB | {"name": "first"}).json()
    again = client.post("/jobs", json=JOB | {"name": "second", "tags": ["x"], "reuse": True})
    assert (again.status_code, again.json()) == (200, made)


def test_a_reused_answer_is_replayed_under_its_key(client, datasets, service_database):
    made = id_of(client.post("/distances", json=PAIR), 202)
    key = {"Idempotency-Key": "again"}
    assert id_of(client.post("/distances", json=PAIR, headers=key), 200) == made
    replay = client.post("/distances", json=PAIR, headers=key)
    assert (id_of(replay, 202), replay.headers["Idempotency-Replayed"]) == (made, "true")


@pytest.fixture
def selection(client, datasets, finish, settings, service_database, tmp_path):
    """A selection of two samples that has succeeded."""
    made = id_of(client.post("/selections", json=JOB | {"budget": 4}), 202)
    samples = [
        ManifestSample(id=name, file=None, reason="far", score=None, group=None, weight=None, label=None)
        for name in ("a", "b", "c", "d")
    ]
    manifest = Manifest(
        strategy="uniform", pool_labels="given", budget=4, seed=0, n_pool=80, pool_digest="a", shortfall=0,
        samples=samples,
    )  # fmt: skip
    (tmp_path / "manifest").write_text(manifest.model_dump_json())
    open_blobs(settings.resolved_blob_url).put_file("manifest/key", tmp_path / "manifest")
    finish(SelectionRecord, made)
    size = (tmp_path / "manifest").stat().st_size
    file = {"key": "manifest/key", "size": size, "sha256": "0" * 64, "media_type": "application/json"}
    with service_database.writing() as session:
        session.add(SelectionArtifactRecord(selection_id=made, name="manifest.json", **file))
        session.commit()
    return str(made)


def test_other_labels_are_other_work(client, selection):
    def post(status, **labels):
        body = {"target": "target", "selection": selection, "labels": labels, "reuse": True}
        return id_of(client.post("/jobs", json=body), status)

    made = post(202, a="cat", b="dog")
    assert post(200, b="dog", a="cat") == made
    assert post(202, a="dog", b="cat") != made
    assert post(202, a="cat", c="dog") != made


def test_keys_of_reuse_tell_apart_all_that_matters():
    request = {"a": 1, "weights": None}
    keys = [
        reuse_key_of("one", "jobs", request, digests=["x", "y"]),
        reuse_key_of("two", "jobs", request, digests=["x", "y"]),
        reuse_key_of("one", "selections", request, digests=["x", "y"]),
        reuse_key_of("one", "jobs", request | {"a": 2}, digests=["x", "y"]),
        reuse_key_of("one", "jobs", request, digests=["y", "x"]),
        reuse_key_of("one", "jobs", request, digests=["x", "y"], labels={}),
        reuse_key_of("one", "jobs", request, digests=["x", "y"], labels={"a": "b"}),
    ]
    assert len(set(keys)) == len(keys)
    assert keys[0] == reuse_key_of("one", "jobs", {"weights": None, "a": 1}, digests=["x", "y"])
    assert reuse_key_of("one", "jobs", request | {"weights": "w.pt"}, digests=[]) is None


REQUESTS = [
    ("/jobs", JOB | {"name": "x", "tags": ["y"]}),
    ("/selections", JOB),
    ("/distances", PAIR),
    ("/distances", {"datasets": ["source", "target"]}),
    ("/datasets", {"format": "builtin", "dataset": "digits", "name": "new"}),
]


def test_a_trial_says_what_would_be_stored_and_stores_nothing(client, datasets, queue, service_database):
    for path, body in REQUESTS:
        n_before = len(client.get(path).json()["items"])
        trial = client.post(path, json=body | {"validate_only": True}, headers={"Idempotency-Key": "trial"})
        assert trial.status_code == 200, trial.text
        said = trial.json()
        assert (said["valid"], said["would_reuse"]) == (True, None)
        assert said["estimate"]["seconds"] == pytest.approx(
            sum(said["estimate"]["seconds_by_phase"].values()), abs=0.01
        )
        assert said["estimate"]["seconds"] > 0
        assert said["estimate"]["memory_bytes"] > 0
        assert "rough" in said["estimate"]["basis"]
        assert len(client.get(path).json()["items"]) == n_before
        assert queue.messages == []
        real = client.post(path, json=body)
        assert real.status_code == 202, real.text
        if "request" in real.json():
            assert said["request"] == real.json()["request"]
        queue.messages.clear()
    with service_database.reading() as session:
        assert session.query(IdempotencyRecord).count() == 0


def test_a_trial_is_refused_as_the_request_would_be(client, datasets, queue):
    client.post("/datasets", json={"format": "builtin", "dataset": "digits", "name": "late"})
    wrong = [
        ("/jobs", JOB | {"target": "nothing"}),
        ("/jobs", JOB | {"budget": 0}),
        ("/jobs", JOB | {"target": "late"}),
        ("/jobs", JOB | {"labels": {"a": "b"}}),
        ("/selections", JOB | {"n_classes": 3}),
        ("/distances", PAIR | {"weights": "none.pt"}),
        ("/distances", {"datasets": ["target", str(datasets["target"])]}),
        ("/datasets", {"format": "builtin", "dataset": "digits", "name": "late"}),
        ("/datasets", {"format": "zip", "path": "none.zip"}),
    ]
    for path, body in wrong:
        trial, real = (client.post(path, json=body | {"validate_only": trial}) for trial in (True, False))
        assert real.status_code in {409, 422}
        assert (trial.status_code, trial.json()["detail"]) == (real.status_code, real.json()["detail"]), body


def test_a_trial_finds_what_would_be_reused(client, datasets):
    made = client.post("/distances", json=PAIR).json()["id"]
    assert client.post("/distances", json=PAIR | {"validate_only": True}).json()["would_reuse"] == made
    for body in ({"reuse": False}, {"seed": 5}):
        assert client.post("/distances", json=PAIR | body | {"validate_only": True}).json()["would_reuse"] is None


def test_an_estimate_goes_by_what_like_work_has_cost(client, datasets, finish):
    def estimate(**body):
        said = client.post("/jobs", json=JOB | body | {"validate_only": True})
        assert said.status_code == 200, said.text
        return said.json()["estimate"]

    phases = ("reading", "embedding", "selecting", "training", "evaluating", "saving")
    made = id_of(client.post("/jobs", json=JOB), 202)
    timings = {phase: 100.0 * (place + 1) for place, phase in enumerate(phases)}
    finish(JobRecord, made, timings=timings, result={"n_pool": 80, "n_test": 20, "n_source": 0})
    told = estimate()
    assert told["seconds_by_phase"] == timings
    assert "measured on 1 " in told["basis"]
    assert "rough" not in told["basis"]
    twice = estimate(training={"epochs": 80})["seconds_by_phase"]
    assert twice == timings | {"training": 800.0}
    assert "measured" not in estimate(backbone="resnet18")["basis"]


def test_who_else_is_told_changes_nothing_about_what_a_job_is():
    told, untold = ({"target": "target", "mlflow": mlflow} for mlflow in ({"experiment": "pets"}, None))
    before = {"target": "target"}
    keys = {reuse_key_of("local", "jobs", request, digests=["0"]) for request in (told, untold, before)}
    assert len(keys) == 1
