"""The contexts of spans whose ids follow from nothing, as processes tell them to each other through the store. Pure."""

from __future__ import annotations

from opentelemetry.trace import SpanContext, TraceFlags

from chordwatch.recording.records import Trace, pack_trace, unpack_trace


def name_of(task_id: str, retries: int, nesting: int) -> str:
    """Return the name under which the context of an attempt's span is posted."""
    return f"span:{retries}:{nesting}:{task_id}"


def pack_context(context: SpanContext) -> bytes:
    """Return a span's context as it is posted."""
    return pack_trace(Trace(context.trace_id, context.span_id, int(context.trace_flags) & 0xFF))


def unpack_context(packed: bytes) -> SpanContext | None:
    """Return the context that `pack_context` packed, None where this is none."""
    told = unpack_trace(packed)
    if told is None:
        return None
    return SpanContext(told.trace_id, told.parent_id, is_remote=True, trace_flags=TraceFlags(told.flags))
