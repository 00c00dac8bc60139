"""The handlers of Celery's signals: which fire in which process, and what each one notes.

Whoever publishes: `after_task_publish`. A worker's main process: `task_received`, `task_failure` and `task_retry`
(for a lost child, a hard time limit, a reject, a cold shutdown), `task_revoked`, `task_unknown`, `task_rejected`.
A pool child, or the one process of solo, threads, gevent and eventlet: `before_task_publish`, `task_prerun`,
`task_postrun`, `task_internal_error`.

Checked against Celery 5.4 to 5.7. A plain task or group costs a few dictionary lookups and notes nothing.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import celery
from celery import signals
from celery._state import get_current_task
from celery.exceptions import NotRegistered

from chordwatch.foreign import as_dict, as_list, as_time
from chordwatch.recording.ahead import look_ahead
from chordwatch.recording.batch import error_text
from chordwatch.recording.canvas import UnderWay
from chordwatch.recording.marks import MARK, handed_on, mark
from chordwatch.recording.memory import remember
from chordwatch.recording.notes import (
    Headers,
    Part,
    Run,
    header_part,
    parts_failing_with,
    parts_of,
    parts_of_unreadable,
)
from chordwatch.recording.recorder import Recorder
from chordwatch.recording.records import End, Kind, Role
from chordwatch.recording.signatures import starts
from chordwatch.recording.traced import Traced

_PUBLISHED, _RECEIVED, _ENDED = int(Kind.PUBLISHED), int(Kind.RECEIVED), int(Kind.ENDED)
#: Celery's state after a run: how it ended, and whether Celery has counted the part.
_ENDS = {
    "SUCCESS": (int(End.SUCCEEDED), True),
    "FAILURE": (int(End.FAILED), True),
    "RETRY": (int(End.RETRYING), False),
    "REJECTED": (int(End.REJECTED), False),
    "IGNORED": (int(End.IGNORED), False),
}
#: From Celery 5.7 on the main process makes a failure of a reject for good, and counts the part (celery#4222).
_REJECT_FAILS = celery.VERSION >= (5, 7)
#: Before it leaves no result and is never counted.
_FOR_GOOD = "Reject: for good"
#: What `Task.replace` raises `Ignore` with.
_REPLACED = "Replaced by new task"


class Handlers:
    """The signal handlers of one process, around its recorder. What goes wrong in one is counted, never raised."""

    def __init__(
        self, recorder: Recorder, under_way: UnderWay, *, record_errors: bool, tracing: Traced | None = None
    ) -> None:
        self.recorder, self._under_way, self._tracing = recorder, under_way, tracing
        self._record_errors = record_errors
        self._callbacks_of: dict[str, dict[str, int]] = {}
        self._errbacks: dict[str, str] = {}
        self._inner: dict[str, None] = {}
        self._failing_with: dict[str, list[tuple[Part, str]]] = {}
        self._received: dict[str, tuple[list[Part], str, str | None]] = {}

    def connect(self) -> None:
        """Connect what any process needs; what only workers need follows when this turns out to be one."""
        for signal, handler in self._handlers():
            signal.connect(handler, weak=False, dispatch_uid=f"chordwatch.{signal.name}")

    def disconnect(self) -> None:
        """Undo `connect`."""
        for signal in (*(signal for signal, _ in self._handlers()), signals.before_task_publish):
            signal.disconnect(dispatch_uid=f"chordwatch.{signal.name}")

    def _handlers(self) -> tuple[tuple[Any, Callable[..., None]], ...]:
        return (
            (signals.after_task_publish, self.on_published),
            (signals.task_received, self.on_received),
            (signals.task_prerun, self.on_started),
            (signals.task_postrun, self.on_ended),
            (signals.task_failure, self.on_failed),
            (signals.task_retry, self.on_retried),
            (signals.task_revoked, self.on_revoked),
            (signals.task_unknown, self.on_unknown),
            (signals.task_rejected, self.on_rejected),
            (signals.task_internal_error, self.on_internal_error),
            (signals.worker_init, self.on_worker),
            (signals.worker_process_init, self.on_pool_child),
        )

    def on_worker(self, **_: Any) -> None:
        """Only workers publish callbacks: a mere producer that does not trace is spared the signal."""
        self.hear_publishing()
        if self._tracing is not None:
            self._tracing.worker()

    def hear_publishing(self) -> None:
        """Connect the signal before each publish."""
        signals.before_task_publish.connect(
            self.on_publishing, weak=False, dispatch_uid="chordwatch.before_task_publish"
        )

    def on_pool_child(self, **_: Any) -> None:
        """A pool child keeps no callbacks: its main process has read the same messages."""
        self.recorder.keep_callbacks = False
        self.hear_publishing()

    def on_publishing(self, *, headers: dict[str, Any], body: Any, **_: Any) -> None:
        """Give a message what it carries for others: the mark of a callback, and the trace's context."""
        try:
            self._mark(headers, body)
        except Exception:  # noqa: BLE001  # a guest
            self.recorder.drop("internal")
        if self._tracing is not None:
            self._tracing.publishing(headers, body)

    def _mark(self, headers: dict[str, Any], body: Any) -> None:
        """Mark a callback's message with its chord, so that any process can attribute it."""
        task = get_current_task()
        if task is None or MARK in headers:
            return
        running = task.request_stack.top.__dict__
        chord = running.get("chord")
        if chord is not None or MARK in running:
            callbacks = self._callbacks(running["group"], chord) if chord is not None else {}
            mark(headers, handed_on(headers["id"], body[2], running, callbacks))
        elif task.name == "celery.chord_unlock":
            group_id, callback = as_list(list(running.get("args") or ()))[:2]
            if headers["id"] in (depths := starts(as_dict(callback))):
                mark(headers, [(group_id, depths[headers["id"]])])

    def on_published(self, *, headers: dict[str, Any], body: Any, routing_key: Any = None, **_: Any) -> None:
        """Note that a message of a chord is on its way."""
        try:
            if self._tracing is not None:
                self._tracing.published(headers, body, routing_key)
            if not isinstance(body, tuple):
                return  # protocol 1
            embed = body[2]
            if self._carries_more(embed, headers.get("group")):
                self._look_ahead(embed, headers["id"])
            parts = self._parts(headers, embed["chord"], embed["chain"])
            if not parts:
                return
            self._under_way.published += 1
            now, eta = time.time(), headers["eta"]
            task = get_current_task()
            dynamic = task is not None and _is_dynamic(headers, embed["chord"], task)
            rest = (None, None, None, None, None, as_time(eta), dynamic or None) if eta or dynamic else ()
            for head, who, _last in parts:
                self.recorder.add((*head, _PUBLISHED, *who, now, headers["task"], routing_key, *rest))
        except Exception:  # noqa: BLE001  # a guest
            self.recorder.drop("internal")

    def on_received(self, *, request: Any, **_: Any) -> None:
        """Note that the worker's main process has taken a message."""
        try:
            headers = request.request_dict
            embed = request._payload[2]  # noqa: SLF001  # decoded already; `request.chord` shows a part of it only
            chain = embed.get("chain")
            if self._carries_more(embed, headers.get("group")):
                self._look_ahead(embed, headers["id"])
            if chain and (failing := parts_failing_with(chain)):
                remember(self._failing_with, headers["id"], failing)
            parts = self._parts(headers, embed.get("chord"), chain)
            if not parts:
                return
            now, name, queue = time.time(), headers["task"], (request.delivery_info or {}).get("routing_key")
            # Without the callback's signature: it would keep thousands of decoded messages alive.
            kept: list[Part] = [((head[0], None), who, last) for head, who, last in parts]
            remember(self._received, headers["id"], (kept, name, queue))
            for head, who, _last in parts:
                self.recorder.add((*head, _RECEIVED, *who, now, name, queue))
        except Exception:  # noqa: BLE001  # a guest
            self.recorder.drop("internal")

    def on_started(self, *, task: Any, **_: Any) -> None:
        """Note that a run begins; the recorder says so only if it outlasts a flush."""
        try:
            request = task.request_stack.top
            running = request.__dict__
            if running.get("is_eager"):
                return
            if self._tracing is not None:
                self._tracing.started(task)
            parts = self._parts(running, running.get("chord"), running.get("chain"))
            if not parts:
                return
            queue = (running.get("delivery_info") or {}).get("routing_key")
            self.recorder.begin(id(request), Run(time.time(), parts, task.name, queue))
        except Exception:  # noqa: BLE001  # a guest
            self.recorder.drop("internal")

    def on_ended(self, *, task: Any, retval: Any, state: str | None, **_: Any) -> None:
        """Note how a run ended. Celery counts the part before it sends this signal."""
        if self._tracing is not None:
            self._tracing.ended(task, state, retval)
        try:
            runs = self.recorder.runs
            run = runs.pop(id(task.request_stack.top), None) if runs else None
            if run is None:
                return
            if state not in _ENDS:  # an exit of the child, of which the main process tells the end
                for entry in () if run.announced else run.announce():
                    self.recorder.add(entry)
                return
            end, counted, error = self._end_of(state, retval)
            now = time.time()
            for head, who, last in run.parts:
                self.recorder.add(
                    (*head, _ENDED, *who, now, run.name, run.queue, end, run.at, counted, last, error)
                )
        except Exception:  # noqa: BLE001  # a guest
            self.recorder.drop("internal")

    def _end_of(self, state: str, retval: Any) -> tuple[int, bool, str | None]:
        """Return how a run ended, whether Celery has counted the part, and the error."""
        end, counted = _ENDS[state]
        if counted and (failure := sys.exc_info()[1]) is not None:
            # The backend failed while the end was stored: the part is not counted, whatever the task did.
            return int(End.FAILED), False, self._error(failure)
        if state == "FAILURE":
            return end, counted, self._error(retval)
        if state == "RETRY" and retval.exc is not None:
            return end, counted, self._error(retval.exc)
        if state == "REJECTED" and not getattr(retval, "requeue", False):
            # The main process tells that it is counted; which of two runs it means, it cannot tell.
            return (
                (int(End.FAILED), counted, self._error(retval))
                if _REJECT_FAILS
                else (end, counted, _FOR_GOOD)
            )
        if state == "IGNORED" and str(retval) == _REPLACED:
            # It goes on as another task, and is no part that nobody counts.
            return end, counted, f"Ignore: {_REPLACED}"
        return end, counted, None

    def on_failed(self, *, sender: Any, task_id: str, exception: object, **_: Any) -> None:
        """Note a failure that the main process reports, as the child is gone; a child tells its own at the end.

        Whoever reports it, the part that ends the task's chain has failed with it.
        """
        try:
            running, error = sender.request_stack.top, self._error(exception)
            if id(running) not in self.recorder.runs:
                self._ended_elsewhere(task_id, End.FAILED, counted=True, error=error)
            failing = self._failing_with.pop(task_id, None)
            if failing is None and running is not None and running.id == task_id:
                failing = parts_failing_with(running.chain)
            for part, name in failing or ():
                self._add_ends([part], name, None, End.FAILED, counted=True, error=error)
        except Exception:  # noqa: BLE001  # a guest
            self.recorder.drop("internal")

    def on_retried(self, *, sender: Any, request: Any, **_: Any) -> None:
        """Note a retry that the main process reports: a cold shutdown, or a lost child that is tried again."""
        try:
            if id(sender.request_stack.top) not in self.recorder.runs:
                self._ended_elsewhere(request.id, End.RETRYING, counted=False)
        except Exception:  # noqa: BLE001  # a guest
            self.recorder.drop("internal")

    def on_revoked(self, *, request: Any, expired: bool = False, terminated: bool = False, **_: Any) -> None:
        """Note that a task was revoked, or had expired, when a worker took it or while it ran."""
        try:
            reason = "expired" if expired else "terminated" if terminated else "revoked"
            self._ended_elsewhere(
                request.id, End.REVOKED, counted=True, error=f"TaskRevokedError: {reason}", request=request
            )
        except Exception:  # noqa: BLE001  # a guest
            self.recorder.drop("internal")

    def on_unknown(self, *, message: Any, name: str, **_: Any) -> None:
        """Note a task whose name the worker does not know: stored as failed, but never counted."""
        self._refused(message, End.FAILED, NotRegistered(name))

    def on_rejected(self, *, message: Any, exc: object = None, **_: Any) -> None:
        """Note a message that the worker cannot read: gone, without any result."""
        self._refused(message, End.REJECTED, exc)

    def on_internal_error(self, *, request: Any, exception: object, **_: Any) -> None:
        """Note a run that Celery itself could not bring to an end, or not begin."""
        try:
            running = request if isinstance(request, dict) else request.__dict__
            self._ended_elsewhere(
                running["id"], End.FAILED, counted=False, error=self._error(exception), headers=running
            )
        except Exception:  # noqa: BLE001  # a guest
            self.recorder.drop("internal")

    def _refused(self, message: Any, end: End, exc: object) -> None:
        try:
            headers, error = message.headers, None if exc is None else self._error(exc)
            try:
                embed = as_dict(as_list(list(message.payload))[2])
            except Exception:  # noqa: BLE001  # that it cannot be decoded may be the reason
                embed = None
            if embed is not None:
                parts = self._parts(headers, embed.get("chord"), embed.get("chain"))
            else:
                parts = parts_of_unreadable(headers)
            self._add_ends(parts, headers.get("task"), None, end, counted=False, error=error)
        except Exception:  # noqa: BLE001  # a guest
            self.recorder.drop("internal")

    def _ended_elsewhere(
        self,
        task_id: str,
        end: End,
        *,
        counted: bool,
        error: str | None = None,
        headers: Headers | None = None,
        request: Any = None,
    ) -> None:
        parts, name, queue = self._received.get(task_id) or ([], None, None)
        headers = request.__dict__ if request is not None else headers
        if not parts and headers is not None:
            parts = self._parts(headers, headers.get("chord"), headers.get("chain"))
            name = headers.get("task")
        self._add_ends(parts, name, queue, end, counted=counted, error=error)

    def _add_ends(
        self,
        parts: list[Part],
        name: str | None,
        queue: str | None,
        end: End,
        *,
        counted: bool,
        error: str | None,
    ) -> None:
        now = time.time()
        for head, who, last in parts:
            self.recorder.add((*head, _ENDED, *who, now, name, queue, int(end), None, counted, last, error))

    def _parts(self, headers: Headers, chord: Any, chain: Any) -> list[Part]:
        group = headers.get("group")
        if chord is not None and group is not None:
            if chord["options"].get("link_error"):
                remember(self._errbacks, chord["options"].get("task_id"), group)
            if MARK not in headers:
                return [header_part(headers, group, chord)]
        elif MARK not in headers:
            if self._errbacks and (chord_id := self._errbacks.get(headers.get("parent_id") or "")):
                who = (int(Role.ERRBACK), headers["id"], None, headers.get("retries") or 0, 0)
                return [((chord_id, None), who, False)]
            if group is None or headers.get("group_index") is not None:
                return []  # a plain task, a plain group
        return parts_of(headers, chord, chain)

    def _carries_more(self, embed: dict[str, Any], group: str | None) -> bool:
        """Whether a message may carry more than its own task; all header tasks of one chord carry the same callback."""
        if embed.get("chain") or embed.get("callbacks"):
            return True
        chord = embed.get("chord")
        if chord is None or group is None or not chord["options"].get("chord") or group in self._inner:
            return False
        remember(self._inner, group, None)
        return True

    def _look_ahead(self, embed: dict[str, Any], carrier_id: str) -> None:
        for entry in look_ahead(embed, carrier_id):
            self.recorder.add(entry)

    def _callbacks(self, group_id: str, chord: dict[str, Any]) -> dict[str, int]:
        """Return what starts a callback, with depths; it is asked for each message a header task sends."""
        depths = self._callbacks_of.get(group_id)
        if depths is None:
            depths = starts(chord)
            remember(self._callbacks_of, group_id, depths)
        return depths

    def _error(self, exc: object) -> str | None:
        return error_text(exc) if self._record_errors else None


def _is_dynamic(headers: Headers, chord: Any, task: Any) -> bool:
    """Whether the message being published is a part that the running task adds to its own chord."""
    running = task.request_stack.top.__dict__
    return (
        chord is not None  # a callback has its header's group id too
        and running.get("chord") is not None
        and running.get("group") == headers["group"]
        and running.get("id") != headers["id"]
    )
