"""Asking for distances over HTTP."""

import hashlib
from uuid import UUID

import pytest
from sqlalchemy import event

from app.queue import TaskName
from app.store.blobs import open_blobs
from app.store.listing import Filters, Order, list_shown
from app.store.records import DistanceArtifactRecord, DistanceRecord

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

MATRIX = {
    "kind": "matrix",
    "datasets": ["source", "target"],
    "n_samples": [20, 10],
    "upper": [[0.0, 2.0], [2.0, 0.0]],
    "lower": [[0.0, 1.9], [1.9, 0.0]],
    "gap_percent": [[0.0, 9.75], [9.75, 0.0]],
    "converged": [[True, False], [False, True]],
    "order": [0, 1],
    "merges": [{"first": 0, "second": 1, "height": 2.0, "size": 2}],
    "nearest": [
        {"name": "source", "nearest": "target", "distance": 2.0, "settled": True},
        {"name": "target", "nearest": "source", "distance": 2.0, "settled": True},
    ],
}
CONTENT = b"dataset,source,target\r\n"


@pytest.fixture
def datasets(register, queue):
    ids = {name: register(name) for name in ("source", "target", "third")}
    queue.messages.clear()
    return ids


@pytest.fixture
def matrix(client, datasets):
    reply = client.post("/distances", json={"datasets": ["third", "source", str(datasets["target"])]})
    assert reply.status_code == 202, reply.text
    return reply


def test_a_distance_is_stored_then_enqueued_then_read(client, queue, datasets, finish):
    reply = client.post("/distances", json={"source": "source", "target": "target"})
    body = reply.json()
    assert reply.status_code == 202
    assert reply.headers["Location"] == f"/distances/{body['id']}"
    assert (body["source"], body["target"], body["result"]) == ("source", "target", None)
    assert (body["kind"], body["datasets"], body["artifacts"]) == ("pair", ["source", "target"], [])
    assert queue.messages == [(TaskName.MEASURE_DISTANCE, UUID(body["id"]))]
    # As they were stored before there were matrices and maps: without their kind.
    finish(DistanceRecord, UUID(body["id"]), result=RESULT, timings={"measuring": 0.5})
    done = client.get(reply.headers["Location"]).json()
    assert (done["state"], done["progress"], done["result"]) == (
        "succeeded",
        1.0,
        {"kind": "pair", "class_map": None, **RESULT},
    )
    (listed,) = client.get("/distances").json()["items"]
    assert listed == {name: value for name, value in done.items() if name != "result"}


def test_a_dataset_may_be_measured_against_itself(client, datasets):
    body = client.post("/distances", json={"source": "source", "target": str(datasets["source"])}).json()
    assert (body["source"], body["target"], body["datasets"]) == ("source", "source", ["source", "source"])


def test_a_list_is_stored_in_its_order_then_enqueued_then_read(client, queue, matrix, finish):
    body = matrix.json()
    assert (body["kind"], body["datasets"]) == ("matrix", ["third", "source", "target"])
    assert (body["source"], body["target"], body["result"], body["artifacts"]) == (None, None, None, [])
    assert body["request"]["datasets"] == body["datasets"]
    assert not {"source", "target", "class_score"} & set(body["request"])
    assert queue.messages == [(TaskName.MEASURE_DISTANCE, UUID(body["id"]))]
    finish(DistanceRecord, UUID(body["id"]), result=MATRIX)
    done = client.get(matrix.headers["Location"]).json()
    assert (done["state"], done["result"]) == ("succeeded", MATRIX)
    (listed,) = client.get("/distances").json()["items"]
    assert listed == {name: value for name, value in done.items() if name != "result"}


def test_a_request_can_be_sent_again_as_it_is_shown(client, matrix):
    again = client.post("/distances", json=matrix.json()["request"] | {"reuse": False})
    assert (again.status_code, again.json()["request"]) == (202, matrix.json()["request"])


@pytest.mark.parametrize("body", [{}, {"source": "source", "datasets": ["source", "target"]}, [], {"seed": 1}])
def test_neither_or_both_ways_to_name_datasets_are_refused_with_what_would_be_right(client, queue, datasets, body):
    reply = client.post("/distances", json=body)
    assert (reply.status_code, reply.json()["type"]) == (422, "invalid_request")
    (problem,) = reply.json()["errors"]
    assert problem["field"] == "datasets"
    assert "either source and target, or datasets" in problem["message"]
    assert queue.messages == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"datasets": []}, "datasets"),
        ({"datasets": ["source"]}, "datasets"),
        ({"datasets": ["source"] * 51}, "datasets"),
        ({"datasets": "source"}, "datasets"),
        ({"datasets": None}, "datasets"),
        ({"datasets": ["source", "target", "a b"]}, "datasets.2"),
        ({"datasets": ["source", "unknown", "target"]}, "datasets.1"),
        ({"datasets": ["source", "target", "source"]}, "datasets.2"),
        ({"class_score": "mean"}, "class_score"),
        ({"max_samples": 9}, "max_samples"),
        ({"backbone": "resnet19"}, "backbone"),
    ],
)
def test_a_bad_list_names_its_field(client, queue, datasets, body, field):
    reply = client.post("/distances", json={"datasets": ["source", "target"]} | body)
    assert (reply.status_code, reply.json()["type"]) == (422, "invalid_request")
    assert [error["field"] for error in reply.json()["errors"]] == [field]
    assert queue.messages == []


def test_a_dataset_named_twice_is_found_behind_its_id(client, datasets):
    reply = client.post("/distances", json={"datasets": ["source", "target", str(datasets["source"])]})
    assert reply.status_code == 422
    (problem,) = reply.json()["errors"]
    assert problem["field"] == "datasets.2"
    assert "'source' is already at place 0" in problem["message"]


def test_a_list_waits_for_all_its_datasets(client, datasets):
    client.post("/datasets", json={"format": "builtin", "dataset": "digits", "name": "late"})
    reply = client.post("/distances", json={"datasets": ["source", "late"]})
    assert (reply.status_code, reply.json()["type"]) == (409, "not_ready")
    assert [error["field"] for error in reply.json()["errors"]] == ["datasets.1"]


def test_the_files_of_a_matrix_come_like_those_of_a_job(client, matrix, finish, settings, service_database, tmp_path):
    url = matrix.headers["Location"] + "/artifacts/matrix.csv"
    early = client.get(url)
    assert (early.status_code, early.json()["type"]) == (409, "not_ready")
    (tmp_path / "file").write_bytes(CONTENT)
    open_blobs(settings.resolved_blob_url).put_file("some/key", tmp_path / "file")
    distance_id = UUID(matrix.json()["id"])
    finish(DistanceRecord, distance_id, result=MATRIX)
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    told = {"name": "matrix.csv", "size": len(CONTENT), "sha256": sha256, "media_type": "text/csv; charset=utf-8"}
    with service_database.writing() as session:
        session.add(DistanceArtifactRecord(distance_id=distance_id, key="some/key", **told))
        session.commit()
    assert client.get(matrix.headers["Location"]).json()["artifacts"] == [told]
    whole = client.get(url)
    assert (whole.content, whole.headers["ETag"]) == (CONTENT, f'"{sha256}"')
    assert client.get(url, headers={"Range": "bytes=3-5"}).content == CONTENT[3:6]
    assert client.get(url, headers={"If-None-Match": f'"{sha256}"'}).status_code == 304
    head = client.head(url)
    assert (head.status_code, head.content, head.headers["Content-Length"]) == (200, b"", str(len(CONTENT)))
    missing = client.get(matrix.headers["Location"] + "/artifacts/other.csv")
    assert (missing.status_code, missing.json()["type"]) == (404, "not_found")
    assert client.get(f"/distances/{UUID(int=0)}/artifacts/matrix.csv").status_code == 404


def test_lists_read_no_results_and_everything_else_in_one_go(client, matrix, service_database):
    client.post("/distances", json={"source": "source", "target": "target"})
    statements = []
    event.listen(service_database.engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    with service_database.reading() as session:
        newest = Order("created_at", descending=True)
        found = list_shown(session, DistanceRecord, "local", Filters(), newest, after=None, limit=5)
    assert [record["datasets"] for record in found] == [["source", "target"], ["third", "source", "target"]]
    (select,) = [statement for statement in statements if statement.startswith("SELECT")]
    assert "result" not in select


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
