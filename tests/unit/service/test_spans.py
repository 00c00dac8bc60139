"""Which chords get their span from the monitor: those that failed or hang, once."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from chordwatch.errors import UnreachableError
from chordwatch.model import Chord, Verdict
from chordwatch.recording.records import Trace, pack_trace
from chordwatch.service.spans import LostSpans
from chordwatch.store.memory import MemoryStore
from chordwatch.tracing.ids import chord_span_id
from chordwatch.tracing.spans import Spans
from chordwatch.watch import Look, Sighting
from tests.contract.batches import Process, callback, new_id, published
from tests.unit.cli.rendered import verdict
from tests.unit.seen import NOW, open_chord

TRACE = Trace(2**100, parent_id=77)
LOST = verdict(cause="worker_lost")
FAILED = verdict(cause="header_failed", outcome="failed")
KEEP = 1000.0


class Providers:
    """One provider that keeps its spans in memory; None for a process that has none."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.found: Spans | None = Spans(provider)
        self.flushed = 0

    def spans(self) -> Spans | None:
        """Return what starts spans."""
        return self.found

    def flush(self) -> None:
        """Count it."""
        self.flushed += 1


class Store(MemoryStore):
    """The twin, which can be away, and counts what is asked of it."""

    def __init__(self) -> None:
        super().__init__(clock=lambda: NOW)
        self.away: Exception | None = None
        self.asked: list[str] = []
        self.closed = 0

    def chords(self, chord_ids: Any) -> Any:
        """Read them, unless the store is away."""
        self.asked += chord_ids
        if self.away:
            raise self.away
        return super().chords(chord_ids)

    def close(self) -> None:
        """Count it."""
        self.closed += 1


class Bench:
    """One monitor's part, whose looks are 5 seconds apart; several may share a store."""

    def __init__(self, store: Store | None = None) -> None:
        self.store, self.providers, self.time = store or Store(), Providers(), 0.0
        self.part = LostSpans(lambda: self.store, self.providers, keep=KEEP, clock=lambda: self.time)  # type: ignore[arg-type]

    def look(self, *chords: Chord) -> list[ReadableSpan]:
        """Hand a look on; return the spans that were written."""
        self.time += 5.0
        self.providers.exporter.clear()
        seen = tuple(Sighting(chord=each) for each in chords)
        self.part.write(Look(taken_at=NOW + self.time, sightings=seen))
        return list(self.providers.exporter.get_finished_spans())

    def record(self, trace: Trace | None = TRACE) -> str:
        """Record a chord of two tasks, of which one was published, and return its id."""
        chord_id = new_id()
        facts = {"n": 2, "c": callback(new_id())} | ({"t": pack_trace(trace)} if trace else {})
        Process(self.store).send(chord_id, [published(new_id(), NOW - 60, index=0)], **facts)
        return chord_id


def seen(chord_id: str, *verdicts: Verdict, **fields: Any) -> Chord:
    return open_chord(chord_id=chord_id, verdicts=verdicts, instrumented=True, **fields)


def hung(chord_id: str) -> Chord:
    return seen(chord_id, verdict(cause="eta_scheduled", outcome="late"), LOST, health="hung")


def failed(chord_id: str, *, at: float = NOW - 30) -> Chord:
    return seen(chord_id, FAILED, state="failed", health="failed", finished_at=at)


def test_a_hung_chord_has_its_span_in_its_trace_with_the_cause_once() -> None:
    bench = Bench()
    chord_id = bench.record()
    [span] = bench.look(hung(chord_id))

    assert span.context is not None
    assert span.parent is not None
    assert (span.context.trace_id, span.context.span_id) == (TRACE.trace_id, chord_span_id(chord_id))
    assert span.parent.span_id == TRACE.parent_id
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "worker_lost")
    assert span.attributes is not None
    assert span.attributes["celery.chord.cause"] == "worker_lost"
    assert span.start_time == int((NOW - 60) * 1e9)
    assert span.end_time == pytest.approx((NOW + bench.time) * 1e9)

    assert bench.look(hung(chord_id)) == []
    # Nor a second one when it fails in the end, nor from another monitor, nor from one that is started anew.
    assert bench.look(failed(chord_id)) == []
    assert Bench(bench.store).look(hung(chord_id)) == []


def test_a_chord_that_failed_has_its_span_once_its_worker_has_had_its_time() -> None:
    bench = Bench()
    chord_id = bench.record()
    assert bench.look(failed(chord_id, at=NOW + 1)) == []
    [span] = bench.look(failed(chord_id, at=NOW + 1))
    assert span.end_time == int((NOW + 1) * 1e9)
    assert span.status.description == "header_failed"


def test_a_chord_that_goes_on_or_succeeded_is_not_the_monitors() -> None:
    bench = Bench()
    late = seen(bench.record(), health="late")
    can_only_fail = seen(bench.record(), FAILED, health="failed")
    succeeded = seen(bench.record(), LOST, state="succeeded", health="done", finished_at=NOW - 60)
    assert bench.look(late, can_only_fail, succeeded, seen(bench.record())) == []
    assert bench.store.asked == []


def test_a_chord_that_nobody_traces_has_no_span() -> None:
    bench = Bench()
    untraced, unsampled = bench.record(None), bench.record(TRACE._replace(flags=0))
    assert bench.look(hung(untraced), hung(unsampled), hung("nobody-recorded-it")) == []
    asked = len(bench.store.asked)
    assert bench.look(hung(untraced), hung(unsampled), hung("nobody-recorded-it")) == []
    assert len(bench.store.asked) == asked


def test_a_failure_without_a_verdict_has_an_unknown_cause() -> None:
    bench = Bench()
    chord = seen(bench.record(), state="failed", health="failed", finished_at=NOW - 60)
    assert [span.status.description for span in bench.look(chord)] == ["unknown"]


def test_a_store_that_is_away_is_asked_again_later() -> None:
    bench = Bench()
    chord = hung(bench.record())
    bench.store.away = UnreachableError("away")
    assert bench.look(chord) == []
    bench.store.away = None
    assert bench.look(chord) == []
    assert len(bench.store.asked) == bench.store.closed == 1
    assert len(bench.look(chord)) == 1


def test_without_a_provider_nothing_is_asked_until_there_is_one() -> None:
    bench = Bench()
    found, bench.providers.found = bench.providers.found, None
    chord = hung(bench.record())
    assert bench.look(chord) == []
    assert bench.store.asked == []
    bench.providers.found = found
    assert len(bench.look(chord)) == 1


def test_of_very_many_some_are_written_at_each_look() -> None:
    bench = Bench()
    chords = [hung(bench.record()) for _ in range(150)]
    assert [len(bench.look(*chords)) for _ in range(3)] == [100, 50, 0]


def test_at_the_end_what_is_left_is_exported() -> None:
    bench = Bench()
    bench.look(hung(bench.record()))
    bench.part.close()
    assert (bench.providers.flushed, bench.store.closed) == (1, 1)
