"""The composition root of a worker: ``celery -A worker.main worker``."""

import atexit
import logging
import signal
from pathlib import Path
from tempfile import TemporaryDirectory

from celery import Celery
from celery.signals import (
    setup_logging,
    worker_process_init,
    worker_process_shutdown,
    worker_ready,
    worker_shutting_down,
)

from app.observing.logs import configure_logs
from app.observing.sharing import share_counts
from app.observing.tracing import start_tracing
from app.queue import build_celery
from app.settings import read_settings

if read_settings().metrics_port:
    # The parent tells what its children count; they agree on a folder before the first of them counts anything.
    _counts = TemporaryDirectory(prefix="ot3l-", ignore_cleanup_errors=True)
    atexit.register(_counts.cleanup)
    share_counts(Path(_counts.name) / "counts")

from worker.counting import tell_metrics
from worker.leaving import leave_within
from worker.resources import close_resources, open_resources
from worker.scratch import discard_scratch
from worker.tuning import discard_states

logging.captureWarnings(capture=True)

celery: Celery = build_celery(read_settings())
celery.set_default()
celery.conf.imports = (
    "worker.tasks.inspect_dataset",
    "worker.tasks.measure_distance",
    "worker.tasks.select_samples",
    "worker.tasks.transfer",
)


@setup_logging.connect
def _tell(**_: object) -> None:
    configure_logs(read_settings().log_format)


@worker_ready.connect
def _be_watched(**_: object) -> None:
    tell_metrics(read_settings())


@worker_process_init.connect
def _open(**_: object) -> None:
    # In the child, after the fork: neither connections nor a GPU context survive one.
    here = open_resources(read_settings())
    if here.settings.tracing:
        start_tracing("ot3l-worker")
    discard_scratch(here.settings.scratch, here.database)
    discard_states(here.settings.tuning_states, here.database)
    # What this process does is handed over in order, when its parent says so.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


@worker_shutting_down.connect
def _leave(**_: object) -> None:
    # In the parent, which stops taking messages and then waits for its children.
    leave_within(read_settings().drain_seconds)


@worker_process_shutdown.connect
def _close(**_: object) -> None:
    close_resources()
