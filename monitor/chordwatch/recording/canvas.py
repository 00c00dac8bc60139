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

from chordwatch.recording.batch import error_text
from chordwatch.recording.recorder import Recorder


class Dispatches:
    """Watches the dispatch of chords. A chord in another's header is dispatched within it."""

    def __init__(self, recorder: Recorder, *, record_errors: bool) -> None:
        self._recorder, self._record_errors = recorder, record_errors
        self._local = threading.local()
        self._run: Callable[..., Any] | None = None
        self._backends: dict[type, Callable[..., Any] | None] = {}

    def watch(self) -> None:
        """Wrap `_chord.run`; the backend's class is wrapped when a chord is first dispatched to it."""
        run = self._run = canvas._chord.run  # noqa: SLF001  # there is no public way, see above

        @functools.wraps(run)
        def watched(chord: Any, header: Any, body: Any, *args: Any, **kwargs: Any) -> Any:
            under_way = self._under_way()
            under_way.append(header)
            self._prepare(chord, body, kwargs.get("app"))
            try:
                result = run(chord, header, body, *args, **kwargs)
            except BaseException as exc:
                self._note(header, exc)
                raise
            else:
                self._note(header, None)
                return result
            finally:
                under_way.pop()

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

    def _under_way(self) -> list[Any]:
        under_way: list[Any] = self._local.__dict__.setdefault("under_way", [])
        return under_way

    def _prepare(self, chord: Any, body: Any, app: Any) -> None:
        """Wrap `set_chord_size` of this chord's backend class, once for each class."""
        try:
            backend = type((app or chord._get_app(body)).backend)  # noqa: SLF001  # as `_chord.run` itself does
            if backend not in self._backends:
                self._wrap(backend)
        except Exception:  # noqa: BLE001  # a guest
            self._recorder.drop("internal")

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

    def _note(self, header: Any, failure: BaseException | None) -> None:
        """Note a dispatch, or that it failed: what was published by then runs, and is never counted to the end."""
        try:
            group_id = _group_id(header)
            if group_id is None or not _has_tasks(header):
                return  # an empty header: Celery sends the callback alone, and no chord exists
            now = time.time()
            facts: dict[str, Any] = {"a": now}
            if failure is not None:
                facts["x"] = [now, error_text(failure) if self._record_errors else type(failure).__name__]
            self._recorder.add((group_id, facts))
        except Exception:  # noqa: BLE001  # a guest
            self._recorder.drop("internal")


def _group_id(header: Any) -> str | None:
    """Return the chord's id; `_chord.run` writes it into the header before anything is published."""
    return header.options.get("task_id")  # type: ignore[no-any-return]


def _has_tasks(header: Any) -> bool:
    return bool(header.tasks)
