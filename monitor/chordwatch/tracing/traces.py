"""Which trace a chord belongs to, as each process learns it: from the dispatch, from a message, or from its id alone.

The decision to sample is made once: by the caller where there is one, else by the sampler when the chord is first met.
"""

from __future__ import annotations

import operator
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from opentelemetry.trace import INVALID_SPAN_CONTEXT, SpanContext, get_current_span

from chordwatch.recording.memory import remember
from chordwatch.recording.records import Trace
from chordwatch.tracing.chord_trace import SAMPLED, ChordTrace, chord_of_own, trace_of, without_member
from chordwatch.tracing.ids import chord_span_id, trace_id_of
from chordwatch.tracing.names import CHORD_ID
from chordwatch.tracing.spans import Spans


class _Dispatch(NamedTuple):
    """A header that is being published: by which span, and whether each task of it shall have a trace of its own.

    `within` is the chord in whose dispatch this one takes place.
    """

    header: Any
    caller: SpanContext
    split: bool
    within: str | None

    @property
    def chord_id(self) -> str | None:
        """The chord's id; Celery writes it into the header before anything is published."""
        return self.header.options.get("task_id")  # type: ignore[no-any-return]


class _Local(threading.local):
    """One thread's dispatches, the innermost last, and the traces of theirs that are not recorded yet."""

    def __init__(self) -> None:
        self.under_way: list[_Dispatch] = []
        self.unsent: dict[str, Trace] = {}


class Traces:
    """The traces of the chords that this process has met lately.

    `record` takes chord id and trace when a chord is new to everybody; headers of more than `limit` tasks are split.
    """

    def __init__(self, record: Callable[[str, Trace], None], *, limit: int) -> None:
        self._record, self._limit = record, limit
        self._known: dict[str, ChordTrace] = {}
        self._local = _Local()

    def dispatching(self, header: Any) -> None:
        """Note which span dispatches a chord; a chord in its header is dispatched within it."""
        split = _length(header) > self._limit
        under_way = self._local.under_way
        within = under_way[-1].chord_id if under_way else None
        under_way.append(_Dispatch(header, get_current_span().get_span_context(), split, within))

    def dispatched(self) -> str | None:
        """Note that the innermost dispatch is over; return its chord."""
        under_way = self._local.under_way
        chord_id = under_way.pop().chord_id if under_way else None
        if not under_way:
            self._local.unsent.clear()
        return chord_id

    def went_out(self) -> None:
        """Record the traces of the chords under way, now that a message of theirs was published."""
        if unsent := self._local.unsent:
            for chord_id, trace in unsent.items():
                self._record(chord_id, trace)
            unsent.clear()

    def known(self, chord_id: str) -> ChordTrace | None:
        """Return the trace of a chord that this process has met."""
        return self._known.get(chord_id)

    def published(self, spans: Spans, chord_id: str, around: str | None) -> ChordTrace:
        """Return the trace of a chord of which a message is being published; `around`: see `Place`."""
        known = self._known.get(chord_id)
        if known is not None:
            return known
        dispatch = self._dispatch_of(chord_id)
        if dispatch is not None:
            trace = self._dispatched(spans, dispatch, chord_id, around)
            remember(self._known, chord_id, trace)
            # A chord of which no message can be published does not exist.
            self._local.unsent[chord_id] = trace.recorded(time.time_ns())
            return trace
        # One of its tasks runs here, and is part of another chord, too; or the chord was long forgotten.
        current = get_current_span().get_span_context()
        if not current.is_valid:
            return self._meet(chord_id, self._from(spans, current, chord_id))
        return chord_of_own(current) or trace_of(current)

    def _dispatched(self, spans: Spans, dispatch: _Dispatch, chord_id: str, around: str | None) -> ChordTrace:
        around = around or dispatch.within
        outer = self._known.get(around) if around else None
        if outer is None and around and self._dispatch_of(around):
            # Its first member is this chord, so that nothing of its own was published before.
            outer = self.published(spans, around, None)
        if around is None or outer is None:
            trace = self._from(spans, dispatch.caller, chord_id)
        else:
            trace = _within(outer, around, chord_id)
        return trace._replace(split=dispatch.split)

    def ahead(self, spans: Spans, chord_id: str) -> ChordTrace:
        """Return the trace of what precedes a chord in a chain, where the chain was not sent from within a trace."""
        return self._known.get(chord_id) or self._from(spans, INVALID_SPAN_CONTEXT, chord_id)

    def received(self, spans: Spans, chord_id: str, trace: ChordTrace | None, *, ours: bool) -> ChordTrace:
        """Return the trace of a chord of which a message was received that brought `trace`.

        `ours`: the message's publisher has recorded it.
        """
        known = self._known.get(chord_id)
        if known is not None and (trace is None or trace.trace_id == known.trace_id):
            return known
        if trace is not None and ours:
            remember(self._known, chord_id, trace)
            return trace
        return self._meet(chord_id, trace or self._from(spans, INVALID_SPAN_CONTEXT, chord_id))

    def _meet(self, chord_id: str, trace: ChordTrace) -> ChordTrace:
        remember(self._known, chord_id, trace)
        self._record(chord_id, trace.recorded(0))
        return trace

    def _dispatch_of(self, chord_id: str) -> _Dispatch | None:
        return next((each for each in reversed(self._local.under_way) if each.chord_id == chord_id), None)

    @staticmethod
    def _from(spans: Spans, caller: SpanContext, chord_id: str) -> ChordTrace:
        if caller.is_valid:
            flags = int(caller.trace_flags) & SAMPLED
            return ChordTrace(caller.trace_id, caller.span_id, flags, without_member(caller.trace_state))
        trace_id = trace_id_of(chord_id)
        sampled, state = spans.samples(trace_id, "chord", {CHORD_ID: chord_id})
        return ChordTrace(trace_id, 0, SAMPLED if sampled else 0, state)


def _length(header: Any) -> int:
    """Return how many tasks a header has, 0 where that is not known yet, as of a generator."""
    try:
        return operator.length_hint(header.tasks)
    except Exception:  # noqa: BLE001  # somebody else's sequence
        return 0


def _within(outer: ChordTrace, outer_id: str, chord_id: str) -> ChordTrace:
    """Return the trace of a chord in another's header or callback; a split header gives it one of its own."""
    if outer.split:
        return ChordTrace(trace_id_of(chord_id), 0, outer.flags, outer.state)
    return ChordTrace(outer.trace_id, chord_span_id(outer_id), outer.flags, outer.state)
