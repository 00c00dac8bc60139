"""The store in memory: behind the same protocol, for users' tests and for ours. One process, nothing is kept."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgpack

from chordwatch.model import FINISHED
from chordwatch.recording.records import VERSION, Heartbeat, Role, unpack_id
from chordwatch.settings import DURATION_BUCKETS
from chordwatch.store.chords import membership_of, read_chord
from chordwatch.store.counts import Observed, no_histograms, with_bounds
from chordwatch.store.facts import ChordFacts, State, nearness
from chordwatch.store.judgements import JudgementsInMemory, label_text
from chordwatch.store.labels import Labels
from chordwatch.store.merge import Event, Merged, Source, merge_facts, merge_record, refresh, text
from chordwatch.store.protocol import (
    Counters,
    Judged,
    Judgement,
    Membership,
    RecordedChord,
    StoreState,
    WorkerRecord,
)
from chordwatch.store.states import is_complete, work_out
from chordwatch.store.workers import REMEMBERED_SECONDS, bounded

_MEGABYTE = 1 << 20
_SETTLE_MS = 1000
_MAX_UNSURE, _EVICTIONS = 100, 50
_CHORD_BYTES, _TASK_BYTES = 400, 40


@dataclass(slots=True)
class _Kept:
    """A chord with what the store needs to know of it. Times are milliseconds of the store's clock."""

    merged: Merged
    touched: int
    started: bool = False
    settled: bool = False
    settle_at: int | None = None
    forget_at: int | None = None
    waiting: list[Event | None] = field(default_factory=list)

    @property
    def facts(self) -> ChordFacts:
        return self.merged.facts

    @property
    def size(self) -> int:
        return _CHORD_BYTES + _TASK_BYTES * len(self.facts.header)


class MemoryStore:
    """The twin of `RedisStore`. `clock` returns Unix seconds."""

    def __init__(
        self,
        *,
        namespace: str = "default",
        finished_retention: float = 86_400,
        open_retention: float = 7 * 86_400,
        store_max_mb: float = 64,
        duration_buckets: tuple[float, ...] = DURATION_BUCKETS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._namespace, self._clock = namespace, clock
        self._finished_retention, self._open_retention = finished_retention * 1000, open_retention * 1000
        self._max_bytes = store_max_mb * _MEGABYTE
        self._bounds = duration_buckets
        self._chords: dict[str, _Kept] = {}
        self._unsure: dict[str, list[tuple[list[Any], Source]]] = {}
        self._applied: dict[bytes, int] = {}
        self._workers: dict[str, WorkerRecord] = {}
        self._labels = Labels()
        self._counts: dict[str, Counter[Any]] = {}
        self._observed = no_histograms()
        self._judgements = JudgementsInMemory()
        self._posted: dict[str, tuple[bytes, float]] = {}

    def apply(self, batch: bytes) -> None:
        """Apply one batch of records. Applying it again changes nothing."""
        try:
            version, boot, sequence, node, dropped, strings, chords = msgpack.unpackb(
                batch, raw=True, strict_map_key=False
            )
        except (ValueError, TypeError, msgpack.UnpackException):
            self._count("dropped", "corrupt")
            return
        if version != VERSION:
            self._count("dropped", "version")
        elif sequence > self._applied.get(boot, 0):
            self._applied[boot] = sequence
            for reason, lost in dropped.items():
                self._count("dropped", text(reason), lost)
            source = Source(text(node), [text(string) or "" for string in strings], self._now_ms())
            for entry in chords:
                self._apply_chord(entry, source)
        self._sweep()
        self._count_capped()

    def beat(self, heartbeat: Heartbeat, *, goodbye: bool = False) -> None:
        """Note that a worker lives, or that it says goodbye."""
        now, known = self.now(), self._workers.get(heartbeat.boot)
        self._workers[heartbeat.boot] = WorkerRecord(
            heartbeat=bounded(heartbeat),
            first_beat_at=known.first_beat_at if known else now,
            last_beat_at=now,
            gone=goodbye,
        )

    def get(self, id: str) -> RecordedChord | None:  # noqa: A002  # the contract's name
        """Return the chord with this group id, callback id or header task id, with its header."""
        self._sweep()
        nearest = self._chords.get(id) or self._nearest(id)
        return self._read(nearest) if nearest else None

    def chords(self, chord_ids: Iterable[str]) -> list[RecordedChord]:
        """Return those of the chords with these group ids that are recorded."""
        return [self._read(self._chords[i]) for i in dict.fromkeys(chord_ids) if i in self._chords]

    def memberships(self, task_ids: Iterable[str]) -> dict[str, Membership]:
        """Return for those of these tasks that belong to a recorded chord which it is, and as what."""
        self._sweep()
        nearest = {task_id: self._nearest(task_id) for task_id in task_ids}
        return {task_id: membership_of(kept.facts, task_id) for task_id, kept in nearest.items() if kept}

    def open_chords(self, *, limit: int | None = None) -> list[RecordedChord]:
        """Return chords that are open or planned, those without progress for longest first."""
        self._sweep()
        going_on = [kept for kept in self._chords.values() if kept.facts.state <= State.OPEN]
        going_on.sort(key=lambda kept: kept.facts.progressed or kept.touched)
        return [self._read(kept) for kept in going_on[:limit]]

    def finished_chords(self, *, limit: int | None = None) -> list[RecordedChord]:
        """Return finished chords, newest first."""
        self._sweep()
        chords = [self._read(kept) for kept in self._chords.values()]
        finished = [chord for chord in chords if chord.chord.state in FINISHED]
        return sorted(finished, key=lambda chord: chord.chord.finished_at or 0.0, reverse=True)[:limit]

    def open_counts(self) -> dict[str, tuple[int, float]]:
        """Return for each callback name how many chords are open, and when the oldest was opened."""
        counts: dict[str, tuple[int, float]] = {}
        for kept in self._chords.values():
            if kept.facts.state == State.OPEN:
                label, opened = (
                    self._labels.shown(kept.facts.callback.name),
                    (kept.facts.opened or kept.touched) / 1000,
                )
                many, oldest = counts.get(label, (0, opened))
                counts[label] = (many + 1, min(oldest, opened))
        return counts

    def counters(self) -> Counters:
        """Return all counters and histograms."""
        self._sweep()
        counted = {name: dict(counts) for name, counts in self._counts.items()}
        histograms = with_bounds(self._observed, self._bounds)
        return Counters(**counted, histograms=histograms, bounds=self._bounds)

    def workers(self) -> list[WorkerRecord]:
        """Return the workers that were seen within the last hour."""
        since = self.now() - REMEMBERED_SECONDS
        return sorted(
            (worker for worker in self._workers.values() if worker.last_beat_at >= since),
            key=lambda worker: worker.last_beat_at,
        )

    def connections(self) -> frozenset[tuple[str, str]]:
        """Return the workers that said no goodbye: here nobody can lose a connection without one."""
        beats = (worker.heartbeat for worker in self.workers() if not worker.gone)
        return frozenset((heartbeat.node, heartbeat.boot) for heartbeat in beats)

    def judge(self, judgement: Judgement, *, keep: float) -> Judged:
        """Keep what was found of a chord for `keep` seconds, and return what it changes."""
        name = judgement.chord.callback.name

        def count(counter: str, *labels: str) -> None:
            callback = self._labels.callback(label_text(name))
            self._count(counter, (callback, *labels) if labels else callback)

        judged = self._judgements.judge(judgement, keep=keep, now=self.now(), count=count)
        self._count_capped()
        return judged

    def judgements(self, chord_ids: Iterable[str]) -> dict[str, Judgement]:
        """Return the last judgement of those of these chords that have verdicts."""
        return self._judgements.read(chord_ids, self.now())

    def judged(self, limit: int) -> list[Judgement]:
        """Return the last judgements of chords that have verdicts, newest first."""
        return list(self.judgements(self.judged_ids()[:limit]).values())

    def judged_ids(self) -> list[str]:
        """Return the group ids of chords that have verdicts, newest first."""
        return self._judgements.ids(self.now())

    def post(self, name: str, content: bytes, *, keep: float, only_new: bool = False) -> bool:
        """Keep `content` under a name for `keep` seconds; return whether it was kept."""
        now = self.now()
        self._posted = {known: left for known, left in self._posted.items() if left[1] > now}
        if only_new and name in self._posted:
            return False
        self._posted[name] = content, now + keep
        return True

    def posted(self, names: Iterable[str]) -> dict[str, bytes]:
        """Return what is kept under those of these names that have something."""
        now = self.now()
        asked = ((name, self._posted.get(name)) for name in dict.fromkeys(names))
        return {name: left[0] for name, left in asked if left and left[1] > now}

    def state(self) -> StoreState:
        """Return how the store itself is."""
        return StoreState(bytes_used=self._bytes(), chords=len(self._chords), evicts=False)

    def now(self) -> float:
        """Return the clock in Unix seconds."""
        return self._clock()

    def close(self) -> None:
        """Do nothing: there is no connection."""

    def _nearest(self, task_id: str) -> _Kept | None:
        nearest = max(self._chords.values(), key=lambda kept: nearness(kept.facts, task_id), default=None)
        return nearest if nearest and nearness(nearest.facts, task_id) else None

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)

    def _bytes(self) -> int:
        return sum(kept.size for kept in self._chords.values())

    def _read(self, kept: _Kept) -> RecordedChord:
        return read_chord(kept.facts, namespace=self._namespace)

    def _count(self, counter: str, labels: Any, amount: int = 1) -> None:
        self._counts.setdefault(counter, Counter())[labels] += amount

    def _apply_chord(self, entry: list[Any], source: Source) -> None:
        try:
            chord_id, facts = unpack_id(entry[0]), entry[1]
            kept = self._chords.get(chord_id)
            if kept is None and b"u" in facts:
                self._unsure.setdefault(chord_id, []).append((entry[2], source))
                del self._unsure[chord_id][:-_MAX_UNSURE]
                return
            if kept is None:
                kept = self._chords[chord_id] = _Kept(Merged(ChordFacts(chord_id)), source.now)
            self._merge(kept, facts, entry[2], source)
            for records, unsure_source in self._unsure.pop(chord_id, ()):
                self._merge(kept, {}, records, unsure_source)
        except (TypeError, ValueError, IndexError, AttributeError):
            self._count("dropped", "corrupt")

    def _merge(self, kept: _Kept, facts: dict[bytes, Any], records: list[Any], source: Source) -> None:
        before = kept.facts.state
        merge_facts(kept.merged, facts)
        for record in records:
            for event in merge_record(kept.merged, record, source):
                kept.waiting.append(event)
        kept.touched = source.now
        refresh(kept.merged)
        if kept.merged.active and not kept.started:
            kept.started = True
            kept.waiting.append(None)
        if kept.facts.callback.name:
            self._count_waiting(kept)
        if kept.facts.state > State.OPEN >= before and kept.settle_at is None:
            kept.settle_at = source.now + _SETTLE_MS

    def _label(self, kept: _Kept) -> str:
        return self._labels.callback(kept.facts.callback.name)

    def _count_capped(self) -> None:
        for label in self._labels.capped:
            self._count("capped", label)
        self._labels.capped.clear()

    def _count_waiting(self, kept: _Kept) -> None:
        callback = self._label(kept)
        for event in kept.waiting:
            if event is None:
                self._count("started", callback)
                continue
            if event.role == Role.HEADER:
                name = self._labels.task(callback, event.name)
                self._count("header_tasks", (callback, name, event.event))
            else:
                self._count("callbacks", (callback, event.event))
            if event.event == "retried":
                name = self._labels.task(callback, event.name)
                self._count(
                    "retries", (callback, name, "header" if event.role == Role.HEADER else "callback")
                )
        kept.waiting.clear()

    def _sweep(self) -> None:
        """Settle, forget, and keep the size, as the script does at each call."""
        now = self._now_ms()
        for chord_id, kept in list(self._chords.items()):
            if kept.settle_at is not None and kept.settle_at <= now:
                self._settle(kept, now)
            finished = kept.facts.state > State.OPEN
            due = kept.forget_at if finished else max(kept.touched, kept.merged.eta) + self._open_retention
            if due is not None and due < now:
                del self._chords[chord_id]
        for _ in range(_EVICTIONS):
            if self._bytes() <= self._max_bytes or not self._evict():
                break

    def _settle(self, kept: _Kept, now: int) -> None:
        kept.settle_at = None
        if kept.facts.state <= State.OPEN:
            return
        if not kept.settled:
            self._count_waiting(kept)
            self._observe_chord(kept)
            kept.settled = True
        kept.forget_at = now + int(self._finished_retention)

    def _observe_chord(self, kept: _Kept) -> None:
        facts, callback = kept.facts, self._label(kept)
        succeeded, finished = facts.state == State.SUCCEEDED, work_out(facts, active=True)[1]
        tries = [x for task in facts.others.values() if task.role == Role.CALLBACK for x in task.tries]
        published = min((seen.at for x in tries for seen in x.published), default=None)
        began = min((seen.at for x in tries for seen in x.started), default=None)
        barrier = min((at for at in (published, facts.last_counted, began) if at), default=None)
        self._count("finished", (callback, "succeeded" if succeeded else "failed"))
        if succeeded and facts.opened and finished:
            self._observe(kept, "duration", finished - facts.opened)
        if not succeeded and not is_complete(facts):
            return
        if barrier and facts.opened:
            self._observe(kept, "barrier", barrier - facts.opened)
        if barrier and began:
            self._observe(kept, "callback_wait", began - barrier)
        if facts.last_counted and kept.merged.counted_at and not facts.detail_dropped:
            median = statistics.median(kept.merged.counted_at.values())
            self._observe(kept, "straggler", facts.last_counted - median)

    def _observe(self, kept: _Kept, histogram: str, milliseconds: float) -> None:
        observed = self._observed[histogram].setdefault(self._label(kept), Observed())
        observed.add(milliseconds, self._bounds, chord=kept.facts, at=self.now())

    def _evict(self) -> bool:
        """Take the detail of the chord that settled first, else such a chord, else an open one; False: nothing left."""
        settled = sorted(
            (kept for kept in self._chords.values() if kept.forget_at is not None),
            key=lambda kept: kept.forget_at or 0,
        )
        for kept in settled:
            if not kept.facts.detail_dropped:
                kept.facts.detail_dropped = True
                kept.facts.header.clear()
                kept.merged.counted_at.clear()
                self._count("evicted", "detail")
                return True
        going_on = sorted(
            (kept for kept in self._chords.values() if kept.facts.state <= State.OPEN),
            key=lambda kept: kept.facts.progressed or kept.touched,
        )
        for what, candidates in (("summary", settled), ("open", going_on)):
            if candidates:
                del self._chords[candidates[0].facts.chord_id]
                self._count("evicted", what)
                return True
        return False
