"""What Prometheus reads."""

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from app.observing.metrics import REGISTRY

OPERATIONS = Path(__file__).parents[3] / "docs" / "operations.md"


def samples(client):
    reply = client.get("/metrics")
    assert reply.headers["content-type"].startswith("text/plain")
    found = (sample for family in text_string_to_metric_families(reply.text) for sample in family.samples)
    return {(sample.name, *sorted(sample.labels.items())): sample.value for sample in found}


def test_every_request_is_counted_under_its_route(client):
    key = ("ot3l_http_requests_total", ("method", "GET"), ("route", "/jobs/{job_id}"), ("status", "422"))
    before = samples(client).get(key, 0)
    for path in ("/jobs/a", "/jobs/b"):
        client.get(path)
    assert samples(client)[key] == before + 2


def test_a_path_that_leads_nowhere_makes_no_count_of_its_own(client):
    client.get("/nowhere/1")
    client.get("/nowhere/2")
    assert not [key for key in samples(client) if "nowhere" in str(key)]


def test_what_waits_is_told(client, register, queue):
    register("near")
    client.post("/datasets", json={"format": "builtin", "dataset": "digits", "name": "far"})
    found = samples(client)
    assert found["ot3l_work", ("kind", "datasets"), ("state", "queued")] == 1
    assert found["ot3l_work", ("kind", "jobs"), ("state", "queued")] == 0
    assert found[("ot3l_queue_messages",)] == len(queue.messages)
    assert found["ot3l_up", ("part", "database")] == 1


def test_a_broker_that_is_down_is_told_and_hides_nothing(client, queue):
    queue.down = True
    found = samples(client)
    assert found["ot3l_up", ("part", "broker")] == 0
    assert found["ot3l_work", ("kind", "jobs"), ("state", "running")] == 0


def test_every_metric_is_documented_and_nothing_else(client):
    documented = set(re.findall(r"^\| `(ot3l_[a-z_]+)` \|", OPERATIONS.read_text(), re.MULTILINE))
    counted = {f"{family.name}_total" if family.type == "counter" else family.name for family in REGISTRY.collect()}
    looked_up = {"ot3l_up", "ot3l_work", "ot3l_queue_messages"}
    assert documented == counted | looked_up
    assert looked_up <= {key[0] for key in samples(client)}
