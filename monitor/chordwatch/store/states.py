"""The state of a chord, worked out from everything seen of it; `lua/chords.lua` does the same. Pure."""

from __future__ import annotations

from chordwatch.recording.records import End, Role
from chordwatch.store.facts import ChordFacts, Ended, State, TaskFacts


def total_size(facts: ChordFacts) -> int | None:
    """Return how many parts Celery waits for, None where it is not known."""
    return None if facts.size is None else facts.size + facts.added


def is_complete(facts: ChordFacts) -> bool:
    """Whether Celery has counted every part."""
    size = total_size(facts)
    return size is not None and facts.counted >= size


def outcome(task: TaskFacts) -> tuple[Ended | None, bool]:
    """Return how the last attempt of a task ended, None while it goes on, and whether nothing follows."""
    if not task.tries:
        return None, False
    last = max(task.tries, key=lambda tries: (tries.nesting, tries.retries))
    ends = sorted(last.ended, key=lambda ended: ended.at)
    succeeded = [ended for ended in ends if ended.end == End.SUCCEEDED]
    return next(iter(succeeded or ends), None), any(ended.last for ended in succeeded)


def work_out(facts: ChordFacts, *, active: bool) -> tuple[State, int | None]:
    """Return the chord's state and when it finished; `active`: more is known than that it is ahead in a chain."""
    outcomes = [outcome(task) for task in facts.others.values() if task.role == Role.CALLBACK]
    ended = [(end, last) for end, last in outcomes if end]
    failed = [end.at for end, _ in ended if end.end in (End.FAILED, End.REVOKED)]
    if failed:
        return State.FAILED, min(failed)
    won = [end.at for end, last in ended if end.end == End.SUCCEEDED and last]
    if len(won) >= max(facts.callback.ends, 1):
        return State.SUCCEEDED, max(won)
    if is_complete(facts) and facts.failed:
        return State.FAILED, facts.last_counted
    return (State.OPEN if active else State.PLANNED), None
