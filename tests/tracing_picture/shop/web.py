"""A web process in which a request orders the report, as an instrumented framework traces it."""

from __future__ import annotations

from celery import chord
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from shop import SECONDS, prices, report

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
with trace.get_tracer("web").start_as_current_span("POST /reports", kind=trace.SpanKind.SERVER):
    ordered = chord([prices.s(supplier) for supplier in SECONDS])(report.s())
print(ordered.get(timeout=60))
