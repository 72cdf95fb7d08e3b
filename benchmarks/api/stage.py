"""The production shape on this machine, and whoever is to stand beside it."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx2
from obstore.store import S3Store
from sqlalchemy import make_url, text

from app.local.children import Child, Part, Supervisor
from app.local.parts import HOST, PROBE_SECONDS, free_ports
from app.local.production import production
from app.local.service import LocalService
from app.store.blobs import BlobStore, open_blobs
from app.store.migrations import migrate
from app.store.sessions import Database, open_database
from benchmarks.api.filling import ROWS, Pair, add_pair
from benchmarks.api.setting import Sizes


@dataclass(frozen=True, slots=True)
class Stage:
    """A running service without workers: what is measured is the API.

    Attributes:
        folder: Of everything.
        service: PostgreSQL, Valkey, SeaweedFS and one API process, as ``make up`` starts them.
        sizes: How much is measured.
        pair: The datasets of all jobs.
    """

    folder: Path
    service: LocalService
    sizes: Sizes
    pair: Pair

    @property
    def database_url(self) -> str:
        """Of the service's own database."""
        return self.service.variables["OT3L_DATABASE_URL"]

    @contextmanager
    def database(self, url: str = "") -> Iterator[Database]:
        """The service's database, or another one of the same server."""
        opened = open_database(url or self.database_url)
        yield opened
        opened.close()

    def new_database(self, name: str) -> str:
        """The URL of another database of the same server, with the service's tables."""
        with self.database() as database, database.reading() as session:
            session.execute(text(f"CREATE DATABASE {name}"))
        url = make_url(self.database_url).set(database=name).render_as_string(hide_password=False)
        migrate(url)
        return url

    def blobs(self) -> BlobStore:
        """The service's own, in S3."""
        known = self.service.variables
        return BlobStore(
            S3Store(
                known["OT3L_BLOB_URL"].removeprefix("s3://"),
                endpoint=known["AWS_ENDPOINT_URL"],
                access_key_id=known["AWS_ACCESS_KEY_ID"],
                secret_access_key=known["AWS_SECRET_ACCESS_KEY"],
                client_options={"allow_http": True},
            )
        )

    def local_blobs(self) -> BlobStore:
        """A folder in place of the S3 store."""
        return open_blobs(self.local_blob_url)

    @property
    def local_blob_url(self) -> str:
        """Of that folder."""
        return (self.folder / "blobs").resolve().as_uri()

    @contextmanager
    def beside(self, *parts: Part) -> Iterator[Mapping[str, Child]]:
        """More processes with the service's settings, while they are needed."""
        with Supervisor(self.folder / "logs", self.service.variables) as supervisor:
            supervisor.start(*parts)
            yield supervisor.children


@contextmanager
def stage_in(folder: Path, sizes: Sizes) -> Iterator[Stage]:
    """The service below ``folder``."""
    settings = {"OT3L_API_PROCESSES": "1", "OMP_NUM_THREADS": "1"}
    with production(folder / "service", n_workers=0, environment=settings) as service:
        database = open_database(service.variables["OT3L_DATABASE_URL"])
        ROWS.create(database.engine)
        with database.writing() as session:
            pair = add_pair(session)
            session.commit()
        database.close()
        yield Stage(folder, service, sizes, pair)


def api(name: str, **settings: str) -> tuple[Part, str]:
    """Another API process over the same servers, and where it is."""
    [port] = free_ports(1)
    environment = {"OT3L_PORT": str(port)} | {f"OT3L_{key.upper()}": value for key, value in settings.items()}
    part = _served(name, port, "/health/ready", sys.executable, "-m", "app.serve")
    return replace(part, environment=environment), f"http://{HOST}:{port}"


def bare() -> tuple[Part, str]:
    """The bare peer with the server settings that cost something, and where it is."""
    [port] = free_ports(1)
    options = ("--no-access-log", "--log-level", "warning", "--no-server-header", "--host", HOST, "--port", str(port))
    command = (sys.executable, "-m", "uvicorn", "benchmarks.api.bare:app", *options)
    return _served("bare", port, "/", *command), f"http://{HOST}:{port}"


def program(name: str, port: int, *command: str) -> Part:
    """Any other HTTP server."""
    return _served(name, port, "/", *command)


def _served(name: str, port: int, path: str, *command: str) -> Part:
    def is_ready() -> bool:
        try:
            return not httpx2.get(f"http://{HOST}:{port}{path}", timeout=PROBE_SECONDS).is_server_error
        except httpx2.TransportError:
            return False

    return Part(name=name, command=command, is_ready=is_ready, patience=20.0)
