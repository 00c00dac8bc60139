"""Starts spans under ids of our own choosing, through the id generator of a tracer of the SDK.

Runs in any process that traces. Whether a span is exported was decided before: once for each chord.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from opentelemetry.context import Context
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    Span,
    SpanKind,
    TraceState,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.util.types import AttributeValue

from chordwatch.recording.memory import remember
from chordwatch.tracing.chord_trace import ChordTrace, no_span
from chordwatch.tracing.names import SCOPE

Attributes = dict[str, AttributeValue]

#: The SDK's default.
_LINKS = 128
_PARENTS = 1000


class _Chosen:
    """The SDK's id generator and its sampler, for the one span that a thread is about to start: all is decided."""

    def __init__(self) -> None:
        from opentelemetry.sdk.trace.sampling import (  # noqa: PLC0415  # the SDK only where there is one
            Decision,
            SamplingResult,
        )

        self._result, self._decision = SamplingResult, Decision.RECORD_AND_SAMPLE
        self._local = threading.local()

    def choose(self, trace_id: int, span_id: int, state: TraceState | None) -> None:
        self._local.chosen = trace_id, span_id, state

    def generate_trace_id(self) -> int:
        trace_id: int = self._local.chosen[0]
        return trace_id

    def generate_span_id(self) -> int:
        span_id: int = self._local.chosen[1]
        return span_id

    def is_trace_id_random(self) -> bool:
        """Return False: a hash is not what the W3C's flag promises."""
        return False

    def should_sample(self, *decided: Any) -> Any:
        """Return yes; the arguments are the SDK's, of which the fifth are the span's attributes."""
        return self._result(self._decision, decided[4], self._local.chosen[2])


class Spans:
    """Starts spans; `provider` is one of the SDK.

    Raises:
        TypeError: this provider gives no tracer of the SDK, which it does not while it is disabled.
    """

    def __init__(self, provider: Any) -> None:
        self.provider = provider
        self._chosen = _Chosen()
        self._parents: dict[tuple[int, int], Context] = {}
        tracer: Any = provider.get_tracer(SCOPE, version("chordwatch"))
        if not hasattr(tracer, "id_generator"):
            raise TypeError("The tracer provider gives no tracer of the SDK.")
        tracer.id_generator = tracer.sampler = self._chosen
        self._tracer = tracer
        limits = getattr(tracer, "_span_limits", None)
        self.max_links: int = _LINKS if limits is None else limits.max_links or 1 << 30

    def samples(self, trace_id: int, name: str, attributes: Attributes) -> tuple[bool, TraceState | None]:
        """Return what the configured sampler says of a new trace: asked once for each chord."""
        result = self.provider.sampler.should_sample(
            Context(), trace_id, name, SpanKind.INTERNAL, attributes, ()
        )
        return result.decision.is_sampled(), result.trace_state

    def start(
        self,
        name: str,
        kind: SpanKind,
        trace: ChordTrace,
        span_id: int,
        *,
        parent_id: int,
        attributes: Attributes,
        links: Sequence[Link] = (),
        at: int | None = None,
        context: Context | None = None,
    ) -> Span:
        """Start a span `at` Unix nanoseconds (None: now); `parent_id` 0 makes it the root of its trace.

        `context` is what the message brought besides its span, for span processors that ask for it.
        What is not sampled is a span that records nothing and hands its context on.
        """
        if not trace.sampled:
            return no_span(trace.context(span_id))
        parent = self._parent(trace, parent_id)
        if context:
            parent = set_span_in_context(get_current_span(parent), context)
        self._chosen.choose(trace.trace_id, span_id, trace.state)
        span: Span = self._tracer.start_span(name, parent, kind, attributes, links, start_time=at)
        return span

    def _parent(self, trace: ChordTrace, parent_id: int) -> Context:
        """Return a context with the parent; the tasks of a chord have the same."""
        context = self._parents.get((trace.trace_id, parent_id))
        if context is None:
            parent = no_span(trace.context(parent_id, remote=True)) if parent_id else INVALID_SPAN
            context = set_span_in_context(parent, Context())
            remember(self._parents, (trace.trace_id, parent_id), context, most=_PARENTS)
        return context
