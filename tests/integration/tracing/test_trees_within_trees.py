"""The exact tree of spans of chords inside chords, in chains and in tasks, exported by real prefork workers."""

from __future__ import annotations

import pytest

from chordwatch.tracing.ids import chord_span_id
from tests.integration.tracing.bench import Bench, called, expect, ids, linked

pytestmark = pytest.mark.faults


@pytest.mark.parametrize("case", ["nested", "nested_first"])
def test_a_chord_in_a_header_is_a_child_of_the_chord_around_it(bench: Bench, case: str) -> None:
    bench.worker()
    sent = bench.send(case)
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
    )
    inner, outer = sent.chords
    inner_callback, outer_callback = called(spans, "process project.total")
    assert inner_callback.parent_id == chord_span_id(inner)
    assert outer_callback.parent_id == chord_span_id(outer)
    # The inner chord's callback is a part of the outer chord's header.
    assert ids(inner_callback) in linked(outer_callback)
    assert len(linked(outer_callback)) == len(linked(inner_callback)) == 2


def test_a_chord_of_chords_alone_is_one_trace_in_its_callers_span(bench: Bench) -> None:
    """Of the outer chord no message is published before those of the chords in its header."""
    bench.worker()
    sent = bench.send("nested_alone", "caller")
    spans = expect(
        bench,
        """
        request
          chord project.total
            chord project.total
              process project.add
              process project.add
              process project.total
              publish celery
              publish celery
              publish celery
            chord project.total
              process project.add
              process project.add
              process project.total
              publish celery
              publish celery
              publish celery
            process project.total
            publish celery
        """,
    )
    assert len({span.trace_id for span in spans}) == 1
    assert called(spans, "process project.total")[-1].parent_id == chord_span_id(sent.chords[-1])


def test_a_chord_as_callback_is_a_child_of_its_chord_and_ends_it(bench: Bench) -> None:
    bench.worker()
    bench.send("chord_as_callback")
    expect(
        bench,
        """
        chord project.total
          chord project.total
            process project.total
            process project.total
            process project.total
            publish celery
            publish celery
            publish celery
          process project.add
          process project.add
          publish celery
          publish celery
        """,
    )


def test_the_steps_of_a_chain_in_a_header_stay_in_the_chords_trace(bench: Bench) -> None:
    bench.worker()
    bench.send("chain_in_header")
    spans = expect(
        bench,
        """
        chord project.total
          process project.add
          process project.add
          process project.double
          process project.double
          process project.total
          publish celery
          publish celery
          publish celery
          publish celery
          publish celery
        """,
    )
    [callback] = called(spans, "process project.total")
    assert ids(called(spans, "process project.double")[-1]) in linked(callback)
    assert len(linked(callback)) == 2


def test_a_chord_that_a_worker_dispatches_is_a_child_of_the_task_that_did(bench: Bench) -> None:
    bench.worker()
    bench.send("upgraded")
    spans = expect(
        bench,
        """
        publish celery
          process project.add
            chord project.total
              process project.double
              process project.double
              process project.double
              process project.total
              publish celery
              publish celery
              publish celery
              publish celery
        """,
    )
    assert len({span.trace_id for span in spans}) == 1
    [callback] = called(spans, "process project.total")
    assert sorted(linked(callback)) == sorted(map(ids, called(spans, "process project.double")[:2]))
    # The step after the callback belongs to the chord, and is linked to nothing but its message.
    assert not linked(called(spans, "process project.double")[-1])


def test_two_chords_of_a_chain_are_one_trace(bench: Bench) -> None:
    bench.worker()
    bench.send("two_chords")
    expect(
        bench,
        """
        chord project.total
          chord project.total
            process project.double
            process project.double
            process project.total
            publish celery
            publish celery
            publish celery
          process project.add
          process project.add
          process project.total
          publish celery
          publish celery
          publish celery
        """,
    )
