"""Files: whole, in pieces over breaking connections, from a store elsewhere, and never another than was announced."""

import asyncio
import hashlib

import pytest

from app.client import AsyncClient, Client, ConnectionFailedError, DamagedDownloadError, NotFoundError
from app.client.downloads import begins_at
from app.states import WorkState
from app.store.blobs import open_blobs
from tests.app.served import PREDICTIONS, RESULT, begin, end, file_of
from tests.loopback import cutting, one_connection_each, scripted

CONTENT = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MARKS = {"ETag": f'"{SHA256}"'}


@pytest.fixture
def job_id(url, target, service_database, settings, tmp_path):
    """Of a job with a checkpoint and a table."""
    blobs = open_blobs(settings.resolved_blob_url)
    with Client(url) as client:
        made = client.jobs.create(target="target", strategy="uniform")
    contents = {"checkpoint.safetensors": CONTENT, "predictions.csv": PREDICTIONS, "selection.csv": b""}
    files = [file_of(made.id, name, content, blobs, tmp_path) for name, content in contents.items()]
    end(service_database, begin(service_database, made.id), WorkState.SUCCEEDED, files=files, result=RESULT)
    return made.id


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


def test_a_file_comes_whole_under_its_name(url, job_id, folder):
    told = []
    with Client(url) as client:
        job = client.jobs.get(job_id)
        path = job.download(folder, on_bytes=lambda *bytes_: told.append(bytes_))
        assert job.download(folder / "deep" / "x.bin").read_bytes() == CONTENT
        assert job.download_artifact("selection.csv", folder).read_bytes() == b""
        with pytest.raises(NotFoundError):
            job.download_artifact("none.csv", folder)
        assert {one.name: one.size for one in job.artifacts()}["checkpoint.safetensors"] == len(CONTENT)
    assert path == folder / "checkpoint.safetensors"
    assert path.read_bytes() == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert not list(folder.rglob("*.part"))


def test_a_download_goes_on_where_it_broke(url, job_id, folder, naps):
    told = []
    with cutting(url) as way, one_connection_each() as http:
        job = Client(way.url, http=http).jobs.get(job_id)
        # Of the looks at the file, then of the file itself.
        way.cuts = [None, 300_000, 400_000, 0]
        path = job.download(folder, on_bytes=lambda *bytes_: told.append(bytes_))
    assert path.read_bytes() == CONTENT
    assert len(naps) == 3
    assert told == sorted(told)


def test_the_next_call_goes_on_too_and_asks_only_for_the_rest(url, job_id, folder, naps):
    with cutting(url) as way, one_connection_each() as http:
        job = Client(way.url, http=http, attempts=1).jobs.get(job_id)
        way.cuts = [None, 300_000]
        with pytest.raises(ConnectionFailedError):
            job.download(folder)
        (part,) = folder.iterdir()
        assert SHA256[:16] in part.name
        have = part.stat().st_size
        assert 0 < have < 300_000
        told = []
        assert job.download(folder, on_bytes=lambda *bytes_: told.append(bytes_)).read_bytes() == CONTENT
    assert told[0][0] > have


def test_what_was_left_and_is_damaged_is_fetched_again(url, job_id, folder):
    (folder / f"checkpoint.safetensors.{SHA256[:16]}.part").write_bytes(b"\1" * 1000)
    with Client(url) as client:
        assert client.jobs.get(job_id).download(folder).read_bytes() == CONTENT
        (folder / f"checkpoint.safetensors.{SHA256[:16]}.part").write_bytes(CONTENT + b"more")
        assert client.jobs.get(job_id).download(folder).read_bytes() == CONTENT
    assert [path.name for path in folder.iterdir()] == ["checkpoint.safetensors"]


def test_a_file_that_is_not_the_announced_one_is_refused(url, job_id, folder):
    head = (200, {**MARKS, "Content-Length": "7"}, b"1234567")
    with scripted(head) as server, Client(url) as client, Client(server.url) as lying:
        job = client.jobs.get(job_id)
        job._wire = lying._wire
        with pytest.raises(DamagedDownloadError, match=SHA256):
            job.download(folder)
    assert list(folder.iterdir()) == []


def test_a_store_elsewhere_gets_no_key(url, job_id, folder):
    with scripted((200, {}, CONTENT)) as store:
        head = (200, {**MARKS, "Content-Length": str(len(CONTENT))}, b"")
        away = (307, {"Location": f"{store.url}/bucket/file?signature=x"}, b"")
        with scripted(head, away) as server, Client(url) as client, Client(server.url, key="ot3l_secret") as sent_on:
            job = client.jobs.get(job_id)
            job._wire = sent_on._wire
            assert job.download(folder).read_bytes() == CONTENT
            assert job.read_artifact("checkpoint.safetensors") == CONTENT
            assert all(headers["Authorization"] == "Bearer ot3l_secret" for _, _, headers, _ in server.requests)
        assert len(store.requests) == 2
        for _, path, headers, _ in store.requests:
            assert path == "/bucket/file?signature=x"
            assert not {"Authorization", "OT3L-Version"} & set(headers)


def test_the_awaited_client_downloads_alike(url, job_id, folder, naps):
    async def go():
        async with AsyncClient(url) as client:
            job = await client.jobs.get(job_id)
            return await job.download(folder), (await job.predictions()).shape

    path, shape = asyncio.run(go())
    assert path.read_bytes() == CONTENT
    assert shape == (2, 4)


def test_tables_keep_names_as_they_are(url, job_id):
    with Client(url) as client:
        job = client.jobs.get(job_id)
        frame = job.predictions()
        assert frame["label"].tolist() == ["1", "NA"]
        assert frame["confidence"].tolist() == [0.5, 0.75]
        results = job.to_frame()
    assert results.loc["uniform", "accuracy"] == 0.75
    assert results["log_loss"].isna().all()
    assert list(job.class_distances().columns) == ["score", "nearest_source", "nearest_distance"]


@pytest.mark.parametrize(
    ("status", "content_range", "have", "begin"),
    [
        (200, None, 7, 0),
        (206, "bytes 7-9/10", 7, 7),
        (206, "bytes 6-9/10", 7, None),
        (206, None, 7, None),
        (416, "bytes */10", 7, None),
        (304, None, 7, None),
    ],
)
def test_a_part_is_added_only_where_it_belongs(status, content_range, have, begin):
    headers = {} if content_range is None else {"content-range": content_range}
    assert begins_at(status, headers, have) == begin
