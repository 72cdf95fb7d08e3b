"""Data that comes over HTTP becomes a dataset, in both shapes; what does not come whole leaves nothing."""

import hashlib
import shutil
import socket
import time
import zipfile
from pathlib import Path

import httpx2
import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from tests.e2e.conftest import BOTH_SHAPES, PATIENCE

N_PICTURES = 60


@pytest.fixture(scope="module", params=BOTH_SHAPES)
def service(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def folder(uploads):
    """Digits as image files, where the service may read them."""
    digits = load_digits()
    for index, label in enumerate(digits.target[:N_PICTURES].tolist()):
        path = uploads / "by-path" / str(label) / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((digits.images[index] * 15).astype(np.uint8)).save(path)
    return uploads / "by-path"


@pytest.fixture(scope="module")
def by_path(service, folder):
    """What the files are when they are read where they lie."""
    return service.run("/datasets", {"format": "image_folder", "path": folder.name})


def run(service, body):
    dataset = service.wait(service.post("/datasets", body))
    return dataset["state"], dataset["digest"], dataset["error"]


def test_a_folder_is_uploaded_in_parts_and_resumed(service, folder, by_path, tmp_path):
    archive = shutil.make_archive(str(tmp_path / "digits"), "gztar", folder)
    content = Path(archive).read_bytes()
    announced = {"filename": "digits.tar.gz", "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    upload = service.client.post("/uploads", json=announced).raise_for_status().json()
    location = f"/uploads/{upload['id']}"
    assert service.client.post(f"{location}/complete").status_code == 409
    for number in range(1, service.get(location)["n_parts"] + 1):
        part = content[(number - 1) * upload["part_size"] : number * upload["part_size"]]
        service.client.put(f"{location}/parts/{number}", content=part).raise_for_status()
    service.client.post(f"{location}/complete").raise_for_status()
    dataset = service.run("/datasets", {"format": "image_folder", "upload": upload["id"], "name": "by-parts"})
    assert dataset["digest"] == by_path["digest"]
    assert dataset["result"] == by_path["result"]
    assert service.client.delete(location).status_code == 409


def test_a_zip_is_uploaded_in_one_request(service, folder, by_path, tmp_path):
    archive = shutil.make_archive(str(tmp_path / "digits"), "zip", folder)
    with Path(archive).open("rb") as opened:
        reply = service.client.post("/uploads", files={"file": ("scans.zip", opened)})
    dataset = service.run("/datasets", {"format": "zip", "upload": reply.raise_for_status().json()["id"]})
    assert (dataset["name"], dataset["digest"]) == ("scans", by_path["digest"])


def test_an_upload_goes_with_the_dataset_that_it_became(service):
    upload = service.get("/datasets/scans")["upload"]
    assert service.client.delete("/datasets/scans").status_code == 204
    assert service.client.get(f"/uploads/{upload}").status_code == 404


def test_what_was_uploaded_is_judged_like_any_data(service, tmp_path):
    with zipfile.ZipFile(tmp_path / "slip.zip", "w") as archive:
        archive.writestr("../../slipped.png", b"x")
    slip = (tmp_path / "slip.zip").read_bytes()
    for name, content, codes in (("slip", slip, {"unsafe_data"}), ("no-archive", b"noise" * 99, {"dataset_layout"})):
        upload = service.client.post("/uploads", files={"file": content}).raise_for_status().json()["id"]
        state, _, error = run(service, {"format": "image_folder", "upload": upload, "name": name})
        assert (state, error["code"] in codes) == ("failed", True), error
        assert "/" not in error["message"].replace("../../slipped.png", "")


def test_a_checksum_that_was_not_kept_is_told_by_the_worker(service):
    part = b"x" * (16 << 20)
    announced = {"filename": "a.zip", "size": len(part) + 1, "sha256": "0" * 64}
    location = service.client.post("/uploads", json=announced).raise_for_status().headers["Location"]
    service.client.put(f"{location}/parts/1", content=part).raise_for_status()
    service.client.put(f"{location}/parts/2", content=b"x").raise_for_status()
    service.client.post(f"{location}/complete").raise_for_status()
    state, _, error = run(service, {"format": "zip", "upload": location.rpartition("/")[2], "name": "mismatch"})
    assert (state, error["code"], error["field"]) == ("failed", "checksum_mismatch", "upload")


def test_ten_gigabytes_claimed_and_one_megabyte_sent_leave_nothing(embedded_service):
    service = embedded_service
    host, port = httpx2.URL(service.local.url).host, httpx2.URL(service.local.url).port
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="gone.zip"\r\n\r\n'
    requests = {
        b"POST /uploads HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b": part + b"x" * (1 << 20),
        b"POST /uploads HTTP/1.1\r\nContent-Type: application/json": b" " * (1 << 20),
        b"POST /jobs HTTP/1.1\r\nContent-Type: application/json": b" " * (1 << 20),
    }
    before = stored(service)
    for head, body in requests.items():
        with socket.create_connection((host, port), timeout=10) as connection:
            connection.sendall(head + b"\r\nHost: localhost\r\nContent-Length: 10737418240\r\n\r\n")
            connection.sendall(body)
    deadline = time.monotonic() + PATIENCE
    while stored(service) != before:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert service.client.get("/health/live").status_code == 200


def stored(service):
    """The files of all uploads."""
    return sorted(path for path in (service.local.data_dir / "blobs" / "uploads").rglob("*") if path.is_file())
