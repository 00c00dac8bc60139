"""What the spans' times alone tell, compared with the store."""

from __future__ import annotations

import pytest

from tests.integration.tracing.bench import Bench, called
from tests.support.otlp import Span
from tests.support.polling import wait_until

pytestmark = pytest.mark.faults

#: Seconds between the two handlers' clocks, and the store's milliseconds.
NEAR = 0.02


def by_message(spans: list[Span], kind: str) -> dict[str, Span]:
    return {span.attributes["messaging.message.id"]: span for span in spans if span.kind == kind}


def test_queue_wait_straggler_and_barrier_are_those_of_the_store(bench: Bench) -> None:
    bench.worker("-c", "1")  # so that some have to wait
    sent = bench.send("slow")
    spans = bench.collector.wait_for(
        {"process project.nap": 3, "chord project.total": 1, "publish celery": 4}
    )
    chord = wait_until(lambda: bench.recorded(sent.chords[0]).chord, "it is recorded")
    published, processed = by_message(spans, "PRODUCER"), by_message(spans, "CONSUMER")

    for task in chord.header:
        assert task.task_id is not None
        assert None not in (task.published_at, task.started_at, task.finished_at)
        waited = processed[task.task_id].start - published[task.task_id].end
        assert waited == pytest.approx(task.started_at - task.published_at, abs=NEAR)
        took = processed[task.task_id].end - processed[task.task_id].start
        assert took == pytest.approx(task.finished_at - task.started_at, abs=NEAR)

    header = [span for task_id, span in processed.items() if span.attributes["celery.chord.role"] == "header"]
    straggler = max(header, key=lambda span: span.end).attributes["messaging.message.id"]
    assert straggler == max(chord.header, key=lambda task: task.finished_at or 0).task_id
    [whole] = called(spans, "chord project.total")
    assert whole.attributes["celery.chord.straggler.task_id"] == straggler

    first = min(span.end for span in published.values())
    callback = published[chord.callback.task_id or ""]
    assert whole.attributes["celery.chord.barrier_seconds"] == pytest.approx(callback.end - first, abs=NEAR)
    assert (chord.opened_at, chord.finished_at) == (
        pytest.approx(first, abs=NEAR),
        pytest.approx(whole.end, abs=NEAR),
    )
