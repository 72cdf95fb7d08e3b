"""A request and the task that it causes are one trace."""

import logging
import threading

import pytest
from celery.contrib.testing.worker import start_worker
from opentelemetry import trace
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.testclient import TestClient

from app.main import create_app
from app.observing.tracing import start_tracing
from app.queue import CeleryQueue, TaskName, build_celery

BODY = {"format": "builtin", "dataset": "digits"}


@pytest.fixture
def root_logger():
    """Celery's test worker sets the level of everything."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    root.setLevel(level)
    root.handlers[:] = handlers


@pytest.mark.usefixtures("root_logger")
def test_a_request_and_its_task_belong_to_one_trace(settings):
    exporter, done = InMemorySpanExporter(), threading.Event()
    start_tracing("test", exporter)
    traced = settings.model_copy(update={"tracing": True, "broker_url": "memory://"})
    celery = build_celery(traced)

    @celery.task(name=TaskName.INSPECT_DATASET)
    def inspect(_work_id):
        done.set()

    try:
        with start_worker(celery, perform_ping_check=False, pool="solo"):
            app = create_app(traced, queue=CeleryQueue(celery))
            with TestClient(app, base_url="http://localhost") as client:
                assert client.post("/datasets", json=BODY).status_code == 202
            assert done.wait(20)
    finally:
        CeleryInstrumentor().uninstrument()
    trace.get_tracer_provider().force_flush()
    spans = {span.name: span for span in exporter.get_finished_spans()}
    asked, worked = spans["POST /datasets"], spans[f"run/{TaskName.INSPECT_DATASET}"]
    assert worked.context.trace_id == asked.context.trace_id
    assert worked.context.span_id != asked.context.span_id
