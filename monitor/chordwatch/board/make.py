"""Makes a board of one look and of what the store counted. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from heapq import nsmallest
from math import inf

from chordwatch.board.rows import Board, ChordRow, Looker, QueueRow, WorkerRow
from chordwatch.evidence.facts import Queue
from chordwatch.model import FINISHED, OUTCOMES, Chord, Health, Verdict
from chordwatch.store.protocol import WorkerRecord
from chordwatch.text import plain
from chordwatch.watch.lives import last_lives
from chordwatch.watch.look import Look, Sighting
from chordwatch.watch.recorded import STALE_BEAT, Totals
from chordwatch.watch.words import SENTENCE_LENGTH, explained, severity, waits_for

#: Rows of chords that are not well, and of those that are: the rest is counted.
MAX_TROUBLED, MAX_WELL = 5000, 500
MAX_QUEUES, MAX_WORKERS, MAX_NOTES = 1000, 1000, 20
#: Characters of a text and of a remedy, which are commands to be pasted whole; and queues of one row.
TEXT_LENGTH, REMEDY_LENGTH, ROW_QUEUES = 300, 800, 20

_WELL: frozenset[Health] = frozenset({"ok", "waiting"})
_STUCK: frozenset[Health] = frozenset({"hung", "looping"})
_IN_QUEUE = frozenset({"queue", "unacked"})
_AT_WORKER = frozenset({"active", "reserved", "scheduled"})


def board_of(
    look: Look,
    totals: Totals | None,
    *,
    looker: Looker,
    interval: float,
    stale: float = STALE_BEAT,
) -> Board:
    """Return the board of a look at all open chords; finished ones among them are left out.

    `totals` is what the store told then, None without one. `interval` in seconds. A worker has vanished when it said
    nothing for `stale` seconds.
    """
    sightings = [sighting for sighting in look.sightings if sighting.chord.state not in FINISHED]
    counted = Counter(sighting.chord.health for sighting in sightings)
    known = totals if totals and totals.up else None
    return Board(
        taken_at=look.taken_at,
        looker=looker,
        interval=interval,
        counts={outcome: counted[outcome] for outcome in OUTCOMES},
        chords=tuple(_chord_row(sighting, look.taken_at) for sighting in _shown(sightings)),
        beyond=sum(number for number, _ in look.beyond.values()),
        queues=_queue_rows(look, sightings),
        workers=_worker_rows(look, sightings, known, stale),
        finished=_finished(known),
        instrumented=_instrumented(sightings, known),
        notes=_notes(look.gaps),
        partial=look.partial,
    )


def _shown(sightings: Iterable[Sighting]) -> list[Sighting]:
    """Return the chords that get a row, the worst first, and among equals those open for longest."""
    troubled: list[Sighting] = []
    well: list[Sighting] = []
    for sighting in sightings:
        (well if sighting.chord.health in _WELL else troubled).append(sighting)
    return [*nsmallest(MAX_TROUBLED, troubled, key=_worst), *nsmallest(MAX_WELL, well, key=_worst)]


def _worst(sighting: Sighting) -> tuple[int, float, str]:
    chord = sighting.chord
    return severity(chord), chord.opened_at or chord.progressed_at or inf, chord.chord_id


def _chord_row(sighting: Sighting, now: float) -> ChordRow:
    chord, verdict = sighting.chord, _decisive(sighting.chord)
    return ChordRow(
        chord_id=chord.chord_id[:TEXT_LENGTH],
        callback=_text(chord.callback.name),
        state=chord.state,
        health=chord.health,
        size=chord.size,
        counted=chord.counted,
        opened_at=chord.opened_at,
        progressed_at=chord.progressed_at,
        cause=verdict.cause if verdict else None,
        certain=verdict.certain if verdict else True,
        why=explained(sighting)[:TEXT_LENGTH],
        remedy=plain(verdict.remedy, REMEDY_LENGTH) if verdict else "",
        waits_for=plain(waits_for(sighting, now=now), TEXT_LENGTH),
        queues=tuple(sorted(_queues_of(sighting))[:ROW_QUEUES]),
        since=verdict.since if verdict else None,
        recovers_at=verdict.recovers_at if verdict else None,
    )


def _decisive(chord: Chord) -> Verdict | None:
    """Return the verdict that the chord is counted under, in the metrics too: alerts link to what it is called."""
    made_it = (verdict for verdict in chord.verdicts if verdict.outcome == chord.health)
    return next(made_it, next(iter(chord.verdicts), None))


def _queues_of(sighting: Sighting) -> set[str]:
    places = sighting.places.values()
    return {place.name[:TEXT_LENGTH] for place in places if place.name and place.kind in _IN_QUEUE}


def _queue_rows(look: Look, sightings: Iterable[Sighting]) -> tuple[QueueRow, ...]:
    """Return the queues: first those with tasks and no consumer, then the longest."""
    stuck = Counter(queue for each in sightings if each.chord.health in _STUCK for queue in _queues_of(each))
    return tuple(
        QueueRow(
            name=queue.name[:TEXT_LENGTH],
            length=queue.length,
            unacked=queue.unacked,
            consumers=queue.consumers,
            oldest_at=look.oldest_queued.get(queue.name),
            stuck=stuck[queue.name[:TEXT_LENGTH]],
        )
        for queue in nsmallest(MAX_QUEUES, look.queues, key=_longest)
    )


def _longest(queue: Queue) -> tuple[bool, int, str]:
    return not (queue.consumers == 0 and queue.length), -queue.length, queue.name


def _worker_rows(
    look: Look, sightings: Iterable[Sighting], known: Totals | None, stale: float
) -> tuple[WorkerRow, ...]:
    """Return the workers, the vanished ones first. One that said goodbye is left out: ending on purpose is no fault."""
    lives = last_lives(known.workers) if known else {}
    # Heartbeats are told by the store's clock, everything else on a board by this machine's.
    ahead = known.taken_at - known.now if known else 0.0
    beating = [
        _beating(record, up=known.now - record.last_beat_at <= stale, ahead=ahead)
        for record in lives.values()
        if known and not record.gone
    ]
    held = Counter(
        place.name for each in sightings for place in each.places.values() if place.kind in _AT_WORKER
    )
    answering = [
        WorkerRow(
            hostname=worker.hostname[:TEXT_LENGTH],
            up=True,
            chord_tasks=held[worker.hostname],
            queues=_names(worker.queues),
        )
        for worker in look.workers
        if worker.hostname not in lives
    ]
    rows = sorted([*beating, *answering], key=lambda row: (row.up, row.hostname))
    return tuple(rows[:MAX_WORKERS])


def _beating(record: WorkerRecord, *, up: bool, ahead: float) -> WorkerRow:
    told = record.heartbeat
    return WorkerRow(
        hostname=told.node[:TEXT_LENGTH],
        up=up,
        last_beat_at=record.last_beat_at + ahead,
        chord_tasks=len(told.active) + len(told.reserved),
        queues=_names(told.queues),
    )


def _finished(known: Totals | None) -> Mapping[str, int] | None:
    if known is None:
        return None
    finished = Counter[str]()
    for (_, outcome), times in known.counters.finished.items():
        finished[outcome] += times
    return finished


def _instrumented(sightings: Iterable[Sighting], known: Totals | None) -> bool:
    recorded = known is not None and bool(known.workers or known.counters.started)
    return recorded or any(sighting.chord.instrumented for sighting in sightings)


def _notes(gaps: tuple[str, ...]) -> tuple[str, ...]:
    more = len(gaps) - MAX_NOTES
    shown = tuple(plain(gap, SENTENCE_LENGTH) for gap in gaps[:MAX_NOTES])
    return (*shown, f"{more:,} more notes of this kind.") if more > 0 else shown


def _names(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(name[:TEXT_LENGTH] for name in sorted(names)[:ROW_QUEUES])


def _text(text: str | None) -> str | None:
    return text[:TEXT_LENGTH] if text is not None else None
