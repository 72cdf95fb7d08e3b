"""Getting data in: in parts, in one request, or straight into the store."""

import base64
import hashlib
import threading
import uuid
from uuid import UUID

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from app.api.forms import FileForm
from app.errors import InvalidRequestError
from app.main import create_app
from app.services.uploads import expire_uploads
from app.states import WorkState
from app.store.blobs import open_blobs
from app.store.records import DatasetRecord, UploadRecord

PART = 1024
CONTENT = bytes(range(256)) * 10 + b"tail"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PARTS = {number: CONTENT[(number - 1) * PART : number * PART] for number in (1, 2, 3)}


@pytest.fixture
def settings(settings):
    return settings.model_copy(update={"upload_part_bytes": PART})


@pytest.fixture
def blobs(settings):
    return open_blobs(settings.resolved_blob_url)


def begin(client, size=2564, **more):
    reply = client.post("/uploads", json={"filename": "flowers.zip", "size": size} | more)
    assert reply.status_code == 201, reply.text
    return reply.headers["Location"]


def send(client, location, parts=PARTS):
    for number, content in parts.items():
        reply = client.put(f"{location}/parts/{number}", content=content)
        assert reply.status_code == 200, reply.text


def stored(blobs, location):
    """The bytes that lie in the store of an upload, in the order of their parts."""
    prefix = location.removeprefix("/") + "/"
    found = {
        int(blob.key.removeprefix(prefix).partition("-")[0]): blobs.read(blob.key, blob.size)
        for blob in blobs.list_below(prefix)
    }
    return b"".join(found[number] for number in sorted(found))


def code_of(reply):
    return reply.status_code, reply.json()["type"]


def test_a_file_comes_in_parts(client, blobs):
    reply = client.post("/uploads", json={"filename": "flowers.zip", "size": len(CONTENT), "sha256": SHA256})
    begun = reply.json()
    assert (reply.status_code, reply.headers["Location"]) == (201, f"/uploads/{begun['id']}")
    assert (begun["part_size"], begun["n_parts"], begun["parts"], begun["completed_at"]) == (PART, 3, [], None)
    location = reply.headers["Location"]
    send(client, location)
    ended = client.post(f"{location}/complete").json()
    assert [(part["number"], part["size"]) for part in ended["parts"]] == [(1, PART), (2, PART), (3, 516)]
    assert ended["parts"][0]["sha256"] == hashlib.sha256(PARTS[1]).hexdigest()
    assert ended["completed_at"] is not None
    assert client.get(location).json() == ended
    assert client.post(f"{location}/complete").json() == ended
    assert stored(blobs, location) == CONTENT


def test_who_lost_the_connection_sees_what_is_missing(client, blobs):
    location = begin(client)
    send(client, location, {3: PARTS[3], 1: PARTS[1]})
    assert [part["number"] for part in client.get(location).json()["parts"]] == [1, 3]
    early = client.post(f"{location}/complete")
    assert code_of(early) == (409, "upload_incomplete")
    assert "send 2." in early.json()["detail"]
    send(client, location, {2: PARTS[2]})
    assert client.post(f"{location}/complete").status_code == 200
    assert stored(blobs, location) == CONTENT


def test_a_part_that_is_sent_again_takes_the_place_of_the_first(client, blobs):
    location = begin(client)
    send(client, location, {1: b"x" * PART})
    send(client, location)
    assert stored(blobs, location) == CONTENT


def test_a_part_has_exactly_its_size(client, blobs):
    location = begin(client)
    for size in (0, PART - 1, PART + 1, 50 * PART):
        for content in (b"x" * size, iter([b"x" * (size // 2), b"x" * (size - size // 2)])):
            reply = client.put(f"{location}/parts/1", content=content)
            assert code_of(reply) == (422, "invalid_request")
            assert "1,024 bytes" in reply.json()["detail"]
    assert stored(blobs, location) == b""


def test_there_are_no_other_parts_than_those_that_were_announced(client):
    location = begin(client)
    for number in (0, 4, -1, 10**30, "one"):
        assert client.put(f"{location}/parts/{number}", content=PARTS[1]).status_code == 422
    assert client.put(f"/uploads/{UUID(int=0)}/parts/1", content=PARTS[1]).status_code == 404


def test_what_is_complete_takes_no_more_parts(client, blobs):
    location = begin(client)
    send(client, location)
    client.post(f"{location}/complete")
    assert code_of(client.put(f"{location}/parts/1", content=b"x" * PART)) == (409, "upload_complete")
    assert stored(blobs, location) == CONTENT


def test_a_digest_of_a_part_is_checked(client):
    location = begin(client)
    digest = base64.b64encode(hashlib.sha256(PARTS[1]).digest()).decode()

    def put(header):
        return client.put(f"{location}/parts/1", content=PARTS[1], headers={"Content-Digest": header})

    assert put(f"sha-256=:{digest}:").status_code == 200
    assert put(f"md5=:{digest}:, sha-256=:{digest}:").status_code == 200
    wrong = base64.b64encode(bytes(32)).decode()
    for header in (f"sha-256=:{wrong}:", f"md5=:x:,sha-512=:{wrong}:"):
        assert code_of(put(header)) == (422, "checksum_mismatch")
    assert code_of(put("sha-256=:a:")) == (422, "invalid_request")


def test_a_checksum_of_a_single_part_is_that_of_the_whole(client):
    wrong = begin(client, size=4, sha256="0" * 64)
    send(client, wrong, {1: b"tail"})
    assert code_of(client.post(f"{wrong}/complete")) == (422, "checksum_mismatch")
    assert client.get(wrong).json()["completed_at"] is None


IMPOSSIBLE = [
    ({"filename": "a", "size": (100 << 30) + 1}, 413, "size"),
    ({"filename": "a", "size": 0}, 422, "size"),
    ({"filename": "a", "size": -1}, 422, "size"),
    ({"filename": "", "size": 1}, 422, "filename"),
    ({"filename": "a\nb", "size": 1}, 422, "filename"),
    ({"filename": "a" * 256, "size": 1}, 422, "filename"),
    ({"filename": "a", "size": 1, "sha256": "abc"}, 422, "sha256"),
    ({"filename": "a", "size": 1, "path": "/etc"}, 422, "path"),
]


def test_an_upload_that_cannot_be_is_refused_at_once(client):
    for body, status, field in IMPOSSIBLE:
        reply = client.post("/uploads", json=body)
        assert reply.status_code == status
        assert [error["field"] for error in reply.json()["errors"]] == [field]


def test_a_file_name_is_a_label(client, settings):
    location = begin(client, filename="../../../etc/passwd")
    send(client, location)
    assert client.get(location).json()["filename"] == "../../../etc/passwd"
    kept = [path for path in settings.data_dir.parent.rglob("*") if path.is_file() and path.stat().st_size == PART]
    assert {path.parent for path in kept} == {settings.data_dir / "blobs" / location.removeprefix("/")}


def test_an_upload_is_deleted_with_its_bytes(client, blobs):
    location = begin(client)
    send(client, location)
    assert client.delete(location).status_code == 204
    assert list(blobs.list_below("uploads/")) == []
    assert client.delete(location).status_code == client.get(location).status_code == 404


def test_two_clients_that_send_the_same_part_leave_one_of_them(client, blobs):
    location = begin(client, size=PART)
    contents = [bytes([number]) * PART for number in range(8)]

    def put(content):
        assert client.put(f"{location}/parts/1", content=content).status_code == 200

    threads = [threading.Thread(target=put, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (part,) = client.post(f"{location}/complete").json()["parts"]
    left = stored(blobs, location)
    assert left in contents
    assert part["sha256"] == hashlib.sha256(left).hexdigest()
    assert len(list(blobs.list_below("uploads/"))) == 1


def test_what_nobody_touches_expires_with_its_bytes(settings, queue, service_database, blobs):
    briefly = settings.model_copy(update={"upload_hours": 1e-9})
    with TestClient(create_app(briefly, queue=queue), base_url="http://localhost") as client:
        location = begin(client)
        send(client, location)
    with TestClient(create_app(settings, queue=queue), base_url="http://localhost") as client:
        kept = begin(client)
        assert expire_uploads(service_database, blobs) == 1
        assert expire_uploads(service_database, blobs) == 0
        assert client.get(location).status_code == 404
        assert client.get(kept).status_code == 200
    assert list(blobs.list_below("uploads/")) == []


def test_a_dataset_holds_its_upload(settings, queue, service_database, blobs, finish):
    briefly = settings.model_copy(update={"upload_hours": 1e-9})
    with TestClient(create_app(briefly, queue=queue), base_url="http://localhost") as client:
        location = begin(client)
        upload = location.rpartition("/")[2]
        early = client.post("/datasets", json={"format": "zip", "upload": upload})
        assert [error["field"] for error in early.json()["errors"]] == ["upload"]
        send(client, location)
        client.post(f"{location}/complete")
        made = client.post("/datasets", json={"format": "zip", "upload": upload})
        assert (made.status_code, made.json()["name"], made.json()["upload"]) == (202, "flowers", upload)
        assert expire_uploads(service_database, blobs) == 0
        assert code_of(client.delete(location)) == (409, "in_use")
        # One that failed gives its name to the next, over the same upload.
        finish(
            DatasetRecord, UUID(made.json()["id"]), WorkState.FAILED, error={"code": "x", "message": "y", "field": None}
        )
        again = client.post("/datasets", json={"format": "image_folder", "upload": upload, "name": "flowers"})
        assert again.status_code == 202
    assert stored(blobs, location) == CONTENT


MISPLACED = [
    ({"format": "zip"}, "path"),
    ({"format": "zip", "path": "a.zip", "upload": str(UUID(int=0))}, "path"),
    ({"format": "zip", "upload": str(UUID(int=0))}, "upload"),
    ({"format": "zip", "upload": "../a"}, "upload"),
    ({"format": "builtin", "dataset": "digits", "upload": str(UUID(int=0))}, "upload"),
    ({"format": "torchvision", "dataset": "MNIST"}, "root"),
    ({"format": "torchvision", "dataset": "MNIST", "upload": str(UUID(int=0)), "download": True}, "download"),
    ({"format": "torchvision", "dataset": "MNIST", "upload": str(UUID(int=0)), "folder": "../x"}, "folder"),
    ({"format": "coco", "upload": str(UUID(int=0)), "annotations": "/etc/passwd"}, "annotations"),
    ({"format": "coco", "upload": str(UUID(int=0)), "annotations": "a/../../b"}, "annotations"),
    ({"format": "parquet", "upload": str(UUID(int=0)), "test_path": "t.parquet"}, "test_path"),
]


def test_a_dataset_is_read_from_one_place(client):
    for body, field in MISPLACED:
        reply = client.post("/datasets", json=body)
        assert code_of(reply) == (422, "invalid_request")
        assert [error["field"] for error in reply.json()["errors"]] == [field]


def test_a_request_with_a_key_is_carried_out_once(client):
    headers = {"Idempotency-Key": "begin"}
    body = {"filename": "a.zip", "size": len(CONTENT)}
    first, second = (client.post("/uploads", json=body, headers=headers) for _ in range(2))
    assert second.headers["Idempotency-Replayed"] == "true"
    assert second.json() == first.json()
    assert client.post("/uploads", json=body | {"size": 5}, headers=headers).status_code == 422
    location = first.headers["Location"]
    early = client.post(f"{location}/complete", headers={"Idempotency-Key": "end"})
    send(client, location)
    late = client.post(f"{location}/complete", headers={"Idempotency-Key": "end"})
    assert (early.status_code, late.status_code) == (409, 200)
    assert client.post(f"{location}/complete", headers={"Idempotency-Key": "end"}).json() == late.json()


def test_one_owner_stores_so_much(settings, queue):
    little = settings.model_copy(update={"max_stored_bytes": 2 * len(CONTENT)})
    with TestClient(create_app(little, queue=queue), base_url="http://localhost") as client:
        begin(client)
        second = begin(client)
        body = {"filename": "a", "size": 1}
        assert code_of(client.post("/uploads", json=body)) == (429, "quota_exceeded")
        assert code_of(client.post("/uploads", files={"file": b"x"})) == (429, "quota_exceeded")
        client.delete(second)
        assert client.post("/uploads", json=body).status_code == 201


# --- In one request


def test_a_file_in_a_form_is_the_same_as_its_parts(client, blobs):
    for size in (1, PART - 1, PART, PART + 1, len(CONTENT)):
        content = CONTENT[:size]
        reply = client.post("/uploads", files={"file": ("flowers.zip", content)})
        body = reply.json()
        assert (reply.status_code, body["size"], body["filename"]) == (201, size, "flowers.zip")
        assert body["sha256"] == hashlib.sha256(content).hexdigest()
        assert [part["size"] for part in body["parts"]] == [len(content[at : at + PART]) for at in range(0, size, PART)]
        assert body["completed_at"] is not None
        assert client.get(reply.headers["Location"]).json() == body
        assert stored(blobs, reply.headers["Location"]) == content


def test_a_checksum_in_the_form_is_that_of_the_file(client, blobs):
    def post(sha256):
        return client.post("/uploads", files={"file": ("a.zip", CONTENT)}, data={"sha256": sha256})

    assert post(SHA256).status_code == 201
    before = len(list(blobs.list_below("uploads/")))
    assert code_of(post("0" * 64)) == (422, "checksum_mismatch")
    assert code_of(post("no")) == (422, "invalid_request")
    assert len(list(blobs.list_below("uploads/"))) == before


def test_a_file_that_comes_twice_under_one_key_is_one_upload(client, blobs):
    def post(content):
        return client.post("/uploads", files={"file": ("a.zip", content)}, headers={"Idempotency-Key": "file"})

    first, second = post(CONTENT), post(CONTENT)
    assert first.json() == second.json()
    assert second.headers["Idempotency-Replayed"] == "true"
    assert len(list(blobs.list_below("uploads/"))) == 3
    assert post(CONTENT[:-1]).status_code == 422
    assert len(list(blobs.list_below("uploads/"))) == 3


BOUNDARY = "frontier"
HEAD = b'--frontier\r\nContent-Disposition: form-data; name="file"; filename="a.zip"\r\n\r\n'
TAIL = b"\r\n--frontier--\r\n"


def post_form(client, body, content_type=f"multipart/form-data; boundary={BOUNDARY}"):
    return client.post("/uploads", content=body, headers={"Content-Type": content_type})


def a_field(name):
    return f'--frontier\r\nContent-Disposition: form-data; name="{name}"\r\n\r\nvalue\r\n'.encode()


HOSTILE = [
    b"",
    b"\r\n" * 1_000_000,
    b"no boundary at all" * 10_000,
    b"--frontier--\r\n",
    HEAD,
    HEAD + CONTENT,
    HEAD + CONTENT + b"\r\n--frontier",
    HEAD + TAIL,
    HEAD + CONTENT + b"\r\n" + HEAD + CONTENT + TAIL,
    b"".join(a_field(f"f{number}") for number in range(5000)) + HEAD + CONTENT + TAIL,
    b"--frontier\r\n" + b"".join(b"X-%d: y\r\n" % number for number in range(5000)) + b"\r\n",
    b"--frontier\r\nX: " + b"y" * 1_000_000,
    b"--frontier\r\n" + b"y" * 1_000_000,
    b'--frontier\r\nContent-Disposition: form-data; name="field"\r\n\r\n' + b"y" * 1_000_000 + TAIL,
    HEAD + CONTENT + TAIL + b"epilogue" * 100_000,
    b"--frontier\r\n\r\n" + CONTENT + TAIL,
    HEAD.replace(b"a.zip", b"") + CONTENT + TAIL,
    HEAD.replace(b"a.zip", b"\x00\x1b[31m") + CONTENT + TAIL,
    HEAD.replace(b"a.zip", b"a" * 300) + CONTENT + TAIL,
]


def test_a_hostile_form_leaves_nothing_behind(client, blobs, service_database):
    for body in HOSTILE:
        assert code_of(post_form(client, body)) == (422, "invalid_request"), body[:80]
        assert list(blobs.list_below("uploads/")) == []
    with service_database.reading() as session:
        assert session.query(UploadRecord).count() == 0


def test_a_form_names_its_boundary(client):
    for boundary in ("", "; boundary=", f"; boundary={'x' * 10_000}"):
        reply = post_form(client, HEAD + CONTENT + TAIL, f"multipart/form-data{boundary}")
        assert code_of(reply) == (422, "invalid_request")


def test_other_bodies_are_not_taken(client):
    for content_type in ("text/plain", "application/octet-stream", ""):
        reply = post_form(client, CONTENT, content_type)
        assert code_of(reply) == (415, "unsupported_media_type")
        assert "multipart/form-data" in reply.headers["Accept-Post"]


def test_a_file_that_is_too_large_is_cut(settings, queue, blobs):
    little = settings.model_copy(update={"max_upload_bytes": 20 * PART})

    def piecewise(size):
        yield HEAD
        yield from (b"x" * 5000 for _ in range(0, size, 5000))
        yield TAIL

    with TestClient(create_app(little, queue=queue), base_url="http://localhost") as client:
        assert code_of(client.post("/uploads", files={"file": bytes(200 * PART)})) == (413, "too_large")
        assert code_of(client.post("/uploads", files={"file": bytes(20 * PART + 1)})) == (413, "too_large")
        for size in (25 * PART, 200 * PART):
            assert code_of(post_form(client, piecewise(size))) == (413, "too_large")
        assert list(blobs.list_below("uploads/")) == []
        assert client.post("/uploads", files={"file": bytes(20 * PART)}).status_code == 201


@given(
    content=st.binary(max_size=3000) | st.text("\r\n-frontier", max_size=2000).map(str.encode),
    cuts=st.lists(st.integers(1, 700), min_size=1, max_size=5),
    with_field=st.booleans(),
)
def test_however_a_form_is_cut_the_file_comes_out(content, cuts, with_field):
    body = (a_field("sha256") if with_field else b"") + HEAD + content + TAIL
    if b"\r\n--frontier" in content:
        return
    form, at, turn = FileForm(f"multipart/form-data; boundary={BOUNDARY}"), 0, 0
    while at < len(body):
        form.feed(body[at : at + cuts[turn % len(cuts)]])
        at, turn = at + cuts[turn % len(cuts)], turn + 1
    assert (form.complete, form.filename, form.take(10_000)) == (True, "a.zip", content)
    assert form.field("sha256") == ("value" if with_field else None)


@given(st.binary(max_size=2000) | st.binary(max_size=500).map(lambda noise: HEAD + noise + TAIL))
def test_a_form_of_noise_is_refused_or_read(noise):
    form = FileForm(f"multipart/form-data; boundary={BOUNDARY}")
    try:
        form.feed(noise)
        form.field("file")
    except InvalidRequestError:
        return
    assert len(form.content) <= len(noise)


# --- Straight into the store


@pytest.fixture
def presigning(settings, queue, s3_url):
    """A client of a service that sends clients to its store, and the store."""
    url = f"{s3_url}/{uuid.uuid4().hex}"
    there = settings.model_copy(update={"blob_url": url, "presign": True})
    with TestClient(create_app(there, queue=queue), base_url="http://localhost") as made:
        yield made, open_blobs(url)


def test_a_client_puts_parts_into_the_store_itself(presigning):
    client, blobs = presigning
    location = begin(client, sha256=SHA256)
    for number, content in PARTS.items():
        reply = client.post(f"{location}/parts/{number}/url").json()
        assert (reply["method"], reply["size"]) == ("PUT", len(content))
        assert httpx2.put(reply["url"], content=content).status_code == 200
        assert [part["number"] for part in client.get(location).json()["parts"]] == list(range(1, number + 1))
    ended = client.post(f"{location}/complete").json()
    assert [part["size"] for part in ended["parts"]] == [PART, PART, 516]
    assert stored(blobs, location) == CONTENT
    assert code_of(client.post(f"{location}/parts/1/url")) == (409, "upload_complete")
    assert client.delete(location).status_code == 204
    assert list(blobs.list_below("uploads/")) == []


def test_a_part_that_was_put_with_another_size_is_to_be_sent_again(presigning):
    client, _ = presigning
    location = begin(client, size=PART)
    url = client.post(f"{location}/parts/1/url").json()["url"]
    assert code_of(client.post(f"{location}/complete")) == (409, "upload_incomplete")
    httpx2.put(url, content=b"short")
    wrong = client.post(f"{location}/complete")
    assert code_of(wrong) == (409, "upload_incomplete")
    assert "has 5 bytes and must have 1024" in wrong.json()["detail"]
    send(client, location, {1: PARTS[1]})
    assert client.post(f"{location}/complete").json()["parts"][0]["sha256"] == hashlib.sha256(PARTS[1]).hexdigest()


def test_a_part_that_is_to_be_put_takes_the_place_of_one_that_was_sent(presigning):
    client, blobs = presigning
    location = begin(client, size=PART)
    send(client, location, {1: b"x" * PART})
    url = client.post(f"{location}/parts/1/url").json()["url"]
    assert client.get(location).json()["parts"] == []
    httpx2.put(url, content=PARTS[1])
    assert client.post(f"{location}/complete").status_code == 200
    assert stored(blobs, location) == PARTS[1]


def test_without_an_s3_store_there_are_no_urls(client):
    location = begin(client)
    assert code_of(client.post(f"{location}/parts/1/url")) == (409, "not_presigned")
