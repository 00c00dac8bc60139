"""Where a recorded chord differs from its fate, each difference as a sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any

from chordwatch.model import Attempt, Chord, HeaderTask
from tests.support.workflows.oracle import ACCUMULATE, Event, Fate, Task

#: Seconds between the signal and the first line of the task, on a busy machine.
CLOCK = 0.5


def differences(fate: Fate, chord: Chord | None, unended: Collection[str] = ()) -> list[str]:
    """Return what is wrong about the picture of a chord; nothing when it is right.

    How the runs of the tasks `unended` ended is not compared: they were killed.
    """
    if chord is None:
        return [f"{fate.chord_id}: missed"]
    return [f"{fate.chord_id}: {sentence}" for sentence in _differences(fate, chord, unended)]


def _differences(fate: Fate, chord: Chord, unended: Collection[str]) -> Iterator[str]:
    if not fate.twin:
        yield from _differs("state", fate.state, chord.state)
    yield from _differs("size", fate.size, chord.size)
    yield from _differs("counted", fate.counted, chord.counted)
    # Celery counts a group at the end of a failed chain as one part, whatever its size.
    unpublished = sum(task.state == "unknown" for task in chord.header)
    missing = (fate.size or 0) - fate.counted
    if not missing <= len(chord.missing) <= missing + unpublished:
        yield f"{len(chord.missing)} parts are missing, not {missing}"
    if chord.callback.name not in fate.first_names:
        yield f"callback is {chord.callback.name}, not one of {sorted(fate.first_names)}"
    if fate.callback_id and not fate.twin:
        yield from _differs("callback id", fate.callback_id, chord.callback.task_id)
        yield from _callback(fate.steps[fate.callback_id], chord)
    seen = {task.task_id: task for task in chord.header}
    yield from _differs("doubled header tasks", len(chord.header), len(seen))
    for task_id, part in fate.header.items():
        if task_id in seen:
            yield from (
                f"header task {task_id}: {said}"
                for said in _part(part, seen[task_id], ended=task_id not in unended)
            )
        else:
            yield f"header task {task_id} ({part.name}) is missed"
    for task_id in seen.keys() - fate.header.keys():
        if seen[task_id].state != "unknown" or seen[task_id].counted:
            yield f"header task {task_id} was never published, but is {seen[task_id].state}"


def _callback(step: Task, chord: Chord) -> Iterator[str]:
    if step.messages:
        yield from _differs("callback's state", step.state, chord.callback.state)
    if step.runs and step.name != ACCUMULATE:
        yield from _differs("callback's attempt", step.runs[-1]["retries"], chord.callback.attempt)
        nodes = {run["node"] for run in step.runs}
        if chord.callback.worker not in nodes:
            yield f"callback's worker is {chord.callback.worker}, none of {sorted(nodes)}"


def _part(part: Task, seen: HeaderTask, *, ended: bool) -> Iterator[str]:
    yield from _differs("counted", part.counted, seen.counted)
    yield from _differs("state", part.state, seen.state)
    if part.messages:
        yield from _differs("name", part.name, seen.name)
    if part.name == ACCUMULATE:
        return
    started = [attempt for attempt in seen.attempts if attempt.started_at is not None]
    runs = Counter(run["retries"] for run in part.runs)
    blurred = part.blurred.total()
    yield from _lacks("starts by attempt", runs, Counter(attempt.attempt for attempt in started), blurred)
    if ended:
        ends = Counter((attempt.attempt, attempt.state) for attempt in started)
        yield from _lacks("ends", part.ends, ends, blurred)
    if len(started) == len(part.runs):
        yield from _times(part.runs, started)


def _times(runs: tuple[Event, ...], started: list[Attempt]) -> Iterator[str]:
    attempts = sorted(started, key=lambda attempt: attempt.started_at or 0.0)
    for run, attempt in zip(sorted(runs, key=lambda run: run["at"]), attempts, strict=False):
        if abs(run["at"] - (attempt.started_at or 0.0)) > CLOCK:
            yield f"a run began at {run['at']}, not at {attempt.started_at}"
        if len(runs) == 1:
            yield from _differs("worker", run["node"], attempt.worker)


def _lacks(what: str, expected: Counter[Any], seen: Counter[Any], most: int) -> Iterator[str]:
    """Say so where something is new, or more than `most` are missing."""
    if seen - expected or (expected - seen).total() > most:
        yield f"{what} is {seen}, not {expected}"


def _differs(what: str, expected: object, seen: object) -> Iterator[str]:
    if expected != seen:
        yield f"{what} is {seen}, not {expected}"
