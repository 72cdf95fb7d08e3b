"""Killing what can be killed changes nothing but the time it takes."""

import pytest

from tests.e2e.conftest import BOTH_SHAPES, SMALL


@pytest.fixture(scope="module", params=BOTH_SHAPES)
def service(request):
    return request.getfixturevalue(request.param)


def measured(job):
    """What a job's result says, and the bytes of its checkpoint, without what may differ between equal jobs."""
    return job["result"], {artifact["name"]: artifact["sha256"] for artifact in job["artifacts"]}


@pytest.fixture(scope="module")
def undisturbed(service):
    return measured(service.run("/jobs", {**SMALL, "strategy": "mixed"}))


@pytest.mark.parametrize("phase", ["embedding", "training"])
def test_a_killed_worker_costs_only_time(service, undisturbed, phase):
    # Without the cached features the job has to embed again.
    for file in (service.local.data_dir / "features").glob("*"):
        file.unlink()
    location = service.post("/jobs", {**SMALL, "strategy": "mixed"})
    service.wait(location, until=lambda job: job["phase"] == phase or job["finished_at"] is not None)
    service.kill("worker")
    job = service.wait(location)
    assert job["state"] == "succeeded"
    assert job["attempt"] >= 2
    assert measured(job) == undisturbed


def test_a_worker_that_is_killed_while_it_tunes_goes_on_where_it_was(service):
    body = {**SMALL, "strategy": "uniform", "seeds": [0], "fine_tune": {"blocks": 1, "epochs": 12, "patience": 12}}
    undisturbed = measured(service.run("/jobs", body))
    states = service.local.data_dir / "tuning"
    assert not list(states.iterdir())
    location = service.post("/jobs", body)

    def is_under_way(job):
        return job["finished_at"] is not None or any(states.glob("*/0.safetensors"))

    service.wait(location, until=is_under_way)
    service.kill("worker")
    assert list(states.glob("*/0.safetensors"))
    job = service.wait(location)
    assert (job["state"], job["attempt"]) == ("succeeded", 2)
    assert measured(job) == undisturbed
    service.wait(location, until=lambda _: not list(states.iterdir()))


def test_a_broker_that_loses_everything_costs_only_time(service, undisturbed):
    locations = [service.post("/jobs", {**SMALL, "strategy": "mixed"}) for _ in range(3)]
    service.wait(locations[0], until=lambda job: job["state"] != "queued")
    service.kill("broker")
    late = service.post("/jobs", {**SMALL, "strategy": "mixed"})
    for location in [*locations, late]:
        job = service.wait(location)
        assert job["state"] == "succeeded"
        assert measured(job) == undisturbed


def test_a_running_job_is_cancelled_within_seconds(service):
    location = service.post(
        "/jobs", {**SMALL, "training": {"epochs": 1000, "hidden": 512, "patience": 1000}, "strategy": "uniform"}
    )
    service.wait(location, until=lambda job: job["phase"] == "training")
    assert service.client.post(location + "/cancel").status_code == 202
    job = service.wait(location)
    assert (job["state"], job["result"], job["artifacts"]) == ("cancelled", None, [])
