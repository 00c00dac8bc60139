"""The only two patches of Celery: no signal tells a chord's size, nor that a producer failed in mid-header.

`celery.canvas._chord.run` dispatches every chord; within it Celery calls the result backend's `set_chord_size` just
before the last header message. Both are wrapped, call what was there, and can be put back.
Runs in whichever process publishes. Checked against Celery 5.4 to 5.7.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable
from typing import Any

from celery import canvas
from celery._state import get_current_task

from chordwatch.recording.batch import error_text
from chordwatch.recording.recorder import Recorder
from chordwatch.recording.traced import Traced


class _Dispatch:
    """A header that is being dispatched, and how many messages of chords its thread had published before.

    `size` is kept until something was published: if nothing is, nobody counts up to it.
    """

    __slots__ = ("before", "header", "size")

    def __init__(self, header: Any, before: int) -> None:
        self.header, self.before = header, before
        self.size: int | None = None


class UnderWay(threading.local):
    """What one thread is about: its dispatches, the innermost last, and its messages of chords so far."""

    def __init__(self) -> None:
        self.dispatches: list[_Dispatch] = []
        self.published = 0


class Dispatches:
    """Watches the dispatch of chords. A chord in another's header is dispatched within it.

    `under_way.published` is counted up by whoever hears of publishing.
    """

    def __init__(
        self, recorder: Recorder, under_way: UnderWay, *, record_errors: bool, tracing: Traced | None = None
    ) -> None:
        self._recorder, self._record_errors, self._tracing = recorder, record_errors, tracing
        self._under_way = under_way
        self._run: Callable[..., Any] | None = None
        self._backends: dict[type, Callable[..., Any] | None] = {}

    def watch(self) -> None:
        """Wrap `_chord.run`; the backend's class is wrapped when a chord is first dispatched to it."""
        run = self._run = canvas._chord.run  # noqa: SLF001  # there is no public way, see above

        @functools.wraps(run)
        def watched(*args: Any, **kwargs: Any) -> Any:
            dispatch = self._begin(args, kwargs)
            try:
                result = run(*args, **kwargs)
            except BaseException as exc:
                self._end(dispatch, exc)
                raise
            self._end(dispatch, None)
            return result

        canvas._chord.run = watched  # noqa: SLF001  # as above

    def leave(self) -> None:
        """Put back what was wrapped."""
        if self._run is not None:
            canvas._chord.run, self._run = self._run, None  # noqa: SLF001  # as above
        for backend, own in self._backends.items():
            if own is None:
                del backend.set_chord_size  # type: ignore[attr-defined]
            else:
                backend.set_chord_size = own  # type: ignore[attr-defined]
        self._backends.clear()

    def _begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Dispatch | None:
        """Return the dispatch that begins, None where even its header cannot be told."""
        try:
            chord, header, body = args[:3]
            backend = type((kwargs.get("app") or chord._get_app(body)).backend)  # noqa: SLF001  # as `run` does
            if backend not in self._backends:
                self._wrap(backend)
            dispatch = _Dispatch(header, self._under_way.published)
            self._under_way.dispatches.append(dispatch)
            if self._tracing is not None:
                self._tracing.dispatching(header)
        except Exception:  # noqa: BLE001  # a guest
            self._recorder.drop("internal")
            return None
        return dispatch

    def _wrap(self, backend: Any) -> None:
        set_chord_size = backend.set_chord_size

        @functools.wraps(set_chord_size)
        def watched(this: Any, group_id: str, chord_size: int) -> Any:
            try:
                self._sized(group_id, int(chord_size))
            except Exception:  # noqa: BLE001  # a guest
                self._recorder.drop("internal")
            return set_chord_size(this, group_id, chord_size)

        self._backends[backend] = backend.__dict__.get("set_chord_size")
        backend.set_chord_size = watched

    def _sized(self, group_id: str, size: int) -> None:
        for dispatch in self._under_way.dispatches:
            # An inner group of a complex header has a size of its own, which is no chord's.
            if _group_id(dispatch.header) != group_id:
                continue
            if self._under_way.published == dispatch.before:
                dispatch.size = size
            else:
                self._recorder.add((group_id, {"n": size}))
            return

    def _end(self, dispatch: _Dispatch | None, failure: BaseException | None) -> None:
        """Note a dispatch, or that it failed: what was published by then runs, and is never counted to the end."""
        if dispatch is None:
            return
        try:
            self._under_way.dispatches.pop()
            if self._tracing is not None:
                self._tracing.dispatched(failure)
            group_id = _group_id(dispatch.header)
            if group_id is None or not dispatch.header.tasks:
                return  # an empty header: Celery sends the callback alone, and no chord exists
            if failure is not None and self._under_way.published == dispatch.before:
                return  # nothing was sent: nothing waits, and its caller has the exception
            now = time.time()
            facts: dict[str, Any] = {"a": now, **_family()}
            if dispatch.size is not None:
                facts["n"] = dispatch.size
            if failure is not None:
                facts["x"] = [now, error_text(failure) if self._record_errors else type(failure).__name__]
            self._recorder.add((group_id, facts))
            self._recorder.dispatched()
        except Exception:  # noqa: BLE001  # a guest
            self._recorder.drop("internal")


def _family() -> dict[str, str]:
    """Return the task that dispatches the chord, and that task's root: outside a task there are none."""
    task = get_current_task()
    running = task.request_stack.top if task is not None else None
    if running is None or not running.id:
        return {}
    return {"p": running.id, "r": running.root_id or running.id}


def _group_id(header: Any) -> str | None:
    """Return the chord's id; `_chord.run` writes it into the header before anything is published."""
    return header.options.get("task_id")  # type: ignore[no-any-return]
