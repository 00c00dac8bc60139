"""What recorded chords tell of durations and ETAs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chordwatch.doctor.facts import Span
from chordwatch.doctor.observed import observed
from tests.unit.recorded import ran, recorded, runs
from tests.unit.seen import NOW


def ended(number: int, seconds: float, **fields: Any) -> Any:
    """Return a part that was published a minute ago and counted `seconds` after that."""
    return ran(
        number,
        published_at=NOW - 60,
        started_at=NOW - 60 + seconds - 1,
        finished_at=NOW - 60 + seconds,
        **fields,
    )


def test_nothing_recorded_tells_nothing() -> None:
    known = observed([])

    assert known.chords == 0
    assert (known.gap, known.chord, known.eta) == (None, None, None)


def test_runs_are_told_by_name() -> None:
    known = observed([recorded(header=(ran(0), ran(1, started_at=NOW - 70), runs(2)))])

    assert known.chords == 1
    assert known.runs["zoo.add"].count == 2
    assert (known.runs["zoo.add"].median, known.runs["zoo.add"].longest) == (20.0, 30.0)
    assert known.header == {"zoo.add"}


def test_the_longest_gap_is_between_publishing_and_parts() -> None:
    assert observed([recorded(header=(ended(0, 5), ended(1, 45), ended(2, 50)))]).gap == Span(
        of="group", seconds=40.0
    )
    assert observed([recorded(header=(ended(0, 30), ended(1, 45)))]).gap == Span(of="group", seconds=30.0)
    assert observed([recorded(header=(ended(0, 5), ended(1, 45)))]).chord == Span(
        of="zoo.collect", seconds=45.0
    )


@pytest.mark.parametrize("fields", [{"detail_dropped": True}, {"dynamic": ("h1",)}])
def test_where_detail_is_missing_the_publishing_is_not_taken_for_a_part(fields: dict[str, Any]) -> None:
    chord = recorded(header=(ended(0, 30), ended(1, 45)))

    assert observed([replace(chord, **fields)]).gap == Span(of="group", seconds=15.0)


def test_a_part_that_was_retried_was_published_later_than_its_chord() -> None:
    retried = ran(1, published_at=NOW - 20, started_at=NOW - 15, finished_at=NOW - 10, attempt=1)

    assert observed([recorded(header=(ended(0, 5), retried))]).gap == Span(of="group", seconds=45.0)


def test_an_eta_is_counted_from_its_message() -> None:
    chord = recorded(header=(runs(1, started_at=None, published_at=NOW - 100),))

    assert observed([replace(chord, etas={"h1": NOW + 500})]).eta == Span(of="zoo.add", seconds=600.0)
    assert observed([replace(chord, etas={"h9": NOW + 500})]).eta is None
