"""The composition root of a worker: ``celery -A worker.main worker``."""

import logging

from celery import Celery
from celery.signals import worker_process_init, worker_process_shutdown

from app.queue import build_celery
from app.settings import read_settings
from worker.resources import close_resources, open_resources

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")

celery: Celery = build_celery(read_settings())
celery.set_default()
celery.conf.imports = (
    "worker.tasks.inspect_dataset",
    "worker.tasks.measure_distance",
    "worker.tasks.select_samples",
    "worker.tasks.transfer",
)


@worker_process_init.connect
def _open(**_: object) -> None:
    # In the child, after the fork: neither connections nor a GPU context survive one.
    open_resources(read_settings())


@worker_process_shutdown.connect
def _close(**_: object) -> None:
    close_resources()
