"""The counters and histograms that the store keeps, its own state, and the workers' heartbeats, as families."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from chordwatch.metrics.labels import CallbackLabels, label
from chordwatch.store.histograms import BUCKETS
from chordwatch.store.protocol import Counters, Histogram
from chordwatch.watch.recorded import Totals

#: Known series start at 0, so that the first increase is one.
_OUTCOMES = ("succeeded", "failed", "aborted")
_EVENTS = ("published", "started", "succeeded", "failed", "retried", "revoked", "rejected")
_REASONS = ("overflow", "refused", "internal", "unreadable", "corrupt", "version")
_HISTOGRAMS = {
    "duration": "First header task published until the callback finished.",
    "barrier": "First header task published until the last one was counted.",
    "callback_wait": "Last header task counted until the callback started.",
    "straggler": "Median finish of the header tasks until the last one's.",
}
_Series = Counter[tuple[str, ...]]
_NOTHING = Histogram(counts=(0,) * (len(BUCKETS) + 1), sum=0.0)


def recorded(totals: Totals, labels: CallbackLabels, *, stale_after: float) -> Iterator[Metric]:
    """Yield the families; of a store that does not answer only that it is down. `stale_after` in seconds."""
    up = GaugeMetricFamily("chordwatch_store_up", "Whether the store answered at the last look.")
    up.add_metric([], float(totals.up))
    yield up
    if not totals.up:
        return
    yield from _chords(totals.counters, labels)
    yield from _tasks(totals.counters, labels)
    for name, documentation in _HISTOGRAMS.items():
        yield _histogram(name, documentation, totals.counters.histograms.get(name, {}), labels)
    dropped: _Series = Counter({(reason,): 0 for reason in _REASONS})
    for reason, number in totals.counters.dropped.items():
        dropped[label(reason),] += number
    yield _counter("chordwatch_records_dropped", "Records that were lost, by reason.", ("reason",), dropped)
    size = GaugeMetricFamily("chordwatch_store_bytes", "What the records take in the store's Redis.")
    size.add_metric([], totals.bytes_used)
    yield size
    yield _workers(totals, stale_after)


def _chords(counters: Counters, labels: CallbackLabels) -> Iterator[Metric]:
    known = [labels(name) for name in labels.counted]
    started: _Series = Counter({(name,): 0 for name in known})
    for callback, number in counters.started.items():
        started[labels(callback),] += number
    yield _counter("celery_chord_started", "Chords whose header was published.", ("callback",), started)
    finished: _Series = Counter({(name, outcome): 0 for name in known for outcome in _OUTCOMES})
    for (callback, outcome), number in counters.finished.items():
        finished[labels(callback), outcome] += number
    yield _counter("celery_chord_finished", "Chords that ended.", ("callback", "outcome"), finished)


def _tasks(counters: Counters, labels: CallbackLabels) -> Iterator[Metric]:
    header: _Series = Counter()
    callbacks: _Series = Counter({(labels(name), event): 0 for name in labels.counted for event in _EVENTS})
    retries: _Series = Counter()
    for name in labels.counted:
        retries[labels(name), labels(name), "callback"] = 0
    for (callback, name, event), number in counters.header_tasks.items():
        for known in _EVENTS:
            header[labels(callback), label(name), known] += 0
        header[labels(callback), label(name), event] += number
        retries[labels(callback), label(name), "header"] += 0
    for (callback, event), number in counters.callbacks.items():
        callbacks[labels(callback), event] += number
    for (callback, name, role), number in counters.retries.items():
        retries[labels(callback), label(name), role] += number
    yield _counter(
        "celery_chord_header_tasks",
        "What happened to header tasks.",
        ("callback", "name", "event"),
        header,
    )
    yield _counter("celery_chord_callbacks", "What happened to callbacks.", ("callback", "event"), callbacks)
    yield _counter(
        "celery_chord_retries", "Runs that ended in a retry.", ("callback", "name", "role"), retries
    )


def _histogram(
    name: str, documentation: str, observed: Mapping[str, Histogram], labels: CallbackLabels
) -> Metric:
    family = HistogramMetricFamily(f"celery_chord_{name}_seconds", documentation, labels=["callback"])
    merged = {labels(callback): _NOTHING for callback in labels.counted}
    for callback, histogram in observed.items():
        merged[labels(callback)] = _sum(merged.get(labels(callback), _NOTHING), histogram)
    bounds = [*(str(float(bound)) for bound in BUCKETS), "+Inf"]
    for callback, histogram in merged.items():
        family.add_metric(
            [callback], list(zip(bounds, accumulate(histogram.counts), strict=True)), histogram.sum
        )
    return family


def _sum(one: Histogram, other: Histogram) -> Histogram:
    counts = tuple(a + b for a, b in zip(one.counts, other.counts, strict=True))
    return Histogram(counts=counts, sum=one.sum + other.sum)


def _workers(totals: Totals, stale_after: float) -> Metric:
    """A worker that said goodbye has no series: ending on purpose is no fault. Of a restarted one the last counts."""
    family = GaugeMetricFamily(
        "celery_worker_up", "Whether a worker's heartbeat is fresh.", labels=["hostname"]
    )
    latest = {
        record.heartbeat.node: record for record in sorted(totals.workers, key=lambda w: w.last_beat_at)
    }
    up: dict[str, bool] = {}
    for node, record in latest.items():
        if not record.gone:
            alive = totals.now - record.last_beat_at <= stale_after
            up[label(node)] = up.get(label(node), True) and alive
    for node, alive in up.items():
        family.add_metric([node], float(alive))
    return family


def _counter(name: str, documentation: str, labels: tuple[str, ...], values: _Series) -> Metric:
    family = CounterMetricFamily(name, documentation, labels=labels)
    for key, number in values.items():
        family.add_metric(key, number)
    return family
