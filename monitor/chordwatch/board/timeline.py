"""When each task of a chord waited, ran and waited for its next attempt, and where: bars to be drawn. Pure.

Times are Unix seconds by the clocks of the workers; `now` is the end of what has not ended.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from chordwatch.board.lost import Lost, lost_of
from chordwatch.model import FINISHED, Attempt, Callback, Chord, HeaderTask
from chordwatch.text import plain
from chordwatch.watch.words import duration, span

#: What a bar says: of a task that it waited to be started, ran well, ran and failed, ran and was to be tried again,
#: waited for that, runs, ran until its worker was lost; of the header that it was not complete.
Kind = Literal[
    "waited",
    "ran",
    "failed",
    "ran, to be retried",
    "waited for a retry",
    "runs",
    "lost with its worker",
    "header",
]

#: More attempts cannot be read; the slowest are drawn, and so many of those that have not begun.
MAX_ATTEMPTS, MAX_AHEAD = 200, 20
_NAME, _WORKER = 30, 50
NOBODY = "no worker yet"
#: What the name of a lane begins with that is a worker's, and has no bars.
TITLE = "▸ "
#: After the last event so much of the time before it is drawn, and all where no more than three times that has passed.
_ROOM, _QUIET = 0.3, 3.0
_GOES_ON = "what still goes on is not drawn to its end."
_ENDED_BADLY = frozenset({"failed", "revoked", "rejected"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar on a lane; `task`, `worker`, `attempt` (from 1) and `state` say what it is. `last`: the straggler's.

    `seconds` is how long it took, or takes so far: more than is drawn where nothing has happened for long.
    """

    lane: str
    kind: Kind
    begin: float
    end: float
    seconds: float
    task: str
    worker: str = ""
    attempt: int | None = None
    state: str = ""
    last: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The bars and their lanes from top to bottom; those that begin with `TITLE` are workers.

    `complete_at`: when all parts were counted, None before. `straggler`, `quiet` and `cut` are sentences, ""
    where there is nothing to say: which task the header waited for at the end, that what goes on is not drawn to its
    end, and how many attempts are left out.
    """

    lanes: tuple[str, ...] = ()
    bars: tuple[Bar, ...] = ()
    complete_at: float | None = None
    straggler: str = ""
    quiet: str = ""
    cut: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """One attempt of a task with the end of the attempt before it, and when its worker was lost with it."""

    task: HeaderTask
    attempt: Attempt
    before: float | None
    number: int
    lost_at: float | None = None


def runs_of(task: HeaderTask | Callback) -> tuple[Attempt, ...]:
    """Return the attempts of a task of which more is known than when it finished: any stored result has that."""
    attempts = task.attempts if isinstance(task, HeaderTask) else ()
    if attempts or (task.published_at is None and task.started_at is None):
        return attempts
    only = Attempt(
        attempt=task.attempt or 0,
        state=task.state,
        worker=task.worker,
        published_at=task.published_at,
        started_at=task.started_at,
        finished_at=task.finished_at,
    )
    return (only,)


def straggler_of(chord: Chord) -> tuple[HeaderTask, float] | None:
    """Return the part that was last to finish, with its seconds behind the median; None before the header is complete.

    The same measure as the metric `celery_chord_straggler_seconds`.
    """
    ended = [task for task in chord.header if task.counted and task.finished_at is not None]
    if len(ended) < 2 or chord.missing:  # noqa: PLR2004  # one alone is behind nobody
        return None
    last = max(ended, key=_finished_at)
    return last, _finished_at(last) - statistics.median(map(_finished_at, ended))


def timeline_of(chord: Chord, now: float) -> Timeline:
    """Return the timeline of all attempts, those of one worker together; without bars where no time is known."""
    found = straggler_of(chord)
    last_id = found[0].task_id if found else None
    over = (chord.finished_at or now) if chord.state in FINISHED else now
    lost = lost_of(chord)
    runs = [run for task in chord.header for run in _runs(task, lost) if _begin(run) is not None]
    shown = runs if len(runs) <= MAX_ATTEMPTS else _slowest(runs, last_id, over)
    lanes = _Lanes()
    bars = [*_header_bars(chord, lanes, over), *_callback_bars(chord, lanes, lost, over)]
    for worker, of_worker in _by_worker(shown):
        lanes.add(f"{TITLE}{worker}")
        for run in of_worker:
            bars += _bars(
                run,
                lanes.add(_lane(run)),
                last=last_id is not None and run.task.task_id == last_id,
                over=over,
            )
    if not bars:
        return Timeline()
    last_event, drawn = _drawn_until(tuple(_events(chord, runs, lost)), over)
    quiet = f"Nothing has happened for {duration(over - last_event)}: {_GOES_ON}" if drawn < over else ""
    return Timeline(
        lanes=tuple(lanes.all),
        bars=tuple(replace(bar, end=max(bar.begin, min(bar.end, drawn))) for bar in bars),
        complete_at=_complete_at(chord),
        straggler=_straggler_words(found, chord),
        quiet=quiet,
        cut=_cut_words(runs, shown),
    )


class _Lanes:
    """Names of lanes in their order; equal ones are told apart, since parts may have the same index."""

    def __init__(self) -> None:
        self.all: dict[str, None] = {}
        self._given: Counter[str] = Counter()

    def add(self, wanted: str) -> str:
        """Return a name that no other lane has."""
        name = wanted
        while name in self.all:
            self._given[wanted] += 1
            name = f"{wanted} ({self._given[wanted] + 1})"
        self.all[name] = None
        return name


def _runs(task: HeaderTask, lost: Mapping[str, Lost]) -> Iterator[_Run]:
    before, attempts = None, runs_of(task)
    for number, attempt in enumerate(attempts):
        shown = number if len(attempts) > 1 else 0
        lost_at = _lost_at(task, attempt, lost) if attempt is attempts[-1] else None
        yield _Run(task=task, attempt=attempt, before=before, number=shown, lost_at=lost_at)
        before = attempt.finished_at


def _lost_at(task: HeaderTask, attempt: Attempt, lost: Mapping[str, Lost]) -> float | None:
    found = lost.get(task.task_id or "")
    return found.until if found and attempt.finished_at is None else None


def _begin(run: _Run) -> float | None:
    attempt = run.attempt
    times = (run.before, attempt.published_at, attempt.received_at, attempt.started_at, attempt.finished_at)
    return next((at for at in times if at is not None), None)


def _end(run: _Run) -> float | None:
    return run.lost_at if run.attempt.finished_at is None else run.attempt.finished_at


def _slowest(runs: Sequence[_Run], last_id: str | None, over: float) -> list[_Run]:
    """Return the straggler, a few attempts that have not begun, and of the others those that took longest."""

    def rank(run: _Run) -> tuple[bool, float]:
        end, begin = _end(run), _begin(run) or over
        return last_id is not None and run.task.task_id == last_id, (over if end is None else end) - begin

    ahead = [run for run in runs if not _has_begun(run)][:MAX_AHEAD]
    begun = sorted(filter(_has_begun, runs), key=rank, reverse=True)
    return begun[: MAX_ATTEMPTS - len(ahead)] + ahead


def _has_begun(run: _Run) -> bool:
    return run.attempt.started_at is not None or run.attempt.finished_at is not None


def _by_worker(runs: Iterable[_Run]) -> list[tuple[str, list[_Run]]]:
    """Return the attempts of each worker in the order in which they began; those at no worker last."""
    groups: dict[str, list[_Run]] = {}
    for run in sorted(
        runs, key=lambda run: (run.attempt.started_at or _begin(run) or 0.0, run.task.index or 0)
    ):
        groups.setdefault(plain(run.attempt.worker, _WORKER) if run.attempt.worker else NOBODY, []).append(
            run
        )
    return sorted(groups.items(), key=lambda group: (group[0] == NOBODY, group[0]))


def _bars(run: _Run, lane: str, *, last: bool, over: float) -> Iterator[Bar]:
    """Yield how long an attempt waited and ran; what has not ended does so when the chord is `over`."""
    attempt, began, ended = run.attempt, _begin(run), _end(run)

    def bar(kind: Kind, begin: float, end: float | None) -> Bar:
        return Bar(
            lane=lane,
            kind=kind,
            begin=begin,
            end=max(begin, over if end is None else end),
            seconds=max(0.0, (over if end is None else end) - begin),
            task=plain(run.task.name or run.task.task_id or "?", _WORKER),
            worker=plain(attempt.worker or "", _WORKER),
            attempt=attempt.attempt + 1,
            state=attempt.state,
            last=last and kind in ("ran", "failed"),
        )

    if began is not None and began != attempt.started_at:
        kind: Kind = "waited" if run.before is None else "waited for a retry"
        yield bar(kind, began, ended if attempt.started_at is None else attempt.started_at)
    if attempt.started_at is not None:
        yield bar(_kind(run), attempt.started_at, ended)


def _kind(run: _Run) -> Kind:
    attempt = run.attempt
    if attempt.finished_at is None:
        return "runs" if run.lost_at is None else "lost with its worker"
    if attempt.state in _ENDED_BADLY:
        return "failed"
    return "ran, to be retried" if attempt.state == "retrying" else "ran"


def _lane(run: _Run) -> str:
    task = run.task
    title = plain(task.task_id or "?", 9) if task.index is None else str(task.index)
    name = f" · {plain(task.name, _NAME)}" if task.name else ""
    return f"{title}{name}" + (f" · run {run.number + 1}" if run.number else "")


def _header_bars(chord: Chord, lanes: _Lanes, over: float) -> Iterator[Bar]:
    if chord.opened_at is None:
        return
    end = max(chord.opened_at, _complete_at(chord) or over)
    yield Bar(
        lane=lanes.add("header"),
        kind="header",
        begin=chord.opened_at,
        end=end,
        seconds=end - chord.opened_at,
        task="from the first part sent until all are counted",
        state=chord.state,
    )


def _callback_bars(chord: Chord, lanes: _Lanes, lost: Mapping[str, Lost], over: float) -> Iterator[Bar]:
    """Yield the wait and the run of the callback; it waits from the moment when all parts are counted."""
    callback, complete = chord.callback, _complete_at(chord)
    if complete is None:
        return
    task = HeaderTask(index=None, task_id=callback.task_id, name=callback.name)
    attempt = Attempt(
        attempt=callback.attempt or 0,
        state=callback.state,
        worker=callback.worker,
        published_at=complete,
        started_at=callback.started_at,
        finished_at=callback.finished_at,
    )
    run = _Run(task=task, attempt=attempt, before=None, number=0, lost_at=_lost_at(task, attempt, lost))
    yield from _bars(run, lanes.add("callback"), last=False, over=over)


def _complete_at(chord: Chord) -> float | None:
    """Return when the barrier ended: what is counted last may be noted after the callback has begun."""
    complete = not chord.missing and (chord.size is None or chord.counted >= chord.size)
    last = max((task.finished_at for task in chord.header if task.finished_at is not None), default=None)
    callback = chord.callback
    times = (last if complete and chord.header else None, callback.published_at, callback.started_at)
    return min((at for at in times if at is not None), default=None) if chord.state != "planned" else None


def _cut_words(runs: Sequence[_Run], shown: Sequence[_Run]) -> str:
    if len(runs) == len(shown):
        return ""
    begun, all_begun = (sum(map(_has_begun, some)) for some in (shown, runs))
    ahead, all_ahead = len(shown) - begun, len(runs) - all_begun
    waiting = f", and {ahead:,} of {all_ahead:,} that have not begun" if all_ahead else ""
    return f"The {begun:,} slowest of {all_begun:,} attempts{waiting}."


def _drawn_until(events: Sequence[float], over: float) -> tuple[float, float]:
    """Return the last event and until when bars are drawn.

    A chord that has hung for days would leave no room for what happened before.
    """
    last = max(events)
    room = max(_ROOM * (last - min(events)), 1.0)
    return last, min(over, last + room) if over - last > _QUIET * room else over


def _events(chord: Chord, runs: Sequence[_Run], lost: Mapping[str, Lost]) -> Iterator[float]:
    callback = chord.callback
    yield from (each.until for each in lost.values() if each.until is not None)
    yield from (at for at in (chord.opened_at, callback.published_at, callback.started_at) if at is not None)
    for run in runs:
        attempt = run.attempt
        times = (attempt.published_at, attempt.received_at, attempt.started_at, attempt.finished_at)
        yield from (at for at in times if at is not None)


def _straggler_words(found: tuple[HeaderTask, float] | None, chord: Chord) -> str:
    if found is None or found[1] <= 0:
        return ""
    task, behind = found
    index = "" if task.index is None else f"index {task.index}, "
    where = f" on {plain(task.worker, _WORKER)}" if task.worker else ""
    name = plain(task.name or task.task_id or "?")
    lag = f"{span(behind)} after the median of {len(chord.header):,} parts"
    return f"Straggler: {index}{name}{where} ended last, {lag}."


def _finished_at(task: HeaderTask) -> float:
    return task.finished_at or 0.0
