"""Blobs on a folder and on a real S3 server."""

import asyncio
import uuid
from pathlib import Path

import httpx2
import pytest

from app.store.blobs import BlobChangedError, BlobStoreError, open_blobs

CONTENT = bytes(range(256)) * 40_000


@pytest.fixture(params=["file", "s3"])
def url(request, tmp_path):
    """A store of its own, of either kind."""
    if request.param == "file":
        return (tmp_path / "made" / "here").as_uri()
    return f"{request.getfixturevalue('s3_url')}/{uuid.uuid4().hex}"


@pytest.fixture
def blobs(url):
    return open_blobs(url)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "weights.bin"
    path.write_bytes(CONTENT)
    return path


async def gather(pieces):
    return b"".join([piece async for piece in pieces])


def test_what_is_stored_comes_back_in_any_part(blobs, file):
    blobs.put_file("jobs/one/checkpoint", file)
    size = len(CONTENT)
    for start, end in ((0, size), (0, 1), (5_000_000, 5_000_001), (123, 9_999_999), (7, 7), (size - 1, size)):
        assert blobs.piece("jobs/one/checkpoint", start, end) == CONTENT[start:end]
        assert asyncio.run(gather(blobs.pieces("jobs/one/checkpoint", start, end))) == CONTENT[start:end]
    assert blobs.read("jobs/one/checkpoint", size) == CONTENT
    blobs.ping()


def test_pieces_come_while_the_loop_does_other_things(blobs, file):
    blobs.put_file("some/blob", file)

    async def read():
        turns = 0

        async def turn():
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        turning = asyncio.create_task(turn())
        content = await gather(blobs.pieces("some/blob", 0, len(CONTENT)))
        turning.cancel()
        return content, turns

    content, turns = asyncio.run(read())
    assert content == CONTENT
    assert turns > 3


def test_a_reader_may_leave_in_the_middle(blobs, file):
    blobs.put_file("some/blob", file)

    async def read_some():
        pieces = blobs.pieces("some/blob", 0, len(CONTENT))
        first = await anext(pieces)
        await pieces.aclose()
        return first

    first = asyncio.run(read_some())
    assert 0 < len(first) < len(CONTENT)
    assert first == CONTENT[: len(first)]


def test_storing_the_same_again_changes_nothing(blobs, file):
    for _ in range(2):
        blobs.put_file("jobs/twice", file)
    assert blobs.piece("jobs/twice", 0, 10) == CONTENT[:10]


def test_what_is_not_there_is_said(blobs):
    with pytest.raises(FileNotFoundError):
        blobs.piece("jobs/none", 0, 1)
    with pytest.raises(FileNotFoundError):
        blobs.read("jobs/none", 1, e_tag='"any"')
    with pytest.raises(FileNotFoundError):
        asyncio.run(gather(blobs.pieces("jobs/none", 0, 1)))


def test_blobs_are_listed_below_a_prefix_and_deleted(blobs):
    for key in ("uploads/a/1", "uploads/a/2", "uploads/ab/1"):
        blobs.put(key, key.encode())
    listed = sorted(blobs.list_below("uploads/a/"), key=lambda found: found.key)
    assert [(found.key, found.size) for found in listed] == [("uploads/a/1", 11), ("uploads/a/2", 11)]
    blobs.delete(["uploads/a/1", "uploads/a/none"])
    assert [found.key for found in blobs.list_below("uploads/a/")] == ["uploads/a/2"]
    assert list(blobs.list_below("nowhere/")) == []
    assert blobs.read("uploads/ab/1", 12) == b"uploads/ab/1"


def test_a_blob_that_was_put_again_is_not_the_one_that_was_listed(blobs):
    blobs.put("uploads/a/1", b"first")
    (listed,) = blobs.list_below("uploads/a/")
    assert blobs.read("uploads/a/1", 5, e_tag=listed.e_tag) == b"first"
    blobs.put("uploads/a/1", b"other")
    with pytest.raises(BlobChangedError):
        blobs.read("uploads/a/1", 5, e_tag=listed.e_tag)
    assert issubclass(BlobChangedError, BlobStoreError)


def test_a_folder_signs_nothing(tmp_path):
    blobs = open_blobs((tmp_path / "blobs").as_uri(), presign=True)
    assert blobs.signing is None
    with pytest.raises(TypeError):
        blobs.sign("GET", "any", seconds=60)


def test_a_client_gets_and_puts_at_the_store_itself(s3_url, file):
    blobs = open_blobs(f"{s3_url}/{uuid.uuid4().hex}", presign=True)
    put = httpx2.put(blobs.sign("PUT", "uploads/a/1", seconds=60), content=b"by the client")
    assert put.status_code == 200, put.text
    assert blobs.read("uploads/a/1", 13) == b"by the client"
    blobs.put_file("jobs/a", file, media_type="text/csv; charset=utf-8")
    got = httpx2.get(blobs.sign("GET", "jobs/a", seconds=60), headers={"Range": "bytes=10-19"})
    assert (got.status_code, got.content) == (206, CONTENT[10:20])
    assert got.headers["Content-Disposition"] == 'attachment; filename="weights.bin"'
    assert got.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert httpx2.put(blobs.sign("GET", "jobs/a", seconds=60), content=b"x").status_code == 403
    assert blobs.read("jobs/a", len(CONTENT)) == CONTENT


def test_clients_are_sent_to_the_address_that_they_can_reach(s3_url):
    blobs = open_blobs(s3_url, presign=True, public_endpoint="https://files.example.org:8443")
    assert blobs.sign("GET", "jobs/a", seconds=60).startswith("https://files.example.org:8443/")
    blobs.ping()
    assert open_blobs(s3_url).signing is None


def test_a_small_store_needs_nothing_but_a_folder(tmp_path):
    open_blobs((tmp_path / "a b" / "ü").as_uri()).put("x/y", b"z")
    assert Path(tmp_path / "a b" / "ü" / "x" / "y").read_bytes() == b"z"
