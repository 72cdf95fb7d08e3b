"""Work that is watched, put before other work, and handed over, on real workers and a real broker."""

import json
import os
import signal

from tests.e2e.conftest import SMALL

ENDLESS = {**SMALL, "strategy": "uniform", "training": {"epochs": 1000, "hidden": 512, "patience": 1000}}
TUNED = {**SMALL, "strategy": "uniform", "seeds": [0], "fine_tune": {"blocks": 1, "epochs": 12, "patience": 12}}


def follow(service, location):
    """All events of a piece of work, until it has ended."""
    with service.client.stream("GET", location + "/events", timeout=120) as reply:
        lines = (line.partition(": ") for line in reply.iter_lines())
        return [json.loads(value) for name, _, value in lines if name == "data"]


def bodies(events, kind):
    return [event["body"] for event in events if event["kind"] == kind]


def test_the_events_of_a_job_tell_its_phases_and_all_that_its_curves_hold(service):
    location = service.post("/jobs", {**SMALL, "strategy": "mixed", "seeds": [0, 1]})
    events = follow(service, location)
    job = service.get(location)
    assert [event["number"] for event in events] == list(range(1, len(events) + 1))
    # On a busy machine the first attempt may be lost.
    events = [event for event in events if event["attempt"] == job["attempt"]]
    assert [body["state"] for body in bodies(events, "state")] == ["running", "succeeded"]
    assert [body["phase"] for body in bodies(events, "phase")] == list(job["timings"])
    curves = service.get(location + "/metrics")["curves"]
    assert [(curve["seed"], curve["train_loss"]) for curve in curves] == [
        (course["seed"], course["train_loss"]) for course in job["result"]["training"]
    ]
    for curve in curves:
        told = [body["train_loss"] for body in bodies(events, "epoch") if body["seed"] == curve["seed"]]
        assert told == curve["train_loss"]


def test_a_worker_that_is_told_to_leave_hands_its_job_over(service):
    undisturbed = service.run("/jobs", TUNED)
    location = service.post("/jobs", TUNED)
    service.wait(location, until=lambda job: job["phase"] == "tuning" or job["finished_at"] is not None)
    os.kill(service.local.children["worker-0"].pid, signal.SIGTERM)
    # The process that takes its place begins with everything that it imports.
    service.wait(location, until=lambda job: job["attempt"] > 1)
    service.wait(location, until=lambda job: job["phase"] == "training" or job["finished_at"] is not None)
    job = service.wait(location)
    assert job["state"] == "succeeded"
    assert job["result"] == undisturbed["result"]
    assert [artifact["sha256"] for artifact in job["artifacts"]] == [
        artifact["sha256"] for artifact in undisturbed["artifacts"]
    ]
    states = [body["state"] for body in bodies(follow(service, location), "state")]
    assert states[:4] == ["queued", "running", "queued", "running"]
    assert not list((service.local.data_dir / "scratch").iterdir())


def test_of_what_waits_the_highest_priority_goes_first(service):
    busy = service.post("/jobs", ENDLESS)
    service.wait(busy, until=lambda job: job["state"] == "running")
    priorities = [3, 9, 0, 5, 7, 1, 8, 4, 6, 2]
    waiting = [
        service.post(
            "/datasets",
            {"format": "builtin", "dataset": "digits", "name": f"waits-{priority}", "priority": priority},
        )
        for priority in priorities
    ]
    assert service.client.post(busy + "/cancel").status_code == 202
    began = {
        service.wait(location)["started_at"]: priority for location, priority in zip(waiting, priorities, strict=True)
    }
    assert [began[moment] for moment in sorted(began)] == sorted(priorities, reverse=True)


def test_a_cancelled_job_keeps_what_it_has_told_and_begins_again(service):
    location = service.post("/jobs", ENDLESS)
    service.wait(location, until=lambda job: job["phase"] == "training" and job["progress"] > 0)
    service.client.post(location + "/cancel").raise_for_status()
    events = follow(service, location)
    assert bodies(events, "state")[-1] == {"state": "cancelled"}
    assert bodies(events, "epoch")
    assert "training" in service.get(location)["timings"]
    assert service.client.post(location + "/retry").status_code == 202
    assert service.wait(location, until=lambda job: job["phase"] == "training")["attempt"] == 2
    service.client.post(location + "/cancel").raise_for_status()
    assert service.wait(location)["state"] == "cancelled"
