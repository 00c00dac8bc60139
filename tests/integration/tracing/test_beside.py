"""Beside OpenTelemetry's own instrumentation of Celery, whichever handlers come first."""

from __future__ import annotations

import textwrap

import pytest

from chordwatch.tracing.ids import chord_span_id
from tests.integration.tracing.bench import Bench, called, ids, linked
from tests.support.otlp import tree

pytestmark = pytest.mark.faults

THEIRS = "opentelemetry.instrumentation.celery"
ORDERS = pytest.mark.parametrize("order", ["before", "after"])


@ORDERS
def test_its_spans_and_edges_stay_and_are_told_of_the_chord_whose_span_is_added(
    bench: Bench, order: str
) -> None:
    bench.worker("-c", "1", BESIDE=order)  # so that the nap is over last
    sent = bench.send("plain", "caller", BESIDE=order)
    drawn = """
    request
      apply_async/project.add
        run/project.add
      apply_async/project.add
        run/project.add
      apply_async/project.nap
        run/project.nap
          apply_async/project.total
            run/project.total
      chord project.total
    """
    lines = textwrap.dedent(drawn).strip().splitlines()
    spans = bench.collector.wait(lambda got: got if len(got) >= len(lines) else [], "all spans")
    assert tree(spans) == lines
    assert {span.scope for span in spans if "/" in span.name} == {THEIRS}
    [whole] = called(spans, "chord project.total")
    assert (whole.scope, whole.span_id) == ("chordwatch", chord_span_id(sent.chords[0]))
    ran = called(spans, "run/project.add") + called(spans, "run/project.nap")
    [callback] = called(spans, "run/project.total")
    assert sorted(linked(callback)) == sorted(map(ids, ran))
    assert {span.attributes["celery.chord.id"] for span in spans if span.name != "request"} == {
        sent.chords[0]
    }
    assert callback.attributes["celery.chord.role"] == "callback"
    assert sorted(span.attributes["celery.chord.index"] for span in ran) == [0, 1, 2]
    # What it tells itself stays.
    assert {span.attributes["celery.action"] for span in ran} == {"run"}
    assert callback.end < whole.end + 1
    assert callback.end - callback.start < 0.5  # ended when the task was, though told later


@ORDERS
def test_a_retry_is_told_as_an_event_and_not_doubled(bench: Bench, order: str) -> None:
    bench.worker(BESIDE=order)
    bench.send("retries", "caller", BESIDE=order)
    names = {"run/project.flaky": 3, "run/project.add": 1, "run/project.total": 1, "chord project.total": 1}
    spans = bench.collector.wait_for(names)
    attempts = called(spans, "run/project.flaky")
    assert [span.attributes["celery.task.attempt"] for span in attempts] == [0, 1, 2]
    assert [[event.name for event in span.events] for span in attempts] == [["retry"], ["retry"], []]
    [callback] = called(spans, "run/project.total")
    assert linked(callback) == [ids(attempts[-1]), ids(called(spans, "run/project.add")[0])]
    assert len([span for span in spans if span.scope == "chordwatch"]) == 1


@ORDERS
def test_without_a_callers_span_its_traces_stay_many_and_the_links_lead_into_each(
    bench: Bench, order: str
) -> None:
    bench.worker(BESIDE=order)
    bench.send("plain", BESIDE=order)
    names = {"run/project.add": 2, "run/project.nap": 1, "run/project.total": 1, "chord project.total": 1}
    spans = bench.collector.wait_for(names)
    ran = called(spans, "run/project.add") + called(spans, "run/project.nap")
    assert len({span.trace_id for span in ran}) == 3
    [callback] = called(spans, "run/project.total")
    assert sorted(linked(callback)) == sorted(map(ids, ran))
