"""A service among others: its data in somebody's bucket, its jobs told to MLflow."""

import importlib
from uuid import uuid4

import pytest

from app.local.embedded import embedded
from app.store.blobs import open_blobs
from tests.e2e.conftest import HASTE
from tests.generators.pictures import separable_tree, write_shards

NAME = "interop-flowers"
JOB = {
    "target": NAME,
    "strategy": "uniform",
    "budget": 20,
    "input_size": 32,
    "seeds": [0],
    "training": {"epochs": 3, "hidden": 16},
}


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Where MLflow keeps its runs."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        environment.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        yield tmp_path_factory.mktemp("mlflow").as_uri()


@pytest.fixture(scope="module")
def bucket(s3_url, tmp_path_factory):
    """A dataset of the hub in S3."""
    prefix = f"{s3_url}/interop-{uuid4().hex}"
    trees = {split: separable_tree({"ant": 15, "bee": 15}, seed=seed) for seed, split in enumerate(("train", "test"))}
    folder = write_shards(tmp_path_factory.mktemp("hub"), trees)
    blobs = open_blobs(prefix)
    for file in folder.rglob("*.parquet"):
        blobs.put(f"flowers/{file.relative_to(folder).as_posix()}", file.read_bytes())
    return prefix


@pytest.fixture(scope="module")
def interop_service(start_service, bucket, told):
    return start_service(embedded, **HASTE, dataset_buckets=bucket, mlflow_uri=told)


def test_a_dataset_in_s3_becomes_a_job_that_mlflow_knows(interop_service, bucket, told):
    service = interop_service
    found = service.run("/datasets", {"format": "huggingface", "path": f"{bucket}/flowers", "name": NAME})
    assert [entry["name"] for entry in found["result"]["classes"]] == ["ant", "bee"]
    job = service.run("/jobs", JOB | {"mlflow": {"experiment": "interop", "run_name": "trial"}})
    client = importlib.import_module("mlflow.tracking").MlflowClient(tracking_uri=told)
    run = client.get_run(job["result"]["mlflow"]["run_id"])
    assert (run.info.status, run.data.tags["ot3l.job"]) == ("FINISHED", job["id"])
    assert run.data.tags["ot3l.dataset_digest"] == found["digest"]
    assert run.data.metrics["checkpoint/accuracy"] == job["result"]["checkpoint"]["accuracy"]
    assert len(client.get_metric_history(run.info.run_id, "training/seed_0/train_loss")) == 3
    assert {file.path for file in client.list_artifacts(run.info.run_id)} >= {"model_card.md", "report.png"}
    # The same job, told to nobody, is the same to the last byte.
    again = service.run("/jobs", JOB)
    files = [{file["name"]: file["sha256"] for file in work["artifacts"]} for work in (job, again)]
    assert files[0] == files[1]
    reply = service.client.post("/jobs", json=JOB | {"reuse": True, "mlflow": {"experiment": "other"}})
    assert (reply.status_code, reply.json()["id"]) == (200, job["id"])


def test_an_empty_prefix_is_said(interop_service, bucket):
    body = {"format": "zip", "path": f"{bucket}/nothing.zip", "name": "interop-nothing"}
    failed = interop_service.wait(interop_service.post("/datasets", body))
    assert (failed["error"]["code"], failed["error"]["field"]) == ("dataset_not_found", "path")
