"""What recorded chords tell of durations and ETAs. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise
from statistics import median

from chordwatch.doctor.facts import Observed, Runs, Span
from chordwatch.model import Callback, HeaderTask
from chordwatch.store.protocol import RecordedChord


def observed(chords: Iterable[RecordedChord]) -> Observed:
    """Return what these chords tell together."""
    runs: dict[str, list[float]] = defaultdict(list)
    gaps: list[tuple[float, str]] = []
    spans: list[tuple[float, str]] = []
    etas: list[tuple[float, str]] = []
    header: set[str] = set()
    count = 0
    for count, recorded in enumerate(chords, start=1):  # noqa: B007  # returned
        for name, seconds in _runs(recorded):
            runs[name].append(seconds)
        header |= {task.name for task in recorded.chord.header if task.name}
        ends = _parts(recorded)
        gaps.extend((later - sooner, recorded.chord.chord_id) for sooner, later in pairwise(ends))
        if len(ends) > 1:
            spans.append((ends[-1] - ends[0], recorded.chord.callback.name or "an unnamed callback"))
        etas.extend(_etas(recorded))
    return Observed(
        chords=count,
        runs={n: Runs(count=len(r), median=median(r), longest=max(r)) for n, r in runs.items()},
        gap=_longest(gaps),
        chord=_longest(spans),
        eta=_longest(etas),
        header=frozenset(header),
    )


def _runs(recorded: RecordedChord) -> Iterator[tuple[str, float]]:
    """Yield name and duration of the runs that ended."""
    tasks: tuple[HeaderTask | Callback, ...] = (*recorded.chord.header, recorded.chord.callback)
    for task in tasks:
        if task.name and task.started_at is not None and task.finished_at is not None:
            yield task.name, max(task.finished_at - task.started_at, 0.0)


def _parts(recorded: RecordedChord) -> list[float]:
    """Return when the chord's keys were written: when its last message was published, then each counted part."""
    tasks = recorded.chord.header
    published = [task.published_at for task in tasks if task.published_at is not None]
    ends = sorted(task.finished_at for task in tasks if task.counted and task.finished_at is not None)
    if not published or recorded.detail_dropped or recorded.dynamic:
        return ends
    # A retry is published later than the chord was; then the first message is the better guess.
    begun = max(published) if not any(task.attempt for task in tasks) else min(published)
    return [begun, *(end for end in ends if end > begun)]


def _etas(recorded: RecordedChord) -> Iterator[tuple[float, str]]:
    """Yield how far ahead of its message an ETA was, and the task's name."""
    if not recorded.etas:
        return
    for task in recorded.chord.header:
        eta = recorded.etas.get(task.task_id or "")
        sent = [run.published_at for run in task.attempts if run.published_at is not None]
        if task.published_at is not None:
            sent.append(task.published_at)
        if eta is not None and sent:
            yield eta - max(sent), task.name or "a task"


def _longest(found: list[tuple[float, str]]) -> Span | None:
    if not found:
        return None
    seconds, of = max(found)
    return Span(of=of, seconds=seconds)
