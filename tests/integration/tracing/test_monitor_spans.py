"""Chords that no worker ends get their span from a monitor: once, with several of them and after a restart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from celery import Celery, chord
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse

from chordwatch.tracing.ids import chord_span_id
from chordwatch.watch import Watch
from tests.acceptance.diagnosis.installation import Installation, Monitor
from tests.support.otlp import Collector, Span
from tests.support.polling import wait_until
from tests.support.publisher import publisher
from tests.support.servers import Processes, RedisServer, kill

pytestmark = pytest.mark.faults

CHORD, CALLBACK = "chord project.collect", "process project.collect"
DURATIONS = ("duration", "barrier", "callback_wait", "straggler")
#: Seconds; a look takes place every 5, and what nobody reads is held to be hung after 30.
LOOKS, HUNG = 12.0, 90.0


class Traced(Installation):
    """An instrumented installation whose processes export to a collector."""

    def __init__(self, redis: RedisServer, processes: Processes, collector: Collector) -> None:
        super().__init__(redis, processes, instrumented=True)
        self._collector = collector

    def environment(self, login: str = "") -> dict[str, str]:
        """Return the environment of a process that traces."""
        return super().environment(login) | self._collector.environment("project")


@pytest.fixture
def traced(redis: RedisServer, processes: Processes, collector: Collector) -> Iterator[Traced]:
    traced = Traced(redis, processes, collector)
    yield traced
    traced.close()


def only_span(collector: Collector, chord_id: str, seconds: float = HUNG) -> Span:
    """Return the chord's span, which nobody writes a second time while monitors look twice."""
    collector.wait_for({CHORD: 1}, seconds)
    exported = sum(collector.requests.values())
    try:
        collector.wait(lambda spans: len([s for s in spans if s.name == CHORD]) > 1, "a second one", LOOKS)
    except AssertionError:
        [span] = collector.named(CHORD)
        assert span.span_id == chord_span_id(chord_id)
        return span
    pytest.fail(f"written again, after {exported} requests")


def test_a_chord_whose_worker_was_killed_gets_its_span_from_one_of_two_monitors(
    traced: Traced, collector: Collector
) -> None:
    worker = traced.worker("doomed")
    monitors = [Monitor(traced, name) for name in ("one", "two")]
    chord_id = traced.send("nap", "celery")
    started = wait_until(
        lambda: [p for p in traced.store.get(chord_id).chord.header if p.state == "started"], "it naps"
    )
    kill(worker)

    span = only_span(collector, chord_id)
    assert (span.status, span.description) == ("ERROR", "worker_lost")
    assert span.attributes["celery.chord.cause"] == "worker_lost"
    assert (span.attributes["celery.chord.id"], span.attributes["celery.chord.size"]) == (chord_id, 3)
    recorded = traced.store.get(chord_id)
    assert recorded.trace is not None
    assert (span.trace_id, span.start) == (recorded.trace.trace_id, pytest.approx(recorded.chord.opened_at))
    assert span.end > started[0].started_at
    # The dashboard links to it.
    with closing(Watch(Celery(broker=traced.redis.url(0), backend=traced.redis.url(1)))) as watch:
        seen, _ = watch.sight(chord_id)
    assert seen is not None
    assert seen.trace_id == span.trace_id
    # It holds the spans of those that ran.
    ran = [s for s in collector.spans if s.name == "process project.add"]
    assert {(s.trace_id, s.parent_id) for s in ran} == {(span.trace_id, span.span_id)}

    for monitor in monitors:
        monitor.process.terminate()
        assert monitor.process.wait(90) == 0
        monitor.close()
    after = Monitor(traced, "three")
    assert only_span(collector, chord_id) == span
    after.close()


def test_a_hung_chord_that_finishes_in_the_end_keeps_the_span_that_it_has(
    traced: Traced, collector: Collector
) -> None:
    traced.worker("main")
    monitor = Monitor(traced)
    chord_id = traced.send("add", "nobody")
    span = only_span(collector, chord_id)
    assert (span.status, span.description) == ("ERROR", "queue_unconsumed")

    traced.worker("late", queues="nobody")
    [callback] = collector.wait(lambda spans: [s for s in spans if s.name == CALLBACK], "the callback")
    assert (callback.trace_id, callback.parent_id) == (span.trace_id, span.span_id)
    assert len([link for link in callback.links if "messaging.message.id" in link.attributes]) == 3
    wait_until(lambda: traced.store.get(chord_id).chord.state == "succeeded", "it ends")
    assert only_span(collector, chord_id) == span
    monitor.close()


def test_a_chord_whose_header_failed_gets_its_span_though_nobody_traced_its_producer(
    traced: Traced, collector: Collector
) -> None:
    traced.worker("main")
    monitor = Monitor(traced)
    with publisher(traced.redis) as app:
        add, collect = app.signature("project.add"), app.signature("project.collect")
        chord_id = chord([add.clone((1, 1)), add.clone((1, "x"))], app=app)(collect).parent.id

    span = only_span(collector, chord_id, 30.0)
    assert (span.status, span.description) == ("ERROR", "header_failed")
    # Without its producer the store does not know the size, and so no end: the monitor saw it in the backend.
    last = max(part.finished_at for part in traced.store.get(chord_id).chord.header)
    assert last - 0.001 < span.end < last + LOOKS
    assert span.parent_id is None
    monitor.close()


def test_the_buckets_of_the_durations_point_to_the_trace_that_was_exported(
    traced: Traced, collector: Collector
) -> None:
    traced.worker("main")
    chord_id = traced.send("add", "later")
    traced.worker("late", queues="later")
    [span] = collector.wait(lambda spans: [s for s in spans if s.name == CHORD], "the chord's span")
    monitor = Monitor(traced)
    counted = 'celery_chord_duration_seconds_count{callback="project.collect"} 1.0'
    wait_until(lambda: counted in monitor.metrics(), "the monitor has counted it")

    families = parse(monitor.metrics("application/openmetrics-text; version=1.0.0"))
    found = [sample for family in families for sample in family.samples if sample.exemplar]
    durations = {f"celery_chord_{name}_seconds_bucket" for name in DURATIONS}
    assert {sample.name for sample in found} == durations
    for sample in found:
        assert sample.exemplar.labels == {"trace_id": f"{span.trace_id:032x}", "chord_id": chord_id}
    [whole] = [sample.exemplar.value for sample in found if "duration" in sample.name]
    assert whole == pytest.approx(span.end - span.start, abs=0.05)
    monitor.close()
