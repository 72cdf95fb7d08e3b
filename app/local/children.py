"""Child processes that are started again whenever they end, until they are told to stop."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from app.local import reaper

log = logging.getLogger(__name__)

START_SECONDS = 120.0
WATCH_SECONDS = 0.5
READY_SECONDS = 0.05
N_LAST_LINES = 20


class StartError(RuntimeError):
    """The service, or a part of it, could not be started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A server that can run as a child process.

    Attributes:
        name: Unique within a service; also that of its log.
        command: The program, by its path, and its arguments.
        environment: Variables beside those that all children have.
        is_ready: Whether it does its work. It may raise ``OSError`` while it does not.
        stop_signal: How it is asked to stop.
        patience: Seconds between that and its end by SIGKILL.
        user: Who runs it; None for whoever runs the supervisor.
        leftovers: Files that it leaves behind, deleted once it has ended.
        descriptors: Open files that it inherits.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    is_ready: Callable[[], bool] = lambda: True
    stop_signal: signal.Signals = signal.SIGTERM
    patience: float = 5.0
    user: str | None = None
    leftovers: tuple[Path, ...] = ()
    descriptors: tuple[int, ...] = ()


@dataclass(slots=True)
class Child:
    """A part and its process.

    Attributes:
        part: What runs. Another one takes effect at the next start.
        environment: Variables that all children have.
        log_path: Where its output goes.
        announce: Told of every session that begins, and, negative, of every one that has ended.
    """

    part: Part
    environment: Mapping[str, str]
    log_path: Path
    announce: Callable[[int], None]
    _process: subprocess.Popen[bytes] | None = None
    _wanted: bool = False
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def pid(self) -> int:
        """Of its process.

        Raises:
            StartError: If it was told to stop, or never started.
        """
        with self._lock:
            if self._process is None:
                raise StartError(f"{self.part.name} has no process: start it first")
            return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether it is gone without having been told to stop."""
        with self._lock:
            return self._wanted and self._process is not None and self._process.poll() is not None

    def start(self) -> None:
        """Start the process in a session of its own, so that Ctrl-C reaches only the supervisor.

        What a former process left behind is ended first: a pool child can outlive its parent.
        """
        with self._lock:
            self._end()
            with self.log_path.open("ab") as output:
                self._process = subprocess.Popen(  # noqa: S603 - our own command line
                    self.part.command,
                    env={**self.environment, **self.part.environment},
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    stdin=subprocess.DEVNULL,
                    pass_fds=self.part.descriptors,
                    start_new_session=True,
                    user=self.part.user,
                    group=self.part.user,
                    extra_groups=None if self.part.user is None else (),
                )
            self.announce(self._process.pid)
            self._wanted = True

    def stop(self) -> None:
        """Ask it to stop, wait as long as its part says, and end whatever is left of it."""
        stop_together([self])

    def ask_to_stop(self) -> None:
        """Send its signal, to the process alone: what becomes of its own children is its affair."""
        with self._lock:
            self._wanted = False
            if self._process is not None and self._process.poll() is None:
                self._process.send_signal(self.part.stop_signal)

    def await_end(self, deadline: float) -> None:
        """Wait until it has ended, or until the clock ``time.monotonic`` shows ``deadline``."""
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(max(deadline - time.monotonic(), 0))

    def end(self) -> None:
        """End its whole session at once and for good."""
        with self._lock:
            self._wanted = False
            self._end()

    def kill(self, *, family: bool = False) -> None:
        """Send SIGKILL to the process, or to its whole ``family``: the supervisor then starts it again."""
        with self._lock, suppress(ProcessLookupError):
            (os.killpg if family else os.kill)(self.pid, signal.SIGKILL)

    def restart_if_ended(self) -> None:
        """Start it again, if it has ended by itself."""
        with self._lock:
            if self.ended:
                log.warning("%s ended: starting it again", self.part.name)
                self.start()

    def await_ready(self) -> None:
        """Wait until it does its work.

        Raises:
            StartError: If it ends, or takes longer than two minutes.
        """
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.ended:
                raise StartError(f"{self.part.name} ended at its start; its last words:\n{self._last_words()}")
            with suppress(OSError):
                if self.part.is_ready():
                    return
            time.sleep(READY_SECONDS)
        raise StartError(f"{self.part.name} was not ready within {START_SECONDS:.0f} s; see {self.log_path}")

    def _end(self) -> None:
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self.announce(-self._process.pid)
        for path in self.part.leftovers:
            path.unlink(missing_ok=True)
        self._process = None

    def _last_words(self) -> str:
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-N_LAST_LINES:])


def stop_together(children: Iterable[Child]) -> None:
    """Ask all to stop, wait for all at once, and end what is left. Interrupted, it waits no longer."""
    stopping = list(children)
    try:
        for child in stopping:
            child.ask_to_stop()
        asked = time.monotonic()
        for child in stopping:
            child.await_end(asked + child.part.patience)
    finally:
        for child in stopping:
            child.end()


@dataclass(slots=True)
class Supervisor:
    """Children by name; those that end are started again, and all are gone when it is left.

    Attributes:
        logs: Folder of their output.
        environment: Variables that all of them have.
    """

    logs: Path
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    children: dict[str, Child] = field(default_factory=dict)
    _reaper: subprocess.Popen[bytes] | None = None
    _leaving: threading.Event = field(default_factory=threading.Event)
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        self.logs.mkdir(parents=True, exist_ok=True)
        self._reaper = subprocess.Popen(  # noqa: S603 - our own script
            [sys.executable, "-I", reaper.__file__], stdin=subprocess.PIPE, bufsize=0, start_new_session=True
        )
        self._stack.enter_context(self._reaper)
        watch = threading.Thread(target=self._watch, name="watch", daemon=True)
        watch.start()
        self._stack.callback(watch.join)
        self._stack.callback(self._leaving.set)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start(self, *parts: Part) -> None:
        """Start parts together, and wait until all are ready. They will be stopped together, the last ones first.

        Raises:
            StartError: If one of them ends at its start, or does not become ready.
        """
        started = [Child(part, self.environment, self.logs / f"{part.name}.log", self._announce) for part in parts]
        self._stack.callback(stop_together, started)
        for child in started:
            child.start()
        for child in started:
            child.await_ready()
        self.children |= {child.part.name: child for child in started}

    def _announce(self, session: int) -> None:
        if self._reaper is not None and self._reaper.stdin is not None:
            with suppress(BrokenPipeError):
                self._reaper.stdin.write(b"%d\n" % session)

    def _watch(self) -> None:
        while not self._leaving.wait(WATCH_SECONDS):
            for child in list(self.children.values()):
                try:
                    child.restart_if_ended()
                except Exception:
                    log.exception("could not start %s again; the next try is soon", child.part.name)
