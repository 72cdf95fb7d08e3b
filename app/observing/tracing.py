"""Traces from request to task, for operators who collect them; the usual ``OTEL_*`` variables say where they go.

The packages are those of the extra ``tracing``, imported only where traces are asked for.
"""

from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import FastAPI
    from opentelemetry.sdk.trace.export import SpanExporter


class TracingError(RuntimeError):
    """Traces were asked for, and what makes them is not installed."""


def start_tracing(service: str, exporter: "SpanExporter | None" = None) -> None:
    """Send the spans of this process, and take part in the traces that Celery's messages carry.

    To be called after a fork: spans are sent by a thread.

    Args:
        service: What this process is called in a trace, unless ``OTEL_SERVICE_NAME`` says otherwise.
        exporter: What sends them. Default: OTLP over HTTP.

    Raises:
        TracingError: If the extra is not installed.
    """
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.instrumentation") is None:
        raise TracingError("OT3L_TRACING is set and its packages are missing: pip install 'ot3l[tracing]'")
    from opentelemetry import trace  # noqa: PLC0415 - an extra
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.instrumentation.celery import CeleryInstrumentor  # noqa: PLC0415
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    resource = Resource({"service.name": service}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    CeleryInstrumentor().instrument()  # type: ignore[no-untyped-call]


def trace_requests(app: "FastAPI") -> None:
    """Make a span of every request to the application."""
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor  # noqa: PLC0415 - an extra

    FastAPIInstrumentor.instrument_app(app, exclude_spans=["receive", "send"])
