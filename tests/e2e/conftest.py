"""A real service: broker, worker and API as processes of their own."""

import os
import signal
import time

import httpx2
import psutil
import pytest

from app.embedded import Embedded

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

    def __init__(self, embedded):
        self.embedded = embedded
        self.client = httpx2.Client(base_url=embedded.url, timeout=30.0)

    def post(self, path, body):
        reply = self.client.post(path, json=body)
        assert reply.status_code == 202, reply.text
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

    def kill_workers(self):
        """SIGKILL to every worker process, parents and children, at once."""
        for name, child in self.embedded.children.items():
            if name.startswith("worker"):
                os.killpg(child.process.pid, signal.SIGKILL)

    def kill_broker(self):
        """SIGKILL to the broker, whose data is gone with it."""
        listening = [
            process
            for process in psutil.process_iter(["name"])
            if process.info["name"] == "valkey-server"
            and any(part.endswith(f":{self.embedded.broker_port}") for part in process.cmdline())
        ]
        assert len(listening) == 1
        listening[0].kill()
        listening[0].wait(10)


@pytest.fixture(scope="session")
def start_service(tmp_path_factory):
    """Start services that stop with the session."""
    started = []

    def start(**settings):
        embedded = Embedded(
            tmp_path_factory.mktemp("service"),
            environment={f"OT3L_{name.upper()}": str(value) for name, value in settings.items()},
        )
        embedded.__enter__()
        service = Service(embedded)
        started.append(service)
        return service

    yield start
    for service in started:
        service.client.close()
        service.embedded.__exit__(None, None, None)


@pytest.fixture(scope="session")
def uploads(tmp_path_factory):
    """The folder that the service may read datasets from."""
    return tmp_path_factory.mktemp("uploads")


@pytest.fixture(scope="session")
def service(start_service, uploads):
    """One service with both built-in datasets registered."""
    started = start_service(
        lease_seconds=2, heartbeat_seconds=0.2, sweep_seconds=0.3, requeue_seconds=1, dataset_roots=uploads
    )
    started.register("digits", "mnist-5k")
    return started
