"""Beside `opentelemetry-instrumentation-celery`: its spans and their edges stay, and are told what we know.

Its handlers may run before ours or after them, so its span of a run is looked for when the task starts and when it
ends. Where it would end before everything was told, its end is put off, to the time that it was given.
Checked with 0.66b2. Runs in whichever process it is active in.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from opentelemetry.trace import SpanKind, get_current_span

from chordwatch.recording.memory import remember
from chordwatch.recording.notes import Headers
from chordwatch.tracing.ends import tell_end
from chordwatch.tracing.finisher import Finisher, Job
from chordwatch.tracing.names import MESSAGE_ID
from chordwatch.tracing.places import Place, attempt_of, attributes_of
from chordwatch.tracing.told_spans import name_of, pack_context

_MODULE = "opentelemetry.instrumentation.celery"


def is_active() -> bool:
    """Whether that instrumentation is switched on in this process."""
    module = sys.modules.get(_MODULE)
    instrumentor = getattr(getattr(module, "CeleryInstrumentor", None), "_instance", None)
    return instrumentor is not None and bool(instrumentor.is_instrumented_by_opentelemetry)


class _PutOff:
    """The end of a span that somebody else ends."""

    def __init__(self, span: Any) -> None:
        self._at: int | None = None
        self._end: Callable[[int | None], None] = span.end
        span.end = self._note

    def _note(self, end_time: int | None = None) -> None:
        self._at = end_time if end_time is not None else time.time_ns()

    def end(self, at: int | None = None) -> None:
        """End it in earnest: when its owner did, else `at` Unix nanoseconds."""
        self._end(self._at if self._at is not None else at)


class _Run(NamedTuple):
    """A task that runs here; `ended` where its span was found at once and its end is put off."""

    place: Place
    at: int
    span: Any = None
    ended: _PutOff | None = None


class Beside:
    """Tells the spans of the other instrumentation what we know. The `finisher` ends those of callbacks."""

    def __init__(self, finisher: Finisher, *, record_errors: bool) -> None:
        self._finisher, self._record_errors = finisher, record_errors
        self._runs: dict[int, _Run] = {}

    @staticmethod
    def publish(headers: Headers, place: Place) -> None:
        """Tell the span of a message, while it is the current one."""
        span = _current(SpanKind.PRODUCER)
        if span is not None and span.attributes.get(MESSAGE_ID) == headers["id"]:
            span.set_attributes(attributes_of(place, headers))

    def begin(self, request: Any, place: Place) -> None:
        """Tell the span of a run, where it has begun."""
        span = _current(SpanKind.CONSUMER)
        run = _Run(place, time.time_ns())
        if span is not None:
            self._tell(span, request.__dict__, place)
            run = run._replace(span=span, ended=_PutOff(span))
        remember(self._runs, id(request), run)

    def end(self, request: Any, state: str | None, result: object) -> None:
        """Tell the span of a run how it ended, and end it or leave it to the finisher if its end was put off."""
        run = self._runs.pop(id(request), None)
        if run is None:
            return
        span, ended = run.span, run.ended
        if span is None:
            span = _current(SpanKind.CONSUMER)
            if span is None:
                return
            self._tell(span, request.__dict__, run.place)
        tell_end(span, state, result, errors=self._record_errors)
        if run.place.role == "callback":
            end = (ended or _PutOff(span)).end
            self._finisher.take(_job(span, end, run, request.__dict__).ended(time.time_ns(), state))
        elif ended is not None:
            ended.end()

    def _tell(self, span: Any, headers: Headers, place: Place) -> None:
        span.set_attributes(attributes_of(place, headers))
        name = name_of(headers["id"], *attempt_of(headers))
        self._finisher.post(name, pack_context(span.get_span_context()))


def _job(span: Any, end: Callable[[int], None], run: _Run, headers: Headers) -> Job:
    return Job(
        *(span, end, run.place.chord_id, headers["id"], headers.get("parent_id"), run.at),
        goes_on=bool(headers.get("chain")),
        also=run.place.also,
        foreign=True,
    )


def _current(kind: SpanKind) -> Any:
    """Return the current span where it is one of the other instrumentation, of this kind, and records."""
    span: Any = get_current_span()
    scope = getattr(span, "instrumentation_scope", None)
    if scope is None or scope.name != _MODULE or span.kind is not kind or not span.is_recording():
        return None
    return span
