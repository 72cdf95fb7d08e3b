"""Leaving a service of either shape running, and the command line for that which needs nothing but this package."""

import argparse
import logging
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from app.local.children import StartError
from app.local.service import TRIAL_SOURCE, LocalService, register_trial_source, stop_on_signals

log = logging.getLogger("app.local")


@dataclass(frozen=True, slots=True)
class Kind:
    """A shape that can be left running.

    Attributes:
        make: ``embedded`` or ``production``.
        description: What ``--help`` says it is.
        data_dir: Where it keeps everything, unless somebody says otherwise.
        n_workers: Worker processes, likewise.
    """

    make: Callable[..., LocalService]
    description: str
    data_dir: Path
    n_workers: int


def run(kind: Kind) -> int:
    """Read the command line, and run a service until Ctrl-C, SIGTERM or SIGHUP.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(description=kind.description)
    parser.add_argument("--data-dir", type=Path, help=f"where it keeps everything; default: {kind.data_dir}")
    parser.add_argument("--port", type=int, default=8000, help="where the API listens on 127.0.0.1; 0: a free port")
    parser.add_argument("--roots", default=".", help="folders that datasets may be read from, separated like PATH")
    parser.add_argument("--workers", type=int, help=f"worker processes; default: {kind.n_workers}")
    asked = parser.parse_args()
    return serve(kind, data_dir=asked.data_dir, port=asked.port, roots=asked.roots, n_workers=asked.workers)


def serve(kind: Kind, *, data_dir: Path | None, port: int, roots: str, n_workers: int | None) -> int:
    """Run a service until Ctrl-C, SIGTERM or SIGHUP.

    Args:
        kind: Of which shape.
        data_dir: None for the shape's own.
        port: On 127.0.0.1; 0 for a free one.
        roots: Folders that datasets may be read from, separated like PATH.
        n_workers: None for the shape's own.

    Returns:
        The exit status.
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    log.setLevel(logging.INFO)
    stop_on_signals()
    resolved = os.pathsep.join(str(Path(root).resolve()) for root in roots.split(os.pathsep))
    default_source = os.environ.get("OT3L_DEFAULT_SOURCE") or TRIAL_SOURCE
    environment = {"OT3L_DATASET_ROOTS": resolved, "OT3L_DEFAULT_SOURCE": default_source}
    n_workers = kind.n_workers if n_workers is None else n_workers
    service = kind.make(data_dir or kind.data_dir, port=port, n_workers=n_workers, environment=environment)
    try:
        with service:
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
