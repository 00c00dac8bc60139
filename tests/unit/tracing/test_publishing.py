"""The spans of messages, with a provider in memory: what is under way, what is refused, what is not sampled."""

from __future__ import annotations

from typing import Any, NamedTuple

from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import StatusCode

from chordwatch.recording.records import Trace
from chordwatch.tracing.chord_trace import chord_of_own
from chordwatch.tracing.ids import chord_span_id, publish_span_id, trace_id_of
from chordwatch.tracing.messages import read_context
from chordwatch.tracing.places import Place, place_of
from chordwatch.tracing.publishing import Publishing
from chordwatch.tracing.traces import Traces
from tests.contract.batches import new_id
from tests.unit.tracing.spans_in_memory import Kept


class Header(NamedTuple):
    """A header as Celery dispatches it."""

    options: dict[str, Any]
    tasks: object


class Producer:
    """A process that publishes chords."""

    def __init__(self, kept: Kept | None = None, *, limit: int = 500) -> None:
        self.kept = kept or Kept()
        self.recorded: dict[str, Trace] = {}
        self.traces = Traces(self.recorded.__setitem__, limit=limit)
        self.publishing = Publishing(self.traces, system="redis")

    def dispatch(self, tasks: object = (1, 2)) -> str:
        """Begin to dispatch a chord, and return its id."""
        chord_id = new_id()
        self.traces.dispatching(Header({"task_id": chord_id}, tasks))
        return chord_id

    def publish(self, chord_id: str, *, end: bool = True) -> dict[str, Any]:
        """Publish a header task, and return its message's headers."""
        headers = {"id": new_id(), "task": "proj.add", "group": chord_id, "group_index": 0, "retries": 0}
        place = place_of(headers, {"task": "proj.total"}, None)
        assert place is not None
        self.publishing.begin(self.kept.spans, headers, place)
        if end:
            self.traces.went_out()
            self.publishing.end(self.kept.spans, headers, "celery")
        return headers


def test_a_message_has_its_spans_context_before_the_span_is_begun() -> None:
    producer = Producer()
    chord_id = producer.dispatch()
    headers = producer.publish(chord_id, end=False)
    span = read_context(headers)[1]
    assert (span.trace_id, span.span_id) == (trace_id_of(chord_id), publish_span_id(headers["id"], 0))
    assert not producer.kept.ended()
    producer.publishing.end(producer.kept.spans, headers, "celery")
    written = producer.kept.named("publish celery")
    assert (written.context.trace_id, written.context.span_id) == (span.trace_id, span.span_id)
    assert written.parent is not None
    assert written.parent.span_id == chord_span_id(chord_id)


def test_a_chord_is_recorded_when_its_first_message_is_out_and_one_that_sent_none_is_not() -> None:
    producer = Producer()
    outer, inner = producer.dispatch(), producer.dispatch()
    producer.publish(inner, end=False)
    assert not producer.recorded
    producer.publish(inner)
    assert set(producer.recorded) == {inner, outer}
    for _ in range(2):
        producer.traces.dispatched()

    failed = producer.dispatch()
    producer.publish(failed, end=False)
    producer.traces.dispatched()
    producer.publish(producer.dispatch())
    assert failed not in producer.recorded


def test_a_dispatch_that_fails_ends_the_span_of_its_message_with_an_error() -> None:
    producer = Producer()
    other, chord_id = producer.dispatch(), producer.dispatch()
    producer.publish(other, end=False)  # by another thread
    producer.publish(chord_id)
    producer.publish(chord_id, end=False)
    producer.publishing.fail(producer.kept.spans, chord_id, ConnectionError("gone"))
    [good, bad] = producer.kept.ended()
    assert (good.name, bad.name) == ("publish celery", "publish")
    assert bad.status.status_code is StatusCode.ERROR
    assert (bad.attributes or {})["error.type"] == "ConnectionError"
    assert len(producer.publishing._under_way) == 1


def test_messages_that_never_get_out_are_forgotten() -> None:
    producer = Producer()
    chord_id = producer.dispatch()
    for _ in range(5000):
        producer.publish(chord_id, end=False)
    assert len(producer.publishing._under_way) <= 1000


def test_a_chord_that_is_not_sampled_says_so_in_its_messages_and_writes_nothing() -> None:
    producer = Producer(Kept(sampler=ALWAYS_OFF))
    chord_id = producer.dispatch()
    headers = producer.publish(chord_id)
    assert headers["traceparent"].endswith("-00")
    assert not producer.kept.ended()
    assert not producer.recorded[chord_id].sampled


def test_the_chord_is_recorded_once_with_when_it_began() -> None:
    producer = Producer()
    chord_id = producer.dispatch()
    producer.publish(chord_id)
    recorded = producer.recorded.pop(chord_id)
    assert (recorded.trace_id, recorded.parent_id) == (trace_id_of(chord_id), 0)
    assert recorded.began <= (producer.kept.named("publish celery").start_time or 0)
    producer.publish(chord_id)
    assert not producer.recorded


def test_beyond_the_limit_each_task_begins_a_trace_that_names_the_chords() -> None:
    producer = Producer(limit=2)
    chord_id = producer.dispatch((1, 2, 3))
    headers = producer.publish(chord_id)
    span = read_context(headers)[1]
    assert span.trace_id == trace_id_of(headers["id"])
    chord = chord_of_own(span)
    assert chord is not None
    assert chord.trace_id == trace_id_of(chord_id)
    written = producer.kept.named("publish celery")
    assert written.parent is None
    assert [link.context.span_id for link in written.links] == [chord_span_id(chord_id)]


def test_a_header_of_unknown_size_stays_one_trace() -> None:
    producer = Producer(limit=2)
    chord_id = producer.dispatch(number for number in range(10))
    assert read_context(producer.publish(chord_id))[1].trace_id == trace_id_of(chord_id)


def test_a_chord_dispatched_within_anothers_dispatch_is_its_child() -> None:
    producer = Producer()
    outer = producer.dispatch()
    producer.publish(outer)
    inner = producer.dispatch()
    producer.publish(inner)
    assert producer.recorded[inner][:2] == (trace_id_of(outer), chord_span_id(outer))
    assert producer.traces.dispatched() == inner
    assert producer.traces.dispatched() == outer
    assert producer.traces.dispatched() is None


def test_a_task_before_a_chord_in_a_chain_is_in_the_chords_trace() -> None:
    producer, chord_id, task_id = Producer(), new_id(), new_id()
    headers = {"id": task_id, "task": "proj.add", "retries": 0}
    producer.publishing.begin(producer.kept.spans, headers, Place(chord_id, None))
    producer.publishing.end(producer.kept.spans, headers, "celery")
    written = producer.kept.named("publish celery")
    assert written.context.trace_id == trace_id_of(chord_id)
    assert written.parent is None
    assert "celery.chord.id" not in (written.attributes or {})
