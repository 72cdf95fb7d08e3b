"""What a worker counts, and where Prometheus reads it."""

from threading import Thread
from wsgiref.simple_server import WSGIServer

import torch
from prometheus_client import start_http_server
from torch import Tensor

from app.observing.metrics import ENDED, FEATURES, GPU_BYTES, PHASE_SECONDS, WAIT_SECONDS, gathered
from app.settings import Settings
from app.states import WorkState
from app.store.records import WorkRecord
from ot3l_core.data.features import FeatureCache


class CountedCache(FeatureCache):
    """A cache of features that counts how often it had them."""

    def load(self, key: str) -> Tensor | None:
        """The features under this key, if they are there and whole."""
        found = super().load(key)
        FEATURES.labels("miss" if found is None else "hit").inc()
        return found


def count_claim(record: WorkRecord) -> None:
    """Work has been claimed. Only its first attempt tells how long it waited for a worker."""
    if record.attempt == 1 and record.started_at is not None:
        waited = (record.started_at - record.created_at).total_seconds()
        WAIT_SECONDS.labels(record.__tablename__).observe(max(waited, 0.0))


def count_end(kind: type[WorkRecord], state: WorkState, code: str, timings: dict[str, float]) -> None:
    """An attempt has ended.

    Args:
        kind: Of work.
        state: What became of it; queued where it was handed over.
        code: Of its error; empty where there is none.
        timings: Seconds spent in each phase.
    """
    ENDED.labels(kind.__tablename__, state.value, code).inc()
    for phase, seconds in timings.items():
        PHASE_SECONDS.labels(kind.__tablename__, phase).observe(seconds)
    _count_gpu()


def tell_metrics(settings: Settings) -> tuple[WSGIServer, Thread] | None:
    """Let Prometheus read what this process and its children count, if the settings say where."""
    if not settings.metrics_port:
        return None
    return start_http_server(settings.metrics_port, addr=settings.host, registry=gathered())


def _count_gpu() -> None:
    if not torch.cuda.is_available():
        return
    device = torch.cuda.current_device()
    free, total = torch.cuda.mem_get_info(device)
    told = {
        "allocated": torch.cuda.memory_allocated(device),
        "reserved": torch.cuda.memory_reserved(device),
        "free": free,
        "total": total,
    }
    for kind, count in told.items():
        GPU_BYTES.labels(str(device), kind).set(count)
