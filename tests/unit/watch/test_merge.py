"""What the record and the X-ray each know of one chord, put together."""

from __future__ import annotations

from typing import Any

import pytest

from chordwatch.evidence.facts import Place
from chordwatch.model import FINISHED, Callback, Chord, Errback, HeaderTask, MissingPart
from chordwatch.watch import Sighting
from chordwatch.watch.merge import merge
from tests.unit.recorded import ran, recorded, runs
from tests.unit.seen import NOW, header_task, in_queue, open_chord

GONE: dict[str, Any] = {"size": None, "counted": 0, "missing": (), "header": (), "callback": Callback()}


def seen(*, complete: bool = False, places: dict[str, Place] | None = None, **fields: Any) -> Sighting:
    return Sighting(chord=open_chord(**fields), places=places or {}, complete=complete)


def gone(**fields: Any) -> Sighting:
    """Return what the X-ray sees of a chord whose keys have expired."""
    return seen(**{**GONE, "progressed_at": None, **fields})


def consistent(chord: Chord) -> bool:
    """Whether size, counted, missing and the header's marks tell the same."""
    marks = sum(task.counted for task in chord.header)
    return chord.size is None or (chord.counted == marks and len(chord.missing) == chord.size - chord.counted)


def test_without_a_record_the_sighting_is_as_it_was() -> None:
    sighting = seen(places={"h1": in_queue()})

    assert merge(sighting, None) is sighting


def test_nothing_at_all_is_an_error_of_the_caller() -> None:
    with pytest.raises(ValueError, match="nothing"):
        merge(None, None)


def test_a_chord_that_only_the_store_knows_is_as_it_was_recorded() -> None:
    merged = merge(None, recorded())

    assert merged.chord == recorded().chord
    assert merged.places == {}


@pytest.mark.parametrize("xray", [gone(), None])
def test_when_the_keys_are_gone_the_record_counts(xray: Sighting | None) -> None:
    chord = merge(xray, recorded()).chord

    assert (chord.size, chord.counted) == (2, 1)
    assert chord.missing == (MissingPart(index=1, task_id="h1", name="zoo.add"),)
    assert chord.instrumented


def test_while_the_keys_exist_they_count() -> None:
    behind = merge(seen(counted=0, header=(header_task(0), header_task(1))), recorded()).chord
    ahead = merge(
        seen(counted=2, missing=(), header=tuple(header_task(n, counted=True) for n in (0, 1))), recorded()
    )

    assert (behind.counted, ahead.chord.counted) == (0, 2)
    assert [task.counted for task in behind.header] == [False, False]
    assert [task.counted for task in ahead.chord.header] == [True, True]
    assert consistent(behind)
    assert consistent(ahead.chord)


def test_keys_that_name_not_all_counted_parts_leave_the_names_to_the_record() -> None:
    header = (ran(0), ran(1), ran(2), runs(3))
    chord = merge(
        seen(size=4, counted=3, missing=(), header=()), recorded(size=4, counted=2, header=header)
    ).chord

    assert chord.counted == 3
    assert [task.task_id for task in chord.header if task.counted] == ["h0", "h1", "h2"]
    assert [gap.task_id for gap in chord.missing] == ["h3"]


def test_parts_that_nobody_knows_are_missing_by_their_index() -> None:
    xray = seen(size=5, missing=(MissingPart(index=1), MissingPart(index=3), MissingPart(index=None)))
    chord = merge(xray, recorded(size=5)).chord

    assert [(gap.index, gap.task_id) for gap in chord.missing] == [
        (1, "h1"),
        (3, None),
        (None, None),
        (None, None),
    ]
    assert consistent(chord)


def test_of_more_uncounted_tasks_than_are_missing_those_that_have_not_ended_are_named() -> None:
    header = (ran(0), ran(1, counted=False), runs(2))
    chord = merge(seen(size=3, counted=2, header=()), recorded(size=3, header=header)).chord

    assert [gap.task_id for gap in chord.missing] == ["h2"]


def test_a_header_is_joined_by_task_id_with_recorded_times_and_seen_indexes() -> None:
    xray = seen(header=(header_task(7, task_id="h0", counted=True), header_task(1), header_task(2)), size=3)
    chord = merge(xray, recorded(size=3, header=(ran(0, index=None), runs(1)))).chord

    assert [task.task_id for task in chord.header] == ["h1", "h2", "h0"]
    first = chord.header[-1]
    assert (first.index, first.started_at, first.finished_at, first.worker) == (
        7,
        NOW - 50,
        NOW - 40,
        "w1@zoo",
    )
    assert len(first.attempts) == 1
    assert consistent(chord)


def test_the_callback_is_no_part_of_the_header() -> None:
    xray = seen(header=(header_task(0, counted=True), header_task(1), header_task(9, task_id="body")))

    chord = merge(xray, recorded(callback=Callback(task_id="body", name="zoo.collect"))).chord

    assert [task.task_id for task in chord.header] == ["h0", "h1"]


@pytest.mark.parametrize(
    ("ours", "theirs", "merged"),
    [
        ("published", "received", "received"),
        ("started", "published", "started"),
        ("succeeded", "started", "succeeded"),
        ("started", "succeeded", "succeeded"),
        ("unknown", "unknown", "unknown"),
        ("failed", "succeeded", "succeeded"),
        ("retrying", "received", "retrying"),
        ("published", "revoked", "revoked"),
    ],
)
def test_a_task_is_as_far_as_the_one_that_saw_it_furthest(ours: Any, theirs: Any, merged: Any) -> None:
    record = recorded(
        header=(ran(0), header_task(1, state=ours)), callback=Callback(task_id="body", state=ours)
    )
    xray = seen(
        header=(header_task(0, counted=True), header_task(1, state=theirs)),
        callback=Callback(task_id="body", state=theirs),
    )

    chord = merge(xray, record).chord

    assert chord.header[1].state == merged
    assert chord.callback.state == merged


def test_an_attempt_of_before_does_not_hide_the_one_that_waits() -> None:
    record = recorded(header=(ran(0), header_task(1, state="retrying", attempt=2)))
    xray = seen(header=(header_task(0, counted=True), header_task(1, state="started", attempt=1)))

    task = merge(xray, record).chord.header[1]

    assert (task.state, task.attempt) == ("retrying", 2)


@pytest.mark.parametrize("state", sorted(FINISHED))
def test_a_finished_chord_is_never_open_again(state: Any) -> None:
    record = recorded(state=state, counted=2, missing=(), header=(ran(0), ran(1)), finished_at=NOW - 1)
    merged = merge(seen(places={"h1": in_queue(), "body": in_queue()}), record)

    assert merged.chord.state == state
    assert merged.chord.finished_at == NOW - 1
    assert merged.places == {}


def test_a_chord_that_only_the_xray_saw_finish_is_finished() -> None:
    xray = gone(state="succeeded", finished_at=NOW - 2, complete=True)
    chord = merge(xray, recorded()).chord

    assert (chord.state, chord.finished_at) == ("succeeded", NOW - 2)
    assert (chord.size, chord.counted, chord.missing) == (2, 2, ())
    assert consistent(chord)


def test_once_the_callback_is_sent_all_are_counted_however_late_the_records_are() -> None:
    chord = merge(gone(complete=True), recorded()).chord

    assert (chord.state, chord.counted, chord.missing) == ("open", 2, ())
    assert consistent(chord)


def test_a_failure_that_the_record_saw_succeed_later_is_a_success() -> None:
    assert (
        merge(seen(state="failed"), recorded(state="succeeded", finished_at=NOW)).chord.state == "succeeded"
    )
    assert (
        merge(seen(state="succeeded"), recorded(state="failed", finished_at=NOW)).chord.state == "succeeded"
    )


def test_a_planned_chord_stays_planned_until_something_of_it_is_seen() -> None:
    planned = recorded(state="planned", counted=0, missing=(), header=(), opened_at=None)

    assert merge(None, planned).chord.state == "planned"
    assert merge(seen(), planned).chord.state == "open"


def test_times_are_the_earliest_opening_and_the_latest_progress() -> None:
    chord = merge(
        seen(opened_at=NOW - 70, progressed_at=NOW - 30, evidence_expires_at=NOW + 9), recorded()
    ).chord

    assert (chord.opened_at, chord.progressed_at, chord.evidence_expires_at) == (NOW - 70, NOW - 5, NOW + 9)


def test_the_size_is_whoever_knows_it() -> None:
    assert merge(gone(), recorded(size=None)).chord.size is None
    assert merge(seen(size=2), recorded(size=None)).chord.size == 2
    assert merge(seen(size=None), recorded(size=2)).chord.size == 2


def test_errbacks_are_told_once_each() -> None:
    xray = seen(errbacks=(Errback(task_id="e", name="zoo.alarm"), Errback(task_id="f")))
    chord = merge(xray, recorded(errbacks=(Errback(task_id="e", state="succeeded"),))).chord

    assert chord.errbacks == (Errback(task_id="e", name="zoo.alarm", state="succeeded"), Errback(task_id="f"))


def test_places_are_those_of_what_is_waited_for() -> None:
    header = (header_task(0, counted=True), header_task(1), header_task(2))
    places = {"h0": in_queue(), "h1": in_queue(), "h2": in_queue(), "seen-as": in_queue("low")}
    xray = seen(size=3, header=header, places=places, callback=Callback(task_id="seen-as"))
    record = recorded(size=3, header=(ran(0), runs(1), ran(2)), callback=Callback(task_id="body"))

    assert merge(xray, record).places == {"h1": in_queue(), "body": in_queue("low")}


def test_a_hundred_thousand_tasks_are_joined_without_a_quadratic_search() -> None:
    number = 100_000
    tasks = tuple(HeaderTask(index=n, task_id=f"t{n}", counted=n % 2 == 0) for n in range(number))
    record = recorded(size=number, counted=number // 2, missing=(), header=tasks)

    chord = merge(seen(size=number, counted=number // 2, missing=(), header=tasks), record).chord

    assert consistent(chord)
