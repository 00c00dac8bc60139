"""Buckets are a setting of each process: whoever observes and whoever reads may have different ones."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from chordwatch.recording.records import Role
from chordwatch.settings import DURATION_BUCKETS
from chordwatch.store.memory import MemoryStore
from chordwatch.store.protocol import Histogram, Store
from tests.contract.batches import CALLBACK, Process, callback, ended, new_id, published, run_chord
from tests.contract.conftest import OpenStore
from tests.support.polling import wait_until

#: Whole seconds, so that spans are exact.
NOW = float(int(time.time()) - 100)
#: What `run_chord` takes, in seconds.
DURATION, BARRIER, WAIT = 4.0, 2.002, 1.498
Bounds = tuple[float, ...]


@pytest.fixture
def with_bounds(open_store: OpenStore) -> Callable[[Bounds], Store]:
    """Open one and the same store with other bounds each time."""
    opened: list[Store] = []

    def open_one(bounds: Bounds) -> Store:
        if not opened or not isinstance(opened[0], MemoryStore):
            opened.append(open_store(duration_buckets=bounds))
            return opened[-1]
        opened[0]._bounds = bounds  # the twin is but one process
        return opened[0]

    return open_one


def observe(store: Store) -> None:
    """Run a chord and let this store observe it."""
    before = sum(store.counters().finished.values())
    run_chord(store, size=3, at=NOW)
    wait_until(lambda: sum(store.counters().finished.values()) > before, "the chord settles")


def counts(store: Store) -> dict[str, tuple[int, ...]]:
    """Return the counts of each histogram, which all must have the store's bounds."""
    counters = store.counters()
    histograms = {name: of_name[CALLBACK] for name, of_name in counters.histograms.items()}
    assert {histogram.bounds for histogram in histograms.values()} == {counters.bounds}
    return {name: histogram.counts for name, histogram in histograms.items()}


def test_a_span_is_counted_once_in_its_bucket(with_bounds: Callable[[Bounds], Store]) -> None:
    store = with_bounds((0.001, 1.25, 2, 4))
    observe(store)
    assert counts(store) == {
        "duration": (0, 0, 0, 1, 0),  # a bound is inclusive
        "barrier": (0, 0, 0, 1, 0),
        "callback_wait": (0, 0, 1, 0, 0),
        "straggler": (1, 0, 0, 0, 0),
    }
    barrier = store.counters().histograms["barrier"][CALLBACK]
    assert barrier == Histogram(bounds=(0.001, 1.25, 2, 4), counts=(0, 0, 0, 1, 0), sum=BARRIER)


def test_a_span_beyond_all_bounds_is_counted_in_the_last_bucket(
    with_bounds: Callable[[Bounds], Store],
) -> None:
    store = with_bounds((0.5,))
    observe(store)
    assert counts(store)["duration"] == (0, 1)


def test_without_a_setting_the_usual_bounds_count(store: Store) -> None:
    assert store.counters().bounds == DURATION_BUCKETS
    observe(store)
    assert counts(store)["duration"].index(1) == DURATION_BUCKETS.index(5.0)


def test_after_a_change_no_bucket_claims_more_than_is_known(with_bounds: Callable[[Bounds], Store]) -> None:
    observe(with_bounds((1, 5)))
    assert counts(with_bounds((1, 5)))["duration"] == (0, 1, 0)
    # At most 5 s is all that is known of it.
    assert counts(with_bounds((4, 4.5, 10)))["duration"] == (0, 0, 1, 0)
    assert counts(with_bounds((4, 5.5)))["straggler"] == (1, 0, 0)
    assert counts(with_bounds((1, 3)))["duration"] == (0, 0, 1)
    assert counts(with_bounds((0.01, 1, 2, 5)))["straggler"] == (0, 1, 0, 0, 0)
    assert with_bounds((7,)).counters().histograms["duration"][CALLBACK].sum == DURATION


def test_writers_with_different_bounds_add_up(with_bounds: Callable[[Bounds], Store]) -> None:
    observe(with_bounds((1, 5)))
    observe(with_bounds((3, 6)))
    observe(with_bounds((0.25,)))
    assert counts(with_bounds((3, 6))) == {
        "duration": (0, 2, 1),
        "barrier": (1, 1, 1),
        "callback_wait": (1, 1, 1),
        "straggler": (3, 0, 0),
    }
    assert counts(with_bounds((1, 5)))["duration"] == (0, 1, 2)
    assert with_bounds((3, 6)).counters().histograms["callback_wait"][CALLBACK].sum == pytest.approx(3 * WAIT)


def test_a_barrier_ends_at_the_latest_when_the_callback_starts(store: Store) -> None:
    """A callback may have run before its publisher, and the last part's own end, come to be noted."""
    chord_id, callback_id, task = new_id(), new_id(), new_id()
    worker, role = Process(store), {"role": Role.CALLBACK, "name": CALLBACK}
    Process(store, "producer").send(
        chord_id, [published(task, NOW, index=0)], c=callback(callback_id), n=1, a=NOW
    )
    worker.send(
        chord_id,
        [
            ended(callback_id, NOW + 2, started=NOW + 1, last=True, **role),
            published(callback_id, NOW + 3, **role),
        ],
    )
    worker.send(chord_id, [ended(task, NOW + 3, index=0, started=NOW, counted=True)])
    wait_until(lambda: store.counters().finished, "the chord settles")
    sums = {name: of_name[CALLBACK].sum for name, of_name in store.counters().histograms.items()}
    assert sums == {"duration": 2.0, "barrier": 1.0, "callback_wait": 0.0, "straggler": 0.0}
