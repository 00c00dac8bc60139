"""Which trace a chord belongs to, and the exemplars that point into it."""

from __future__ import annotations

import time

import pytest

from chordwatch.recording.records import Trace, pack_trace
from chordwatch.store.protocol import Store
from tests.contract.batches import CALLBACK, Process, callback, new_id, run_chord
from tests.contract.conftest import OpenStore
from tests.support.polling import wait_until

#: Whole seconds, so that spans are exact.
NOW = float(int(time.time()) - 100)

OWN = Trace(2**127 + 5)
CALLERS = Trace(7, parent_id=2**63 + 9)


def tell(store: Store, *traces: bytes) -> str:
    """Let a process each tell of a chord's trace; return the chord's id."""
    chord_id = new_id()
    for trace in traces:
        Process(store).send(chord_id, n=2, c=callback(new_id()), t=trace)
    return chord_id


@pytest.mark.parametrize("trace", [OWN, CALLERS, Trace(1, 1, flags=0), Trace(1, 0, 0x81, began=2**61)])
def test_a_chord_knows_its_trace(store: Store, trace: Trace) -> None:
    assert store.get(tell(store, pack_trace(trace))).trace == trace


def test_a_chord_that_nobody_traces_has_none(store: Store) -> None:
    chord_id = new_id()
    Process(store).send(chord_id, n=2)
    assert store.get(chord_id).trace is None


@pytest.mark.parametrize("traces", [(OWN, CALLERS), (CALLERS, OWN), (CALLERS, Trace(8, parent_id=10))])
def test_the_trace_with_a_parent_counts_and_of_two_the_first(store: Store, traces: tuple[Trace, ...]) -> None:
    assert store.get(tell(store, *map(pack_trace, traces))).trace == CALLERS


@pytest.mark.parametrize("malformed", [b"", b"\0" * 24, b"x" * 26])
def test_what_is_no_trace_is_none(store: Store, malformed: bytes) -> None:
    chord_id = tell(store, malformed)
    recorded = store.get(chord_id)
    assert (recorded.trace, recorded.chord.size) == (None, 2)
    Process(store).send(chord_id, t=pack_trace(OWN))
    assert store.get(chord_id).trace == OWN


def finish(store: Store, trace: Trace | None, *, chord_id: str | None = None) -> str:
    """Let a chord run and settle; return its id."""
    before = sum(store.counters().finished.values())
    ran, _, _ = run_chord(store, size=3, at=NOW, chord_id=chord_id, trace=trace)
    wait_until(lambda: sum(store.counters().finished.values()) > before, "the chord settles")
    return ran


def exemplars(store: Store) -> dict[str, dict[int, tuple[str, int, float]]]:
    """Return the exemplars of each histogram by the place of their bucket: chord, trace, seconds."""
    of_name = {name: by_name[CALLBACK] for name, by_name in store.counters().histograms.items()}
    return {
        name: {place: exemplar[:3] for place, exemplar in histogram.exemplars.items()}
        for name, histogram in of_name.items()
    }


def test_each_span_of_a_traced_chord_stands_for_its_bucket(open_store: OpenStore) -> None:
    store = open_store(duration_buckets=(0.001, 1.25, 2, 4))
    before = store.now()
    chord_id = finish(store, CALLERS)
    assert exemplars(store) == {
        "duration": {3: (chord_id, CALLERS.trace_id, 4.0)},
        "barrier": {3: (chord_id, CALLERS.trace_id, 2.002)},
        "callback_wait": {2: (chord_id, CALLERS.trace_id, 1.498)},
        "straggler": {0: (chord_id, CALLERS.trace_id, 0.001)},
    }
    counted_at = store.counters().histograms["duration"][CALLBACK].exemplars[3].at
    assert before - 1 < counted_at < store.now() + 1


def test_the_latest_chord_of_a_bucket_stays(store: Store) -> None:
    finish(store, OWN)
    latest = finish(store, CALLERS)
    assert list(exemplars(store)["duration"].values()) == [(latest, CALLERS.trace_id, 4.0)]
    # One that points nowhere takes nobody's place.
    finish(store, None)
    assert list(exemplars(store)["duration"].values()) == [(latest, CALLERS.trace_id, 4.0)]
    assert sum(store.counters().histograms["duration"][CALLBACK].counts) == 3


@pytest.mark.parametrize("trace", [None, OWN._replace(flags=0)])
def test_a_chord_whose_trace_nobody_exports_is_no_exemplar(store: Store, trace: Trace | None) -> None:
    finish(store, trace)
    assert not any(exemplars(store).values())


def test_a_chord_whose_id_is_too_long_for_a_label_is_no_exemplar(store: Store) -> None:
    finish(store, OWN, chord_id="x" * 81)
    assert not any(exemplars(store).values())
    fits = finish(store, OWN, chord_id="x" * 80)
    assert [chord_id for chord_id, *_ in exemplars(store)["duration"].values()] == [fits]
