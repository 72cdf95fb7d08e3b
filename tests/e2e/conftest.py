"""Real services in both shapes, with broker, workers, API and stores as processes of their own.

What holds for a service is tested on the embedded one, unless a module asks for both by a fixture of its own::

    @pytest.fixture(scope="module", params=BOTH_SHAPES)
    def service(request):
        return request.getfixturevalue(request.param)
"""

import contextlib
import time

import httpx2
import pytest

from app.local.embedded import embedded
from app.local.production import production

BOTH_SHAPES = ["embedded_service", pytest.param("production_service", marks=pytest.mark.slow)]
HASTE = {"lease_seconds": 2, "heartbeat_seconds": 0.2, "sweep_seconds": 0.3, "requeue_seconds": 1, "drain_seconds": 0.2}
PATIENCE = 120.0
SMALL = {
    "target": "mnist-5k",
    "source": "digits",
    "input_size": 48,
    "crop_fraction": 1.0,
    "budget": 100,
    "pool_size": 400,
    "test_size": 200,
    "source_size": 200,
    "seeds": [0, 1],
    "training": {"epochs": 20, "hidden": 64, "learning_rate": 0.003},
}


class Service:
    """A client of a running service, and a hand on its processes."""

    def __init__(self, local):
        self.local = local
        self.client = httpx2.Client(base_url=local.url, timeout=30.0)

    def post(self, path, body):
        reply = self.client.post(path, json=body)
        # 200 where another test has measured the same before.
        assert reply.status_code in {200, 202}, reply.text
        return reply.headers["Location"]

    def get(self, location):
        return self.client.get(location).raise_for_status().json()

    def wait(self, location, until=lambda work: work["finished_at"] is not None):
        deadline = time.monotonic() + PATIENCE
        while not until(work := self.get(location)):
            assert time.monotonic() < deadline, work
            time.sleep(0.05)
        return work

    def run(self, path, body):
        work = self.wait(self.post(path, body))
        assert work["state"] == "succeeded", work["error"]
        return work

    def register(self, *names):
        for name in names:
            self.run("/datasets", {"format": "builtin", "dataset": name})

    def kill(self, *names):
        """SIGKILL to these processes and all of theirs, at once; what a broker held is gone with it."""
        for name, child in self.local.children.items():
            if name.startswith(names):
                child.kill(family=True)


@pytest.fixture(scope="session")
def start_service(tmp_path_factory):
    """Start services that stop with the session."""
    with contextlib.ExitStack() as started:

        def start(make=embedded, **settings):
            environment = {f"OT3L_{name.upper()}": str(value) for name, value in settings.items()}
            service = Service(started.enter_context(make(tmp_path_factory.mktemp("service"), environment=environment)))
            started.callback(service.client.close)
            return service

        yield start


@pytest.fixture(scope="session")
def uploads(tmp_path_factory):
    """The folder that the service may read datasets from."""
    return tmp_path_factory.mktemp("uploads")


@pytest.fixture(scope="session")
def embedded_service(start_service, uploads):
    """One embedded service with both built-in datasets registered."""
    started = start_service(embedded, **HASTE, dataset_roots=uploads)
    started.register("digits", "mnist-5k")
    return started


@pytest.fixture(scope="session")
def production_service(start_service, uploads):
    """The same over PostgreSQL and S3, with several API processes and workers."""
    started = start_service(production, **HASTE, dataset_roots=uploads)
    started.register("digits", "mnist-5k")
    return started


@pytest.fixture(scope="session")
def service(embedded_service):
    """The service that tests share."""
    return embedded_service
