"""What is compared: Celery alone, chordwatch without and with traces, Celery events, OpenTelemetry instrumentation."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sized
from importlib.util import find_spec
from typing import Any

BARE, CONTROL, CHORDWATCH, TRACED, EVENTS, OTEL = (
    "bare",
    "bare again",
    "chordwatch",
    "chordwatch, traced",
    "events -E",
    "OTel contrib",
)
#: What a run compares besides chordwatch; each needs the dependency group `bench`.
PEERS = (EVENTS, OTEL)


def otel_is_installed() -> bool:
    """Whether the dependency group `bench` is installed."""
    return find_spec("opentelemetry.instrumentation") is not None


def instrument_chordwatch(app: Any) -> None:
    """Switch chordwatch on, without traces whatever the process has of OpenTelemetry."""
    import chordwatch  # noqa: PLC0415  # a process imports only what its variant needs

    chordwatch.instrument(app, tracing="off")


def instrument_traced(app: Any) -> Callable[[], int]:
    """Switch chordwatch on with traces; return what exports them to nowhere, and how many they were."""
    # A process imports only what its variant needs.
    from opentelemetry import trace  # noqa: PLC0415

    import chordwatch  # noqa: PLC0415

    provider, flush = _throwing_away()
    trace.set_tracer_provider(provider)
    chordwatch.instrument(app, tracing="on")
    return flush


def instrument_otel(app: Any) -> Callable[[], int]:  # noqa: ARG001  # hooks into every app
    """Switch OpenTelemetry's instrumentation on; return what exports its spans to nowhere, and how many they were."""
    # A process imports only what its variant needs.
    from opentelemetry.instrumentation.celery import CeleryInstrumentor  # noqa: PLC0415

    provider, flush = _throwing_away()
    CeleryInstrumentor().instrument(  # type: ignore[no-untyped-call]
        tracer_provider=provider
    )
    return flush


def say_otel_is_on(active: bool) -> None:
    """Let OpenTelemetry's instrumentation, if it is loaded, say whether it is on: chordwatch would let it go before."""
    if module := sys.modules.get("opentelemetry.instrumentation.celery"):
        module.CeleryInstrumentor()._is_instrumented_by_opentelemetry = active  # noqa: SLF001  # it stays connected


def _throwing_away() -> tuple[Any, Callable[[], int]]:
    """Return a provider whose spans go through a batch to nowhere, and what flushes it and counts them."""
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import (  # noqa: PLC0415
        BatchSpanProcessor,
        SpanExporter,
        SpanExportResult,
    )

    class Nowhere(SpanExporter):
        thrown = 0

        def export(self, spans: Sized) -> SpanExportResult:
            self.thrown += len(spans)
            return SpanExportResult.SUCCESS

    exporter, provider = Nowhere(), TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(exporter))

    def flush() -> int:
        provider.force_flush()
        thrown, exporter.thrown = exporter.thrown, 0
        return thrown

    return provider, flush
