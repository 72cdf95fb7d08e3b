"""Asking for distances over HTTP."""

from uuid import UUID

import pytest

from app.queue import TaskName
from app.store.records import DistanceRecord

RESULT = {
    "dataset_distance": {
        "value": 2.0,
        "lower": 1.9,
        "upper": 2.0,
        "gap_percent": 9.75,
        "converged": False,
        "n_iterations": 7,
        "spread": None,
    },
    "source_classes": ["cat", "dog"],
    "target_classes": ["ant"],
    "label_distances": [[1.0], [2.0]],
    "classes": [{"name": "ant", "score": 1.5, "nearest_source": "cat", "nearest_distance": 1.0}],
    "rank_stability": None,
    "n_source": 20,
    "n_target": 10,
}


@pytest.fixture
def datasets(register, queue):
    register("source")
    register("target")
    queue.messages.clear()


def test_a_distance_is_stored_then_enqueued_then_read(client, queue, datasets, finish):
    reply = client.post("/distances", json={"source": "source", "target": "target"})
    body = reply.json()
    assert reply.status_code == 202
    assert reply.headers["Location"] == f"/distances/{body['id']}"
    assert (body["source"], body["target"], body["result"]) == ("source", "target", None)
    assert queue.messages == [(TaskName.MEASURE_DISTANCE, UUID(body["id"]))]
    finish(DistanceRecord, UUID(body["id"]), result=RESULT, timings={"measuring": 0.5})
    done = client.get(reply.headers["Location"]).json()
    assert (done["state"], done["progress"], done["result"]) == ("succeeded", 1.0, RESULT)
    (listed,) = client.get("/distances").json()["items"]
    assert listed == {name: value for name, value in done.items() if name != "result"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"source": "unknown"}, "source"),
        ({"target": "unknown"}, "target"),
        ({"method": "wasserstein"}, "method"),
        ({"transport": "fast"}, "transport"),
        ({"class_score": "median"}, "class_score"),
        ({"max_samples": 9}, "max_samples"),
        ({"seed": -1}, "seed"),
        ({"backbone": "resnet19"}, "backbone"),
    ],
)
def test_a_bad_distance_names_its_field(client, queue, datasets, body, field):
    reply = client.post("/distances", json={"source": "source", "target": "target"} | body)
    assert (reply.status_code, reply.json()["type"]) == (422, "invalid_request")
    assert [error["field"] for error in reply.json()["errors"]] == [field]
    assert queue.messages == []


def test_too_few_samples_for_the_classes_are_refused(client, register, datasets):
    many = [{"name": f"c{number}", "pool": 9, "test": 0} for number in range(30)]
    register("many", {"classes": many, "n_pool": 270, "n_test": 0})
    reply = client.post("/distances", json={"source": "many", "target": "target", "max_samples": 20})
    assert [error["field"] for error in reply.json()["errors"]] == ["max_samples"]
    assert client.get(f"/distances/{UUID(int=0)}").status_code == 404
