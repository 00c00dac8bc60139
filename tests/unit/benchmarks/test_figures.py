"""What the benchmarks' figures say: a wrong ratio or a target that cannot be missed would go unseen."""

from __future__ import annotations

import pytest

from benchmarks.figures import EXACT, NOISE, Figure, Spread, ratio


def figure(median: float, **fields: float) -> Figure:
    spread = Spread.of([median])
    return Figure(group="group", what="what", variant="chordwatch", unit="µs", spread=spread, **fields)


def test_a_spread_is_the_median_with_the_quartiles() -> None:
    assert Spread.of([5, 1, 4, 2, 3]) == Spread(median=3, low=2, high=4)
    assert Spread.of([7]) == Spread(median=7, low=7, high=7)


def test_a_range_is_the_median_with_the_extremes() -> None:
    assert Spread.range([5, 1, 4, 2, 3]) == Spread(median=3, low=1, high=5)


def test_a_ratio_is_that_of_each_round_and_not_of_the_medians() -> None:
    assert ratio([10, 40, 30], [10, 20, 10]) == Spread(median=2, low=1.5, high=2.5)


@pytest.mark.parametrize(
    ("found", "missed"),
    [
        (figure(10 * NOISE, target=10), False),
        (figure(10 * NOISE + 0.1, target=10), True),
        (figure(10, target=10, noise=EXACT), False),
        (figure(10.1, target=10, noise=EXACT), True),
        (figure(1e9), False),
    ],
)
def test_a_target_is_missed_when_noise_does_not_explain_it(found: Figure, missed: bool) -> None:
    assert found.missed is missed
