"""What a process does for traces, told by the handlers of Celery's signals. Runs in producers and workers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from chordwatch.recording.recorder import Recorder
from chordwatch.recording.records import Trace, pack_trace
from chordwatch.tracing.beside import Beside, is_active
from chordwatch.tracing.chord_trace import trace_of
from chordwatch.tracing.finisher import Finisher
from chordwatch.tracing.ids import chord_span_id
from chordwatch.tracing.messages import read_context, write_context
from chordwatch.tracing.places import place_of
from chordwatch.tracing.providers import Providers, preload
from chordwatch.tracing.publishing import Publishing
from chordwatch.tracing.running import Running
from chordwatch.tracing.traces import Traces

_UNLOCK = "celery.chord_unlock"


_Method = TypeVar("_Method", bound=Callable[..., None])


def _guarded(method: _Method) -> _Method:
    """Count what goes wrong, and raise nothing: the caller is somebody else's task or request."""

    @functools.wraps(method)
    def guarded(self: Tracing, *args: Any) -> None:
        try:
            method(self, *args)
        except Exception:  # noqa: BLE001  # a guest
            self.recorder.drop("internal")

    return guarded  # type: ignore[return-value]  # the same signature


class Tracing:
    """The traces of one process. Nothing happens until there is a provider (see `Providers`).

    `system` is the messaging system that the broker is; a header of more than `limit` tasks is split into traces.
    """

    def __init__(
        self,
        recorder: Recorder,
        providers: Providers,
        *,
        system: str,
        limit: int,
        record_errors: bool,
        keep: float,
    ) -> None:
        self.recorder, self._providers = recorder, providers
        self._hear: Callable[[], None] | None = None
        self._traces = Traces(self._record, limit=limit)
        self._publishing = Publishing(self._traces, system=system)
        finisher = Finisher(providers.spans, recorder.wake, keep=keep)
        recorder.follow_up = finisher.follow_up
        self._running = Running(self._traces, finisher, system=system, record_errors=record_errors)
        self._beside = Beside(finisher, record_errors=record_errors)

    @_guarded
    def worker(self) -> None:
        """Import the exporter before the worker forks."""
        preload()

    def flush(self) -> None:
        """Export what is left, within a deadline."""
        self._providers.flush()

    def listen(self, hear: Callable[[], None]) -> None:
        """Call `hear` once there is, or will be, a provider: others are spared the signal before each publish."""
        if self._providers.are_certain():
            hear()
        else:
            self._hear = hear

    @_guarded
    def dispatching(self, header: Any) -> None:
        """Take note that a chord's header is about to be published."""
        self._listen()
        self._traces.dispatching(header)

    @_guarded
    def dispatched(self, failure: BaseException | None) -> None:
        """Take note that the innermost dispatch is over."""
        chord_id, spans = self._traces.dispatched(), self._providers.spans()
        if failure is not None and chord_id is not None and spans is not None:
            self._publishing.fail(spans, chord_id, failure)

    @_guarded
    def publishing(self, headers: dict[str, Any], body: Any) -> None:
        """Write the trace's context into a message of a chord that is about to be published."""
        spans = self._providers.spans()
        if spans is None or not isinstance(body, tuple):  # protocol 1
            return
        place = place_of(headers, body[2]["chord"], body[2]["chain"])
        if place is not None and is_active():
            self._publishing.meet(spans, place)
            self._beside.publish(headers, place)
        elif place is not None:
            self._publishing.begin(spans, headers, place)
        elif headers.get("task") == _UNLOCK:
            chord_id = body[0][0]
            trace = self._traces.published(spans, chord_id, None)
            write_context(headers, trace.context(chord_span_id(chord_id)))

    @_guarded
    def published(self, headers: dict[str, Any], body: Any, destination: str | None) -> None:
        """Write the span of a message that went out."""
        self._listen()
        self._traces.went_out()
        spans = self._providers.spans()
        if spans is None or not isinstance(body, tuple):
            return
        if is_active() and (place := place_of(headers, body[2]["chord"], body[2]["chain"])):
            self._beside.publish(headers, place)
        else:
            self._publishing.end(spans, headers, destination)

    @_guarded
    def started(self, task: Any) -> None:
        """Begin the span of a chord's task."""
        spans = self._providers.spans()
        if spans is None:
            return
        request = task.request_stack.top
        headers: Mapping[str, Any] = request.__dict__
        place = place_of(headers, headers.get("chord"), headers.get("chain"))
        if place is not None and is_active():
            self._beside.begin(request, place)
        elif place is not None:
            self._running.begin(spans, request, task.name, place)
        elif task.name == _UNLOCK:
            _, remote = read_context(headers)
            brought = trace_of(remote) if remote.is_valid else None
            self._traces.received(spans, headers["args"][0], brought, ours=brought is not None)

    @_guarded
    def ended(self, task: Any, state: str | None, result: object) -> None:
        """End the span of a chord's task."""
        self._running.end(task.request_stack.top, state, result)
        self._beside.end(task.request_stack.top, state, result)

    def _listen(self) -> None:
        if self._hear is not None and self._providers.spans() is not None:
            hear, self._hear = self._hear, None
            hear()

    def _record(self, chord_id: str, trace: Trace) -> None:
        self.recorder.add((chord_id, {"t": pack_trace(trace)}))
