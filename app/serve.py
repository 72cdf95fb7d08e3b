"""The API's process or processes: ``python -m app.serve``."""

import argparse
import logging
import resource
import socket
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from uvicorn import Config, Server
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

from app.guard import GuardedProtocol
from app.observing.logs import configure_logs
from app.observing.sharing import share_counts
from app.observing.tracing import start_tracing
from app.services.keys import NoKeyError, require_first_key
from app.settings import Settings, read_settings

GRACE_SECONDS = 15
"""How long requests that are running may take after SIGTERM."""
KEEP_ALIVE_SECONDS = 5
HUNG_SECONDS = 60
"""How long a process may be silent, its start included: on a machine that is busy that takes its time."""
ANSWER_SECONDS = 0.1
N_FILES = 65_536

log = logging.getLogger(__name__)


class ServiceConfig(Config):
    """uvicorn's configuration, with our own lines in the log of every process; requests are told by the application."""

    def load(self) -> None:
        """Called in every process, before it serves."""
        if read_settings().tracing:
            start_tracing("ot3l-api")
        super().load()

    def configure_logging(self) -> None:
        """Called here, and again in every process that is started."""
        configure_logs(read_settings().log_format)
        logging.getLogger("uvicorn.access").propagate = False


class Processes(Multiprocess):
    """uvicorn's several processes. Told to stop, it hears it at once, and refuses whom nobody would answer any more."""

    def __init__(self, config: Config, sockets: list[socket.socket]) -> None:
        super().__init__(config, sockets)
        self._heard: dict[int | None, float] = {}

    def terminate_all(self) -> None:
        """Stop listening, then tell the processes."""
        for listener in self.sockets:
            listener.close()
        super().terminate_all()

    def keep_subprocess_alive(self) -> None:
        """Replace processes that have died, or were silent for too long.

        uvicorn waits here for the answer of one that is only starting, and does not hear meanwhile that it is to stop.
        """
        for index, process in enumerate(self.processes):
            if self.should_exit.is_set():
                return
            now = time.monotonic()
            if process.is_alive(timeout=ANSWER_SECONDS):
                self._heard[process.pid] = now
            elif not process.process.is_alive() or now - self._heard.setdefault(process.pid, now) > HUNG_SECONDS:
                self._replace(index, process)

    def _replace(self, index: int, process: Process) -> None:
        process.kill()
        process.join()
        self._heard.pop(process.pid, None)
        if process.exitcode == STARTUP_FAILURE:
            log.error("process %d failed to start, and so would another one", process.pid)
            self.should_exit.set()
            return
        log.warning("process %d died: another one takes its place", process.pid)
        self.processes[index] = Process(self.config, self.sockets)
        self.processes[index].start()


def configure(settings: Settings) -> Config:
    """How uvicorn serves the application."""
    return ServiceConfig(
        "app.main:create_app",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.api_processes,
        http=GuardedProtocol,
        ws="none",
        lifespan="on",
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


def serve(config: Config, listener: socket.socket) -> int:
    """Serve until SIGTERM or SIGINT; requests that are running then may end.

    Args:
        config: From ``configure``.
        listener: Bound; it may be listening already.

    Returns:
        The exit status: not 0 if the application did not start.
    """
    if config.workers == 1:
        server = Server(config)
        server.run(sockets=[listener])
        return 0 if server.started else STARTUP_FAILURE
    with TemporaryDirectory(prefix="ot3l-") as folder:
        share_counts(Path(folder) / "counts")
        processes = Processes(config, sockets=[listener])
        processes.run()
    failed = any(process.exitcode == STARTUP_FAILURE for process in processes.processes)
    return STARTUP_FAILURE if failed else 0


def allow_many_files() -> None:
    """Let this process and its children have a file for each of many connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = N_FILES if hard == resource.RLIM_INFINITY else min(N_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def main() -> int:
    """Serve what the settings say."""
    parser = argparse.ArgumentParser(description="The OT3L API.")
    parser.add_argument("--fd", type=int, help="a socket to listen on that is open already, instead of host and port")
    arguments = parser.parse_args()
    allow_many_files()
    settings = read_settings()
    try:
        require_first_key(settings)
    except NoKeyError as error:
        sys.exit(str(error))
    config = configure(settings)
    listener = config.bind_socket() if arguments.fd is None else socket.socket(fileno=arguments.fd)
    try:
        return serve(config, listener)
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
