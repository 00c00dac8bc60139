"""Finishes what a callback's end leaves to do: its links to the header's tasks, and the chord's own span.

Both need the whole chord, which only the store knows, and a moment after the end: so a callback's span is kept open
and ended later, with the time that was noted. Runs in the recorder's thread, after its flushes.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple

from opentelemetry.trace import Link, Span

from chordwatch.errors import ChordwatchError
from chordwatch.model import FINISHED
from chordwatch.recording.memory import REMEMBERED
from chordwatch.recording.native import Flag
from chordwatch.store.protocol import RecordedChord, Store
from chordwatch.tracing import chord_span
from chordwatch.tracing.chord_trace import recorded_trace
from chordwatch.tracing.header_links import link_as_told, link_to, runs_to_link
from chordwatch.tracing.names import LINKS_LEFT_OUT, SIZE
from chordwatch.tracing.spans import Spans

logger = logging.getLogger("chordwatch")

#: Callbacks that wait at the most; the next one's span is ended as it is.
_MOST = 1000
#: Seconds until the other processes' records should be there, and after which nothing more is waited for.
_FIRST_LOOK, _PATIENCE = 0.1, 5.0
#: The same where the process ends, and between two looks then.
_LAST_SECONDS, _LAST_PAUSE = 0.5, 0.05
#: Seconds: the store rounds to milliseconds; and between two notes of one start.
_ROUNDED, _MOMENT = 0.0006, 0.02


class Job(NamedTuple):
    """A callback's run. `started_at` and `ended_at` are Unix nanoseconds; `goes_on`: the chord ends with another task.

    `end` ends the span; it is `foreign` where another instrumentation began it, as it did those of the header then.
    `parent_id` is Celery's: the task that published it. `also`: further chords that end with this callback.
    """

    span: Span
    end: Callable[[int], None]
    chord_id: str
    task_id: str
    parent_id: str | None
    started_at: int
    goes_on: bool
    also: tuple[str, ...] = ()
    ended_at: int = 0
    foreign: bool = False

    def ended(self, at: int, state: str | None) -> Job:
        """Return it as ended `at` Unix nanoseconds in one of Celery's states."""
        goes_on = state != "FAILURE" and (self.goes_on or state != "SUCCESS")
        return self._replace(ended_at=at, goes_on=goes_on)


class _Waiting(NamedTuple):
    """A job, when to look at its chord (monotonic seconds), how long to wait after that, and until when."""

    job: Job
    due: float
    pause: float
    until: float


class _Links(NamedTuple):
    """Links of a callback, how many tasks of its header have none, and whether all that there is room for are there."""

    links: list[Link]
    left_out: int
    complete: bool = True


_NONE = _Links([], 0)


class Finisher:
    """The callbacks of this process that are to be finished. `keep`: seconds for which a chord's span is claimed."""

    def __init__(self, spans: Callable[[], Spans | None], rouse: Callable[[], None], *, keep: float) -> None:
        self._spans, self._rouse, self._keep = spans, rouse, keep
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        """Begin with nothing: a parent finishes what it took."""
        self._taken: deque[Job] = deque()
        self._posts: deque[tuple[str, bytes]] = deque(maxlen=REMEMBERED)
        self._waiting: list[_Waiting] = []

    def take(self, job: Job) -> None:
        """Take a callback's run that has ended."""
        if len(self._taken) + len(self._waiting) >= _MOST:
            job.end(job.ended_at)
            return
        self._taken.append(job)
        self._rouse()

    def post(self, name: str, content: bytes) -> None:
        """Post something in the store, soon."""
        self._posts.append((name, content))
        self._rouse()

    def follow_up(self, store: Store | None, *, closing: bool) -> bool:
        """Finish what can be finished, all of it before the process closes; return whether something waits."""
        if store is not None and self._posts:
            self._post_all(store)
        now = time.monotonic()
        while self._taken:
            self._waiting.append(
                _Waiting(self._taken.popleft(), now + _FIRST_LOOK, _FIRST_LOOK, now + _PATIENCE)
            )
        if closing:
            self._finish_all(store)
            return False
        waiting, self._waiting = self._waiting, []
        due: list[_Waiting] = []
        for each in waiting:
            (due if each.due <= now else self._waiting).append(each)
        if due:
            self._look(due, store, now=now)
        return bool(self._waiting)

    def _finish_all(self, store: Store | None) -> None:
        """Finish everything: the last records of other processes are worth a short wait."""
        until, pause = time.monotonic() + _LAST_SECONDS, Flag()
        while self._waiting:
            now, due, self._waiting = time.monotonic(), self._waiting, []
            self._look(due, store, now=math.inf if now >= until else now)
            if self._waiting:
                pause.wait(_LAST_PAUSE)

    def _post_all(self, store: Store) -> None:
        try:
            while self._posts:
                name, content = self._posts[0]
                store.post(name, content, keep=self._keep)
                self._posts.popleft()
        except ChordwatchError:  # the recorder says so
            logger.debug("Contexts of spans wait for the store.")

    def _look(self, due: list[_Waiting], store: Store | None, *, now: float) -> None:
        chords = _read(store, {chord_id for each in due for chord_id in (each.job.chord_id, *each.job.also)})
        for each in due:
            job, recorded = each.job, chords.get(each.job.chord_id)
            told = recorded is not None and _is_complete(job, recorded)
            links = (
                self._links(job, recorded, store)
                if recorded is not None and _is_first(job, recorded)
                else _NONE
            )
            if (told and links.complete) or now >= each.until:
                self._finish(job, recorded, links)
                self._end_chords(job, chords, store)
            else:
                pause = 2 * each.pause
                self._waiting.append(each._replace(due=now + pause, pause=pause))

    def _links(self, job: Job, recorded: RecordedChord, store: Store | None) -> _Links:
        """Return the links of a callback to its header: as many as its span has room for."""
        spans, chord = self._spans(), recorded.chord
        runs = runs_to_link(chord.header)
        room = max((spans.max_links if spans else 0) - len(getattr(job.span, "links", ())), 0)
        linked = runs[:room]
        if not job.foreign:
            trace = recorded_trace(chord.chord_id, recorded.trace)
            return _Links([link_to(run, trace) for run in linked], len(runs) - len(linked))
        contexts = _posted(store, [run.posted_name for run in linked])
        links = [link for run in linked if (link := link_as_told(run, contexts))]
        return _Links(links, len(runs) - len(links), complete=len(links) == len(linked))

    @staticmethod
    def _finish(job: Job, recorded: RecordedChord | None, links: _Links) -> None:
        try:
            for link in links.links:
                job.span.add_link(link.context, link.attributes)
            if links.left_out:
                job.span.set_attribute(LINKS_LEFT_OUT, links.left_out)
            if recorded is not None and recorded.chord.size is not None:
                job.span.set_attribute(SIZE, recorded.chord.size)
        except Exception:  # somebody else's span; the other callbacks shall still be finished
            logger.debug("A callback's span could not be told its links.", exc_info=True)
        job.end(job.ended_at)

    def _end_chords(self, job: Job, chords: Mapping[str, RecordedChord], store: Store | None) -> None:
        spans = self._spans()
        for chord_id in (job.chord_id, *job.also):
            recorded = chords.get(chord_id)
            if spans is None or store is None or recorded is None or recorded.chord.state not in FINISHED:
                continue
            cause = None if recorded.chord.state == "succeeded" else "callback_failed"
            ended_at = max(job.ended_at / 1e9, recorded.chord.finished_at or 0.0)
            try:
                chord_span.write(spans, store, recorded, ended_at=ended_at, keep=self._keep, cause=cause)
            except ChordwatchError:  # a monitor will write it
                logger.debug("The span of a chord could not be claimed.")


def _read(store: Store | None, chord_ids: set[str]) -> dict[str, RecordedChord]:
    try:
        found = store.chords(chord_ids) if store is not None else ()
    except ChordwatchError:
        return {}
    return {recorded.chord.chord_id: recorded for recorded in found}


def _posted(store: Store | None, names: list[str]) -> Mapping[str, bytes]:
    try:
        return store.posted(names) if store is not None else {}
    except ChordwatchError:
        return {}


def _is_complete(job: Job, recorded: RecordedChord) -> bool:
    """Whether all that is to be told has arrived in the store."""
    chord = recorded.chord
    if chord.size is None:  # nobody records where it was dispatched
        return chord.state in FINISHED and all(task.finished_at is not None for task in chord.header)
    if chord.counted < chord.size:
        return False
    return job.goes_on or chord.state in FINISHED


def _is_first(job: Job, recorded: RecordedChord) -> bool:
    """Whether this task of the callback is one that the header has called, and not a later step of it.

    A polling result backend calls it from a task of its own. It is then the one that started first: its start was
    noted here a moment before it was recorded.
    """
    if any(task.task_id == job.parent_id for task in recorded.chord.header):
        return True
    first = recorded.chord.callback.started_at
    return first is not None and -_ROUNDED <= first - job.started_at / 1e9 < _MOMENT
