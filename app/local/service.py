"""One service on this machine: the parts of a shape, the migrations, workers and API, under one supervisor."""

import fcntl
import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import KW_ONLY, dataclass, field
from http import HTTPStatus
from pathlib import Path
from types import FrameType
from typing import IO, Self

import httpx2

from app.local.children import Child, Part, StartError, Supervisor
from app.local.parts import HOST, PROBE_SECONDS
from app.serve import GRACE_SECONDS
from app.settings import Settings
from app.store.migrations import migrate
from ot3l_core.names import BuiltinDataset, DatasetFormat

TRIAL_SOURCE = BuiltinDataset.DIGITS.value
# What a process needs to leave on a busy machine, after it has given its work the time that it has.
LEAVE_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a service stands on.

    Attributes:
        parts: Started one after another, each once the one before is ready.
        settings: What follows from them for API and workers, as environment variables.
        hidden: Beginnings of the names of variables that the service does not see: set for another one.
    """

    parts: tuple[Part, ...]
    settings: Mapping[str, str]
    hidden: tuple[str, ...]


@dataclass(slots=True)
class LocalService:
    """A running service.

    Attributes:
        make_shape: What it stands on, given its folder.
        data_dir: Where it keeps everything; only one service may use it at a time.
        port: Where the API listens on 127.0.0.1; 0 for a free port.
        n_workers: Worker processes, ``worker-0`` and so on.
        environment: More settings, as ``OT3L_*`` variables.
        environments: The same for single ones of ``api``, ``worker-0`` and so on.

    Raises:
        StartError: On entering, if another service uses the folder or a part does not come up.
    """

    make_shape: Callable[[Path], Shape]
    data_dir: Path
    _: KW_ONLY
    port: int = 0
    n_workers: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)
    environments: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    _children: dict[str, Child] = field(default_factory=dict)
    _stack: ExitStack = field(default_factory=ExitStack)

    @property
    def url(self) -> str:
        """Where the API is."""
        return f"http://{HOST}:{self.port}"

    @property
    def children(self) -> Mapping[str, Child]:
        """The processes by name: those of the shape, ``worker-0`` and so on, ``api``."""
        return self._children

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self) -> None:
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self._stack.enter_context(_sole_user(self.data_dir))
        listener = self._stack.enter_context(socket.create_server((HOST, self.port)))
        self.port = listener.getsockname()[1]
        shape = self.make_shape(self.data_dir)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(shape.hidden)}
        self.variables = {
            **inherited,
            **shape.settings,
            **self.environment,
            "OT3L_DATA_DIR": str(self.data_dir.resolve()),
            "OT3L_HOST": HOST,
            "OT3L_PORT": str(self.port),
            "TMPDIR": str(self.data_dir.resolve() / "tmp"),
        }
        # Temporary files of processes that were killed are gone with the next start.
        shutil.rmtree(self.variables["TMPDIR"], ignore_errors=True)
        Path(self.variables["TMPDIR"]).mkdir()
        supervisor = self._stack.enter_context(Supervisor(self.data_dir / "logs", self.variables))
        self._children = supervisor.children
        for part in shape.parts:
            supervisor.start(part)
        database_url = self.variables.get("OT3L_DATABASE_URL", "")
        migrate(Settings(data_dir=self.data_dir, database_url=database_url).resolved_database_url)
        supervisor.start(*map(self._worker, range(self.n_workers)), self._api(listener))

    def _worker(self, number: int) -> Part:
        name = f"worker-{number}"
        celery = ("celery", "-A", "worker.main", "worker", "--loglevel=INFO", "--without-gossip", "--without-mingle")
        return Part(
            name=name,
            command=(sys.executable, "-m", *celery, "--pool=prefork", "--concurrency=1", f"--hostname={name}@%h"),
            environment={**self._metrics_port(number), **self.environments.get(name, {})},
            # A running job is handed over before that; the signal goes to the parent, never to the child that runs it.
            patience=float(self.variables.get("OT3L_DRAIN_SECONDS") or Settings().drain_seconds) + LEAVE_SECONDS,
        )

    def _metrics_port(self, number: int) -> dict[str, str]:
        """Each worker its own, counted from the one that is set."""
        first = int(self.variables.get("OT3L_METRICS_PORT") or 0)
        return {"OT3L_METRICS_PORT": str(first + number)} if first else {}

    def _api(self, listener: socket.socket) -> Part:
        def is_ready() -> bool:
            try:
                return httpx2.get(f"{self.url}/health/ready", timeout=PROBE_SECONDS).is_success
            except httpx2.TransportError:
                return False

        return Part(
            name="api",
            command=(sys.executable, "-m", "app.serve", "--fd", str(listener.fileno())),
            environment=self.environments.get("api", {}),
            is_ready=is_ready,
            patience=GRACE_SECONDS + LEAVE_SECONDS,
            descriptors=(listener.fileno(),),
        )


@contextmanager
def _sole_user(data_dir: Path) -> Iterator[IO[str]]:
    with (data_dir / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StartError(f"another service is running in {data_dir}: stop it or use another folder") from error
        yield lock


def stop_on_signals() -> None:
    """Let SIGTERM, and a terminal that is closed, end the program as Ctrl-C does: by way of every clean-up."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)


def register_trial_source(url: str) -> None:
    """Register the images that jobs are measured from when they name no source, unless that was done before.

    They make every request work at once. Distances mean more from a sample of what the backbone was trained on.
    """
    reply = httpx2.post(f"{url}/datasets", json={"format": DatasetFormat.BUILTIN, "dataset": TRIAL_SOURCE})
    if reply.status_code != HTTPStatus.CONFLICT:
        reply.raise_for_status()
