"""Datasets in S3, a real one: copied once, whole, bounded, and only from where the operator allows."""

import shutil
import tempfile
import threading
import uuid

import obstore
import pytest

from app.places import bucket_place
from app.store.blobs import open_blobs
from app.store.buckets import Bucket
from app.store.records import DatasetRecord
from ot3l_core.data.reading import open_dataset
from ot3l_core.data.spec import DatasetSpec
from ot3l_core.errors import (
    Cancelled,
    DatasetChangedError,
    DatasetLayoutError,
    DatasetNotFoundError,
    DiskFullError,
    UnsafeDataError,
)
from ot3l_core.names import DatasetFormat
from ot3l_core.progress import ignore_progress
from tests.generators.pictures import (
    random_tree,
    write_image_folder,
    write_npz,
    write_parquet,
    write_shards,
    write_zip,
)
from worker.buckets import fetch_place
from worker.inputs import open_files

SPLITS = {"train": random_tree({"ant": 6, "bee": 5}), "test": random_tree({"ant": 2, "bee": 3}, seed=1)}
N_FILES = 16


@pytest.fixture
def prefix(s3_url):
    """A prefix of its own."""
    return f"{s3_url}/datasets-{uuid.uuid4().hex}"


@pytest.fixture
def blobs(prefix):
    return open_blobs(prefix)


@pytest.fixture
def put(prefix, blobs):
    """Put a file or a folder into the store; gives its address."""

    def send(path, name="it"):
        files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
        for file in files:
            key = name if file == path else f"{name}/{file.relative_to(path).as_posix()}"
            blobs.put(key, file.read_bytes())
        return f"{prefix}/{name}"

    return send


@pytest.fixture
def here(settings, prefix, tmp_path, monkeypatch):
    """A worker's settings."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    return settings.model_copy(update={"dataset_buckets": (bucket_place(prefix),)})


def fetch(url, here, on_progress=ignore_progress):
    return fetch_place(url, here, on_progress)


def cached(here):
    return sorted(path.name for path in here.bucket_cache.iterdir()) if here.bucket_cache.exists() else []


def read(url, file_format, here):
    request = {"format": file_format, "path": url, "test_fraction": 0.25, "min_class_size": 1}
    worker = type("Worker", (), {"settings": here})
    return open_files(DatasetRecord(name="it", request=request), worker, ignore_progress)


def test_every_format_gives_the_dataset_that_its_files_give(here, put, tmp_path):
    cases = [
        ("image_folder", write_image_folder(tmp_path / "folder", SPLITS)),
        ("zip", write_zip(tmp_path / "a.zip", SPLITS)),
        ("npz", write_npz(tmp_path / "a.npz", SPLITS)),
        ("parquet", write_parquet(tmp_path / "tables", SPLITS)),
        ("parquet", tmp_path / "tables" / "train.parquet"),
        ("huggingface", write_shards(tmp_path / "hub", SPLITS)),
    ]
    for number, (file_format, path) in enumerate(cases):
        by_path = open_dataset(DatasetSpec(DatasetFormat(file_format), path, test_fraction=0.25))
        name = f"{number}/{path.name}"
        assert read(put(path, name), file_format, here).digest == by_path.digest


@pytest.fixture
def folder(put, tmp_path):
    return put(write_image_folder(tmp_path / "folder", SPLITS))


def test_it_is_copied_once_and_again_when_an_object_changes(here, folder, blobs, monkeypatch):
    first = fetch(folder, here)
    with monkeypatch.context() as context:
        context.setattr(Bucket, "copy", None)
        assert fetch(folder, here) == first
    blobs.put("it/train/ant/0000.png", b"another picture")
    second = fetch(folder, here)
    assert second != first
    assert (second / "train/ant/0000.png").read_bytes() == b"another picture"
    assert len(cached(here)) == 2


def test_a_copy_that_was_cut_short_goes_on(here, folder):
    copied = []

    def stop_after_some(share):
        copied.append(share)
        if len(copied) > 5:
            raise Cancelled("no more")

    with pytest.raises(Cancelled):
        fetch(folder, here, stop_after_some)
    (unfinished,) = here.bucket_cache.iterdir()
    there = sum(path.is_file() for path in unfinished.rglob("*"))
    assert 0 < there < N_FILES
    shares = []
    found = fetch(folder, here, shares.append)
    assert len(shares) == N_FILES - there
    assert max(shares) == 1.0
    assert sum(path.is_file() for path in found.rglob("*")) == N_FILES
    assert cached(here) == [found.name]


def test_workers_of_one_machine_give_the_same(here, folder):
    found = []
    threads = [threading.Thread(target=lambda: found.append(fetch(folder, here))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert len(set(found)) == 1
    assert sum(path.is_file() for path in found[0].rglob("*")) == N_FILES


def test_hidden_objects_and_markers_of_folders_are_passed_over(here, folder, blobs):
    blobs.put("it/.DS_Store", b"x")
    blobs.put("it/__MACOSX/a.png", b"x")
    found = fetch(folder, here)
    assert sorted(path.name for path in found.iterdir()) == ["test", "train"]


def test_nothing_at_the_place_is_said(here, prefix):
    with pytest.raises(DatasetNotFoundError, match="nothing is at this place"):
        fetch(f"{prefix}/absent", here)
    assert cached(here) == []


def test_no_other_bucket_is_read(here, prefix, folder):
    for elsewhere in ("s3://other-bucket/it", f"{prefix}-beside/it", prefix.rsplit("/", 1)[0]):
        with pytest.raises(DatasetNotFoundError, match="OT3L_DATASET_BUCKETS"):
            fetch(elsewhere, here)
    with pytest.raises(DatasetNotFoundError, match="nothing is"):
        fetch(
            "s3://no-such-bucket/it",
            here.model_copy(update={"dataset_buckets": (bucket_place("s3://no-such-bucket"),)}),
        )


def test_a_store_that_refuses_is_the_operators_to_mend(here, folder, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(DatasetNotFoundError, match="does not let this service read"):
        fetch(folder, here)


def test_more_than_allowed_is_refused_before_anything_is_copied(here, folder):
    with pytest.raises(UnsafeDataError, match="OT3L_MAX_UPLOAD_BYTES"):
        fetch(folder, here.model_copy(update={"max_upload_bytes": 100}))
    assert cached(here) == []


def test_a_full_disk_is_refused_before_anything_is_copied(here, folder, monkeypatch):
    full = shutil.disk_usage(here.data_dir)._replace(free=2**20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    with pytest.raises(DiskFullError):
        fetch(folder, here)
    assert cached(here) == []


def test_an_object_that_changes_meanwhile_is_noticed(here, folder, blobs, monkeypatch):
    listed = Bucket.list_below

    def change_then(bucket, key):
        yield from listed(bucket, key)
        blobs.put("it/train/ant/0003.png", b"another")

    monkeypatch.setattr(Bucket, "list_below", change_then)
    with pytest.raises(DatasetChangedError):
        fetch(folder, here)


def test_a_large_object_comes_in_pieces(here, prefix, blobs, tmp_path):
    content = bytes(range(256)) * (80 << 10)
    obstore.put(blobs.store, "large.npz", content)
    shares = []
    found = fetch(f"{prefix}/large.npz", here, shares.append)
    assert (found.read_bytes(), len(shares), shares[-1]) == (content, 2, 1.0)


def test_a_format_that_is_a_folder_is_not_found_in_a_file(here, put, tmp_path):
    url = put(write_zip(tmp_path / "a.zip", SPLITS), "a.zip")
    with pytest.raises(DatasetLayoutError):
        read(url, "image_folder", here)
