"""The spans of runs: a task's current span while it runs here.

Runs in pool children, and in the one process of solo, threads, gevent and eventlet.
"""

from __future__ import annotations

import time
from contextvars import Token
from typing import Any, NamedTuple

from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, set_span_in_context

from chordwatch.recording.memory import remember
from chordwatch.recording.notes import Headers
from chordwatch.tracing.chord_trace import ChordTrace, chord_of_own, trace_of
from chordwatch.tracing.ends import tell_end
from chordwatch.tracing.finisher import Finisher, Job
from chordwatch.tracing.ids import chord_span_id, process_span_id, publish_span_id
from chordwatch.tracing.messages import read_context
from chordwatch.tracing.names import (
    DESTINATION,
    OPERATION_NAME,
    OPERATION_TYPE,
    SYSTEM,
)
from chordwatch.tracing.places import Place, attempt_of, attributes_of
from chordwatch.tracing.spans import Spans
from chordwatch.tracing.traces import Traces


class _Run(NamedTuple):
    """A task that runs here. `job` is what is left to do when a callback ends."""

    span: Span
    token: Token[Context]
    job: Job | None


class Running:
    """Begins and ends the spans of runs; those of callbacks are finished by the `finisher`."""

    def __init__(self, traces: Traces, finisher: Finisher, *, system: str, record_errors: bool) -> None:
        self._traces, self._finisher = traces, finisher
        self._system, self._record_errors = system, record_errors
        self._runs: dict[int, _Run] = {}

    def begin(self, spans: Spans, request: Any, name: str, place: Place) -> None:
        """Begin the span of a run, and make it the current one."""
        headers = request.__dict__
        context, remote = read_context(headers)
        trace, chord = self._traces_of(spans, headers, place, remote)
        span = spans.start(
            f"process {name}",
            SpanKind.CONSUMER,
            trace,
            process_span_id(headers["id"], *attempt_of(headers), redelivered=_is_redelivered(headers)),
            parent_id=_parent_id(place, trace, remote),
            attributes=self._attributes(place, headers),
            links=_links(place, headers, trace, chord, remote) if trace.sampled else (),
            context=context,
        )
        job = None
        if place.role == "callback" and trace.sampled:
            job = Job(
                *(span, span.end, place.chord_id, headers["id"], headers.get("parent_id"), time.time_ns()),
                goes_on=bool(headers.get("chain")),
                also=place.also,
            )
        token = attach(set_span_in_context(span, context))
        remember(self._runs, id(request), _Run(span, token, job))

    def end(self, request: Any, state: str | None, result: object) -> None:
        """End the span of a run, with Celery's state and its result or exception."""
        run = self._runs.pop(id(request), None)
        if run is None:
            return
        now = time.time_ns()
        detach(run.token)
        if run.span.is_recording():
            tell_end(run.span, state, result, errors=self._record_errors)
        if run.job is None:
            run.span.end(now)
        else:
            self._finisher.take(run.job.ended(now, state))

    def _traces_of(
        self, spans: Spans, headers: Headers, place: Place, remote: SpanContext
    ) -> tuple[ChordTrace, ChordTrace]:
        """Return the trace of the run's span, and that of its chord: another one where the header is split."""
        brought = trace_of(remote) if remote.is_valid else None
        if place.role is None:
            return brought or self._traces.ahead(spans, place.chord_id), ChordTrace(0)
        ours = remote.span_id == publish_span_id(headers["id"], *attempt_of(headers))
        split = chord_of_own(remote) if ours else None
        chord = self._traces.received(spans, place.chord_id, split or brought, ours=ours)
        return (brought._replace(split=True) if split and brought else chord), chord

    def _attributes(self, place: Place, headers: Headers) -> dict[str, Any]:
        attributes = attributes_of(place, headers) | {
            SYSTEM: self._system,
            OPERATION_NAME: "process",
            OPERATION_TYPE: "process",
        }
        if destination := (headers.get("delivery_info") or {}).get("routing_key"):
            attributes[DESTINATION] = destination
        return attributes


def _is_redelivered(headers: Headers) -> bool:
    return bool((headers.get("delivery_info") or {}).get("redelivered"))


def _parent_id(place: Place, trace: ChordTrace, remote: SpanContext) -> int:
    """Return the parent: the chord's span, but in another trace than the chord's the span that published the task."""
    if place.role is None or (trace.split and place.role == "header"):
        return remote.span_id
    return chord_span_id(place.chord_id)


def _links(
    place: Place, headers: Headers, trace: ChordTrace, chord: ChordTrace, remote: SpanContext
) -> list[Link]:
    """Return links to the message's span, or to the chord's where that is not the parent, and to the attempt before."""
    links = []
    if trace.split and place.role == "header":
        links.append(Link(chord.context(chord_span_id(place.chord_id))))
    elif remote.is_valid and place.role is not None:
        links.append(Link(remote))
    retries, nesting = attempt_of(headers)
    if retries:
        links.append(Link(trace.context(process_span_id(headers["id"], retries - 1, nesting))))
    elif nesting:
        links.append(Link(trace.context(process_span_id(headers["id"], retries, nesting - 1))))
    return links
