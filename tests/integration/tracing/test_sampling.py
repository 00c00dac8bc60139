"""One decision for each chord, kept by every process, whatever samplers they have."""

from __future__ import annotations

import pytest

from chordwatch.tracing.ids import trace_id_of
from tests.integration.tracing.bench import Bench

pytestmark = pytest.mark.faults

#: Spans of a plain chord: its own, four messages, four runs.
WHOLE = 9


def test_the_producers_sampler_decides_for_all_of_a_chord(bench: Bench) -> None:
    bench.worker()
    ratio = {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.5"}
    sent = bench.send("plain", TIMES="16", **ratio)
    kept = {chord_id for chord_id in sent.chords if trace_id_of(chord_id) & ((1 << 64) - 1) < 1 << 63}
    many = WHOLE * len(kept)
    spans = bench.collector.wait(lambda got: got if len(got) >= many else [], f"{many} spans")
    counts = dict.fromkeys(sent.chords, 0)
    for span in spans:
        counts[span.attributes["celery.chord.id"]] += 1
    assert counts == {chord_id: WHOLE if chord_id in kept else 0 for chord_id in sent.chords}


def test_of_a_chord_that_its_caller_does_not_sample_nothing_is_exported(bench: Bench) -> None:
    bench.worker()
    unsampled = bench.send("plain", "caller", OTEL_TRACES_SAMPLER="always_off")
    sampled = bench.send("plain")
    bench.collector.wait_for({"chord project.total": 1, "process project.total": 1})
    assert {span.attributes["celery.chord.id"] for span in bench.collector.spans} == {sampled.chords[0]}
    trace = bench.recorded(unsampled.chords[0]).trace
    assert trace is not None
    assert not trace.sampled
