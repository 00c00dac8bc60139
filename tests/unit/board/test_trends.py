from __future__ import annotations

from typing import Any

import pytest

from chordwatch.board.samples import Sample, Tally
from chordwatch.board.trends import trends_of

BOUNDS = (1.0, 10.0)


def tally(finished: int = 0, **changes: Any) -> Tally:
    """Return what is counted after so many chords of 4 s, with barriers of 2 s of which 1 s was for a straggler."""
    values: dict[str, Any] = {
        "started": finished,
        "succeeded": finished,
        "duration": (finished, 4.0 * finished),
        "barrier": (finished, 2.0 * finished),
        "straggler": (finished, 1.0 * finished),
        "buckets": (0, finished, 0),
    }
    return Tally(**{**values, **changes})


def sample(at: float, **callbacks: Tally) -> Sample:
    return Sample(at=at, callbacks=callbacks, bounds=BOUNDS)


def test_a_point_tells_what_happened_between_two_samples() -> None:
    trends = trends_of([sample(60, a=tally(10)), sample(120, a=tally(12, failed=1, retries=7))])

    (point,) = trends.points
    assert (point.callback, point.since, point.at) == ("a", 60, 120)
    assert (point.finished, point.failed, point.retries) == (3, 1, 7)
    assert (point.mean_duration, point.mean_barrier, point.straggler_share) == (4.0, 2.0, 0.5)
    assert point.p95_duration == pytest.approx(9.55)


def test_where_nothing_happened_there_is_no_point() -> None:
    trends = trends_of([sample(60, a=tally(1)), sample(120, a=tally(1)), sample(180, a=tally(2))])

    assert [point.at for point in trends.points] == [180]


def test_totals_are_over_the_whole_range_and_the_busiest_stands_first() -> None:
    trends = trends_of(
        [
            sample(60, quiet=tally(1), busy=tally(0), idle=tally(5)),
            sample(120, quiet=tally(2), busy=tally(3), idle=tally(5)),
            sample(180, quiet=tally(2, failed=2, retries=1), busy=tally(9), idle=tally(5)),
        ]
    )

    assert [(total.callback, total.started, total.finished) for total in trends.totals] == [
        ("busy", 9, 9),
        ("quiet", 1, 3),
    ]
    assert (trends.totals[1].failed, trends.totals[1].retries) == (2, 1)
    assert trends.totals[0].mean_duration == 4.0


def test_counters_that_began_anew_are_not_subtracted() -> None:
    trends = trends_of([sample(60, a=tally(10)), sample(120, a=tally(12)), sample(180, a=tally(1))])

    assert [point.finished for point in trends.points] == [2, 1]
    assert trends.totals[0].finished == 3
    assert trends.totals[0].mean_duration == 4.0


@pytest.mark.parametrize("samples", [[], [sample(60, a=tally(3))]])
def test_less_than_two_samples_tell_nothing(samples: list[Sample]) -> None:
    trends = trends_of(samples)

    assert (trends.points, trends.totals, trends.samples) == ((), (), len(samples))
