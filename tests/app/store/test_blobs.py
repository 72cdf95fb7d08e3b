"""Blobs on a folder and on a real S3 server."""

import contextlib
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import obstore
import pytest
from obstore.store import S3Store

from app.store.blobs import BlobStoreError, open_blobs

CONTENT = bytes(range(256)) * 40_000


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.fixture(scope="module")
def s3_url(tmp_path_factory):
    """A SeaweedFS server with one bucket; the credentials are in the environment, as in production."""
    folder = tmp_path_factory.mktemp("s3")
    ports = {name: free_port() for name in ("master", "volume", "filer", "s3")}
    weed = [str(Path(sys.executable).with_name("weed")), "server", f"-dir={folder}", "-ip=127.0.0.1", "-s3"]
    # The gRPC ports would otherwise be 10000 higher, which may be no port at all.
    flags = [f"-{name}.port={port}" for name, port in ports.items()]
    flags += [f"-{name}.port.grpc={free_port()}" for name in ports]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([*weed, *flags, "-master.volumeSizeLimitMB=64"], stdout=log, stderr=log)
    endpoint = f"http://127.0.0.1:{ports['s3']}"
    with pytest.MonkeyPatch.context() as environment:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "any",
            "AWS_SECRET_ACCESS_KEY": "any",
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ALLOW_HTTP": "true",
        }.items():
            environment.setenv(name, value)
        try:
            make_bucket(endpoint, server, folder / "log")
            yield "s3://ot3l/blobs"
        finally:
            # Asked politely, it takes half a minute.
            server.kill()
            server.wait(20)


def make_bucket(endpoint, server, log):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(httpx2.TransportError, BlobStoreError):
            httpx2.put(f"{endpoint}/ot3l", timeout=5)
            obstore.put(S3Store("ot3l"), "probe", b"")
            return
        time.sleep(0.2)
    pytest.fail(log.read_text(errors="replace")[-3000:])


@pytest.fixture(params=["file", "s3"])
def blobs(request, tmp_path):
    """The same store over both kinds of URL."""
    url = (tmp_path / "made" / "here").as_uri() if request.param == "file" else request.getfixturevalue("s3_url")
    return open_blobs(url)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return path


def test_what_is_stored_comes_back_in_any_part(blobs, file):
    blobs.put_file("jobs/one/checkpoint", file)
    for start, end in ((0, len(CONTENT)), (0, 1), (5_000_000, 5_000_001), (123, 9_999_999), (7, 7)):
        assert b"".join(blobs.stream("jobs/one/checkpoint", start, end)) == CONTENT[start:end]
    assert blobs.read("jobs/one/checkpoint", len(CONTENT)) == CONTENT
    blobs.ping()


def test_storing_the_same_again_changes_nothing(blobs, file):
    for _ in range(2):
        blobs.put_file("jobs/twice", file)
    assert b"".join(blobs.stream("jobs/twice", 0, 10)) == CONTENT[:10]


def test_what_is_not_there_is_said(blobs):
    with pytest.raises(FileNotFoundError):
        list(blobs.stream("jobs/none", 0, 1))
