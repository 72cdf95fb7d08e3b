"""Commands against the application, which answers over real connections."""

import pytest

from app.client import Client
from app.settings import read_settings
from app.states import WorkState
from app.store.blobs import open_blobs
from tests.app.conftest import SUMMARY
from tests.app.served import NEWS, PREDICTIONS, RESULT, begin, end, file_of


@pytest.fixture
def job(url, target):
    with Client(url) as client:
        yield client.jobs.create(target="target", strategy="uniform", name="trial [1]")


@pytest.fixture
def done(job, service_database, settings, tmp_path):
    """A job that has ended, with a file."""
    files = [file_of(job.id, "predictions.csv", PREDICTIONS, open_blobs(settings.resolved_blob_url), tmp_path)]
    end(service_database, begin(service_database, job.id), WorkState.SUCCEEDED, files=files, result=RESULT)
    return job.refresh()


def test_datasets_are_listed_shown_and_deleted(there, target):
    assert [one["name"] for one in there("datasets", "list", "--json").json] == ["target"]
    assert "target  succeeded  builtin" in there("datasets", "list").out
    shown = there("datasets", "show", "target")
    assert (shown.status, shown.err) == (0, "")
    assert all(text in shown.out for text in ("to select from", "80", "cat", "dog"))
    assert there("datasets", "show", target.id, "--json").json["result"] == SUMMARY
    deleted = there("datasets", "delete", "target")
    assert (deleted.status, deleted.out, deleted.err) == (0, "", "deleted target\n")
    gone = there("datasets", "show", "target")
    assert (gone.status, gone.out) == (1, "")
    assert "not_found" in gone.err


def test_a_folder_is_added(there, tmp_path, queue):
    (tmp_path / "flowers" / "a").mkdir(parents=True)
    (tmp_path / "flowers" / "a" / "1.jpg").write_bytes(b"x")
    added = there("datasets", "add", tmp_path / "flowers", "--name", "mine", "--unlabelled", "--detach", "--json")
    assert added.status == 0, added.err
    assert (added.json["name"], added.json["labelled"], added.json["format"]) == ("mine", False, "zip")
    assert added.json["upload"] is not None
    taken = there("datasets", "add", tmp_path / "flowers", "--name", "mine", "--detach")
    assert (taken.status, "name_taken" in taken.err) == (1, True)


def test_what_the_service_has_is_added_by_name(there, settings):
    assert there("datasets", "add", "digits", "--detach", "--json").json["format"] == "builtin"
    (settings.dataset_roots[0] / "there.npz").write_bytes(b"x")
    added = there("datasets", "add", "there.npz", "--on-server", "--format", "npz", "--detach", "--json")
    assert added.json["name"] == "there"
    assert there("datasets", "add", "there.npz", "--on-server").status == 2


def test_a_run_is_only_checked_or_only_asked_for(there, target, queue):
    before = len(queue.messages)
    asked = ("run", "target", "--strategy", "uniform", "--budget", "20", "--seeds", "2", "--set", "training.hidden=32")
    assert "about" in there(*asked, "--dry-run").out
    preview = there(*asked, "--dry-run", "--json").json
    assert (preview["request"]["seeds"], preview["request"]["training"]["hidden"]) == ([0, 1], 32)
    assert len(queue.messages) == before
    detached = there(*asked, "--detach", "--name", "trial")
    assert there("jobs", "show", detached.out.strip(), "--json").json["name"] == "trial"
    several = there("run", "target", "--source", "target", "--alpha", "0,0.5", "--fine-tune", "all", "-d", "--json")
    asked_for = several.json["request"]
    assert (several.json["alpha"], asked_for["alpha"], asked_for["fine_tune"]["blocks"]) == (None, [0.0, 0.5], None)
    assert there("run", "target", "--budget", "1").status == 2
    refused = there("run", "target", "--set", "budgt=3")
    assert (refused.status, refused.out, "budgt" in refused.err) == (1, "", True)
    assert there("select", "target", "--dry-run").status == 0
    assert there("select", "target", "--budget", "3", "-d", "--json").json["request"]["budget"] == 3
    assert there("distance", "target", "target", "--dry-run").status == 0
    assert there("distance", "target", "target", "-d").out.count("-") == 4


def test_a_name_is_a_dataset_or_a_file(there, target):
    ended = there("run", "nothing")
    assert (ended.status, ended.out) == (1, "")
    assert "ot3l datasets list" in ended.err


def test_jobs_are_listed_and_shown(there, job, done):
    assert [one["id"] for one in there("jobs", "list", "--json").json] == [str(job.id)]
    assert there("jobs", "list", "--state", "failed", "--json").json == []
    listed = there("jobs", "list").out
    assert f"{job.id}  succeeded  target  uniform   trial [1]" in listed
    shown = there("jobs", "show", job.id).out
    assert all(text in shown for text in ("trial [1]", "75.0", "15 of 20 correct", "predictions.csv"))


def test_logs_are_lines_or_everything_that_happens(there, job, done):
    told = there("jobs", "logs", job.id)
    assert "WARNING 3 images [bold]are" in told.out
    (line,) = there("jobs", "logs", job.id, "--json").lines
    assert line["message"] == NEWS[1].body["message"]
    events = there("jobs", "logs", job.id, "--follow", "--json").lines
    assert [event["number"] for event in events] == list(range(1, len(events) + 1))
    assert "accuracy 50.0%" in there("jobs", "logs", job.id, "-f").out


def test_jobs_are_cancelled_retried_and_deleted(there, job):
    assert there("jobs", "cancel", job.id, "--json").json["state"] == "cancelled"
    again = there("jobs", "cancel", job.id)
    assert (again.status, "not_cancellable" in again.err) == (1, True)
    assert there("jobs", "retry", job.id).err == f"{job.id}: queued\n"
    assert there("jobs", "delete", job.id).status == 1
    assert there("jobs", "cancel", job.id).status == 0
    assert there("jobs", "delete", job.id, "--json").json["id"] == str(job.id)


def test_following_a_job_that_fails_ends_in_1_and_its_body(there, job, service_database, monkeypatch):
    error = {"code": "too_few_samples", "message": "3 of 7", "field": "budget"}
    end(service_database, begin(service_database, job.id), WorkState.FAILED, error=error)
    monkeypatch.setattr("app.client.client.Jobs.create", lambda *_, **__: job)
    ended = there("run", "target", "--json")
    assert (ended.status, ended.json["error"]) == (1, error)
    assert "budget: 3 of 7 (too_few_samples)" in ended.err
    assert "trial [1]: training" in ended.err


def test_files_are_listed_and_brought_home(there, job, done, tmp_path):
    assert "predictions.csv" in there("download", job.id, "--list").out
    assert [one["size"] for one in there("download", job.id, "--list", "--json").json] == [len(PREDICTIONS)]
    brought = there("download", job.id, "predictions.csv", "-o", tmp_path / "p.csv", "--json")
    assert brought.json["name"] == "predictions.csv"
    assert (tmp_path / "p.csv").read_bytes() == PREDICTIONS
    assert there("download", job.id, "predictions.csv").err.startswith("wrote predictions.csv")
    missing = there("download", job.id)
    assert (missing.status, missing.out) == (1, "")


def test_backbones_are_listed(there):
    assert there("backbones", "--json").json["default"] == "efficientnet_lite0"
    assert "resnet18" in there("backbones").out


def test_tables_fit_a_terminal_of_eighty_columns(there, job, target, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for line in ("jobs list", "datasets list", f"jobs show {job.id}", "datasets show target", "run target --dry-run"):
        shown = there(*line.split(), *(["--strategy", "uniform"] if "run" in line else []))
        assert shown.status == 0
        assert max(map(len, shown.out.splitlines())) <= 80


def test_doctor_says_what_works(there, url, ot3l, monkeypatch, settings, tmp_path):
    healthy = there("doctor", "--json")
    assert healthy.status == 0, healthy
    found = {one["part"]: one["state"] for one in healthy.json}
    assert found["service"] == found["python"] == found["disk"] == found["device"] == found["weights"] == "works"
    alone = ot3l("--url", "http://127.0.0.1:9", "doctor")
    assert (alone.status, "ot3l serve" in alone.out) == (0, True)
    monkeypatch.setenv("OT3L_DATABASE_URL", f"sqlite:///{tmp_path / 'none' / 'x.db'}")
    read_settings.cache_clear()
    broken = there("doctor", "--json")
    read_settings.cache_clear()
    assert broken.status == 1
    assert [one["part"] for one in broken.json if one["state"] == "broken"] == ["database"]
