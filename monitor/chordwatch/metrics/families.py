"""Families of the catalogue's metrics with their series, made fresh for each scrape."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate
from operator import itemgetter
from typing import TypeVar
from urllib.parse import quote

from prometheus_client import metrics_core, samples
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from chordwatch.metrics.catalogue import METRICS
from chordwatch.store.protocol import Exemplar, Histogram

#: OpenMetrics allows the labels of an exemplar 128 characters, names included.
_MAX_CHORD_ID = 80
Family = metrics_core.Metric
_Bucket = tuple[str, float] | tuple[str, float, samples.Exemplar]
_Values = TypeVar("_Values", bound=tuple[str, ...])
_KINDS: Mapping[str, type[CounterMetricFamily | GaugeMetricFamily]] = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
}


def family(name: str, series: Mapping[_Values, float]) -> Family:
    """Return a counter or a gauge with its numbers by the values of its labels, in the order of the catalogue.

    Raises:
        KeyError: the catalogue has no counter or gauge of this name.
    """
    metric = METRICS[name]
    made = _KINDS[metric.kind](metric.name, metric.help, labels=metric.labels)
    for values, number in sorted(series.items()):
        made.add_metric(values, number)
    return made


def number(name: str, value: float) -> Family:
    """Return a gauge of the catalogue that has no labels."""
    return family(name, {(): value})


def histogram(name: str, series: Mapping[_Values, Histogram]) -> Family:
    """Return a histogram of the catalogue by the values of its labels, with the buckets that each one has."""
    metric = METRICS[name]
    made = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    for values, observed in sorted(series.items(), key=itemgetter(0)):
        bounds = [*(str(float(bound)) for bound in observed.bounds), "+Inf"]
        buckets: list[_Bucket] = list(zip(bounds, accumulate(observed.counts), strict=True))
        for place, chord in observed.exemplars.items():
            buckets[place] = (*buckets[place][:2], _exemplar(chord))
        made.add_metric(values, buckets, observed.sum)
    return made


def _exemplar(chord: Exemplar) -> samples.Exemplar:
    """Return the chord as OpenMetrics shows it behind its bucket; the text format leaves it out.

    Its id stands as in a URL, because links are made of it, and is left out where it is too long.
    """
    labels = {"trace_id": f"{chord.trace_id:032x}"}
    quoted = quote(chord.chord_id, safe="", errors="surrogatepass")
    if len(quoted) <= _MAX_CHORD_ID:
        labels["chord_id"] = quoted
    return samples.Exemplar(labels, chord.seconds, chord.at)
