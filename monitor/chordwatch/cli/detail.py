"""One chord in full, for the terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from chordwatch.board.graph import callback_state
from chordwatch.cli.tables import STYLES
from chordwatch.cli.timeline import timeline
from chordwatch.evidence.facts import Place
from chordwatch.model import Chord, HeaderTask, Verdict
from chordwatch.text import plain
from chordwatch.watch import Sighting
from chordwatch.watch.words import duration, moment, place_words, progress_of, span

#: So many header tasks are shown one by one: those that are not counted first, then what failed or ran again.
_ROWS = 40
_INDEXES = 20
_LABEL_WIDTH = len("Evidence")
#: The programs that remedies and questions say to run.
_COMMAND = re.compile(r"\b(celery|py-spy) ")


def chord_detail(sighting: Sighting, now: float) -> RenderableType:
    """Return facts, verdicts and header of a chord."""
    chord = sighting.chord
    return Group(
        _facts(sighting, now),
        *_verdicts(chord.verdicts, now),
        Text(),
        *_header(sighting, now),
    )


def _facts(sighting: Sighting, now: float) -> Table:
    table = Table.grid(padding=(0, 2))
    for label, value in _fact_rows(sighting, now):
        table.add_row(Text(label, style="bold"), value if isinstance(value, Text) else Text(value))
    return table


def _fact_rows(sighting: Sighting, now: float) -> Iterator[tuple[str, str | Text]]:
    chord, callback = sighting.chord, sighting.chord.callback
    yield "Chord", plain(chord.chord_id, 200)
    yield "Health", Text(chord.health, style=STYLES[chord.health])
    yield "State", chord.state
    yield "Counted", f"{progress_of(chord)}{_missing(chord)}"
    place = sighting.places.get(callback.task_id or "")
    yield "Callback", f"{plain(callback.name or 'name not known')} {plain(callback.task_id or '')}".strip()
    yield (
        "",
        ", ".join(
            x for x in (callback_state(chord), place_words(place), plain(callback.error or "", 200)) if x
        ),
    )
    for errback in chord.errbacks:
        yield "Errback", f"{plain(errback.name or '?')} {plain(errback.task_id or '')}".strip()
    if chord.parent_id:
        yield "Sent by", f"task {plain(chord.parent_id)}"
    if chord.opened_at:
        yield "Published", f"{moment(chord.opened_at)} ({duration(now - chord.opened_at)} ago)"
    if chord.progressed_at and (chord.state == "open" if chord.instrumented else not chord.opened_at):
        what = "Progress" if chord.instrumented else "Last part"
        yield what, f"{moment(chord.progressed_at)} ({duration(now - chord.progressed_at)} ago)"
    if chord.finished_at:
        took = f" (after {span(chord.finished_at - chord.opened_at)})" if chord.opened_at else ""
        yield "Finished", f"{moment(chord.finished_at)}{took}"
    if chord.evidence_expires_at:
        left = duration(chord.evidence_expires_at - now)
        yield "Evidence", f"expires {moment(chord.evidence_expires_at)} (in {left})"


def _missing(chord: Chord) -> str:
    if not chord.missing:
        return ""
    indexes = [str(gap.index) for gap in chord.missing if gap.index is not None]
    if not indexes:
        return f", {len(chord.missing):,} missing"
    shown = indexes[:_INDEXES]
    more = f" and {len(chord.missing) - len(shown):,} more" if len(chord.missing) > len(shown) else ""
    return f", missing {'index' if len(indexes) == 1 else 'indexes'} {', '.join(shown)}{more}"


def _verdicts(verdicts: Sequence[Verdict], now: float) -> Iterator[RenderableType]:
    """Yield the verdicts; evidence that several rest on, as the candidates for one loss do, is shown once."""
    before: tuple[str, ...] = ()
    for verdict in verdicts:
        repeats = bool(verdict.evidence) and verdict.evidence == before
        yield from _verdict(verdict, ("As above.",) if repeats else verdict.evidence, now)
        before = verdict.evidence


def _verdict(verdict: Verdict, evidence: Sequence[str], now: float) -> Iterator[RenderableType]:
    style = STYLES[verdict.outcome]
    certainty = "" if verdict.certain else " (not certain)"
    yield Text()
    yield _folded(Text(verdict.outcome.upper(), style=style), Text(verdict.summary, style=style))
    yield _folded(_label("Cause"), Text(f"{verdict.cause}{certainty}, see {verdict.docs}"))
    for number, line in enumerate(evidence):
        yield _folded(_label("" if number else "Evidence"), Text(line))
    if verdict.question:
        yield _advice("Question", verdict.question)
    if verdict.since:
        since = f"{moment(verdict.since)} ({duration(now - verdict.since)} ago)"
        yield _folded(_label("Since"), Text(since))
    if verdict.recovers_at:
        yield _folded(_label("Recovers"), Text(moment(verdict.recovers_at)))
    yield _advice("Remedy", verdict.remedy)


def _label(text: str) -> Text:
    return Text(text, style="bold")


def _folded(label: Text, text: Text) -> Table:
    row = Table.grid(padding=(0, 2))
    row.add_column(min_width=_LABEL_WIDTH)
    row.add_row(label, text)
    return row


def _advice(label: str, text: str) -> RenderableType:
    """Return one line whatever its length where a command is in it: what a terminal folds itself is pasted whole."""
    if not _COMMAND.search(text):
        return _folded(_label(label), Text(text))
    line = Text(no_wrap=True, overflow="ignore")
    return line.append(f"{label:<{_LABEL_WIDTH}}  ", style="bold").append(text)


def _is_plain(task: HeaderTask) -> bool:
    """Whether nothing about a task is worth reading: it ran once and succeeded."""
    return task.state == "succeeded" and len(task.attempts) < 2  # noqa: PLR2004  # more than one run


def _header(sighting: Sighting, now: float) -> Iterator[RenderableType]:
    chord = sighting.chord
    nameless = (HeaderTask(index=gap.index) for gap in chord.missing if gap.task_id is None)
    rows = sorted(
        (*chord.header, *nameless),
        key=lambda task: (task.counted, _is_plain(task), task.index is None, task.index or 0),
    )
    if not rows:
        yield Text("No header task is known: none is counted, and no message of one is left.")
        return
    yield _header_table(rows[:_ROWS], sighting)
    times = timeline(rows[:_ROWS], chord.callback, now) if chord.instrumented else None
    if times:
        yield Text()
        yield times
    if len(rows) > _ROWS:
        yield Text(f"… and {len(rows) - _ROWS:,} more; --format json has all.")


def _header_table(rows: Sequence[HeaderTask], sighting: Sighting) -> Table:
    cells = [_cells(task, sighting.places.get(task.task_id or "")) for task in rows]
    titles = ["INDEX", "TASK", "NAME", "STATE", "WHERE / ERROR"]
    if not any(where for *_, where in cells):
        titles.pop()  # in a narrow terminal its room is better used for the names
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in titles:
        table.add_column(column, overflow="fold", no_wrap=column == "TASK")
    for row in cells:
        table.add_row(*(Text(cell) for cell in row[: len(titles)]))
    return table


def _cells(task: HeaderTask, place: Place | None) -> tuple[str, str, str, str, str]:
    index = "–" if task.index is None else str(task.index)
    if task.task_id is None:
        return index, "id not known", "", "not counted", "not located: running without a trace, or lost"
    where = "" if task.counted else place_words(place)
    return (
        index,
        plain(task.task_id),
        plain(task.name or "", 40),
        task.state if task.counted else f"{task.state}, not counted",
        ", ".join(x for x in (where, plain(task.error or "", 120)) if x),
    )
