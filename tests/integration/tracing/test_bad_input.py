"""Exporters that block or refuse, and trace contexts that nobody should believe: tasks never notice."""

from __future__ import annotations

import time

import pytest
from celery import Celery, chord

from chordwatch.tracing.ids import trace_id_of
from tests.integration.tracing.bench import Bench
from tests.support.pace import within
from tests.support.polling import wait_until

pytestmark = pytest.mark.faults

HOSTILE = [
    "",
    "00-" + "0" * 32 + "-" + "1" * 16 + "-01",
    "00-" + "1" * 32 + "-" + "0" * 16 + "-01",
    "ff-" + "1" * 32 + "-" + "1" * 16 + "-01",
    "00-" + "g" * 32 + "-" + "1" * 16 + "-01",
    "00-" + "1" * 32 + "-" + "1" * 16,
    "x" * 100_000,
    "\x00\udcff'; DROP TABLE spans",
    7,
    None,
    ["00-" + "1" * 32 + "-" + "1" * 16 + "-01"],
    {"traceparent": "00"},
]


def test_a_malformed_or_hostile_trace_context_is_ignored(bench: Bench) -> None:
    bench.worker()
    stranger = Celery("stranger", broker=bench.redis.url(0), backend=bench.redis.url(1), set_as_current=False)
    add, total = stranger.signature("project.add"), stranger.signature("project.total")
    results = {}
    for value in HOSTILE:
        headers = {"traceparent": value, "tracestate": value, "baggage": value}
        header = [add.clone((n, 1)).set(headers=headers) for n in (1, 2)]
        result = chord(header, app=stranger)(total)
        assert result.get(timeout=30) == 5
        results[result.parent.id] = value
    names = {"process project.add": 2 * len(HOSTILE), "process project.total": len(HOSTILE)}
    spans = bench.collector.wait_for(names)
    for chord_id, value in results.items():
        of_chord = [span for span in spans if span.attributes.get("celery.chord.id") == chord_id]
        assert {span.trace_id for span in of_chord} == {trace_id_of(chord_id)}, repr(value)[:80]
    stranger.close()


@pytest.mark.parametrize("fault", ["blocks", "refuses", "is_nowhere"])
def test_an_exporter_that_fails_never_delays_a_task_nor_the_workers_end(bench: Bench, fault: str) -> None:
    extra = {"OTEL_EXPORTER_OTLP_TIMEOUT": "60"}
    if fault == "blocks":
        bench.collector.gate.clear()
    elif fault == "refuses":
        bench.collector.status = 503
    else:
        extra["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:9"
    bench.worker(**extra)
    wait_until(lambda: "ready." in bench.processes.log("worker"), "the worker is ready")
    bench.send("plain", **extra)
    if fault != "is_nowhere":
        assert wait_until(lambda: bench.collector.requests["/v1/traces"], "an export was tried")
    begun = time.monotonic()
    sent = bench.send("plain", **extra)
    # A process' start, three tasks, and the two seconds for the last spans.
    assert within(time.monotonic() - begun, 15)
    chord = wait_until(lambda: bench.recorded(sent.chords[0]).chord, "it is recorded")
    assert chord.state == "succeeded"
    assert chord.finished_at is not None
    assert chord.opened_at is not None
    assert within(chord.finished_at - chord.opened_at, 3)
    begun = time.monotonic()
    bench.processes.stop(20)
    assert within(time.monotonic() - begun, 15)
