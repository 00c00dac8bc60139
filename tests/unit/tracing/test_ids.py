from __future__ import annotations

import uuid

from chordwatch.tracing.ids import chord_span_id, process_span_id, publish_span_id, trace_id_of

GROUP = "7d3f6a52-98c1-4a55-8a80-0d9a57a4a111"


def test_an_id_is_the_same_in_every_process_and_release() -> None:
    assert f"{trace_id_of(GROUP):032x}" == "c259cb06ed8de928869bcbdc928f1f25"
    assert f"{chord_span_id(GROUP):016x}" == "26dc4057d97d231e"
    assert f"{publish_span_id(GROUP, 0):016x}" == "6775e5b74f3c82c5"
    assert f"{process_span_id(GROUP, 0):016x}" == "fa4885beffa986de"


def test_every_span_of_a_task_has_an_id_of_its_own() -> None:
    ids = {
        chord_span_id(GROUP),
        *(publish_span_id(GROUP, retries, nesting) for retries in range(5) for nesting in range(5)),
        *(process_span_id(GROUP, retries, nesting) for retries in range(5) for nesting in range(5)),
        *(process_span_id(GROUP, retries, redelivered=True) for retries in range(5)),
    }
    assert len(ids) == 56


def test_ids_may_be_any_text() -> None:
    for text in ("", "ä" * 1000, "\ud800", "a\0b", "1:2:3"):
        assert 0 < trace_id_of(text) < 1 << 128
        assert 0 < chord_span_id(text) < 1 << 64


def test_half_of_all_chords_fall_under_a_ratio_of_one_half() -> None:
    # A uuid4's own bits would not: a ratio sampler compares the trace id's low 64 bits, whose top two are fixed.
    kept = sum(trace_id_of(str(uuid.uuid4())) & ((1 << 64) - 1) < 1 << 63 for _ in range(2000))
    assert 800 < kept < 1200
