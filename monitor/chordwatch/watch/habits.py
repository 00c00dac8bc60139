"""How long the runs of each task take, learnt from what was recorded of finished ones. Pure.

Memory of a kept Watch. A task may run long; it is overdue only where nearly all of its kind took far less.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from chordwatch.model import FINISHED, Callback, HeaderTask, TaskState
from chordwatch.store.protocol import RecordedChord

#: So large a part of the runs took at most what is usual.
QUANTILE = 0.99
#: Fewer runs are no habit.
MIN_RUNS = 20
_MAX_NAMES, _MAX_RUNS = 1000, 1000
_MAX_CHORDS, _MAX_TASKS = 20_000, 500_000
#: These ended by themselves: others were stopped, or never ran.
_RAN: frozenset[TaskState] = frozenset({"succeeded", "failed"})


@dataclass(slots=True)
class _Learnt:
    """What was learnt of a chord: up to how many counted parts, whether to its end, and hashes of the tasks' ids."""

    counted: int = 0
    over: bool = False
    tasks: set[int] = field(default_factory=set)


class Habits:
    """The newest runs of each task name. Bounded; names and chords that were not met for longest are forgotten."""

    def __init__(self) -> None:
        self._runs: dict[str, deque[float]] = {}
        self._usual: dict[str, float] = {}
        self._changed: set[str] = set()
        self._learnt: dict[str, _Learnt] = {}
        self._remembered = 0

    def learn(self, chords: Iterable[RecordedChord]) -> None:
        """Learn the runs that have ended since these chords were last met: those of counted parts, and of callbacks."""
        advanced = [recorded for recorded in chords if self._has_advanced(recorded)]
        for recorded in sorted(advanced, key=_last_change):
            for task in self._new_runs(recorded):
                self._add(task)
        while len(self._learnt) > _MAX_CHORDS:
            self._remembered -= len(self._learnt.pop(next(iter(self._learnt))).tasks)

    def usual(self) -> Mapping[str, float]:
        """Return by task name the seconds that nearly all of its runs took at most, of names with runs enough."""
        for name in self._changed:
            runs = sorted(self._runs.get(name, ()))
            if len(runs) >= MIN_RUNS:
                self._usual[name] = runs[math.ceil(QUANTILE * len(runs)) - 1]
        self._changed.clear()
        return dict(self._usual)

    def _has_advanced(self, recorded: RecordedChord) -> bool:
        """Whether there may be runs that were not learnt; the chord counts as met."""
        chord = recorded.chord
        learnt = self._learnt.pop(chord.chord_id, None) or _Learnt()
        self._learnt[chord.chord_id] = learnt
        return not learnt.over and (chord.counted != learnt.counted or chord.state in FINISHED)

    def _new_runs(self, recorded: RecordedChord) -> Iterator[HeaderTask | Callback]:
        chord, learnt = recorded.chord, self._learnt[recorded.chord.chord_id]
        over = chord.state in FINISHED
        if not over and self._remembered >= _MAX_TASKS:
            return  # its end will teach the rest
        tasks: tuple[HeaderTask | Callback, ...] = (*chord.header, chord.callback)
        for task in tasks:
            ended = over or (isinstance(task, HeaderTask) and task.counted)
            if not ended or task.task_id is None or (mark := hash(task.task_id)) in learnt.tasks:
                continue
            learnt.tasks.add(mark)
            self._remembered += 1
            if task.state in _RAN:
                yield task
        learnt.counted, learnt.over = chord.counted, over
        if over:
            self._remembered -= len(learnt.tasks)
            learnt.tasks = set()

    def _add(self, task: HeaderTask | Callback) -> None:
        if not task.name or task.started_at is None or task.finished_at is None:
            return
        seconds = task.finished_at - task.started_at
        if seconds < 0:
            return  # start and end were told by two clocks
        runs = self._runs.pop(task.name, None)
        if runs is None:
            runs = deque(maxlen=_MAX_RUNS)
            if len(self._runs) >= _MAX_NAMES:
                self._forget(next(iter(self._runs)))
        runs.append(seconds)
        self._runs[task.name] = runs
        self._changed.add(task.name)

    def _forget(self, name: str) -> None:
        del self._runs[name]
        self._usual.pop(name, None)
        self._changed.discard(name)


def _last_change(recorded: RecordedChord) -> float:
    chord = recorded.chord
    return chord.finished_at or chord.progressed_at or 0.0
