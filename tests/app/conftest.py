"""The application without its processes: real database, real blobs, a queue that records."""

from types import SimpleNamespace
from uuid import UUID

import pytest
from starlette.testclient import TestClient

from app.client import Client
from app.main import create_app
from app.principals import Scope
from app.services.keys import create_key
from app.settings import AuthMode
from app.states import WorkState
from app.store import work
from app.store.records import DatasetRecord
from app.store.sessions import open_database
from tests.fakes import RecordingQueue
from tests.loopback import serving

SUMMARY = {
    "classes": [{"name": name, "pool": 40, "test": 10} for name in ("cat", "dog")],
    "n_pool": 80,
    "n_test": 20,
}


POOL_SUMMARY = {"classes": [], "n_pool": 80, "n_test": 0}


@pytest.fixture
def queue():
    return RecordingQueue()


@pytest.fixture
def client(settings, queue):
    with TestClient(create_app(settings, queue=queue), base_url="http://localhost") as made:
        yield made


@pytest.fixture
def url(settings, queue):
    """Where the application answers over real connections."""
    with serving(create_app(settings, queue=queue)) as address:
        yield address


@pytest.fixture
def naps(monkeypatch):
    """How long a blocking client would have slept each time; it does not."""
    taken = []
    monkeypatch.setattr("app.client.wire.time", SimpleNamespace(sleep=taken.append))
    return taken


@pytest.fixture
def target(url, finish):
    """A dataset that has been inspected, on the application that answers over real connections."""
    with Client(url) as client:
        dataset = client.datasets.create(format="builtin", dataset="digits", name="target")
        finish(DatasetRecord, dataset.id, digest="0" * 64, result=SUMMARY)
        yield dataset.refresh()


@pytest.fixture
def keyed_settings(settings):
    """Of a service that asks for keys."""
    return settings.model_copy(update={"auth": AuthMode.ON})


@pytest.fixture
def make_key(service_database):
    """A key of any owner, as the operator makes it; gives the headers that it is sent in."""

    def make(owner="operator", *scopes, expires_in=None):
        with service_database.writing() as session:
            issued = create_key(session, owner, name="test", scopes=scopes or tuple(Scope), expires_in=expires_in)
            session.commit()
        return {"Authorization": f"Bearer {issued.secret}"}

    return make


@pytest.fixture
def keyed_client(keyed_settings, queue, make_key):
    """A client, without a key of its own, of a service that asks for one."""
    make_key()
    with TestClient(create_app(keyed_settings, queue=queue), base_url="http://localhost") as made:
        yield made


@pytest.fixture
def service_database(settings):
    opened = open_database(settings.resolved_database_url)
    yield opened
    opened.close()


@pytest.fixture
def finish(service_database):
    """Do what a worker would: end a piece of work with the given columns."""

    def end(kind, work_id, state=WorkState.SUCCEEDED, **values):
        with service_database.writing() as session:
            held = work.claim(session, kind, work_id, lease_seconds=60)
            assert held is not None
            assert work.finish(session, held, state, **values)
            session.commit()

    return end


@pytest.fixture
def register(client, finish):
    """A dataset that has been inspected."""

    def add(name="target", summary=SUMMARY):
        reply = client.post("/datasets", json={"format": "builtin", "dataset": "digits", "name": name})
        assert reply.status_code == 202, reply.text
        dataset_id = UUID(reply.json()["id"])
        finish(DatasetRecord, dataset_id, digest="0" * 64, result=summary)
        return dataset_id

    return add


@pytest.fixture
def register_pool(client, finish, settings):
    """A dataset without labels that has been inspected."""

    def add(name="pool"):
        (settings.dataset_roots[0] / name).mkdir()
        reply = client.post("/datasets", json={"format": "image_folder", "path": name, "labelled": False})
        assert reply.status_code == 202, reply.text
        dataset_id = UUID(reply.json()["id"])
        finish(DatasetRecord, dataset_id, digest="1" * 64, result=POOL_SUMMARY)
        return dataset_id

    return add
