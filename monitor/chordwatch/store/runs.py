"""Sightings of a task become runs, whatever the order in which they came. Pure; shared by both stores."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from chordwatch.model import Attempt, TaskState
from chordwatch.recording.records import End
from chordwatch.store.facts import Ended, Published, TaskFacts, Tries, Worked

#: Milliseconds by which the clocks of two hosts may differ before a later step seems to precede an earlier one.
CLOCK_SLACK = 500

END_STATES: dict[int, TaskState] = {
    End.SUCCEEDED: "succeeded",
    End.FAILED: "failed",
    End.RETRYING: "retrying",
    End.REVOKED: "revoked",
    End.REJECTED: "rejected",
    End.IGNORED: "ignored",
}
_PUBLISHED, _RECEIVED, _STARTED, _ENDED = 1, 2, 3, 4


@dataclass(slots=True)
class Run:
    """One start of one attempt, or what led up to one."""

    published: Published | None = None
    received: Worked | None = None
    started: Worked | None = None
    ended: Ended | None = None

    @property
    def begins(self) -> int:
        """The earliest known time of its being worked on."""
        times = [sighting.at for sighting in (self.received, self.started, self.ended) if sighting]
        return min(times, default=0)

    @property
    def rank(self) -> int:
        """How far it came."""
        if self.ended:
            return _ENDED
        return _STARTED if self.started else _RECEIVED if self.received else _PUBLISHED

    @property
    def state(self) -> TaskState:
        """Its state as a surface shows it."""
        if self.ended:
            return END_STATES.get(self.ended.end, "unknown")
        return "started" if self.started else "received" if self.received else "published"

    @property
    def worker(self) -> str | None:
        """The worker that had it last."""
        return next((x.worker for x in (self.started, self.ended, self.received) if x and x.worker), None)


def runs_of(tries: Tries) -> list[Run]:
    """Return the runs of one attempt, sorted by time."""
    if max(len(tries.published), len(tries.received), len(tries.started), len(tries.ended)) <= 1:
        run = Run(
            next(iter(tries.published), None),
            next(iter(tries.received), None),
            next(iter(tries.started), None),
            next(iter(tries.ended), None),
        )
        return [run] if run.published or run.begins else []
    runs = [Run(started=started) for started in sorted(tries.started, key=_at)]
    _name_ends(runs, tries)
    _receive(runs, tries)
    _place_ends(runs, tries)
    _publish(runs, tries)
    return sorted(runs, key=lambda run: run.begins or (run.published.at if run.published else 0))


def _at(sighting: Published | Worked | Ended) -> int:
    return sighting.at


def _name_ends(runs: list[Run], tries: Tries) -> None:
    """Give each run the end that names it."""
    by_start = {(ended.started, ended.worker): ended for ended in tries.ended if ended.started is not None}
    for run in runs:
        run.ended = by_start.get((run.started.at, run.started.worker)) if run.started else None


def _receive(runs: list[Run], tries: Tries) -> None:
    """Give each run the last receipt before it; what is left was received and never started."""
    left = sorted(tries.received, key=_at)
    for run in list(runs):
        before = [x for x in left if run.started and x.at <= run.started.at + CLOCK_SLACK]
        if before:
            run.received = before[-1]
            left.remove(before[-1])
    runs.extend(Run(received=received) for received in left)


def _place_ends(runs: list[Run], tries: Tries) -> None:
    """Place the ends whose start the reporter did not know, unless told before: at the last run that goes on there."""
    named = {(ended.end, ended.worker) for ended in tries.ended if ended.started is not None}
    counted = any(ended.counted for ended in tries.ended if ended.started is not None)
    for ended in sorted((x for x in tries.ended if x.started is None), key=_at):
        going_on = [run for run in runs if not run.ended]
        if (ended.end, ended.worker) in named:
            continue
        if going_on:
            max(going_on, key=partial(_fitness, ended=ended)).ended = ended
        elif not counted:
            runs.append(Run(ended=ended))


def _fitness(run: Run, ended: Ended) -> tuple[bool, bool, int]:
    """Return how well an end that names no start fits a run."""
    return run.worker == ended.worker, run.started is not None, run.begins


def _publish(runs: list[Run], tries: Tries) -> None:
    """Give each run the first message that can have brought it; what is left has brought none yet."""
    left = sorted(tries.published, key=_at)
    for run in sorted(runs, key=lambda run: run.begins):
        before = [x for x in left if x.at <= run.begins + CLOCK_SLACK]
        if before:
            run.published = before[0]
            left.remove(before[0])
    runs.extend(Run(published=published) for published in left)


@dataclass(slots=True)
class Summary:
    """A task as its furthest run shows it, with all its runs as attempts."""

    state: TaskState = "unknown"
    name: str | None = None
    queue: str | None = None
    attempt: int | None = None
    run: Run | None = None
    attempts: tuple[Attempt, ...] = ()


def summary_of(task: TaskFacts) -> Summary:
    """Return the task as its furthest run shows it."""
    if not task.tries:
        return Summary(name=task.name)
    runs = [(tries, run) for tries in task.tries for run in runs_of(tries)]
    furthest = max(task.tries, key=lambda tries: (tries.nesting, tries.retries))
    name = furthest.name or task.name
    if not runs:
        return Summary(name=name, queue=furthest.queue)
    tries, run = max(runs, key=_furthest)
    retried = run.rank <= _RECEIVED and tries.retries > 0
    return Summary(
        state="retrying" if retried else run.state,
        name=tries.name or name,
        queue=(run.published.queue if run.published else None) or tries.queue,
        attempt=tries.retries,
        run=run,
        attempts=tuple(_attempt(tries, run) for tries, run in _in_order(runs)),
    )


def _furthest(pair: tuple[Tries, Run]) -> tuple[int, int, int, bool, int]:
    tries, run = pair
    succeeded = run.ended is not None and run.ended.end == End.SUCCEEDED
    earliest = -run.ended.at if run.ended else run.begins
    return tries.nesting, tries.retries, run.rank, succeeded, earliest


def _in_order(runs: list[tuple[Tries, Run]]) -> list[tuple[Tries, Run]]:
    if len(runs) == 1:
        return runs
    return sorted(runs, key=lambda pair: (pair[0].nesting, pair[0].retries))


def _attempt(tries: Tries, run: Run) -> Attempt:
    published, received, started, ended = run.published, run.received, run.started, run.ended
    return Attempt(
        attempt=tries.retries,
        state=run.state,
        worker=run.worker,
        published_at=seconds(published.at) if published else None,
        received_at=seconds(received.at) if received else None,
        started_at=seconds(started.at) if started else None,
        finished_at=seconds(ended.at) if ended else None,
        error=ended.error if ended else None,
    )


def seconds(milliseconds: int) -> float:
    """Return Unix seconds."""
    return milliseconds / 1000
