"""What a computation says of itself while it runs, and what it is told."""

import logging
import math
import re
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final

from app.states import EventKind
from app.store.events import News
from ot3l_core.errors import Cancelled
from ot3l_core.names import Phase
from ot3l_core.progress import EpochReport, OnEpoch, OnProgress

LOGGERS: Final = ("ot3l_core", "worker", "py.warnings")
"""Whose lines the owner of the work sees."""
MAX_LINES = 1000
MAX_LINE_CHARACTERS = 2000
_SHARE_BETWEEN_EVENTS = 0.05
# So much may wait for a database that is away; what is more is forgotten.
_MAX_NEWS = 50_000
_FOLDERS = re.compile(r"""(?:file://|(?<![\w:/.]))/(?:[^\s/'"`:,;()]+/)*(?=[^\s/'"`:,;()])""")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class Order(StrEnum):
    """Why a computation is to stop."""

    CANCEL = "somebody cancelled it"
    HAND_OVER = "the worker leaves"
    LOST = "another attempt has begun"


@dataclass(slots=True)
class Reporter:
    """What the computation says of itself, and what it is told. Shared with the heartbeat's thread.

    Attributes:
        phase: What is going on.
        share: How much of it is done.
        order: Why to stop, if it is told to.
        listeners: Who else is told of every epoch; they raise nothing.
    """

    phase: Phase | None = None
    share: float = 0.0
    order: Order | None = None
    listeners: list[OnEpoch] = field(default_factory=list)
    _seconds: dict[str, float] = field(default_factory=dict)
    _since: float = field(default_factory=time.monotonic)
    _told_share: float = 0.0
    _n_lines: int = 0
    _news: deque[News] = field(default_factory=lambda: deque(maxlen=_MAX_NEWS))
    _lock: threading.RLock = field(default_factory=threading.RLock)

    # --- By the computation

    def enter(self, phase: Phase) -> OnProgress:
        """Begin a phase; the callback reports its progress and raises ``Cancelled`` when told to stop."""
        with self._lock:
            self._close_phase()
            self.phase, self.share, self._told_share = phase, 0.0, 0.0
            self._tell(EventKind.PHASE, {"phase": phase, "timings": self.timings})
        self._report(0.0)
        return self._report

    def tell_epoch(self, report: EpochReport) -> None:
        """Tell of a finished epoch; raises ``Cancelled`` when told to stop."""
        for listener in self.listeners:
            listener(report)
        told = asdict(report)
        # Not a number is no JSON.
        self._tell(EventKind.EPOCH, {name: _finite(value) for name, value in told.items()})
        self.stop_if_told()

    def _report(self, share: float) -> None:
        self.stop_if_told()
        self.share = min(max(share, 0.0), 1.0)

    def stop_if_told(self) -> None:
        """Raise ``Cancelled`` when told to stop."""
        if self.order is not None:
            raise Cancelled(f"the work was told to stop: {self.order}")

    # --- By others

    @property
    def timings(self) -> dict[str, float]:
        """The seconds of every phase until now."""
        with self._lock:
            seconds = dict(self._seconds)
            if self.phase is not None:
                seconds[self.phase] = seconds.get(self.phase, 0.0) + time.monotonic() - self._since
            return {name: round(spent, 3) for name, spent in seconds.items()}

    def tell_line(self, level: str, logger: str, message: str) -> None:
        """Tell a line of the log, unless there were too many."""
        with self._lock:
            self._n_lines += 1
            if self._n_lines <= MAX_LINES:
                line = plain(message)[:MAX_LINE_CHARACTERS]
                self._tell(EventKind.LOG, {"level": level, "logger": logger, "message": line})

    def take_news(self) -> list[News]:
        """What has not been told yet."""
        with self._lock:
            # Records keep every step; events are there to be watched.
            if abs(self.share - self._told_share) >= _SHARE_BETWEEN_EVENTS:
                self._told_share = self.share
                self._tell(EventKind.PROGRESS, {"phase": self.phase, "progress": round(self.share, 4)})
            news = list(self._news)
            self._news.clear()
            return news

    def take_last_news(self) -> list[News]:
        """What has not been told yet when nothing more comes."""
        if self._n_lines > MAX_LINES:
            left_out = f"{self._n_lines - MAX_LINES} more lines; the log of the worker has them"
            self._tell(EventKind.LOG, {"level": "WARNING", "logger": __name__, "message": left_out})
            self._n_lines = MAX_LINES
        return self.take_news()

    def put_back(self, news: list[News]) -> None:
        """Keep what could not be told."""
        with self._lock:
            self._news.extendleft(reversed(news))

    def _tell(self, kind: EventKind, body: dict[str, Any]) -> None:
        with self._lock:
            self._news.append(News(kind, body))

    def _close_phase(self) -> None:
        now = time.monotonic()
        if self.phase is not None:
            self._seconds[self.phase] = self._seconds.get(self.phase, 0.0) + now - self._since
        self._since = now


class _Lines(logging.Handler):
    """Passes a process's log lines on to the work that runs in it."""

    def __init__(self, reporter: Reporter) -> None:
        super().__init__(logging.INFO)
        self._reporter = reporter

    def emit(self, record: logging.LogRecord) -> None:
        """Tell the first line of the message, never a traceback."""
        self._reporter.tell_line(record.levelname, record.name, record.getMessage())


@contextmanager
def lines_told(reporter: Reporter) -> Iterator[None]:
    """Tell the lines that are logged meanwhile; a process does one piece of work at a time, so they are its own."""
    handler = _Lines(reporter)
    loggers = [logging.getLogger(name) for name in LOGGERS]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)


def plain(message: str) -> str:
    """The first line of a message, without the folders of the server's files and without what cannot be shown."""
    first = message.strip().partition("\n")[0]
    return _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], _FOLDERS.sub("", first))


def _finite(value: Any) -> Any:  # noqa: ANN401 - of any field
    return None if isinstance(value, float) and not math.isfinite(value) else value
