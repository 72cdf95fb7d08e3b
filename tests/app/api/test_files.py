"""Sending files: what a client may ask of a copy that it has, and where it is sent for the bytes."""

import base64
import hashlib
import uuid

import httpx2
import pytest
from fastapi import Request
from hypothesis import given
from hypothesis import strategies as st
from obstore.store import MemoryStore
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from app.api.files import Conditions, send_artifact
from app.errors import PreconditionFailedError
from app.store.blobs import BlobStore, open_blobs
from app.store.records import JobArtifactRecord

CONTENT = bytes(range(256)) * 20_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
ETAG = f'"{SHA256}"'


@pytest.fixture(params=["file", "s3"])
def url(request, tmp_path):
    """A store of its own, of either kind."""
    return tmp_path.as_uri() if request.param == "file" else f"{request.getfixturevalue('s3_url')}/{uuid.uuid4().hex}"


@pytest.fixture
def artifact(tmp_path):
    (tmp_path / "made.csv").write_bytes(CONTENT)
    told = {"key": "jobs/a.csv", "size": len(CONTENT), "sha256": SHA256, "media_type": "text/csv; charset=utf-8"}
    return JobArtifactRecord(job_id=uuid.uuid4(), name="selection.csv", **told)


def client_of(artifact, blobs):
    """A client of an application with nothing but this file."""

    def send(request: Request):
        asked = Conditions(
            head_only=request.method == "HEAD",
            byte_range=request.headers.get("range"),
            if_range=request.headers.get("if-range"),
            if_match=request.headers.get("if-match"),
            if_none_match=request.headers.get("if-none-match"),
        )
        return send_artifact(artifact, blobs, asked)

    return TestClient(Starlette(routes=[Route("/", send)]))


def test_a_file_comes_with_its_marks_from_either_store(url, artifact, tmp_path):
    blobs = open_blobs(url)
    blobs.put_file(artifact.key, tmp_path / "made.csv", media_type=artifact.media_type)
    client = client_of(artifact, blobs)
    digest = base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()
    for reply in (client.get("/"), client.head("/"), client.get("/", headers={"Range": "bytes=5-"})):
        assert reply.headers["ETag"] == ETAG
        assert reply.headers["Repr-Digest"] == f"sha-256=:{digest}:"
        assert reply.headers["Content-Disposition"] == 'attachment; filename="selection.csv"'
        assert reply.headers["Content-Type"] == "text/csv; charset=utf-8"
        assert reply.headers["Accept-Ranges"] == "bytes"
    assert client.get("/").content == CONTENT
    assert client.head("/").headers["Content-Length"] == str(len(CONTENT))
    for start, end in ((0, 1), (1 << 20, (1 << 20) + 1), (100, 5_000_000), (len(CONTENT) - 1, len(CONTENT))):
        reply = client.get("/", headers={"Range": f"bytes={start}-{end - 1}"})
        assert (reply.status_code, reply.content) == (206, CONTENT[start:end])
        assert reply.headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(CONTENT)}"
        assert reply.headers["Content-Length"] == str(end - start)


@pytest.fixture
def stored(artifact, tmp_path):
    blobs = open_blobs((tmp_path / "blobs").as_uri())
    blobs.put_file(artifact.key, tmp_path / "made.csv")
    return blobs


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-Match": ETAG}, 200),
        ({"If-Match": "*"}, 200),
        ({"If-Match": f'"a", {ETAG}'}, 200),
        ({"If-Match": '"a,b"'}, 412),
        ({"If-Match": f"W/{ETAG}"}, 412),
        ({"If-Match": SHA256}, 412),
        ({"If-None-Match": ETAG}, 304),
        ({"If-None-Match": f"W/{ETAG}"}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": f'"a",W/"b" , {ETAG}'}, 304),
        ({"If-None-Match": f'"a*", "x{SHA256}"'}, 200),
        # Of several conditions, the first that fails decides, in the order of RFC 9110, section 13.2.2.
        ({"If-Match": '"a"', "If-None-Match": ETAG}, 412),
        ({"If-Match": ETAG, "If-None-Match": ETAG}, 304),
        ({"If-None-Match": ETAG, "Range": "bytes=0-4"}, 304),
        ({"If-Match": ETAG, "Range": "bytes=0-4"}, 206),
        ({"If-Range": ETAG, "Range": "bytes=0-4"}, 206),
        ({"If-Range": f"W/{ETAG}", "Range": "bytes=0-4"}, 200),
        ({"If-Range": "Wed, 21 Oct 2015 07:28:00 GMT", "Range": "bytes=0-4"}, 200),
        ({"If-Range": '"other"', "Range": "bytes=99999999-"}, 200),
        ({"If-Range": ETAG}, 200),
        # A file without a date has not been modified since any.
        ({"If-Modified-Since": "Wed, 21 Oct 2115 07:28:00 GMT"}, 200),
        ({"If-Unmodified-Since": "Wed, 21 Oct 2015 07:28:00 GMT"}, 200),
        ({"Range": "bytes=0-0,2-3"}, 200),
    ],
)
def test_conditions_are_judged_by_the_book(artifact, stored, headers, status):
    asked = Conditions(
        head_only=False,
        byte_range=headers.get("Range"),
        if_range=headers.get("If-Range"),
        if_match=headers.get("If-Match"),
        if_none_match=headers.get("If-None-Match"),
    )
    try:
        found = send_artifact(artifact, stored, asked).status_code
    except PreconditionFailedError as error:
        found = error.status
    assert found == status


@given(st.text(max_size=80))
def test_a_condition_of_noise_matches_nothing(noise):
    artifact = JobArtifactRecord(name="a", key="a", size=1, sha256=SHA256, media_type="text/plain")
    noise = noise.replace(SHA256, "").strip("* ")
    asked = Conditions(head_only=True, byte_range=noise, if_range=noise, if_match=None, if_none_match=noise)
    assert send_artifact(artifact, BlobStore(MemoryStore()), asked).status_code == 200


def test_a_client_is_sent_to_the_store(s3_url, artifact, tmp_path):
    blobs = open_blobs(f"{s3_url}/{uuid.uuid4().hex}", presign=True)
    (tmp_path / "made.csv").rename(tmp_path / artifact.name)
    blobs.put_file(artifact.key, tmp_path / artifact.name, media_type=artifact.media_type)
    client = client_of(artifact, blobs)
    sent = client.get("/", follow_redirects=False)
    assert (sent.status_code, sent.headers["Cache-Control"]) == (307, "private, no-store")
    whole = httpx2.get(sent.headers["Location"])
    assert whole.content == CONTENT
    assert whole.headers["Content-Type"] == artifact.media_type
    assert whole.headers["Content-Disposition"] == 'attachment; filename="selection.csv"'
    part = httpx2.get(sent.headers["Location"], headers={"Range": "bytes=7-9"})
    assert (part.status_code, part.content) == (206, CONTENT[7:10])
    # What the store would judge by its own ETag is answered here.
    assert client.get("/", headers={"If-None-Match": ETAG}, follow_redirects=False).status_code == 304
    resumed = client.get("/", headers={"Range": "bytes=7-9", "If-Range": ETAG}, follow_redirects=False)
    assert (resumed.status_code, resumed.content) == (206, CONTENT[7:10])
    same = client.get("/", headers={"If-Match": ETAG}, follow_redirects=False)
    assert (same.status_code, same.content) == (200, CONTENT)
    assert client.head("/", follow_redirects=False).headers["Content-Length"] == str(len(CONTENT))
