"""The spans of messages: begun and ended after a message went out, so that none is open while a broker is slow.

Runs in whichever process publishes.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from opentelemetry.trace import Link, SpanKind, StatusCode, get_current_span

from chordwatch.recording.memory import remember
from chordwatch.tracing.chord_trace import ChordTrace, trace_of
from chordwatch.tracing.ids import chord_span_id, publish_span_id
from chordwatch.tracing.messages import write_context
from chordwatch.tracing.names import DESTINATION, ERROR_TYPE, OPERATION_NAME, OPERATION_TYPE, SYSTEM
from chordwatch.tracing.places import Place, attempt_of, attributes_of
from chordwatch.tracing.spans import Spans
from chordwatch.tracing.traces import Traces

#: Messages under way at the most: as many as threads publish, and those that were refused.
_UNDER_WAY = 1000


class _Message(NamedTuple):
    """A message that is being published. It keeps `headers`, so that no other dict gets the same `id()`."""

    headers: dict[str, Any]
    at: int
    place: Place
    trace: ChordTrace
    span_id: int
    parent_id: int
    links: tuple[Link, ...]


class Publishing:
    """Gives each message its context, and writes its span when it is out."""

    def __init__(self, traces: Traces, *, system: str) -> None:
        self._traces, self._system = traces, system
        self._under_way: dict[int, _Message] = {}

    def begin(self, spans: Spans, headers: dict[str, Any], place: Place) -> None:
        """Write the context of a message's span to be into its headers."""
        if place.role is None:
            message = self._ahead_of_chord(spans, headers, place)
        else:
            message = self._of_chord(spans, headers, place)
        write_context(headers, message.trace.context(message.span_id))
        if message.trace.sampled:
            remember(self._under_way, id(headers), message, most=_UNDER_WAY)

    def meet(self, spans: Spans, place: Place) -> None:
        """Note the trace of a message's chord, where another instrumentation writes the message's span."""
        if place.role is not None:
            self._traces.published(spans, place.chord_id, place.around)

    def end(self, spans: Spans, headers: dict[str, Any], destination: str | None) -> None:
        """Write the span of a message that went out to `destination`."""
        message = self._under_way.pop(id(headers), None)
        if message is not None:
            self._write(spans, message, destination)

    def fail(self, spans: Spans, chord_id: str, failure: BaseException) -> None:
        """Write the span of the message at which the dispatch of a chord failed, if it failed at one."""
        for key, message in list(self._under_way.items()):
            if message.place.chord_id == chord_id:
                del self._under_way[key]
                self._write(spans, message, None, failure)

    def _of_chord(self, spans: Spans, headers: dict[str, Any], place: Place) -> _Message:
        trace, parent_id, links = self._traces.published(spans, place.chord_id, place.around), 0, ()
        span_id = publish_span_id(headers["id"], *attempt_of(headers))
        if trace.split and place.role == "header":
            return self._own(headers, place, trace, span_id)
        parent_id = chord_span_id(place.chord_id)
        return _Message(headers, time.time_ns(), place, trace, span_id, parent_id, links)

    @staticmethod
    def _own(headers: dict[str, Any], place: Place, chord: ChordTrace, span_id: int) -> _Message:
        """Return a message of a header task that has a trace of its own: its later attempts and steps stay in it."""
        own = chord.own_of(place.part_id or headers["id"])
        current = get_current_span().get_span_context()
        parent_id = current.span_id if current.trace_id == own.trace_id else 0
        links = () if parent_id else (Link(chord.context(chord_span_id(place.chord_id))),)
        return _Message(headers, time.time_ns(), place, own, span_id, parent_id, links)

    def _ahead_of_chord(self, spans: Spans, headers: dict[str, Any], place: Place) -> _Message:
        """Return the message of a task before a chord in its chain: in its caller's trace, else in the chord's."""
        current = get_current_span().get_span_context()
        trace = trace_of(current) if current.is_valid else self._traces.ahead(spans, place.chord_id)
        span_id = publish_span_id(headers["id"], *attempt_of(headers))
        return _Message(headers, time.time_ns(), place, trace, span_id, current.span_id, ())

    def _write(
        self, spans: Spans, message: _Message, destination: str | None, failure: BaseException | None = None
    ) -> None:
        attributes = attributes_of(message.place, message.headers) | {
            SYSTEM: self._system,
            OPERATION_NAME: "publish",
            OPERATION_TYPE: "send",
        }
        if destination:
            attributes[DESTINATION] = destination
        span = spans.start(
            f"publish {destination}" if destination else "publish",
            SpanKind.PRODUCER,
            message.trace,
            message.span_id,
            parent_id=message.parent_id,
            attributes=attributes,
            links=message.links,
            at=message.at,
        )
        if failure is not None:
            span.set_attribute(ERROR_TYPE, type(failure).__name__)
            span.set_status(StatusCode.ERROR)
        span.end()
