"""Turns one look, and what the store counted, into metric families. No ids in labels; names are bounded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from chordwatch.metrics.labels import CallbackLabels, label, open_chords
from chordwatch.metrics.recorded import recorded
from chordwatch.watch import Look
from chordwatch.watch.recorded import Totals
from chordwatch.watch.running import STALE_BEAT

_UNHEALTHY = ("late", "looping", "hung")


class ChordCollector:
    """Collects from a look, which may be None or, when not `reachable`, an old one that is not shown.

    `totals` are what the store told at the last look, None when it was not asked. A worker is down `stale_after`
    seconds after its last heartbeat.
    """

    def __init__(
        self,
        look: Look | None,
        seconds: float,
        *,
        reachable: bool,
        totals: Totals | None = None,
        stale_after: float = STALE_BEAT,
    ) -> None:
        self._look = look
        self._seconds = seconds
        self._reachable = reachable
        self._totals = totals
        self._stale_after = stale_after
        self._labels = CallbackLabels(look, totals.counters if totals else None)

    def collect(self) -> Iterator[Metric]:
        """Yield the families; without a current look only those of the monitor itself and of the store."""
        look = self._look
        if look is not None:
            yield _gauge(
                "chordwatch_scan_timestamp_seconds", "Unix time of the last finished look.", look.taken_at
            )
            yield _gauge("chordwatch_scan_duration_seconds", "How long the last look took.", self._seconds)
        if self._totals:
            yield from recorded(self._totals, self._labels, stale_after=self._stale_after)
        if look is None or not self._reachable:
            return
        yield from _open(look, self._labels)
        yield _unhealthy(look, self._labels)
        yield from _queues(look)


def _open(look: Look, labels: CallbackLabels) -> Iterator[Metric]:
    numbers = Counter({labels(name): 0 for name in labels.counted})
    oldest: dict[str, float] = {}
    read = ((name, 1, opened_at) for name, opened_at in open_chords(look))
    beyond = ((name, number, opened_at) for name, (number, opened_at) in look.beyond.items())
    for name, number, opened_at in (*read, *beyond):
        callback = labels(name)
        numbers[callback] += number
        if opened_at is not None:
            oldest[callback] = min(opened_at, oldest.get(callback, opened_at))
    count = GaugeMetricFamily("celery_chord_open", "Chords that are not finished.", labels=["callback"])
    since = GaugeMetricFamily(
        "celery_chord_oldest_open_timestamp_seconds",
        "Unix time at which the oldest open chord was opened.",
        labels=["callback"],
    )
    for callback, number in sorted(numbers.items()):
        count.add_metric([callback], number)
    for callback, opened_at in sorted(oldest.items()):
        since.add_metric([callback], opened_at)
    yield from (count, since)


def _unhealthy(look: Look, labels: CallbackLabels) -> Metric:
    family = GaugeMetricFamily(
        "celery_chord_unhealthy",
        "Open chords that are late, looping or hung, each once, under its first verdict.",
        labels=["callback", "health", "cause"],
    )
    sick = Counter(
        (labels(chord.callback.name), chord.health, chord.verdicts[0].cause)
        for chord in look.chords
        if chord.health in _UNHEALTHY and chord.verdicts
    )
    for (callback, health, cause), number in sorted(sick.items()):
        family.add_metric([callback, health, cause], number)
    return family


def _queues(look: Look) -> Iterator[Metric]:
    length = GaugeMetricFamily(
        "celery_queue_length", "Messages that wait in a queue, all priorities.", labels=["queue_name"]
    )
    consumers = GaugeMetricFamily(
        "celery_active_consumer_count", "Workers that say they read a queue.", labels=["queue_name"]
    )
    unacked = GaugeMetricFamily(
        "celery_queue_unacked", "Messages that are delivered and not yet acknowledged.", labels=["queue_name"]
    )
    families = ((length, "length"), (consumers, "consumers"), (unacked, "unacked"))
    for family, field in families:
        values: Counter[str] = Counter()
        for queue in look.queues:
            value = getattr(queue, field)
            if value is not None:
                values[label(queue.name)] += value
        for name, number in values.items():
            family.add_metric([name], number)
    yield from (length, consumers, unacked)


def _gauge(name: str, documentation: str, value: float) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, documentation)
    family.add_metric([], value)
    return family
