"""A provider of the SDK whose spans stay in memory."""

from __future__ import annotations

from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler

from chordwatch.tracing.spans import Spans


class Kept:
    """Starts spans, and shows those that ended."""

    def __init__(self, *, sampler: Sampler = ALWAYS_ON, max_links: int = 128) -> None:
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider(sampler=sampler, span_limits=SpanLimits(max_links=max_links))
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.spans = Spans(provider)

    def ended(self) -> list[ReadableSpan]:
        """Return the spans that ended, in that order."""
        return list(self.exporter.get_finished_spans())

    def named(self, name: str) -> ReadableSpan:
        """Return the only span of this name."""
        [span] = [span for span in self.ended() if span.name == name]
        return span
