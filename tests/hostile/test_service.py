"""Hostile data sent to a running service: every record fails as it should, and the service does not notice."""

import itertools
import json
import tempfile
from pathlib import Path

import psutil
import pytest

from tests.e2e.conftest import BOTH_SHAPES
from tests.generators.pictures import random_tree, write_zip
from tests.hostile.archives import ARCHIVES
from tests.hostile.files import hostile_files

FILES = hostile_files()
HOSTILE_PATHS = [
    "../../../../etc/passwd",
    "/etc/passwd",
    "/proc/self/environ",
    "link-to-etc/passwd",
    "a/../../x",
    "a\0b",
    "a\nb",
    "\ud800",
    "x" * 5000,
    "file:///etc/passwd",
    "http://127.0.0.1/x.zip",
    "",
]


@pytest.fixture(scope="module", params=BOTH_SHAPES)
def service(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def place(service, uploads, request):
    """A folder below the service's dataset root."""
    folder = uploads / f"hostile-{request.node.name}-{id(service)}"
    folder.mkdir()
    return folder


def worker_processes(service):
    """The workers' processes, parents and children."""
    parents = [psutil.Process(child.pid) for name, child in service.local.children.items() if name.startswith("worker")]
    return {process.pid for parent in parents for process in [parent, *parent.children(recursive=True)]}


def files_left(service):
    """What lies where things lie for a while, but for what torch and the counting of requests keep there."""
    ours = Path(tempfile.gettempdir()).glob("*ot3l*")
    found = itertools.chain(ours, *((service.local.data_dir / name).rglob("*") for name in ("scratch", "tmp")))
    kept = ("torchinductor", "/counts/")
    return {path for path in found if path.is_file() and not any(name in str(path) for name in kept)}


def shown(reply, service, *places):
    """Whether a reply shows where the server keeps something."""
    hidden = [service.local.data_dir, *places, Path(__file__).parents[2], Path(tempfile.__file__).parent]
    return [str(path) for path in hidden if str(path) in reply.text]


def good_dataset(folder, service, name):
    write_zip(folder / f"{name}.zip", {"": random_tree({"ant": 3, "bee": 3})})
    return service.run("/datasets", {"format": "zip", "path": str(folder / f"{name}.zip"), "name": name})


@pytest.fixture(scope="module")
def registered(service, place):
    """Every hostile file, registered at once; and what the service was before."""
    first = good_dataset(place, service, f"before-{place.name}")
    assert first["state"] == "succeeded"
    before = worker_processes(service), files_left(service)
    locations = {}
    for name, hostile in FILES.items():
        (place / name).mkdir()
        body = dict(hostile.make(place / name)) | {"name": f"{name}-{id(service)}"}
        locations[name] = service.post("/datasets", body)
    return locations, before


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_dataset_fails_with_its_code(service, place, registered, name):
    locations, _ = registered
    found = service.wait(locations[name])
    code = found["error"] and found["error"]["code"]
    assert (found["state"], code) == ("failed" if FILES[name].code else "succeeded", FILES[name].code)
    assert not shown(service.client.get(locations[name]), service, place)


def test_the_service_is_what_it_was(service, place, registered):
    locations, (processes, files) = registered
    for location in locations.values():
        service.wait(location)
    good_dataset(place, service, f"after-{place.name}")
    assert worker_processes(service) == processes
    assert files_left(service) <= files
    assert not shown(service.client.get("/datasets"), service, place)


@pytest.mark.parametrize("path", HOSTILE_PATHS)
@pytest.mark.parametrize(("format_", "field"), [("zip", "path"), ("torchvision", "root")])
def test_a_path_that_leads_out_is_refused(service, uploads, path, format_, field):
    link = uploads / "link-to-etc"
    if not link.is_symlink():
        link.symlink_to("/etc", target_is_directory=True)
    body = {"format": format_, field: path} | ({"dataset": "MNIST"} if field == "root" else {})
    reply = service.client.post(
        "/datasets", content=json.dumps(body).encode(), headers={"content-type": "application/json"}
    )
    assert reply.status_code in {400, 422}, reply.text
    assert "root:x:0" not in reply.text
    assert not shown(reply, service, uploads)


@pytest.fixture(scope="module")
def uploaded(service, registered):
    """Every hostile archive, uploaded and registered at once."""
    locations = {}
    for name, (_, make) in ARCHIVES.items():
        reply = service.client.post("/uploads", files={"file": (f"{name}.bin", make(), "application/octet-stream")})
        assert reply.status_code == 201, reply.text
        body = {"format": "image_folder", "upload": reply.json()["id"], "name": f"upload-{name}-{id(service)}"}
        locations[name] = service.post("/datasets", body)
    return locations


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_hostile_archive_fails_with_its_code(service, place, uploaded, name):
    code, _ = ARCHIVES[name]
    found = service.wait(uploaded[name])
    assert (found["state"], found["error"] and found["error"]["code"]) == ("failed" if code else "succeeded", code)
    assert not shown(service.client.get(uploaded[name]), service, place)


def test_nothing_is_left_of_hostile_archives(service, uploaded, registered):
    _, (processes, files) = registered
    for location in uploaded.values():
        service.wait(location)
    assert worker_processes(service) == processes
    assert files_left(service) <= files
    kept = list((service.local.data_dir / "uploads").iterdir())
    assert len(kept) == sum(code is None for code, _ in ARCHIVES.values())
