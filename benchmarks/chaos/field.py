"""The service that faults are done to, with a hand on each of its parts."""

import os
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import psutil
from obstore.store import ObjectStore, S3Store, from_url
from redis import Redis, RedisError

from app.local.children import Child, Part, StartError
from app.local.parts import (
    HOST,
    free_ports,
    local_key,
    postgres,
    postgres_url,
    seaweedfs,
    seaweedfs_settings,
    valkey,
    valkey_url,
)
from app.local.service import LocalService, Shape
from app.store.sessions import DATABASE_DOWN, Database, open_database
from benchmarks.chaos.plan import ShapeName
from benchmarks.chaos.proxy import Proxy, proxy

Answer = TypeVar("Answer")

WORKERS = ("worker-0", "worker-1")
LEASE_SECONDS = 3.0
ORPHAN_SECONDS = 4.0
DRAIN_SECONDS = 2.0
PATIENCE = 120.0
_DISK_MIB = 256

# Everything that waits in days of peace waits less here.
_HASTE = {
    "OT3L_LEASE_SECONDS": LEASE_SECONDS,
    "OT3L_HEARTBEAT_SECONDS": 0.3,
    "OT3L_SWEEP_SECONDS": 0.5,
    "OT3L_REQUEUE_SECONDS": 1.5,
    "OT3L_ORPHAN_SECONDS": ORPHAN_SECONDS,
    "OT3L_DRAIN_SECONDS": DRAIN_SECONDS,
    # Each is hit far more often than by chance; which of them gives up is not the question here.
    "OT3L_MAX_ATTEMPTS": 100,
    "OT3L_WEBHOOK_PRIVATE_TARGETS": True,
    "OMP_NUM_THREADS": 1,
}


class NotInjectedError(RuntimeError):
    """A fault that could not be done, and so does not count."""


@dataclass(frozen=True, slots=True)
class Field:
    """A running service.

    Attributes:
        folder: Of everything.
        service: Its processes.
        database: Where its records are.
        broker: A way to the broker that no fault lies on.
        store: The files of jobs.
        link: The workers' way to the broker.
        store_link: Everybody's way to the S3 store, where there is one.
        broker_data: What the broker keeps.
        disk: The folder of the worker whose disk is small, if there is one; it is the last worker.
        locks: One for each part: nobody does two things to the same part at once.
    """

    folder: Path
    service: LocalService
    database: Database
    broker: Redis
    store: ObjectStore
    link: Proxy
    store_link: Proxy | None
    broker_data: Path
    disk: Path | None
    locks: defaultdict[str, threading.Lock] = field(default_factory=lambda: defaultdict(threading.Lock))

    def child(self, name: str) -> Child:
        """A process of the service by its name."""
        return self.service.children[name]

    @property
    def work_folders(self) -> list[Path]:
        """Where workers write what they are making."""
        return [self.service.data_dir, *([self.disk] if self.disk else [])]

    def is_running(self, name: str) -> bool:
        """Whether a process of that name is there, dead ones that nobody has buried yet aside."""
        with suppress(StartError, psutil.Error):
            return bool(psutil.Process(self.child(name).pid).status() != psutil.STATUS_ZOMBIE)
        return False

    def ask_database(self, ask: Callable[[], Answer]) -> Answer:
        """Ask until the database answers."""
        return _insist(ask, DATABASE_DOWN)

    def ask_broker(self, ask: Callable[[], Answer]) -> Answer:
        """Ask until the broker answers."""
        return _insist(ask, (RedisError, OSError))

    def own_processes(self) -> list[psutil.Process]:
        """Every process that was started for this service, wherever it hangs."""
        mark = str(self.folder)
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                data_dir = process.environ().get("OT3L_DATA_DIR", "")
                if data_dir.startswith(mark) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def strays(self) -> list[psutil.Process]:
        """Those of them that belong to no part any more."""
        parts = {child.pid for child in self.service.children.values()}
        return [process for process in self.own_processes() if not parts & _line_of(process)]


@contextmanager
def field_of(shape: ShapeName, folder: Path) -> Iterator[Field]:
    """A service of a shape below ``folder``, with proxies between its parts and a small disk for one worker."""
    key = local_key(folder)
    with ExitStack() as stack:
        ports = free_ports(13)
        broker_link, store_link, database_port, broker_port, *store_ports, _ = ports
        broker_data = folder / "broker" / "kept"
        broker = _keeping(valkey(folder / "broker", broker_port, key), broker_data)
        made = Shape(
            parts=(broker,),
            settings={"OT3L_BROKER_URL": valkey_url(broker_port, key)} | _embedded_settings(folder),
            hidden=("OT3L_", "AWS_"),
        )
        slow = None
        if shape is ShapeName.PRODUCTION:
            store_ports = store_ports[:8]
            servers = (
                postgres(folder / "postgres", database_port, key),
                broker,
                seaweedfs(folder / "s3", key, store_ports),
            )
            settings = {
                **made.settings,
                **seaweedfs_settings(store_link, key),
                "OT3L_DATABASE_URL": postgres_url(database_port, key),
                "OT3L_API_PROCESSES": "2",
            }
            made = replace(made, parts=servers, settings=settings)
            slow = stack.enter_context(proxy(store_link, store_ports[0]))
        link = stack.enter_context(proxy(broker_link, broker_port))
        disk = stack.enter_context(_small_disk(folder / "small"))
        behind = {"OT3L_BROKER_URL": valkey_url(broker_link, key)}
        last = {"OT3L_DATA_DIR": str(disk), "TMPDIR": str(disk)} if disk else {}
        service = stack.enter_context(
            LocalService(
                lambda _: made,
                folder / "service",
                n_workers=len(WORKERS),
                environment={name: str(value) for name, value in _HASTE.items()} | {"OT3L_DATASET_ROOTS": str(folder)},
                environments=dict.fromkeys(WORKERS, behind) | {WORKERS[-1]: behind | last},
            )
        )
        database = open_database(made.settings["OT3L_DATABASE_URL"])
        stack.callback(database.close)
        direct = stack.enter_context(Redis(host=HOST, port=broker_port, password=key, socket_timeout=5.0))
        yield Field(folder, service, database, direct, _open_store(made.settings), link, slow, broker_data, disk)


def can_fill_disks(folder: Path) -> bool:
    """Whether a small disk can be mounted below ``folder``."""
    with _small_disk(folder / "trial") as disk:
        return disk is not None


def await_true(question: Callable[[], bool], what: str, *, patience: float = PATIENCE) -> None:
    """Ask until the answer is yes.

    Raises:
        NotInjectedError: If that takes longer than ``patience`` seconds.
    """
    deadline = time.monotonic() + patience
    while not question():
        if time.monotonic() > deadline:
            raise NotInjectedError(f"not within {patience:.0f} s: {what}")
        time.sleep(0.05)


def _open_store(settings: Mapping[str, str]) -> ObjectStore:
    """As the service has it, but from its own settings: this process's environment may speak of another store."""
    if "AWS_ENDPOINT_URL" not in settings:
        return from_url(settings["OT3L_BLOB_URL"], mkdir=True)
    return S3Store(
        settings["OT3L_BLOB_URL"].removeprefix("s3://"),
        endpoint=settings["AWS_ENDPOINT_URL"],
        access_key_id=settings["AWS_ACCESS_KEY_ID"],
        secret_access_key=settings["AWS_SECRET_ACCESS_KEY"],
        client_options={"allow_http": True},
    )


def _embedded_settings(folder: Path) -> dict[str, str]:
    """Stated, since one worker has a data folder of its own and would look for them there."""
    service = (folder / "service").resolve()
    return {"OT3L_DATABASE_URL": f"sqlite:///{service / 'ot3l.db'}", "OT3L_BLOB_URL": (service / "blobs").as_uri()}


def _keeping(broker: Part, data: Path) -> Part:
    """A broker that keeps what it was told, so that it can be killed with and without its data."""
    data.mkdir(parents=True)
    kept = ("--dir", str(data.resolve()), "--appendonly", "yes", "--appendfsync", "always")
    return replace(broker, command=(*broker.command, *kept))


@contextmanager
def _small_disk(folder: Path) -> Iterator[Path | None]:
    """A file system that can be filled; None where this machine does not let us mount one."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_MIB}m", "ot3l-chaos", str(folder)]
    try:
        mounted = os.geteuid() == 0 and subprocess.run(mount, check=False, capture_output=True).returncode == 0  # noqa: S603
    except FileNotFoundError:
        mounted = False
    try:
        yield folder.resolve() if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)  # noqa: S603, S607
        folder.rmdir()


def _line_of(process: psutil.Process) -> set[int]:
    """The process, its session and everybody above it."""
    with suppress(psutil.Error, ProcessLookupError):
        return {process.pid, os.getsid(process.pid), *(parent.pid for parent in process.parents())}
    return set()


def _insist(ask: Callable[[], Answer], failures: tuple[type[Exception], ...]) -> Answer:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return ask()
        except failures:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
