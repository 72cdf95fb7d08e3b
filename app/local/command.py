"""The command line that both shapes have."""

import argparse
import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path

from app.local.children import StartError
from app.local.service import TRIAL_SOURCE, LocalService, register_trial_source, stop_on_signals

log = logging.getLogger("app.local")


def run(make: Callable[..., LocalService], *, description: str, data_dir: str, n_workers: int) -> int:
    """Run a service until Ctrl-C, SIGTERM or SIGHUP.

    Args:
        make: ``embedded`` or ``production``.
        description: What ``--help`` says it is.
        data_dir: Where it keeps everything, unless the command line says otherwise.
        n_workers: Worker processes, likewise.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data-dir", type=Path, default=Path(data_dir), help="where it keeps everything")
    parser.add_argument("--port", type=int, default=8000, help="where the API listens on 127.0.0.1; 0: a free port")
    parser.add_argument("--roots", default=".", help="folders that datasets may be read from, separated like PATH")
    parser.add_argument("--workers", type=int, default=n_workers, help="worker processes")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    log.setLevel(logging.INFO)
    stop_on_signals()
    roots = os.pathsep.join(str(Path(root).resolve()) for root in arguments.roots.split(os.pathsep))
    default_source = os.environ.get("OT3L_DEFAULT_SOURCE") or TRIAL_SOURCE
    environment = {"OT3L_DATASET_ROOTS": roots, "OT3L_DEFAULT_SOURCE": default_source}
    service = make(arguments.data_dir, port=arguments.port, n_workers=arguments.workers, environment=environment)
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
