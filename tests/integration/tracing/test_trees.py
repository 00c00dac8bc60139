"""The exact tree of spans of each shape of chord, exported by real prefork workers."""

from __future__ import annotations

import itertools

import pytest

from chordwatch.tracing.ids import chord_span_id, process_span_id, publish_span_id, trace_id_of
from tests.integration.tracing.bench import Bench, called, expect, ids, linked

pytestmark = pytest.mark.faults

#: Today's Unix seconds in a float are exact to a fourth of a microsecond.
ROUNDED = 1e-6


def test_a_plain_chord_is_one_trace_with_a_true_fan_in(bench: Bench) -> None:
    bench.worker("-c", "1")  # so that the nap is over last
    sent = bench.send("plain")
    spans = expect(
        bench,
        """
        chord project.total
          process project.add
          process project.add
          process project.nap
          process project.total
          publish celery
          publish celery
          publish celery
          publish celery
        """,
    )
    [chord_id] = sent.chords
    assert {span.trace_id for span in spans} == {trace_id_of(chord_id)}
    [whole], [callback] = called(spans, "chord project.total"), called(spans, "process project.total")
    header = [span for span in spans if span.attributes.get("celery.chord.role") == "header"]
    processed = [span for span in header if span.kind == "CONSUMER"]
    published = [span for span in spans if span.kind == "PRODUCER"]
    assert sorted(linked(callback)) == sorted(map(ids, processed))
    by_message = {
        link.attributes["messaging.message.id"]: link.span_id for link in callback.links if link.attributes
    }
    assert by_message == {span.attributes["messaging.message.id"]: span.span_id for span in processed}
    # Any process can name any span.
    assert whole.span_id == chord_span_id(chord_id)
    for span in (*processed, callback):
        task_id = span.attributes["messaging.message.id"]
        assert span.span_id == process_span_id(task_id, 0)
        assert span.links[0].span_id == publish_span_id(task_id, 0)
    # The chord's span holds all others, and tells what it waited for.
    assert whole.start <= min(span.start for span in spans) + ROUNDED
    assert whole.end >= max(span.end for span in spans) - ROUNDED
    [straggler] = called(spans, "process project.nap")
    assert whole.attributes["celery.chord.straggler.task_id"] == straggler.attributes["messaging.message.id"]
    assert whole.attributes["celery.chord.size"] == callback.attributes["celery.chord.size"] == 3
    assert 0.5 <= whole.attributes["celery.chord.barrier_seconds"] < whole.end - whole.start
    assert {span.status for span in spans} == {"UNSET"}
    # Attributes follow the conventions.
    assert sorted(span.attributes["celery.chord.index"] for span in processed) == [0, 1, 2]
    for span in published:
        assert span.attributes["messaging.operation.name"] == "publish"
        assert span.attributes["messaging.operation.type"] == "send"
    for span in published + processed:
        assert span.attributes["messaging.system"] == "redis"
        assert span.attributes["messaging.destination.name"] == "celery"
        assert span.attributes["celery.chord.id"] == chord_id
        assert span.attributes["celery.task.attempt"] == 0
    assert {span.resource["service.name"] for span in published[:3]} == {"producer"}
    assert {span.resource["service.name"] for span in processed} == {"worker"}


def test_each_retry_is_a_span_of_its_own_linked_to_the_attempt_before(bench: Bench) -> None:
    bench.worker()
    bench.send("retries")
    spans = expect(
        bench,
        """
        chord project.total
          process project.add
          process project.flaky
          process project.flaky
          process project.flaky
          process project.total
          publish celery
          publish celery
          publish celery
          publish celery
          publish celery
        """,
    )
    attempts = called(spans, "process project.flaky")
    assert [span.attributes["celery.task.attempt"] for span in attempts] == [0, 1, 2]
    for before, after in itertools.pairwise(attempts):
        assert (before.trace_id, before.span_id) in {(link.trace_id, link.span_id) for link in after.links}
        [event] = before.events
        assert (event.name, event.attributes["celery.retry.reason"]) == (
            "retry",
            "ConnectionError: no answer",
        )
        assert before.status == "UNSET"
    assert not attempts[-1].events
    [callback], [added] = called(spans, "process project.total"), called(spans, "process project.add")
    assert linked(callback) == [ids(attempts[-1]), ids(added)]  # the one in trouble first


def test_a_header_that_fails_is_in_the_trace_and_its_callback_is_not(bench: Bench) -> None:
    bench.worker()
    sent = bench.send("fails")
    assert sent.result == "ValueError"  # the monitor writes the chord's own span: test_monitor_spans.py
    spans = expect(
        bench,
        """
        … process project.add
        … process project.fail
        … publish celery
        … publish celery
        """,
    )
    assert {(span.trace_id, span.parent_id) for span in spans} == {
        (trace_id_of(sent.chords[0]), chord_span_id(sent.chords[0]))
    }
    [failed] = called(spans, "process project.fail")
    assert (failed.status, failed.description) == ("ERROR", "ValueError: wrong")
    assert failed.attributes["error.type"] == "ValueError"


def test_a_callback_that_fails_fails_its_chord(bench: Bench) -> None:
    bench.worker()
    bench.send("callback_fails")
    spans = expect(
        bench,
        """
        chord project.fail
          process project.add
          process project.add
          process project.fail
          publish celery
          publish celery
          publish celery
        """,
    )
    [whole], [callback] = called(spans, "chord project.fail"), called(spans, "process project.fail")
    assert (whole.status, whole.description) == ("ERROR", "callback_failed")
    assert whole.attributes["celery.chord.cause"] == "callback_failed"
    assert sorted(linked(callback)) == sorted(map(ids, called(spans, "process project.add")))


def test_inside_a_callers_span_the_chord_is_a_part_of_its_trace_and_baggage_goes_along(bench: Bench) -> None:
    bench.worker()
    sent = bench.send("baggage", "caller")
    assert sent.result == "blue"
    spans = expect(
        bench,
        """
        request
          chord project.first
            process project.first
            process project.tenant
            process project.tenant
            process project.tenant
            publish celery
            publish celery
            publish celery
            publish celery
        """,
    )
    assert len({span.trace_id for span in spans}) == 1
    assert spans[0].trace_id != trace_id_of(sent.chords[0])
    recorded = bench.recorded(sent.chords[0]).trace
    [request] = called(spans, "request")
    assert recorded is not None
    assert (recorded.trace_id, recorded.parent_id) == ids(request)


def test_without_an_instrumented_producer_the_trace_begins_at_the_first_task_that_a_worker_sees(
    bench: Bench,
) -> None:
    bench.worker()
    sent = bench.send("plain", RECORDS="")
    spans = expect(
        bench,
        """
        chord project.total
          process project.add
          process project.add
          process project.nap
          process project.total
          publish celery
        """,
    )
    assert {span.trace_id for span in spans} == {trace_id_of(sent.chords[0])}
    [callback] = called(spans, "process project.total")
    assert len(linked(callback)) == 3


def test_a_task_that_was_replaced_is_linked_to_the_one_it_replaces(bench: Bench) -> None:
    bench.worker()
    bench.send("replaced")
    spans = expect(
        bench,
        """
        chord project.total
          process project.add
          process project.add
          process project.swapped
          process project.total
          publish celery
          publish celery
          publish celery
          publish celery
        """,
    )
    [swapped], [callback] = called(spans, "process project.swapped"), called(spans, "process project.total")
    [replacing] = [
        span
        for span in called(spans, "process project.add")
        if span.attributes["messaging.message.id"] == swapped.attributes["messaging.message.id"]
    ]
    assert ids(swapped) in {(link.trace_id, link.span_id) for link in replacing.links}
    assert ids(replacing) in linked(callback)
    assert ids(swapped) not in linked(callback)


def test_of_more_header_tasks_than_a_span_may_link_the_worst_are_linked_and_the_rest_is_counted(
    bench: Bench,
) -> None:
    bench.worker()
    bench.send("large", PARTS="140", OTEL_SPAN_LINK_COUNT_LIMIT="")
    spans = bench.collector.wait_for({"process project.total": 1, "chord project.total": 1}, 60)
    [callback] = called(spans, "process project.total")
    assert len(callback.links) == 128
    assert callback.dropped_links == 0
    assert callback.attributes["celery.chord.links_left_out"] == 140 - len(linked(callback)) > 0


def test_each_task_of_a_header_too_large_for_one_trace_has_a_trace_of_its_own(bench: Bench) -> None:
    bench.worker()
    sent = bench.send("large", "caller", PARTS="6", LIMIT="5")
    names = {"process project.add": 6, "publish celery": 7, "process project.total": 1, "request": 1}
    spans = bench.collector.wait_for(names | {"chord project.total": 1})
    [chord_id] = sent.chords
    [request], [whole] = called(spans, "request"), called(spans, "chord project.total")
    [callback] = called(spans, "process project.total")
    # The chord and its callback stay in the caller's trace.
    assert (whole.trace_id, whole.parent_id) == ids(request)
    assert (callback.trace_id, callback.parent_id) == ids(whole)
    added = called(spans, "process project.add")
    assert {span.trace_id for span in added} == {
        trace_id_of(span.attributes["messaging.message.id"]) for span in added
    }
    for span in added:
        [published] = [other for other in spans if ids(other) == (span.trace_id, span.parent_id)]
        assert (published.kind, published.parent_id) == ("PRODUCER", None)
        for each in (span, published):
            assert ids(whole) in {(link.trace_id, link.span_id) for link in each.links}
    assert sorted(linked(callback)) == sorted(map(ids, added))
    assert whole.span_id == chord_span_id(chord_id)


@pytest.mark.parametrize("pool", ["solo", "threads", "gevent", "eventlet"])
def test_the_trace_is_the_same_under_every_pool(bench: Bench, pool: str) -> None:
    bench.worker("-P", pool)
    bench.send("nested", TIMES="3")
    spans = expect(
        bench,
        """
        chord project.total
          chord project.total
            process project.add
            process project.add
            process project.total
            publish celery
            publish celery
            publish celery
          process project.add
          process project.total
          publish celery
          publish celery
        """,
        times=3,
    )
    assert len({span.trace_id for span in spans}) == 3
    log = bench.processes.log("worker")
    assert "Traceback" not in log
    assert "Failed to detach context" not in log


def test_a_context_that_somebody_else_wrote_into_the_messages_is_the_callers(bench: Bench) -> None:
    bench.worker()
    bench.send("foreign", RECORDS="")
    spans = expect(
        bench,
        """
        chord project.total
          process project.add
          process project.add
          process project.total
          publish celery
        """,
    )
    assert {span.trace_id for span in spans} == {7}
    for added in called(spans, "process project.add"):
        assert [(link.trace_id, link.span_id) for link in added.links] == [(7, 9)]


def test_workers_whose_children_run_one_task_each_finish_what_they_began(bench: Bench) -> None:
    bench.worker("--max-tasks-per-child", "1")
    bench.send("plain")
    spans = expect(
        bench,
        """
        chord project.total
          process project.add
          process project.add
          process project.nap
          process project.total
          publish celery
          publish celery
          publish celery
          publish celery
        """,
    )
    assert len(linked(called(spans, "process project.total")[0])) == 3
