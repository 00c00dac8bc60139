"""Everything that the page of one chord draws. Pure.

Texts are one short line each but for ids, which are whole, and as hostile as they were: whoever draws them shows them
literally.
Times are Unix seconds, spans seconds, None where nobody knows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote, urlencode

from chordwatch.board.graph import callback_state, graph_of
from chordwatch.board.lost import Lost, lost_of
from chordwatch.board.timeline import Timeline, runs_of, timeline_of
from chordwatch.model import FINISHED, Attempt, Callback, Chord, HeaderTask, TaskState
from chordwatch.settings import Settings
from chordwatch.text import plain
from chordwatch.watch.look import Sighting
from chordwatch.watch.related import Related, Relation
from chordwatch.watch.words import (
    UNKNOWN,
    cause_of,
    duration,
    place_words,
    progress_of,
    waits_for,
)

_NAME, _ERROR, _WHERE, _SHORT_ID = 120, 300, 120, 13
#: So many different errors are told apart.
MAX_ERRORS = 50
#: The uid of the dashboard of one callback, in dashboards/grafana.
_GRAFANA_CALLBACK = "chordwatch-callback"

RELATIONS: dict[Relation, str] = {
    "around": "this chord ends one of its parts",
    "inside": "ends one of this chord's parts",
    "before": "before this one in its chain",
    "after": "after this one in its chain",
    "sender": "one of its tasks sent this chord",
    "sent": "sent by one of this chord's tasks",
    "same chain": "in the same chain",
    "same root": "sent by the same root task",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRow:
    """One part of the header. `state` is of its last attempt, `where` the place of one that is not counted.

    `waited` and `ran` are of its last attempt, to now where that goes on, and to the end of its worker where it was
    `lost` with that, which says so in words, "" of others. `runs`: how many attempts are known.
    """

    index: int | None
    name: str
    state: TaskState
    counted: bool
    where: str
    worker: str
    queue: str
    waited: float | None
    ran: float | None
    runs: int
    error: str
    task_id: str
    lost: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRow:
    """An error and how many tasks ended in it, or were tried again for it; `task` is one of them."""

    count: int
    error: str
    task: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RelatedRow:
    """Another chord, what it is to this one, and how it is."""

    relation: str
    callback: str
    health: str
    progress: str
    why: str
    chord_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Where else this chord is shown; "" where the settings name no address. `task` ends where a task's id begins.

    `callback` is "" as long as the callback was not sent: Flower knows no such task.
    """

    task: str = ""
    callback: str = ""
    charts: str = ""
    trace: str = ""

    def of_task(self, task_id: str) -> str:
        """Return the address of a task's page in Flower, "" without one."""
        return (
            f"{self.task}{quote(task_id.encode('utf-8', 'replace'), safe='')}"
            if self.task and task_id
            else ""
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChordPage:
    """One chord as it was at `now`; `notes` are sentences about what was not seen.

    `callback` is its name, `callback_state` how that is, in words. `age`: since it was opened, until it finished;
    `idle`: since its last progress. `waits_for`: in words, where the missing tasks are; "" of a finished one.
    `expanded`: the graph with the chords inside this one drawn in full, "" where there are none. `report` is Markdown
    for a ticket.
    """

    chord: Chord
    now: float
    notes: tuple[str, ...]
    callback: str
    callback_state: str
    progress: str
    waits_for: str
    age: float | None
    idle: float | None
    graph: str
    expanded: str
    timeline: Timeline
    tasks: tuple[TaskRow, ...]
    errors: tuple[ErrorRow, ...]
    related: tuple[RelatedRow, ...]
    links: Links
    report: str

    @property
    def finished(self) -> bool:
        """Whether nothing will change any more."""
        return self.chord.state in FINISHED


def chord_page_of(
    sighting: Sighting,
    *,
    now: float,
    notes: tuple[str, ...] = (),
    related: Sequence[Related] = (),
    report: str = "",
    settings: Settings | None = None,
) -> ChordPage:
    """Return the page of a chord; `related` are the chords around it, `settings` name where others show it."""
    chord = sighting.chord
    finished = chord.state in FINISHED
    has_inside = any(each.relation == "inside" for each in related)
    return ChordPage(
        chord=chord,
        now=now,
        notes=notes,
        callback=plain(chord.callback.name or chord.callback.task_id or UNKNOWN, _NAME),
        callback_state=callback_state(chord),
        progress=progress_of(chord),
        waits_for="" if finished else waits_for(sighting, now=now),
        age=_span(chord.opened_at, chord.finished_at if finished else now),
        idle=None if finished else _span(chord.progressed_at or chord.opened_at, now),
        graph=graph_of(sighting, related),
        expanded=graph_of(sighting, related, expanded=True) if has_inside else "",
        timeline=timeline_of(chord, now) if chord.instrumented else Timeline(),
        tasks=tuple(_task_rows(sighting, related, now)),
        errors=_errors(chord),
        related=tuple(map(_related_row, related)),
        links=_links(sighting, settings) if settings else Links(),
        report=report,
    )


def _task_rows(sighting: Sighting, related: Sequence[Related], now: float) -> Iterator[TaskRow]:
    """Yield the parts, those worth reading first: not counted, then failed or tried again."""
    chord = sighting.chord
    end = (chord.finished_at or now) if chord.state in FINISHED else now
    lost = lost_of(chord)
    inside = {each.chord.callback.task_id: each.chord for each in related if each.relation == "inside"}
    for task in sorted(chord.header, key=_interest):
        row = _task_row(task, sighting, end, lost.get(task.task_id or ""))
        inner = None if task.counted else inside.get(task.task_id)
        yield replace(row, where=_inner_words(inner)) if inner else row
    for gap in chord.missing:
        if gap.task_id is None:
            yield _task_row(HeaderTask(index=gap.index, name=gap.name), sighting, end)


def _interest(task: HeaderTask) -> tuple[bool, bool, bool, int]:
    uneventful = task.state == "succeeded" and len(task.attempts) < 2  # noqa: PLR2004  # one run
    return task.counted, uneventful, task.index is None, task.index or 0


def _task_row(task: HeaderTask, sighting: Sighting, end: float, lost: Lost | None = None) -> TaskRow:
    runs = runs_of(task)
    last = runs[-1] if runs else None
    place = None if task.counted else sighting.places.get(task.task_id or "")
    if last is None or last.finished_at is not None:
        lost = None
    return TaskRow(
        index=task.index,
        name=plain(task.name or "", _NAME),
        state=task.state,
        counted=task.counted,
        where=plain(place_words(place, lambda at: f"{duration(at - end)} from now"), _WHERE),
        worker=plain(task.worker or (last.worker if last else None) or "", _NAME),
        queue=plain(task.queue or "", _NAME),
        waited=_waited(last, end, lost) if last else None,
        ran=_ran(last, end, lost) if last else None,
        runs=len(runs),
        error=plain(task.error or _last_error(task), _ERROR),
        task_id=task.task_id or "",
        lost=lost.words if lost else "",
    )


def _waited(run: Attempt, end: float, lost: Lost | None) -> float | None:
    return _span(run.published_at, run.started_at or run.finished_at or (lost and lost.until) or end)


def _ran(run: Attempt, end: float, lost: Lost | None) -> float | None:
    if lost is None:
        return _span(run.started_at, run.finished_at or end)
    # A worker that beat last before it began the task tells nothing about how long that ran.
    begun_before = run.started_at is not None and lost.until is not None and run.started_at < lost.until
    return _span(run.started_at, lost.until) if begun_before else None


def _inner_words(inner: Chord) -> str:
    return f"ends the chord {plain(inner.chord_id, _SHORT_ID)} ({inner.health}, {progress_of(inner)})"


def _last_error(task: HeaderTask) -> str:
    return next((run.error for run in reversed(task.attempts) if run.error), "")


def _errors(chord: Chord) -> tuple[ErrorRow, ...]:
    """Return the different errors, the most frequent first."""
    counts: Counter[str] = Counter()
    examples: dict[str, str] = {}
    ended = [(task.error or _last_error(task), task.name or task.task_id) for task in chord.header]
    for error, name in (*ended, (chord.callback.error, chord.callback.name or "callback")):
        if error:
            shown = plain(error, _ERROR)
            counts[shown] += 1
            examples.setdefault(shown, plain(name or UNKNOWN, _NAME))
    return tuple(
        ErrorRow(count=count, error=error, task=examples[error])
        for error, count in counts.most_common(MAX_ERRORS)
    )


def _related_row(related: Related) -> RelatedRow:
    chord = related.chord
    return RelatedRow(
        relation=RELATIONS[related.relation],
        callback=plain(chord.callback.name or UNKNOWN, _NAME),
        health="planned" if chord.state == "planned" else chord.health,
        progress=progress_of(chord),
        why=cause_of(chord),
        chord_id=chord.chord_id,
    )


def _links(sighting: Sighting, settings: Settings) -> Links:
    callback = sighting.chord.callback
    name = (callback.name or "").encode("utf-8", "replace").decode()
    charts = f"{settings.grafana_url.rstrip('/')}/d/{_GRAFANA_CALLBACK}?{urlencode({'var-callback': name})}"
    links = Links(
        task=f"{settings.flower_url.rstrip('/')}/task/" if settings.flower_url else "",
        charts=charts if settings.grafana_url and name else "",
        trace=settings.trace_url.replace("{trace_id}", f"{sighting.trace_id:032x}")
        if sighting.trace_id
        else "",
    )
    return replace(links, callback=links.of_task(callback.task_id or "")) if _was_sent(callback) else links


def _was_sent(callback: Callback) -> bool:
    """Whether there was a message: where a part failed, Celery writes a ChordError as the result of a callback."""
    if callback.published_at is not None or callback.started_at is not None:
        return True
    return callback.state != "unknown" and not (callback.error or "").startswith("ChordError")


def _span(begin: float | None, end: float | None) -> float | None:
    # Clocks differ between machines; nothing takes less than no time.
    return None if begin is None or end is None else max(0.0, end - begin)
