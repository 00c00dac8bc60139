"""Turns one look into metric families. No ids in labels; callback names are bounded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from chordwatch.model import FINISHED, Chord
from chordwatch.text import plain
from chordwatch.watch import Look

#: Beyond so many callback names the rest is `other`.
MAX_CALLBACKS = 200
LABEL_LENGTH = 200
_UNHEALTHY = ("late", "looping", "hung")


class ChordCollector:
    """Collects from a look, which may be None or, when not `reachable`, an old one that is not shown."""

    def __init__(self, look: Look | None, seconds: float, *, reachable: bool) -> None:
        self._look = look
        self._seconds = seconds
        self._reachable = reachable

    def collect(self) -> Iterator[Metric]:
        """Yield the families; without a current look only those of the monitor itself."""
        look = self._look
        if look is not None:
            yield _gauge(
                "chordwatch_scan_timestamp_seconds", "Unix time of the last finished look.", look.taken_at
            )
            yield _gauge("chordwatch_scan_duration_seconds", "How long the last look took.", self._seconds)
        if look is None or not self._reachable:
            return
        open_chords = [chord for chord in look.chords if chord.state not in FINISHED]
        yield from _chords(open_chords)
        yield from _queues(look)


def _chords(chords: list[Chord]) -> Iterator[Metric]:
    labels = _callback_labels(chords)
    by_callback = Counter(labels[chord.callback.name] for chord in chords)
    count = GaugeMetricFamily("celery_chord_open", "Chords that are not finished.", labels=["callback"])
    for callback, number in sorted(by_callback.items()):
        count.add_metric([callback], number)
    yield count
    unhealthy = GaugeMetricFamily(
        "celery_chord_unhealthy",
        "Open chords that are late, looping or hung, each once, under its first verdict.",
        labels=["callback", "health", "cause"],
    )
    sick = Counter(
        (labels[chord.callback.name], chord.health, chord.verdicts[0].cause)
        for chord in chords
        if chord.health in _UNHEALTHY and chord.verdicts
    )
    for (callback, health, cause), number in sorted(sick.items()):
        unhealthy.add_metric([callback, health, cause], number)
    yield unhealthy


def _callback_labels(chords: list[Chord]) -> dict[str | None, str]:
    """Return the label of each callback name; unknown names are `unknown`, those beyond the bound `other`."""
    names = Counter(chord.callback.name for chord in chords)
    frequent = {name for name, _ in names.most_common(MAX_CALLBACKS)}
    return {name: _label(name or "unknown") if name in frequent else "other" for name in names}


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
                values[_label(queue.name)] += value
        for name, number in values.items():
            family.add_metric([name], number)
    yield from (length, consumers, unacked)


def _label(name: str) -> str:
    """Return a name as a label that every scrape can carry: encodable, bounded. Two that become one are summed."""
    return plain(name, LABEL_LENGTH)


def _gauge(name: str, documentation: str, value: float) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, documentation)
    family.add_metric([], value)
    return family
