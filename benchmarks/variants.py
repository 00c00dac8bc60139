"""What is compared: Celery alone, chordwatch, Celery's events, and OpenTelemetry's instrumentation of Celery."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

BARE, CONTROL, CHORDWATCH, EVENTS, OTEL = (
    "bare",
    "bare again",
    "chordwatch",
    "events -E",
    "OTel contrib",
)
#: What a run compares besides chordwatch; each needs the dependency group `bench`.
PEERS = (EVENTS, OTEL)


def otel_is_installed() -> bool:
    """Whether the dependency group `bench` is installed."""
    return find_spec("opentelemetry.instrumentation") is not None


def instrument_chordwatch(app: Any) -> None:
    """Switch chordwatch on as a user would."""
    import chordwatch  # noqa: PLC0415  # a process imports only what its variant needs

    chordwatch.instrument(app)


def instrument_otel(app: Any) -> Callable[[], object]:  # noqa: ARG001  # hooks into every app
    """Switch OpenTelemetry's instrumentation on, with an exporter that throws spans away; return its flush."""
    # A process imports only what its variant needs.
    from opentelemetry.instrumentation.celery import CeleryInstrumentor  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import (  # noqa: PLC0415
        BatchSpanProcessor,
        SpanExporter,
        SpanExportResult,
    )

    class Nowhere(SpanExporter):
        def export(self, spans: object) -> SpanExportResult:  # noqa: ARG002  # the interface's name
            return SpanExportResult.SUCCESS

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Nowhere()))
    CeleryInstrumentor().instrument(  # type: ignore[no-untyped-call]
        tracer_provider=provider
    )
    return provider.force_flush
