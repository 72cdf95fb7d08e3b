"""Files and folders of this machine on their way to the service."""

import asyncio
import hashlib
import zipfile

import pytest

from app.client import AsyncClient, BrokenConnectionError, Client, NotUploadableError
from app.client.packing import format_of, pack
from app.main import create_app
from tests.loopback import cutting, one_connection_each, serving


@pytest.fixture
def url(settings, queue):
    """A service that takes uploads in small parts."""
    with serving(create_app(settings.model_copy(update={"upload_part_bytes": 1024}), queue=queue)) as address:
        yield address


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "flowers"
    for name, content in {"b/2.jpg": b"two" * 900, "a/1.jpg": b"one", ".hidden/x": b"", "a/.DS_Store": b""}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def test_a_folder_becomes_the_same_file_every_time(folder, tmp_path):
    first, second = (pack(folder, tmp_path / name) for name in ("1.zip", "2.zip"))
    (folder / "b" / "2.jpg").touch()
    assert first.read_bytes() == second.read_bytes() == pack(folder, tmp_path / "3.zip").read_bytes()
    with zipfile.ZipFile(first) as archive:
        assert archive.namelist() == ["a/1.jpg", "b/2.jpg"]
        assert archive.read("b/2.jpg") == b"two" * 900
        assert archive.testzip() is None


def test_a_folder_is_uploaded_in_parts_and_registered(url, folder, tmp_path, queue):
    told = []
    with Client(url) as client:
        dataset = client.datasets.upload(folder, on_bytes=lambda *done: told.append(done), tags=["mine"])
        assert (dataset.name, dataset.latest.format, dataset.latest.tags) == ("flowers", "zip", ["mine"])
        sent = client.uploads.get(dataset.latest.upload)
    packed = pack(folder, tmp_path / "expected.zip").read_bytes()
    assert (sent.filename, sent.size, sent.sha256) == ("flowers.zip", len(packed), hashlib.sha256(packed).hexdigest())
    assert [done for done, _ in told] == [1024, 2048, len(packed)]
    assert sent.completed_at is not None


def test_parts_over_a_breaking_connection_arrive_whole(url, folder, naps):
    with cutting(url) as way, one_connection_each() as http:
        way.cuts = [0, None, 0, None, 0, 0]
        upload = Client(way.url, http=http).uploads.create(folder)
    assert upload.completed_at is not None
    assert len(upload.parts) == upload.n_parts
    assert len(naps) == 4


def test_an_upload_that_broke_off_goes_on_by_itself(url, folder, naps):
    told = []
    with cutting(url) as way, one_connection_each() as http:
        # Begun, and the first part is there; the second part's answer does not come.
        way.cuts = [None, None, 0]
        with pytest.raises(BrokenConnectionError):
            Client(way.url, http=http, attempts=1).uploads.create(folder)
        n_before = way.n_connections
        client = Client(way.url, http=http)
        whole = client.uploads.create(folder, on_bytes=lambda *done: told.append(done))
        # Begun again, the last part, completed.
        assert way.n_connections == n_before + 3
        assert told[0][0] > 2000
        # All of it is there: nothing is sent any more.
        assert client.uploads.create(folder).id == whole.id
        assert way.n_connections == n_before + 4
        client.uploads.delete(whole.id)
        again = client.uploads.create(folder)
        assert (again.id != whole.id, again.completed_at is not None) == (True, True)
        assert client.uploads.create(folder).completed_at is not None


def test_the_awaited_client_uploads_alike(url, folder):
    async def go():
        async with AsyncClient(url) as client:
            return await client.datasets.upload(folder, name="mine", labelled=False)

    dataset = asyncio.run(go())
    assert (dataset.name, dataset.latest.labelled) == ("mine", False)


def test_what_cannot_be_uploaded_is_refused_before_anything_is_sent(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.tar.gz").write_bytes(b"")
    assert format_of(tmp_path / "a.tar.gz") == "image_folder"
    with Client("http://127.0.0.1:9", attempts=1) as client:
        for path, why in (("nowhere", "no file"), ("notes.txt", "name its format"), ("empty", "no files")):
            with pytest.raises(NotUploadableError, match=why):
                client.datasets.upload(tmp_path / path)
        with pytest.raises(NotUploadableError, match="no file"):
            client.uploads.create(tmp_path / "nowhere")
