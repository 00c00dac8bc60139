"""Turns one look, and what the store counted, into metric families. No ids in labels; names are bounded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from chordwatch.errors import ServerName
from chordwatch.metrics.catalogue import METRICS
from chordwatch.metrics.families import Family, family, number
from chordwatch.metrics.labels import CallbackLabels, CallbackNames, label, open_chords
from chordwatch.metrics.recorded import counted, workers
from chordwatch.watch import Look
from chordwatch.watch.recorded import STALE_BEAT, Totals

_UP: Mapping[ServerName, str] = {"broker": "chordwatch_broker_up", "result backend": "chordwatch_backend_up"}


@dataclass(frozen=True, kw_only=True, eq=False)
class ChordCollector:
    """What one scrape tells.

    `look` is the last finished one, which took `seconds`. It is not shown unless `current`, but for when it was taken:
    it may be old, or the next one failed as a server was `unreachable`.
    `totals` are what the store told, None where it was not asked lately. A worker is down `stale_after` seconds after
    its last heartbeat. `errors` are the monitor's own, by place. `everything`: also queues and workers.
    `names` is kept from scrape to scrape.
    """

    look: Look | None = None
    seconds: float = 0.0
    current: bool = True
    unreachable: ServerName | None = None
    totals: Totals | None = None
    stale_after: float = STALE_BEAT
    errors: Mapping[str, int] = field(default_factory=dict)
    everything: bool = True
    names: CallbackNames = field(default_factory=CallbackNames)

    def collect(self) -> Iterator[Family]:
        """Yield the families; without a current look only those of the monitor itself and of the store."""
        look = self.look if self.current else None
        store_up = self.totals is not None and self.totals.up
        labels = self.names.labels(look, self.totals.counters if self.totals and store_up else None)
        yield from self._monitor()
        if self.totals and store_up:
            yield from counted(self.totals, labels)
            if self.everything:
                yield from workers(self.totals, self.stale_after)
        if look:
            yield from _open(look, labels)
            yield _unhealthy(look, labels)
            yield _oldest_queued(look)
            if self.everything:
                yield from _queues(look)

    def _monitor(self) -> Iterator[Family]:
        if self.look:
            yield number("chordwatch_scan_timestamp_seconds", self.look.taken_at)
            yield number("chordwatch_scan_duration_seconds", self.seconds)
        for server, name in _UP.items():
            if server == self.unreachable:
                yield number(name, 0)
            elif self.look and self.current and server in self.look.answered:
                yield number(name, 1)
        if self.totals:
            yield number("chordwatch_store_up", float(self.totals.up))
        errors = {(where,): times for where, times in self.errors.items()}
        yield family("chordwatch_internal_errors_total", errors)


def _open(look: Look, labels: CallbackLabels) -> Iterator[Family]:
    numbers = Counter({(labels(name),): 0 for name in labels.counted})
    oldest: dict[tuple[str, ...], float] = {}
    read = ((name, 1, opened_at) for name, opened_at in open_chords(look))
    beyond = ((name, times, opened_at) for name, (times, opened_at) in look.beyond.items())
    for name, times, opened_at in (*read, *beyond):
        series = (labels(name),)
        numbers[series] += times
        if opened_at is not None:
            oldest[series] = min(opened_at, oldest.get(series, opened_at))
    yield family("celery_chord_open", numbers)
    yield family("celery_chord_oldest_open_timestamp_seconds", oldest)


def _unhealthy(look: Look, labels: CallbackLabels) -> Family:
    shown = METRICS["celery_chord_unhealthy"].values["health"]
    sick = Counter(
        (labels(chord.callback.name), chord.health, cause)
        for chord in look.chords
        if chord.health in shown
        for cause in [verdict.cause for verdict in chord.verdicts if verdict.outcome == chord.health][:1]
    )
    return family("celery_chord_unhealthy", sick)


def _oldest_queued(look: Look) -> Family:
    oldest: dict[tuple[str, ...], float] = {}
    for queue, since in look.oldest_queued.items():
        series = (label(queue),)
        oldest[series] = min(since, oldest.get(series, since))
    return family("celery_chord_oldest_queued_timestamp_seconds", oldest)


def _queues(look: Look) -> Iterator[Family]:
    fields = {
        "celery_queue_length": "length",
        "celery_active_consumer_count": "consumers",
        "celery_queue_unacked": "unacked",
    }
    for name, attribute in fields.items():
        values = Counter[tuple[str, ...]]()
        for queue in look.queues:
            value = getattr(queue, attribute)
            if value is not None:
                values[label(queue.name),] += value
        yield family(name, values)
