"""The history: one sample in each slot of time, at three resolutions, and what flowed between samples."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from chordwatch.board.history import RESOLUTIONS, CallbackFlow, Flow, flows, post_sample, read_history
from chordwatch.board.samples import Sample, Tally
from chordwatch.store.memory import MemoryStore

NOW = 1_790_000_040.0
BOUNDS = (1.0, 10.0)
HOUR, DAY = 3600.0, 86_400.0


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        """Return what the hand says."""
        return self.now


def sample(at: float, **callbacks: Tally) -> Sample:
    return Sample(at=at, callbacks=callbacks, bounds=BOUNDS)


def lived(store: MemoryStore, clock: Clock, seconds: float, every: float) -> None:
    """Let a monitor post for so long; each sample counts the seconds since the beginning."""
    first = clock.now
    while clock.now - first <= seconds:
        post_sample(store, sample(clock.now, report=Tally(started=int(clock.now - NOW))))
        clock.now += every


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> MemoryStore:
    return MemoryStore(clock=clock)


@pytest.mark.parametrize(
    ("seconds", "step", "number"),
    [(HOUR, 60, 60), (3 * HOUR, 60, 180), (6 * HOUR, 600, 36), (DAY, 600, 144), (2 * DAY, 600, 288)],
)
def test_a_range_is_read_at_the_finest_resolution_that_covers_it(
    store: MemoryStore, clock: Clock, seconds: float, step: float, number: int
) -> None:
    lived(store, clock, 2.5 * DAY, 60)
    clock.now -= 60

    samples = read_history(store, seconds, clock.now)

    coarse = [s.at for s in samples if s.at < clock.now - 3 * 60]
    assert {later - earlier for earlier, later in itertools.pairwise(coarse)} == {step}
    assert number - 4 <= len(coarse) <= number + 2
    assert samples[0].at <= clock.now - seconds + step
    assert samples[-1].at == clock.now


def test_thirty_days_are_kept_and_the_newest_minute_is_among_them(store: MemoryStore, clock: Clock) -> None:
    lived(store, clock, 32 * DAY, 600)
    clock.now -= 600

    samples = read_history(store, 30 * DAY, clock.now)

    assert 355 <= len(samples) <= 370
    assert clock.now - samples[0].at >= 30 * DAY
    assert samples[-1].at == clock.now


def test_the_first_monitor_to_look_within_a_slot_posts_its_sample(store: MemoryStore) -> None:
    post_sample(store, sample(NOW, report=Tally(started=1)))
    post_sample(store, sample(NOW + 5, report=Tally(started=2)))

    assert read_history(store, HOUR, NOW + 10) == (sample(NOW, report=Tally(started=1)),)


def test_everything_that_is_posted_ends(store: MemoryStore, clock: Clock) -> None:
    lived(store, clock, 600, 60)

    clock.now += max(resolution.kept for resolution in RESOLUTIONS) + 1

    assert not store.posted(list(store._posted))


def test_nothing_is_no_history_and_what_is_foreign_is_left_out(store: MemoryStore) -> None:
    assert read_history(store, HOUR, NOW) == ()
    post_sample(store, sample(NOW))
    store.post(f"history:60:{int(NOW // 60) - 1}", b"foreign", keep=60)

    assert read_history(store, HOUR, NOW + 1) == (sample(NOW),)


@pytest.mark.parametrize("seconds", [-5.0, 0.0, 1.0, 1e9])
def test_any_range_may_be_asked_for(store: MemoryStore, seconds: float) -> None:
    post_sample(store, sample(NOW))

    assert read_history(store, seconds, NOW + 1) == (sample(NOW),)


def only(*samples: Sample) -> dict[str, CallbackFlow]:
    (flow,) = flows(samples)
    return dict(flow.callbacks)


def test_a_flow_is_the_difference_of_two_samples() -> None:
    before = Tally(
        started=10,
        succeeded=8,
        failed=1,
        retries=3,
        duration=(9, 90.0),
        barrier=(9, 45.0),
        straggler=(9, 9.0),
        buckets=(9, 0, 0),
    )
    after = Tally(
        started=14,
        succeeded=11,
        failed=2,
        retries=5,
        duration=(13, 130.0),
        barrier=(13, 65.0),
        straggler=(13, 14.0),
        buckets=(9, 4, 0),
    )

    found = flows((sample(NOW, report=before), sample(NOW + 60, report=after)))

    expected = CallbackFlow(
        started=4,
        succeeded=3,
        failed=1,
        retries=2,
        mean_duration=10.0,
        p95_duration=pytest.approx(1 + 9 * 0.95),
        mean_barrier=5.0,
        straggler_share=0.25,
    )
    assert found == (Flow(at=NOW + 60, seconds=60.0, callbacks={"report": expected}),)


def test_where_nothing_finished_nothing_is_said_of_durations() -> None:
    same = Tally(started=3, duration=(3, 1.0), barrier=(3, 1.0), straggler=(3, 0.5), buckets=(3, 0, 0))

    assert only(sample(NOW, a=same), sample(NOW + 60, a=same)) == {
        "a": CallbackFlow(started=0, succeeded=0, failed=0, retries=0)
    }


def test_a_counter_that_shrank_began_anew() -> None:
    before = Tally(started=100, duration=(100, 900.0), buckets=(0, 100, 0))
    after = Tally(started=3, duration=(2, 4.0), buckets=(0, 2, 0))

    flow = only(sample(NOW, a=before), sample(NOW + 60, a=after))["a"]

    assert (flow.started, flow.mean_duration) == (3, 2.0)


def test_a_callback_that_is_new_began_at_nothing() -> None:
    assert only(sample(NOW), sample(NOW + 60, a=Tally(started=3)))["a"].started == 3


def test_a_callback_that_was_left_out_before_says_nothing_and_neither_does_the_rest_then() -> None:
    before = sample(NOW, a=Tally(started=50), other=Tally(started=40))
    after = sample(NOW + 60, b=Tally(started=60), other=Tally(started=70))
    later = sample(NOW + 120, b=Tally(started=61), other=Tally(started=75))

    first, second = flows((before, after, later))

    assert first.callbacks == {}
    assert {name: flow.started for name, flow in second.callbacks.items()} == {"b": 1, "other": 5}


def test_quantiles_of_other_buckets_are_not_compared() -> None:
    before = sample(NOW, a=Tally(duration=(1, 1.0), buckets=(1, 0, 0)))
    after = Sample(at=NOW + 60, callbacks={"a": Tally(duration=(2, 3.0), buckets=(2, 0))}, bounds=(5.0,))

    flow = only(before, after)["a"]

    assert (flow.mean_duration, flow.p95_duration) == (2.0, None)


@pytest.mark.parametrize(
    ("buckets", "p95"),
    [((1, 0, 0), 0.95), ((0, 1, 0), 9.55), ((0, 0, 1), 10.0), ((95, 5, 0), 1.0), ((94, 0, 6), 10.0)],
)
def test_a_quantile_lies_within_its_bucket(buckets: tuple[int, ...], p95: float) -> None:
    after: dict[str, Any] = {"duration": (sum(buckets), 1.0), "buckets": buckets}

    flow = only(sample(NOW), sample(NOW + 60, a=Tally(**after)))["a"]

    assert flow.p95_duration == pytest.approx(p95)


def test_one_sample_is_no_flow() -> None:
    assert flows(()) == flows((sample(NOW),)) == ()
