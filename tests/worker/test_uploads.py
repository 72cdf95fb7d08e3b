"""Uploads become files of the worker's machine: verified, unpacked where they are folders, and kept."""

import hashlib
import shutil
import tarfile
import tempfile
import threading
import zipfile
from uuid import uuid4

import pytest
import torch

from app.schemas.uploads import UploadCreate
from app.services.context import Context
from app.services.uploads import begin_upload, complete_upload, keep_part
from app.store.blobs import open_blobs
from app.store.records import DatasetRecord, UploadRecord
from app.store.sessions import open_database
from app.store.uploads import remove_upload
from ot3l_core.data.features import FeatureCache
from ot3l_core.data.reading import open_dataset
from ot3l_core.data.spec import DatasetSpec
from ot3l_core.errors import (
    Cancelled,
    ChecksumMismatchError,
    DatasetLayoutError,
    DatasetNotFoundError,
    DiskFullError,
    UnsafeDataError,
)
from ot3l_core.names import DatasetFormat
from ot3l_core.progress import ignore_progress
from tests.fakes import RecordingQueue
from tests.generators.pictures import (
    random_pictures,
    random_tree,
    write_coco,
    write_image_folder,
    write_mnist_layout,
    write_npz,
    write_parquet,
    write_shards,
    write_zip,
)
from worker.inputs import open_files
from worker.resources import Resources
from worker.uploads import fetch_upload

PART = 1024
SPLITS = {"train": random_tree({"ant": 6, "bee": 5}), "test": random_tree({"ant": 2, "bee": 3}, seed=1)}


@pytest.fixture
def database(settings):
    opened = open_database(settings.resolved_database_url)
    yield opened
    opened.close()


@pytest.fixture
def here(database, settings, tmp_path, monkeypatch):
    """A worker on a machine of its own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    return resources_below(tmp_path / "here", database, settings)


def resources_below(folder, database, settings):
    blobs = open_blobs(settings.resolved_blob_url)
    return Resources(
        settings.model_copy(update={"data_dir": folder, "blob_url": settings.resolved_blob_url}),
        database,
        blobs,
        FeatureCache(folder / "features"),
        torch.device("cpu"),
    )


@pytest.fixture
def send(database, settings):
    """Upload what a file holds."""
    parts = settings.model_copy(update={"upload_part_bytes": PART})

    def upload(content, sha256=None):
        with database.writing() as session:
            context = Context(session, RecordingQueue(), open_blobs(settings.resolved_blob_url), parts, "local")
            begun = begin_upload(context, None, UploadCreate(filename="any", size=len(content), sha256=sha256)).fresh
            for number in range(1, begun.n_parts + 1):
                keep_part(context, begun.id, number, content[(number - 1) * PART : number * PART])
            complete_upload(context, None, begun.id)
        return begun.id

    return upload


def dataset(upload_id, file_format, **more):
    request = {"format": file_format, "test_fraction": 0.25, "min_class_size": 1} | more
    return DatasetRecord(name="it", upload_id=upload_id, request=request)


def read(record, here):
    return open_files(record, here, ignore_progress)


def left_in(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def packed(root, path):
    """A folder as the archive that the ending of ``path`` asks for."""
    if path.suffix == ".zip":
        shutil.make_archive(str(path.with_suffix("")), "zip", root)
    else:
        with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
            archive.add(root, arcname="enclosing")
    return path.read_bytes()


def test_one_file_is_put_together_once_and_read_in_place(here, send, tmp_path):
    content = write_zip(tmp_path / "a.zip", SPLITS).read_bytes()
    upload_id = send(content)
    path = fetch_upload(upload_id, DatasetFormat.ZIP, here, ignore_progress)
    assert path.read_bytes() == content
    with here.database.reading() as session:
        assert session.get(UploadRecord, upload_id).sha256 == hashlib.sha256(content).hexdigest()
    here.blobs.delete([blob.key for blob in here.blobs.list_below("uploads/")])
    assert fetch_upload(upload_id, DatasetFormat.ZIP, here, ignore_progress) == path
    assert len(read(dataset(upload_id, "zip"), here).pool) == 11


def test_every_format_gives_the_dataset_that_its_files_give(here, send, tmp_path):
    folder = write_image_folder(tmp_path / "flowers", SPLITS)
    tables = write_parquet(tmp_path / "tables", SPLITS)
    cases = [
        ("zip", path := write_zip(tmp_path / "a.zip", SPLITS), path.read_bytes()),
        ("npz", path := write_npz(tmp_path / "a.npz", SPLITS), path.read_bytes()),
        ("image_folder", folder, packed(folder, tmp_path / "b.zip")),
        ("image_folder", folder, packed(folder, tmp_path / "b.tar")),
        ("image_folder", folder, packed(folder, tmp_path / "b.tar.gz")),
        ("parquet", tables, packed(tables, tmp_path / "c.zip")),
        ("parquet", path := tables / "train.parquet", path.read_bytes()),
        ("huggingface", path := write_shards(tmp_path / "hub", SPLITS), packed(path, tmp_path / "d.tar.gz")),
    ]
    for file_format, path, content in cases:
        by_path = open_dataset(DatasetSpec(DatasetFormat(file_format), path, test_fraction=0.25))
        assert read(dataset(send(content), file_format), here).digest == by_path.digest


def test_archives_of_coco_and_torchvision_say_where_things_are(here, send, tmp_path):
    objects = [{"image_id": 1 + n % 2, "category_id": 1 + n % 2, "bbox": [1, 2, 3, 4]} for n in range(8)]
    write_coco(tmp_path / "coco", random_pictures(2, shape=(10, 8, 3)), objects, ("ant", "bee"))
    content = packed(tmp_path / "coco", tmp_path / "coco.zip")
    coco = read(dataset(send(content), "coco", folder="photographs", annotations="annotations.json"), here)
    assert coco.classes == ("ant", "bee")
    grey = {split: random_tree({"0": 4, "1": 3}, seed=seed, shape=(28, 28)) for seed, split in enumerate(SPLITS)}
    content = packed(write_mnist_layout(tmp_path / "mnist", grey), tmp_path / "mnist.tar.gz")
    mnist = read(dataset(send(content), "torchvision", dataset="MNIST", folder="enclosing"), here)
    assert len(mnist.pool) == 7
    with pytest.raises(DatasetNotFoundError):
        read(dataset(send(content), "torchvision", dataset="MNIST"), here)


def test_two_machines_share_nothing_but_the_store(here, send, database, settings, tmp_path):
    upload_id = send(packed(write_image_folder(tmp_path / "flowers", SPLITS), tmp_path / "b.zip"))
    there = resources_below(tmp_path / "there", database, settings)
    first, second = (read(dataset(upload_id, "image_folder"), machine) for machine in (here, there))
    assert first.digest == second.digest
    assert left_in(there.settings.upload_cache) == left_in(here.settings.upload_cache)


def test_workers_of_one_machine_may_do_it_at_the_same_time(here, send, tmp_path):
    upload_id = send(packed(write_image_folder(tmp_path / "flowers", SPLITS), tmp_path / "b.zip"))
    digests = []
    threads = [
        threading.Thread(target=lambda: digests.append(read(dataset(upload_id, "image_folder"), here).digest))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(digests) == 4
    assert len(set(digests)) == 1
    assert left_in(tmp_path / "scratch") == []


def test_a_file_that_is_not_what_was_announced_is_not_used(here, send, tmp_path):
    content = write_zip(tmp_path / "a.zip", SPLITS).read_bytes()
    upload_id = send(content, sha256="0" * 64)
    with pytest.raises(ChecksumMismatchError) as mismatch:
        fetch_upload(upload_id, DatasetFormat.ZIP, here, ignore_progress)
    assert mismatch.value.field == "upload"
    assert left_in(here.settings.upload_cache) == left_in(tmp_path / "scratch") == []


def test_a_part_that_changed_after_it_came_is_noticed(here, send, tmp_path):
    upload_id = send(write_zip(tmp_path / "a.zip", SPLITS).read_bytes())
    blob = next(iter(here.blobs.list_below("uploads/")))
    here.blobs.put(blob.key, b"x" * blob.size)
    with pytest.raises(ChecksumMismatchError):
        fetch_upload(upload_id, DatasetFormat.ZIP, here, ignore_progress)
    assert left_in(here.settings.upload_cache) == left_in(tmp_path / "scratch") == []


def test_a_part_that_a_client_put_over_its_own_is_noticed(here, send, tmp_path):
    content = write_zip(tmp_path / "a.zip", SPLITS).read_bytes()
    upload_id = send(content)
    with here.database.writing() as session:
        part = session.get(UploadRecord, upload_id).parts[0]
        (listed,) = [blob for blob in here.blobs.list_below("uploads/") if blob.key == part.key]
        part.sha256, part.e_tag = None, listed.e_tag
        session.commit()
    assert fetch_upload(upload_id, DatasetFormat.ZIP, here, ignore_progress).read_bytes() == content
    shutil.rmtree(here.settings.upload_cache)
    here.blobs.put(part.key, b"y" * part.size)
    with pytest.raises(ChecksumMismatchError):
        fetch_upload(upload_id, DatasetFormat.ZIP, here, ignore_progress)


def test_an_upload_that_is_gone_is_said_to_be(here, send):
    with pytest.raises(DatasetNotFoundError):
        fetch_upload(uuid4(), DatasetFormat.ZIP, here, ignore_progress)
    upload_id = send(b"bytes")
    here.blobs.delete([blob.key for blob in here.blobs.list_below("uploads/")])
    with pytest.raises(DatasetNotFoundError):
        fetch_upload(upload_id, DatasetFormat.ZIP, here, ignore_progress)
    with here.database.writing() as session:
        assert remove_upload(session, upload_id)
        assert not remove_upload(session, upload_id)


def test_an_upload_that_does_not_fit_is_not_begun(here, send, tmp_path):
    upload_id = send(b"bytes")
    with here.database.writing() as session:
        session.get(UploadRecord, upload_id).size = 1 << 60
        session.commit()
    with pytest.raises(DiskFullError) as full:
        fetch_upload(upload_id, DatasetFormat.ZIP, here, ignore_progress)
    assert str(tmp_path) not in str(full.value)
    assert left_in(here.settings.upload_cache) == left_in(tmp_path / "scratch") == []


def test_an_archive_that_leads_out_is_not_unpacked(here, send, tmp_path):
    with zipfile.ZipFile(tmp_path / "slip.zip", "w") as archive:
        archive.writestr("../../../slipped.png", b"x")
    for content, error in (
        ((tmp_path / "slip.zip").read_bytes(), UnsafeDataError),
        (b"noise" * 999, DatasetLayoutError),
    ):
        with pytest.raises(error):
            read(dataset(send(content), "image_folder"), here)
    assert left_in(here.settings.upload_cache) == left_in(tmp_path / "scratch") == []
    assert not list(tmp_path.rglob("slipped.png"))


def test_who_is_told_to_stop_leaves_nothing(here, send, tmp_path):
    content = packed(write_image_folder(tmp_path / "flowers", SPLITS), tmp_path / "b.tar.gz")
    upload_id, calls = send(content), []

    def count(share):
        assert 0 <= share <= 1
        calls.append(share)

    fetch_upload(upload_id, DatasetFormat.IMAGE_FOLDER, here, count)
    assert calls == sorted(calls)
    shutil.rmtree(here.settings.upload_cache)
    for stop_at in (0, len(calls) // 2, len(calls) - 1):
        left = iter(range(stop_at))

        def stop(share, left=left):
            if next(left, None) is None:
                raise Cancelled("stop")

        with pytest.raises(Cancelled):
            fetch_upload(upload_id, DatasetFormat.IMAGE_FOLDER, here, stop)
        assert left_in(here.settings.upload_cache) == left_in(tmp_path / "scratch") == []
