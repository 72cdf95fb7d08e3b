"""Jobs told to MLflow: everything, once, and never at the job's expense."""

import importlib
import logging
import os
import socket
import sys
import time
from types import SimpleNamespace
from uuid import uuid4

import pytest

from app.schemas.jobs import JobCreate
from app.store.blobs import open_blobs
from app.store.records import DatasetRecord, JobArtifactRecord, JobRecord
from ot3l_core.errors import Cancelled, CorruptImageError, TrackingUnavailableError
from ot3l_core.names import Phase
from ot3l_core.progress import EpochReport
from worker.lifecycle import Outcome
from worker.mlflow_runs import FILES, _page, tell_outcome, told_to_mlflow
from worker.telling import Order, Reporter

SPREAD = {"mean": 0.75, "std": None, "interval": None, "values": [0.75]}
PHASE = {
    "phase": "mixed+fine_tuned",
    **dict.fromkeys(("accuracy", "macro_f1", "calibration_error"), SPREAD),
    "per_class_recall": [1.0],
    "confusion": [[4]],
}
RESULT = {
    "classes": ["cat"],
    "phases": [PHASE],
    "selection": {"size": 4, "shortfall": 0, "per_class": [4]},
    "training": [],
    "checkpoint": {"seed": 0, "accuracy": 0.5, "n_correct": 2, "n_test": 4},
    "class_distances": [],
    "n_pool": 4,
    "n_test": 4,
    "n_source": 0,
}
ASKED = {"experiment": "flowers", "run_name": "trial"}


@pytest.fixture(scope="module", autouse=True)
def _mlflow_is_imported():
    """Nothing here waits for that."""
    with pytest.MonkeyPatch.context() as environment:
        # The store in files is the only one that the small package brings along.
        environment.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        environment.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        environment.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
        environment.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        importlib.import_module("mlflow.tracking")
        yield


@pytest.fixture
def uri(tmp_path):
    return (tmp_path / "mlflow").as_uri()


@pytest.fixture
def client(uri):
    return importlib.import_module("mlflow.tracking").MlflowClient(tracking_uri=uri)


@pytest.fixture
def here(settings, uri):
    told = settings.model_copy(update={"mlflow_uri": uri})
    return SimpleNamespace(settings=told, blobs=open_blobs(settings.resolved_blob_url))


@pytest.fixture
def record():
    target = DatasetRecord(name="pets", digest="ab" * 32)
    return JobRecord(id=uuid4(), name=None, attempt=1, target=target, request={})


def asking(**mlflow):
    return JobCreate.model_validate({"target": "pets", "mlflow": ASKED | mlflow})


def artifact(here, name):
    here.blobs.put(f"jobs/{name}", name.encode())
    return JobArtifactRecord(name=name, key=f"jobs/{name}", size=len(name))


def epochs(count):
    common = {"phase": Phase.TRAINING, "seed": 3, "alpha": None, "validation_loss": None, "validation_accuracy": 0.5}
    return [EpochReport(epoch=number, train_loss=1 / number, **common) for number in range(1, count + 1)]


def run(record, here, request, n_epochs=4):
    """What a job does, told."""
    reporter = Reporter()
    files = [artifact(here, name) for name in (*FILES, "checkpoint.safetensors", "predictions.csv")]
    with told_to_mlflow(record, request, here.settings, reporter) as teller:
        for report in epochs(n_epochs):
            reporter.tell_epoch(report)
        outcome = Outcome({"result": RESULT}, files)
        return outcome if teller is None else tell_outcome(teller, outcome, request, here, reporter)


def ended(record, here, order, error):
    """What a job does that is cut short once its run is there."""

    def cut_short():
        with told_to_mlflow(record, asking(), here.settings, Reporter(order=order)) as teller:
            while teller.where is None:
                time.sleep(0.001)
            raise error

    with pytest.raises(type(error)):
        cut_short()


def runs_of(client, name="flowers"):
    return client.search_runs([client.get_experiment_by_name(name).experiment_id])


def test_everything_is_told(record, here, client):
    outcome = run(record, here, asking())
    (found,) = runs_of(client)
    assert (found.info.status, found.info.run_name) == ("FINISHED", "trial")
    assert outcome.values["result"]["mlflow"]["run_id"] == found.info.run_id
    assert found.data.params["training.epochs"] == "40"
    assert found.data.params["seeds"] == "[0, 1, 2]"
    assert not any(name.startswith("mlflow") for name in found.data.params)
    assert found.data.tags["ot3l.job"] == str(record.id)
    assert found.data.tags["ot3l.dataset_digest"] == "ab" * 32
    assert found.data.metrics["mixed_fine_tuned/accuracy"] == 0.75
    assert found.data.metrics["checkpoint/accuracy"] == 0.5
    curve = client.get_metric_history(found.info.run_id, "training/seed_3/train_loss")
    assert [(point.step, point.value) for point in curve] == [(n, 1 / n) for n in range(1, 5)]
    assert "training/seed_3/validation_loss" not in found.data.metrics
    assert {file.path for file in client.list_artifacts(found.info.run_id)} == set(FILES)


def test_the_checkpoint_is_sent_where_it_is_asked_for(record, here, client):
    run(record, here, asking(checkpoint=True))
    (found,) = runs_of(client)
    assert {file.path for file in client.list_artifacts(found.info.run_id)} == {*FILES, "checkpoint.safetensors"}


def test_many_epochs_are_told_in_few_calls(record, here, client):
    run(record, here, asking(), n_epochs=700)
    (found,) = runs_of(client)
    assert len(client.get_metric_history(found.info.run_id, "training/seed_3/train_loss")) == 700


def test_another_attempt_goes_on_in_the_same_run(record, here, client):
    ended(record, here, Order.LOST, Cancelled("another attempt"))
    record.attempt = 2
    first = run(record, here, asking())
    second = run(record, here, asking())
    (found,) = runs_of(client)
    assert first.values["result"]["mlflow"] == second.values["result"]["mlflow"]
    assert (found.info.status, found.data.tags["ot3l.attempt"]) == ("FINISHED", "2")


@pytest.mark.parametrize(
    ("order", "error", "status"),
    [(Order.CANCEL, Cancelled, "KILLED"), (None, CorruptImageError, "FAILED"), (Order.HAND_OVER, Cancelled, "RUNNING")],
)
def test_what_does_not_succeed_is_told_as_such(record, here, client, order, error, status):
    ended(record, here, order, error("no more"))
    assert runs_of(client)[0].info.status == status


def test_who_does_not_ask_is_not_told(record, here, client):
    outcome = run(record, here, JobCreate(target="pets"))
    assert "mlflow" not in outcome.values["result"]
    assert client.get_experiment_by_name("flowers") is None


@pytest.fixture
def silent():
    """A server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://user:secret@127.0.0.1:{server.getsockname()[1]}"


def test_a_silent_server_is_not_waited_for(record, here, silent, caplog):
    here.settings = here.settings.model_copy(update={"mlflow_uri": silent, "mlflow_seconds": 0.3})
    with caplog.at_level(logging.INFO):
        outcome = run(record, here, asking())
    assert outcome.values["result"] == RESULT
    assert "has not taken everything" in caplog.text


def test_a_server_that_is_gone_fails_nothing_and_shows_no_address(record, here, silent, caplog):
    gone = silent.rsplit(":", 1)[0] + ":1"
    here.settings = here.settings.model_copy(update={"mlflow_uri": gone})
    outcome = run(record, here, asking())
    assert outcome.values["result"] == RESULT
    own = [line.getMessage() for line in caplog.records if line.name.startswith("worker")]
    assert len(own) == 1
    assert "127.0.0.1" not in own[0]


def test_whoever_cancels_does_not_wait_for_it_either(record, here, silent):
    here.settings = here.settings.model_copy(update={"mlflow_uri": silent, "mlflow_seconds": 1e9})
    reporter = Reporter(order=Order.CANCEL)
    with told_to_mlflow(record, asking(), here.settings, reporter) as teller, pytest.raises(Cancelled):
        tell_outcome(teller, Outcome({"result": RESULT}), asking(), here, reporter)


def test_without_the_package_the_error_says_so(record, here, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(TrackingUnavailableError, match="mlflow-skinny") as refusal:
        run(record, here, asking())
    assert refusal.value.field == "mlflow"


def test_a_page_is_named_without_what_stands_before_the_host():
    assert _page("https://me:secret@mlflow.example.com/at/", "7", "ab") == (
        "https://mlflow.example.com/at/#/experiments/7/runs/ab"
    )
    assert _page("file:///somewhere", "7", "ab") is None
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
