"""The chords that stand behind the buckets of a scrape."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse

from chordwatch.metrics import ChordCollector
from chordwatch.store.protocol import Counters, Exemplar, Histogram
from chordwatch.watch.recorded import Totals
from tests.unit.metrics.test_collector import HOSTILE, exposed, look
from tests.unit.seen import NOW

TRACE = 0xABC
BOUNDS = (1.0, 5.0)


def scraped(**exemplars: Exemplar) -> tuple[str, str]:
    """Return a scrape in the text format and in OpenMetrics, with these exemplars in the bucket up to 5 s."""
    histograms = {
        name: {"a": Histogram(bounds=BOUNDS, counts=(1, 2, 0), sum=9.0, exemplars={1: exemplar})}
        for name, exemplar in exemplars.items()
    }
    counters = Counters(histograms=histograms, bounds=BOUNDS)
    totals = Totals(up=True, counters=counters, workers=(), bytes_used=1, now=NOW)
    return exposed(ChordCollector(look=look(), totals=totals))


def test_a_bucket_names_the_trace_and_the_chord_that_it_counted_last() -> None:
    plain, open_metrics = scraped(duration=Exemplar("the-chord", TRACE, 4.5, NOW))
    found = [
        (sample.labels["le"], sample.value, sample.exemplar)
        for family in parse(open_metrics)
        for sample in family.samples
        if sample.exemplar
    ]
    [(le, value, exemplar)] = found
    assert (le, value) == ("5.0", 3.0)
    assert exemplar.labels == {"trace_id": f"{TRACE:032x}", "chord_id": "the-chord"}
    assert (exemplar.value, float(exemplar.timestamp)) == (4.5, NOW)
    # The text format knows none.
    assert "the-chord" not in plain
    assert 'celery_chord_duration_seconds_bucket{callback="a",le="5.0"} 3.0' in plain


@pytest.mark.parametrize("chord_id", [*HOSTILE, "x" * 500])
def test_an_odd_id_is_made_fit_for_a_label(chord_id: str) -> None:
    _, open_metrics = scraped(
        **{
            name: Exemplar(chord_id, TRACE, 4.5, NOW)
            for name in ("duration", "barrier", "callback_wait", "straggler")
        }
    )
    found = [s.exemplar.labels for f in parse(open_metrics) for s in f.samples if s.exemplar]
    assert len(found) == 4
    for labels in found:
        assert sum(map(len, labels)) + sum(map(len, labels.values())) <= 128
        assert labels["trace_id"] == f"{TRACE:032x}"
        assert unquote(labels.get("chord_id", chord_id), errors="surrogatepass") == chord_id
        assert "chord_id" in labels or len(chord_id) > 40
