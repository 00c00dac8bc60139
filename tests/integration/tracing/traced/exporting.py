"""A global provider that exports, and OpenTelemetry's own instrumentation; only imported where they are wanted."""

from __future__ import annotations

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


def export() -> None:
    """Set a global provider up, if there is none."""
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        provider = TracerProvider()
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        trace.set_tracer_provider(provider)


def instrument_beside(**_: object) -> None:
    """Switch OpenTelemetry's own instrumentation on, as its documentation has it."""
    from opentelemetry.instrumentation.celery import CeleryInstrumentor  # noqa: PLC0415  # of the group bench

    export()
    CeleryInstrumentor().instrument()
