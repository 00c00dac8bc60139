"""The counters and histograms that the store keeps, its size, and the workers' heartbeats, as families."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from chordwatch.diagnosis.causes import REMARKS
from chordwatch.metrics.catalogue import METRICS
from chordwatch.metrics.families import Family, family, histogram, number
from chordwatch.metrics.labels import CallbackLabels, label
from chordwatch.store.protocol import Counters, Histogram
from chordwatch.watch.lives import last_lives
from chordwatch.watch.recorded import Totals

#: Of other causes there are too many to begin at 0 for each callback; alerts have the gauge for those.
_REMARKS = [("ok", cause) for cause in REMARKS]
_HISTOGRAMS = ("duration", "barrier", "callback_wait", "straggler")
_Series = Counter[tuple[str, ...]]


def counted(totals: Totals, labels: CallbackLabels) -> Iterator[Family]:
    """Yield what a store that answers counted, and its size. Known series start at 0: so the first increase is one."""
    counters = totals.counters
    yield from _chords(counters, labels)
    yield from _tasks(counters, labels)
    yield from _found(counters, labels)
    for name in _HISTOGRAMS:
        yield _histogram(name, counters, labels)
    for name, plain in (
        ("chordwatch_records_dropped_total", counters.dropped),
        ("chordwatch_labels_capped_total", counters.capped),
    ):
        series = _zeros(name)
        for value, times in plain.items():
            series[label(value),] += times
        yield family(name, series)
    yield number("chordwatch_store_bytes", totals.bytes_used)


def workers(totals: Totals, stale_after: float) -> Iterator[Family]:
    """Yield what heartbeats tell; one that is older than `stale_after` seconds is of a worker that is down.

    A worker that said goodbye has no series: ending on purpose is no fault. Of a restarted one the last life counts.
    """
    up: dict[tuple[str, ...], float] = {}
    tasks = _Series()
    for node, record in last_lives(totals.workers).items():
        if not record.gone:
            series = (label(node),)
            alive = totals.now - record.last_beat_at <= stale_after
            up[series] = min(up.get(series, 1.0), float(alive))
            tasks[series] += len(record.heartbeat.active) + len(record.heartbeat.reserved)
    yield family("celery_worker_up", up)
    yield family("celery_worker_chord_tasks", tasks)


def _chords(counters: Counters, labels: CallbackLabels) -> Iterator[Family]:
    started = _zeros("celery_chord_started_total", labels)
    for callback, times in counters.started.items():
        started[labels(callback),] += times
    yield family("celery_chord_started_total", started)
    finished = _zeros("celery_chord_finished_total", labels)
    for (callback, outcome), times in counters.finished.items():
        finished[labels(callback), outcome] += times
    yield family("celery_chord_finished_total", finished)


def _tasks(counters: Counters, labels: CallbackLabels) -> Iterator[Family]:
    header, retries = _Series(), _Series()
    callbacks = _zeros("celery_chord_callbacks_total", labels)
    for name in map(labels, labels.counted):
        retries[name, name, "callback"] = 0
    for (callback, name, event), times in counters.header_tasks.items():
        whose, task = labels(callback), label(name)
        for known in METRICS["celery_chord_header_tasks_total"].values["event"]:
            header[whose, task, known] += 0
        header[whose, task, event] += times
        retries[whose, task, "header"] += 0
    for (callback, event), times in counters.callbacks.items():
        callbacks[labels(callback), event] += times
    for (callback, name, role), times in counters.retries.items():
        retries[labels(callback), label(name), role] += times
    yield family("celery_chord_header_tasks_total", header)
    yield family("celery_chord_callbacks_total", callbacks)
    yield family("celery_chord_retries_total", retries)


def _found(counters: Counters, labels: CallbackLabels) -> Iterator[Family]:
    """Yield what monitors found."""
    verdicts = _Series({(labels(name), *remark): 0 for name in labels.counted for remark in _REMARKS})
    for (callback, outcome, cause), times in counters.verdicts.items():
        verdicts[labels(callback), label(outcome), label(cause)] += times
    yield family("celery_chord_verdicts_total", verdicts)
    repeated = _zeros("celery_chord_callback_repeats_total", labels)
    for callback, times in counters.repeated.items():
        repeated[labels(callback),] += times
    yield family("celery_chord_callback_repeats_total", repeated)


def _histogram(name: str, counters: Counters, labels: CallbackLabels) -> Family:
    nothing = Histogram(bounds=counters.bounds, counts=(0,) * (len(counters.bounds) + 1), sum=0.0)
    merged = {(labels(callback),): nothing for callback in labels.counted}
    for callback, observed in counters.histograms.get(name, {}).items():
        series = (labels(callback),)
        merged[series] = _sum(merged.get(series, nothing), observed)
    return histogram(f"celery_chord_{name}_seconds", merged)


def _sum(one: Histogram, other: Histogram) -> Histogram:
    counts = tuple(a + b for a, b in zip(one.counts, other.counts, strict=True))
    exemplars = {**one.exemplars, **other.exemplars}
    return Histogram(bounds=one.bounds, counts=counts, sum=one.sum + other.sum, exemplars=exemplars)


def _zeros(name: str, labels: CallbackLabels | None = None) -> _Series:
    """Return the series of a counter that are known beforehand: of one label with fixed values, and of callbacks."""
    values = next(iter(METRICS[name].values.values()), None)
    ends = [(value,) for value in values] if values else [()]
    begins = [(labels(callback),) for callback in labels.counted] if labels else [()]
    return _Series({(*begin, *end): 0 for begin in begins for end in ends})
