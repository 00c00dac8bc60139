"""The trace that a chord's spans belong to, as one process knows it. Pure, with OpenTelemetry's API."""

from __future__ import annotations

from typing import NamedTuple

from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState

from chordwatch.recording.records import SPLIT, Trace
from chordwatch.tracing.ids import trace_id_of

SAMPLED = int(TraceFlags.SAMPLED)
#: Our member of `tracestate`: in a trace of a header task's own it names the chord's.
_MEMBER = "chordwatch"


class ChordTrace(NamedTuple):
    """Trace id, the span id that the chord's span has as its parent (0: none), W3C flags, state of the caller's trace.

    `split`: the header is so large that each of its tasks has a trace of its own.
    """

    trace_id: int
    parent_id: int = 0
    flags: int = SAMPLED
    state: TraceState | None = None
    split: bool = False

    @property
    def sampled(self) -> bool:
        """Whether its spans are exported."""
        return bool(self.flags & SAMPLED)

    def context(self, span_id: int, *, remote: bool = False) -> SpanContext:
        """Return the context of a span in this trace."""
        return SpanContext(self.trace_id, span_id, remote, TraceFlags(self.flags), self.state)

    def recorded(self, began: int) -> Trace:
        """Return it as the store keeps it; `began`: when its first message was published, Unix nanoseconds or 0."""
        return Trace(self.trace_id, self.parent_id, self.flags | (SPLIT if self.split else 0), began)

    def own_of(self, task_id: str) -> ChordTrace:
        """Return the trace of one header task of a split chord; it carries the chord's in its state."""
        state = (self.state or TraceState()).add(_MEMBER, f"{self.trace_id:032x}")
        return ChordTrace(trace_id_of(task_id), 0, self.flags, state, split=True)


def trace_of(context: SpanContext) -> ChordTrace:
    """Return the trace that a span is in."""
    return ChordTrace(context.trace_id, 0, int(context.trace_flags) & SAMPLED, context.trace_state)


def recorded_trace(chord_id: str, trace: Trace | None) -> ChordTrace:
    """Return the trace of a chord as the store knows it; what nobody recorded follows from its id."""
    if trace is None:
        return ChordTrace(trace_id_of(chord_id))
    return ChordTrace(trace.trace_id, trace.parent_id, trace.flags & SAMPLED, split=bool(trace.flags & SPLIT))


def chord_of_own(context: SpanContext) -> ChordTrace | None:
    """Return the chord's trace that a header task's own trace names, None where this is no such trace."""
    text = context.trace_state.get(_MEMBER)
    try:
        trace_id = int(text or "", 16)
    except ValueError:
        return None
    if not 0 < trace_id < 1 << 128:
        return None
    return ChordTrace(
        trace_id, 0, int(context.trace_flags) & SAMPLED, without_member(context.trace_state), split=True
    )


def without_member(state: TraceState) -> TraceState:
    """Return a trace's state without what we keep in it."""
    return state.delete(_MEMBER) if _MEMBER in state else state


def no_span(context: SpanContext) -> NonRecordingSpan:
    """Return a span that only stands for its context."""
    return NonRecordingSpan(context)
