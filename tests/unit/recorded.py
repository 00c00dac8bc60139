"""What a store would tell of the chord `group` of `tests.unit.seen`, and a store that tells what it was given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from chordwatch.errors import UnreachableError
from chordwatch.model import FINISHED, Attempt, HeaderTask
from chordwatch.recording.records import Heartbeat
from chordwatch.store.protocol import Counters, Judgement, RecordedChord, StoreState, WorkerRecord
from tests.unit.seen import NOW, header_task, open_chord

AWAY = "The store at redis://db:6379/0 does not answer (TimeoutError); check that it runs there and the URL."


def ran(number: int, **fields: Any) -> HeaderTask:
    """Return a header task that ran on `w1@zoo` and was counted."""
    times: dict[str, Any] = {"published_at": NOW - 60, "started_at": NOW - 50, "finished_at": NOW - 40}
    run = Attempt(attempt=0, state="succeeded", worker="w1@zoo", received_at=NOW - 59, **times)
    usual = {"state": "succeeded", "worker": "w1@zoo", "queue": "celery", "attempt": 0, "counted": True}
    return header_task(number, **{**usual, **times, "attempts": (run,), **fields})


def runs(number: int, **fields: Any) -> HeaderTask:
    """Return a header task that runs on `w1@zoo`."""
    usual = {"state": "started", "worker": "w1@zoo", "started_at": NOW - 5, "attempt": 0}
    return header_task(number, **{**usual, "published_at": NOW - 60, **fields})


def recorded(*, applied: int = 1, **fields: Any) -> RecordedChord:
    """Return the chord `group` as recorded: `h0` counted, `h1` running, unless told otherwise."""
    usual: dict[str, Any] = {
        "header": (ran(0), runs(1)),
        "opened_at": NOW - 60,
        "progressed_at": NOW - 5,
        "instrumented": True,
    }
    return RecordedChord(chord=open_chord(**{**usual, **fields}), applied=applied)


def beat(
    node: str = "w1@zoo",
    *,
    first: float = NOW - 600,
    last: float = NOW,
    gone: bool = False,
    pool: str = "solo",
    active: tuple[str, ...] = (),
    reserved: tuple[str, ...] = (),
    queues: tuple[str, ...] = ("celery",),
    ahead: float = 0.0,
    left: tuple[str, ...] = (),
    left_at: float | None = None,
) -> WorkerRecord:
    """Return a worker as its heartbeats tell; its clock is `ahead` by so many seconds of all times that are given."""
    heartbeat = Heartbeat(
        node=node,
        boot=f"{node}-{first}",
        pid=1,
        queues=queues,
        concurrency=1,
        pool=pool,
        active=active,
        reserved=reserved,
        at=last + ahead,
        left=left,
        left_at=None if left_at is None else left_at + ahead,
    )
    return WorkerRecord(heartbeat=heartbeat, first_beat_at=first, last_beat_at=last, gone=gone)


class FakeStore:
    """A store of ready-made chords. `away` makes it not answer; `asked` counts what it was asked for."""

    def __init__(
        self,
        *chords: RecordedChord,
        counters: Counters | None = None,
        workers: Sequence[WorkerRecord] = (),
        counts: Mapping[str, tuple[int, float]] | None = None,
    ) -> None:
        self.kept = chords
        self.away = False
        self.closed = False
        self.asked = 0
        self._counters = counters or Counters()
        self._workers = workers
        self._counts = counts or {}

    def get(self, id: str) -> RecordedChord | None:  # noqa: A002  # the protocol's name
        """Find a chord by any of its ids."""
        self._answer()
        return next((each for each in self.kept if id in self._ids(each)), None)

    def chords(self, chord_ids: Iterable[str]) -> Sequence[RecordedChord]:
        """Return those of these ids."""
        self._answer()
        wanted = set(chord_ids)
        return [each for each in self.kept if each.chord.chord_id in wanted]

    def open_chords(self, *, limit: int | None = None) -> Sequence[RecordedChord]:
        """Return what is open, as it was given."""
        self._answer()
        return [each for each in self.kept if each.chord.state not in FINISHED][:limit]

    def finished_chords(self, *, limit: int | None = None) -> Sequence[RecordedChord]:
        """Return what is finished, as it was given."""
        self._answer()
        return [each for each in self.kept if each.chord.state in FINISHED][:limit]

    def open_counts(self) -> Mapping[str, tuple[int, float]]:
        """Return what was given."""
        self._answer()
        return self._counts

    def counters(self) -> Counters:
        """Return what was given."""
        self._answer()
        return self._counters

    def workers(self) -> Sequence[WorkerRecord]:
        """Return what was given."""
        self._answer()
        return self._workers

    def connections(self) -> frozenset[tuple[str, str]] | None:
        """Return that nobody knows."""
        self._answer()
        return None

    def judgements(self, chord_ids: Iterable[str]) -> Mapping[str, Judgement]:  # noqa: ARG002  # the protocol's
        """Return none: no monitor has looked."""
        self._answer()
        return {}

    def state(self) -> StoreState:
        """Return that it is small."""
        self._answer()
        return StoreState(bytes_used=1234, chords=len(self.kept), evicts=False)

    def now(self) -> float:
        """Return the clock."""
        return NOW

    def close(self) -> None:
        """Remember it."""
        self.closed = True

    def apply(self, batch: bytes) -> None:
        """Readers do not write."""
        raise AssertionError(batch)

    def beat(self, heartbeat: Heartbeat, *, goodbye: bool = False) -> None:
        """Readers do not write."""
        raise AssertionError(heartbeat, goodbye)

    def _answer(self) -> None:
        self.asked += 1
        if self.away:
            raise UnreachableError(AWAY)

    @staticmethod
    def _ids(each: RecordedChord) -> set[str | None]:
        chord = each.chord
        return {chord.chord_id, chord.callback.task_id, *(task.task_id for task in chord.header)}
