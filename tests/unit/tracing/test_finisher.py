"""What a callback's end leaves to do, with the store's in-memory twin."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.trace import SpanContext, SpanKind, StatusCode, TraceFlags

from chordwatch.errors import UnreachableError
from chordwatch.recording.records import End, Role, Trace, pack_trace
from chordwatch.store.memory import MemoryStore
from chordwatch.tracing import finisher as finishing
from chordwatch.tracing.chord_trace import ChordTrace
from chordwatch.tracing.finisher import Finisher, Job
from chordwatch.tracing.ids import chord_span_id, process_span_id, trace_id_of
from chordwatch.tracing.told_spans import name_of, pack_context
from tests.contract.batches import Process, callback, ended, new_id, published
from tests.unit.tracing.spans_in_memory import Kept

AT = 1_000_000.0
TRACE = ChordTrace(2**100, 2**40)


class Away(MemoryStore):
    """A store that does not answer."""

    def chords(self, *_: Any, **__: Any) -> Any:
        """Refuse."""
        raise UnreachableError("The store is away.")

    post = posted = chords  # type: ignore[assignment]


class Scene:
    """A chord whose callback has just ended in this process. `time` is what the finisher takes for now."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, size: int = 3, max_links: int = 128) -> None:
        self.time, self.roused = 0.0, 0
        monkeypatch.setattr(finishing.time, "monotonic", lambda: self.time)
        self.store = MemoryStore(clock=lambda: AT + 100)
        self.kept = Kept(max_links=max_links)
        self.finisher = Finisher(lambda: self.kept.spans, self._rouse, keep=60)
        self.chord_id, self.callback_id = new_id(), new_id()
        self.header = [new_id() for _ in range(size)]
        trace = pack_trace(Trace(*TRACE[:3], began=int(AT * 1e9)))
        Process(self.store, "producer").send(
            self.chord_id,
            [published(task_id, AT + 0.1, index=n) for n, task_id in enumerate(self.header)],
            c=callback(self.callback_id),
            n=size,
            a=AT + 0.2,
            t=trace,
        )

    def _rouse(self) -> None:
        self.roused += 1

    def end_header(self, *tasks: str) -> None:
        """Record that tasks of the header ended, each one second later than the one before."""
        records = [
            ended(i, AT + 2 + n, index=n, started=AT + 1, counted=True)
            for n, i in enumerate(self.header)
            if i in (tasks or self.header)
        ]
        Process(self.store).send(self.chord_id, records)

    def end_callback(self, end: End = End.SUCCEEDED) -> None:
        """Record that the callback ended, at 10 seconds."""
        record = ended(
            self.callback_id, AT + 10, end, started=AT + 9, last=True, role=Role.CALLBACK, name="proj.whole"
        )
        Process(self.store).send(self.chord_id, [record])

    def job(self, state: str = "SUCCESS", **fields: Any) -> Job:
        """Return what a callback's end leaves: its span is open."""
        span = self.kept.spans.start(
            "process proj.whole",
            SpanKind.CONSUMER,
            TRACE,
            5,
            parent_id=chord_span_id(self.chord_id),
            attributes={},
        )
        values = {"parent_id": self.header[-1], "started_at": int((AT + 9) * 1e9), "goes_on": False} | fields
        return Job(span, span.end, self.chord_id, self.callback_id, **values).ended(
            int((AT + 10) * 1e9), state
        )

    def look(self, seconds: float, *, closing: bool = False) -> bool:
        """Follow up so much later."""
        self.time += seconds
        return self.finisher.follow_up(self.store, closing=closing)


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(monkeypatch)


def test_a_callback_is_linked_to_every_header_task_the_slowest_first_and_ends_when_it_ended(
    scene: Scene,
) -> None:
    scene.finisher.take(scene.job())
    assert scene.roused == 1
    assert scene.look(0)  # nothing is asked yet
    scene.end_header()
    scene.end_callback()
    assert not scene.look(0.2)
    span = scene.kept.named("process proj.whole")
    assert span.end_time == int((AT + 10) * 1e9)
    slowest_first = scene.header[::-1]
    assert [link.context.span_id for link in span.links] == [process_span_id(i, 0) for i in slowest_first]
    assert [dict(link.attributes or {}) for link in span.links] == [
        {"messaging.message.id": i} for i in slowest_first
    ]
    assert {link.context.trace_id for link in span.links} == {TRACE.trace_id}
    assert dict(span.attributes or {}) == {"celery.chord.size": 3}


def test_the_chords_span_is_written_with_its_times_and_once(scene: Scene) -> None:
    scene.finisher.take(scene.job())
    scene.finisher.take(scene.job())
    scene.end_header()
    scene.end_callback()
    assert not scene.look(0) or not scene.look(1)
    whole = scene.kept.named("chord proj.tasks.whole")
    assert (whole.start_time, whole.end_time) == (int(AT * 1e9), int((AT + 10) * 1e9))
    assert whole.parent is not None
    assert whole.parent.span_id == TRACE.parent_id
    assert dict(whole.attributes or {}) == {
        "celery.chord.id": scene.chord_id,
        "celery.task.name": "proj.tasks.whole",
        "celery.chord.size": 3,
        "celery.chord.straggler.task_id": scene.header[-1],
        "celery.chord.barrier_seconds": pytest.approx(3.9),
    }
    assert whole.status.status_code is StatusCode.UNSET


def test_a_callback_that_failed_makes_the_chords_span_an_error(scene: Scene) -> None:
    scene.finisher.take(scene.job(state="FAILURE"))
    scene.end_header()
    scene.end_callback(End.FAILED)
    scene.look(0)
    scene.look(1)
    whole = scene.kept.named("chord proj.tasks.whole")
    assert (whole.status.status_code, whole.status.description) == (StatusCode.ERROR, "callback_failed")


def test_what_other_processes_have_not_told_yet_is_waited_for(scene: Scene) -> None:
    scene.finisher.take(scene.job())
    scene.end_header(*scene.header[:2])
    scene.end_callback()
    assert scene.look(0)
    assert scene.look(1)
    assert not scene.kept.ended()
    scene.end_header(scene.header[2])
    assert not scene.look(1)
    assert len(scene.kept.named("process proj.whole").links) == 3


def test_after_some_seconds_nothing_more_is_waited_for(scene: Scene) -> None:
    scene.finisher.take(scene.job())
    scene.end_header(*scene.header[:2])
    assert scene.look(0)
    assert not scene.look(6)
    assert len(scene.kept.named("process proj.whole").links) == 2
    assert len(scene.kept.ended()) == 1  # the chord goes on


def test_a_process_that_closes_waits_for_nothing(scene: Scene) -> None:
    scene.finisher.take(scene.job())
    scene.end_header()
    scene.end_callback()
    assert not scene.look(0, closing=True)
    assert [span.name for span in scene.kept.ended()] == ["process proj.whole", "chord proj.tasks.whole"]


@pytest.mark.parametrize("store", [None, Away()])
def test_without_a_store_the_callbacks_span_ends_all_the_same(
    scene: Scene, store: MemoryStore | None
) -> None:
    scene.finisher.take(scene.job())
    scene.finisher.post("span:0:0:x", b"context")
    scene.finisher.follow_up(store, closing=False)
    scene.time += 6
    assert not scene.finisher.follow_up(store, closing=False)
    [span] = scene.kept.ended()
    assert (span.name, span.end_time) == ("process proj.whole", int((AT + 10) * 1e9))


def test_beyond_the_limit_of_links_the_rest_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, size=10, max_links=4)
    scene.finisher.take(scene.job())
    scene.end_header()
    scene.end_callback()
    scene.look(0)
    scene.look(1)
    span = scene.kept.named("process proj.whole")
    assert [link.context.span_id for link in span.links] == [
        process_span_id(task_id, 0) for task_id in scene.header[:-5:-1]
    ]
    assert (span.attributes or {})["celery.chord.links_left_out"] == 6
    assert span.dropped_links == 0


def test_of_very_many_callbacks_the_next_ends_without_waiting(scene: Scene) -> None:
    for _ in range(1000):
        scene.finisher.take(scene.job())
    assert not scene.kept.ended()
    scene.finisher.take(scene.job())
    assert len(scene.kept.ended()) == 1


@pytest.mark.parametrize(
    ("noted", "links"), [(0.0, 3), (-0.001, 3), (0.0004, 3), (0.002, 0), (0.5, 0), (-0.5, 0)]
)
def test_of_a_callback_that_a_polling_task_called_the_first_step_is_linked_and_no_later_one(
    scene: Scene, noted: float, links: int
) -> None:
    scene.end_header()
    scene.end_callback()
    scene.finisher.take(scene.job(parent_id=new_id(), started_at=int((AT + 9 + noted) * 1e9)))
    scene.look(0)
    scene.look(1)
    assert len(scene.kept.named("process proj.whole").links) == links


def test_the_tasks_of_a_split_header_are_linked_in_their_own_traces(scene: Scene) -> None:
    chord_id = scene.chord_id = new_id()
    facts = {"c": callback(scene.callback_id), "n": 3, "t": pack_trace(Trace(9, 8, 0x81))}
    Process(scene.store).send(
        chord_id, [published(i, AT, index=n) for n, i in enumerate(scene.header)], **facts
    )
    scene.end_header()
    scene.end_callback()
    scene.finisher.take(scene.job())
    scene.look(0)
    scene.look(1)
    links = scene.kept.named("process proj.whole").links
    assert {link.context.trace_id for link in links} == {trace_id_of(i) for i in scene.header}
    assert scene.kept.named("chord proj.tasks.whole").context.trace_id == 9


def test_links_to_the_spans_of_another_instrumentation_wait_until_it_told_them(scene: Scene) -> None:
    scene.end_header()
    scene.end_callback()
    scene.finisher.take(scene.job(foreign=True))
    for number, task_id in enumerate(scene.header[1:], 1):
        told = SpanContext(number, number + 10, is_remote=False, trace_flags=TraceFlags(1))
        scene.finisher.post(name_of(task_id, 0, 0), pack_context(told))
    assert scene.look(0)
    assert scene.look(1)
    last = SpanContext(7, 17, is_remote=False, trace_flags=TraceFlags(1))
    scene.store.post(name_of(scene.header[0], 0, 0), pack_context(last), keep=60)
    assert not scene.look(1)
    links = scene.kept.named("process proj.whole").links
    assert [(link.context.trace_id, link.context.span_id) for link in links] == [(2, 12), (1, 11), (7, 17)]
