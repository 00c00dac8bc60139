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


class Dispatches:
    """Watches the dispatch of chords. A chord in another's header is dispatched within it."""

    def __init__(self, recorder: Recorder, *, record_errors: bool, tracing: Traced | None = None) -> None:
        self._recorder, self._record_errors, self._tracing = recorder, record_errors, tracing
        self._local = threading.local()
        self._run: Callable[..., Any] | None = None
        self._backends: dict[type, Callable[..., Any] | None] = {}

    def watch(self) -> None:
        """Wrap `_chord.run`; the backend's class is wrapped when a chord is first dispatched to it."""
        run = self._run = canvas._chord.run  # noqa: SLF001  # there is no public way, see above

        @functools.wraps(run)
        def watched(*args: Any, **kwargs: Any) -> Any:
            header = self._begin(args, kwargs)
            try:
                result = run(*args, **kwargs)
            except BaseException as exc:
                self._end(header, exc)
                raise
            self._end(header, None)
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

    def _begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return the header that is being dispatched, None where even that cannot be told."""
        try:
            chord, header, body = args[:3]
            backend = type((kwargs.get("app") or chord._get_app(body)).backend)  # noqa: SLF001  # as `run` does
            if backend not in self._backends:
                self._wrap(backend)
            self._under_way().append(header)
            if self._tracing is not None:
                self._tracing.dispatching(header)
        except Exception:  # noqa: BLE001  # a guest
            self._recorder.drop("internal")
            return None
        return header

    def _under_way(self) -> list[Any]:
        """Return the headers that this thread is dispatching, the innermost last."""
        under_way: list[Any] = self._local.__dict__.setdefault("under_way", [])
        return under_way

    def _wrap(self, backend: Any) -> None:
        set_chord_size = backend.set_chord_size

        @functools.wraps(set_chord_size)
        def watched(this: Any, group_id: str, chord_size: int) -> Any:
            try:
                # An inner group of a complex header has a size of its own, which is no chord's.
                if any(_group_id(header) == group_id for header in self._under_way()):
                    self._recorder.add((group_id, {"n": int(chord_size)}))
            except Exception:  # noqa: BLE001  # a guest
                self._recorder.drop("internal")
            return set_chord_size(this, group_id, chord_size)

        self._backends[backend] = backend.__dict__.get("set_chord_size")
        backend.set_chord_size = watched

    def _end(self, header: Any, failure: BaseException | None) -> None:
        """Note a dispatch, or that it failed: what was published by then runs, and is never counted to the end."""
        if header is None:
            return
        try:
            self._under_way().pop()
            if self._tracing is not None:
                self._tracing.dispatched(failure)
            group_id = _group_id(header)
            if group_id is None or not header.tasks:
                return  # an empty header: Celery sends the callback alone, and no chord exists
            now = time.time()
            facts: dict[str, Any] = {"a": now, **_family()}
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
