"""Registering and reading datasets over HTTP."""

import hashlib
import re
from uuid import UUID

import pytest
from starlette.testclient import TestClient

from app.main import create_app
from app.places import bucket_place
from app.queue import TaskName
from app.states import WorkState
from app.store.blobs import open_blobs
from app.store.records import DatasetArtifactRecord, DatasetRecord


def fields_of(reply):
    return {error["field"]: error["message"] for error in reply.json()["errors"]}


def test_registering_stores_then_enqueues_the_id(client, queue):
    reply = client.post("/datasets", json={"format": "builtin", "dataset": "mnist-5k"})
    body = reply.json()
    assert reply.status_code == 202
    assert reply.headers["Location"] == f"/datasets/{body['id']}"
    assert (body["name"], body["format"], body["state"]) == ("mnist-5k", "builtin", "queued")
    assert queue.messages == [(TaskName.INSPECT_DATASET, UUID(body["id"]))]
    assert client.get(reply.headers["Location"]).json() == body
    assert client.get("/datasets/mnist-5k").json() == body


def test_a_broker_that_is_down_delays_and_does_not_refuse(client, queue):
    queue.down = True
    reply = client.post("/datasets", json={"format": "builtin", "dataset": "digits"})
    assert reply.status_code == 202
    assert client.get(reply.headers["Location"]).json()["state"] == "queued"
    assert client.get("/health/ready").status_code == 503
    assert client.get("/health/live").status_code == 200


def test_its_files_are_there_once_it_was_inspected(client, settings, finish, service_database, tmp_path):
    dataset_id = client.post("/datasets", json={"format": "builtin", "dataset": "digits"}).json()["id"]
    early = client.get("/datasets/digits/artifacts/gallery.webp")
    assert (early.status_code, early.json()["type"]) == (409, "not_ready")
    assert client.get("/datasets/digits").json()["artifacts"] == []
    content = b"many small pictures"
    (tmp_path / "gallery.webp").write_bytes(content)
    open_blobs(settings.resolved_blob_url).put_file("some/key", tmp_path / "gallery.webp")
    told = {
        "name": "gallery.webp",
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "media_type": "image/webp",
    }
    with service_database.writing() as session:
        session.add(DatasetArtifactRecord(dataset_id=UUID(dataset_id), key="some/key", **told))
        session.commit()
    finish(DatasetRecord, UUID(dataset_id))
    (listed,) = client.get("/datasets").json()["items"]
    assert client.get("/datasets/digits").json()["artifacts"] == listed["artifacts"] == [told]
    for name in ("digits", dataset_id):
        url = f"/datasets/{name}/artifacts"
        (link,) = client.get(url).json()["items"]
        assert link == told | {"url": f"/datasets/{dataset_id}/artifacts/gallery.webp"}
        whole = client.get(f"{url}/gallery.webp")
        assert (whole.content, whole.headers["content-type"]) == (content, "image/webp")
        assert whole.headers["etag"] == f'"{told["sha256"]}"'
        head = client.head(f"{url}/gallery.webp")
        assert (head.content, head.headers["content-length"]) == (b"", str(len(content)))
        part = client.get(f"{url}/gallery.webp", headers={"Range": "bytes=5-9"})
        assert (part.status_code, part.content) == (206, content[5:10])
        known = client.get(f"{url}/gallery.webp", headers={"If-None-Match": whole.headers["etag"]})
        assert (known.status_code, known.content) == (304, b"")
        assert client.get(f"{url}/other.webp").status_code == 404
    assert client.get("/datasets/none/artifacts/gallery.webp").status_code == 404
    assert client.get("/datasets/none/artifacts").status_code == 404


def test_what_could_not_be_inspected_has_no_files(client, finish):
    dataset_id = client.post("/datasets", json={"format": "builtin", "dataset": "digits"}).json()["id"]
    finish(DatasetRecord, UUID(dataset_id), WorkState.FAILED, error={"code": "x", "message": "y", "field": None})
    assert client.get("/datasets/digits").json()["artifacts"] == []
    assert client.get("/datasets/digits/artifacts/gallery.webp").status_code == 409


def test_a_name_is_taken_once(client):
    body = {"format": "builtin", "dataset": "digits", "name": "mine"}
    assert client.post("/datasets", json=body).status_code == 202
    reply = client.post("/datasets", json=body)
    assert (reply.status_code, reply.json()["type"]) == (409, "name_taken")
    assert reply.headers["content-type"] == "application/problem+json"
    assert len(client.get("/datasets").json()["items"]) == 1


def test_paths_are_found_below_the_roots_only(client, settings, tmp_path):
    (settings.dataset_roots[0] / "here.zip").write_bytes(b"")
    (tmp_path / "outside.zip").write_bytes(b"")
    (settings.dataset_roots[0] / "link.zip").symlink_to(tmp_path / "outside.zip")

    def post(path):
        return client.post("/datasets", json={"format": "zip", "path": str(path), "name": f"d{len(str(path))}"})

    assert post("here.zip").status_code == 202
    assert post(settings.dataset_roots[0] / "here.zip").status_code == 202
    for path in ("../outside.zip", tmp_path / "outside.zip", "link.zip", "/etc/passwd", "missing.zip", "a\0b"):
        reply = post(path)
        assert reply.status_code == 422, path
        assert set(fields_of(reply)) == {"path"}
        assert str(tmp_path) not in reply.text


@pytest.fixture
def bucket_client(settings, queue):
    """A client of a service whose operator allows two prefixes."""
    places = tuple(map(bucket_place, ("s3://pictures/public", "s3://flowers")))
    with TestClient(
        create_app(settings.model_copy(update={"dataset_buckets": places}), queue=queue), base_url="http://localhost"
    ) as client:
        yield client


def test_addresses_in_s3_are_taken_below_the_allowed_prefixes(bucket_client, service_database):
    for path in ("s3://pictures/public", "s3://pictures/public/cats/", "s3://flowers/a.zip"):
        reply = bucket_client.post("/datasets", json={"format": "image_folder", "path": path})
        assert reply.status_code == 202, reply.text
        with service_database.reading() as session:
            assert session.get(DatasetRecord, UUID(reply.json()["id"])).request["path"] == path.rstrip("/")
    names = {item["name"] for item in bucket_client.get("/datasets").json()["items"]}
    assert names == {"public", "cats", "a"}


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ({"path": "s3://pictures/private"}, "OT3L_DATASET_BUCKETS"),
        ({"path": "s3://pictures/publicity"}, "OT3L_DATASET_BUCKETS"),
        ({"path": "s3://pictures"}, "OT3L_DATASET_BUCKETS"),
        ({"path": "s3://other/a"}, "OT3L_DATASET_BUCKETS"),
        ({"path": "s3://pictures/public/../private"}, r"\.\."),
        ({"path": "s3://pictures/public//a"}, "empty"),
        ({"path": "http://127.0.0.1/a"}, "s3://"),
        ({"path": "file:///etc/passwd"}, "s3://"),
        ({"format": "coco", "path": "s3://flowers/a", "annotations": "a.json"}, "image_folder"),
    ],
)
def test_other_addresses_are_refused(bucket_client, queue, body, complaint):
    reply = bucket_client.post("/datasets", json={"format": "image_folder"} | body)
    assert reply.status_code == 422
    assert re.search(complaint, fields_of(reply)["path"])
    assert queue.messages == []


def test_nothing_in_s3_is_allowed_unless_it_is_said(client):
    reply = client.post("/datasets", json={"format": "zip", "path": "s3://pictures/a.zip"})
    assert "OT3L_DATASET_BUCKETS" in fields_of(reply)["path"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "format"),
        ({"format": "tarball"}, "format"),
        ({"format": "builtin", "dataset": "imagenet"}, "dataset"),
        ({"format": "zip"}, "path"),
        ({"format": "coco", "path": "x"}, "annotations"),
        ({"format": "builtin", "dataset": "digits", "test_fraction": 1.0}, "test_fraction"),
        ({"format": "builtin", "dataset": "digits", "name": "../x"}, "name"),
        ({"format": "builtin", "dataset": "digits", "colour": "red"}, "colour"),
    ],
)
def test_a_bad_request_names_its_field(client, queue, body, field):
    reply = client.post("/datasets", json=body)
    assert (reply.status_code, reply.json()["type"]) == (422, "invalid_request")
    assert field in fields_of(reply)
    assert queue.messages == []


def test_what_is_not_there_is_a_problem(client):
    for path in ("/datasets/nothing", "/nowhere"):
        reply = client.get(path)
        assert (reply.status_code, reply.json()["type"]) == (404, "not_found")
        assert reply.headers["content-type"] == "application/problem+json"
    assert client.put("/datasets").json()["type"] == "method_not_allowed"
    assert client.post("/datasets", content=b"{", headers={"content-type": "application/json"}).status_code == 422
