"""What is counted. Names as Prometheus wants them; docs/operations.md explains each.

Processes that count together have a folder for it before this is imported: see ``sharing``.
"""

import os
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from app.observing.sharing import FOLDER_VARIABLE

REGISTRY: Final = CollectorRegistry()
_MINUTES = (0.05, 0.25, 1, 2.5, 5, 10, 30, 60, 300, 1200, 3600, 14400)

REQUESTS = Counter("ot3l_http_requests", "Requests answered.", ("method", "route", "status"), registry=REGISTRY)
REQUEST_SECONDS = Histogram(
    "ot3l_http_request_seconds",
    "From a request's headers to the last byte of its reply.",
    ("method", "route"),
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
    registry=REGISTRY,
)
OPEN_STREAMS = Gauge(
    "ot3l_event_streams", "Event streams that are open.", registry=REGISTRY, multiprocess_mode="livesum"
)
DELIVERIES = Counter("ot3l_webhook_deliveries", "Attempts to tell a webhook.", ("outcome",), registry=REGISTRY)
WAIT_SECONDS = Histogram(
    "ot3l_work_wait_seconds", "From being queued to being claimed.", ("kind",), buckets=_MINUTES, registry=REGISTRY
)
PHASE_SECONDS = Histogram(
    "ot3l_work_phase_seconds", "Run time by phase.", ("kind", "phase"), buckets=_MINUTES, registry=REGISTRY
)
ENDED = Counter("ot3l_work_ended", "Attempts that ended here.", ("kind", "state", "code"), registry=REGISTRY)
FEATURES = Counter("ot3l_feature_cache", "Splits whose features were asked for.", ("outcome",), registry=REGISTRY)
GPU_BYTES = Gauge(
    "ot3l_gpu_memory_bytes",
    "Memory of the worker's GPU.",
    ("device", "kind"),
    registry=REGISTRY,
    multiprocess_mode="livemostrecent",
)


def gathered(*more: Collector) -> CollectorRegistry:
    """Everything that was counted, by this process or by all that it counts together with.

    Args:
        more: What is not counted but looked up.
    """
    registry = CollectorRegistry()
    if FOLDER_VARIABLE in os.environ:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    else:
        registry.register(REGISTRY)
    for collector in more:
        registry.register(collector)
    return registry
