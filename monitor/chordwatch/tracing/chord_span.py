"""Writes the chord's own span, once, when its end is known: in the worker that ran the callback, or in the monitor."""

from __future__ import annotations

import math

from opentelemetry.trace import SpanKind, StatusCode

from chordwatch.store.protocol import RecordedChord, Store
from chordwatch.tracing.chord_trace import recorded_trace
from chordwatch.tracing.ids import chord_span_id
from chordwatch.tracing.names import (
    BARRIER_SECONDS,
    CAUSE,
    CHORD_ID,
    ERROR_TYPE,
    SIZE,
    STRAGGLER,
    TASK_NAME,
)
from chordwatch.tracing.spans import Attributes, Spans


def write(
    spans: Spans,
    store: Store,
    recorded: RecordedChord,
    *,
    ended_at: float,
    keep: float,
    cause: str | None = None,
) -> bool:
    """Write the span of a chord that ended, or was declared hung, at `ended_at` (Unix seconds); return whether we did.

    One process does, whoever claims it first in the store; the claim is kept for `keep` seconds. `cause` is why it is
    an error, None where the chord succeeded. Of a chord whose caller decided against sampling nothing is written.

    Raises:
        UnreachableError: the store does not answer; nothing was written.
    """
    chord = recorded.chord
    trace = recorded_trace(chord.chord_id, recorded.trace)
    if not trace.sampled or not store.post(claim_of(chord.chord_id), b"1", keep=keep, only_new=True):
        return False
    start = _start(recorded, ended_at)
    span = spans.start(
        span_name(chord.callback.name),
        SpanKind.INTERNAL,
        trace,
        chord_span_id(chord.chord_id),
        parent_id=trace.parent_id,
        attributes=_attributes(recorded),
        at=start,
    )
    if cause is not None:
        span.set_attributes({CAUSE: cause, ERROR_TYPE: cause})
        span.set_status(StatusCode.ERROR, cause)
    span.end(max(start, math.ceil(ended_at * 1e6) * 1000))
    return True


def span_name(callback: str | None) -> str:
    """Return the name of the span of a chord with this callback."""
    return f"chord {callback or 'unknown'}"


def claim_of(chord_id: str) -> str:
    """Return the name of the claim in the store."""
    return f"chord-span:{chord_id}"


def _attributes(recorded: RecordedChord) -> Attributes:
    chord = recorded.chord
    attributes: Attributes = {CHORD_ID: chord.chord_id}
    if chord.callback.name:
        attributes[TASK_NAME] = chord.callback.name
    if chord.size is not None:
        attributes[SIZE] = chord.size
    counted = [task for task in chord.header if task.counted and task.finished_at is not None]
    straggler = max(counted, key=lambda task: task.finished_at or 0.0, default=None)
    if chord.size is None or chord.counted < chord.size or straggler is None:
        return attributes  # the barrier has not ended
    if straggler.task_id:
        attributes[STRAGGLER] = straggler.task_id
    ends = (straggler.finished_at, chord.callback.published_at, chord.callback.started_at)
    barrier = min(at for at in ends if at is not None)
    if chord.opened_at is not None:
        attributes[BARRIER_SECONDS] = max(barrier - chord.opened_at, 0.0)
    return attributes


def _start(recorded: RecordedChord, ended_at: float) -> int:
    """Return when the first message was published: begun where that is known, else done."""
    if recorded.trace is not None and recorded.trace.began:
        return recorded.trace.began
    opened_at = recorded.chord.opened_at
    return math.floor((ended_at if opened_at is None else opened_at) * 1e6) * 1000
