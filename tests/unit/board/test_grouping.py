from __future__ import annotations

from typing import Any

import pytest

from chordwatch.board.grouping import Filter, by_cause, by_queue, label, troubled
from chordwatch.board.rows import ChordRow
from chordwatch.diagnosis.causes import CAUSES

NOW = 1_790_000_000.0


def row(chord_id: str = "c1", **changes: Any) -> ChordRow:
    values: dict[str, Any] = {
        "chord_id": chord_id,
        "callback": "shop.report",
        "state": "open",
        "health": "hung",
        "size": 8,
        "counted": 3,
        "opened_at": NOW - 100,
        "cause": "queue_unconsumed",
        "why": "2 tasks wait in queue low, which no worker reads.",
        "remedy": "Start a worker.",
        "waits_for": "2 in queue low",
        "queues": ("low",),
    }
    return ChordRow(**{**values, **changes})


def ids(rows: tuple[ChordRow, ...]) -> list[str]:
    return [each.chord_id for each in rows]


def test_without_a_filter_all_that_are_not_well_come_in_their_order() -> None:
    rows = tuple(
        row(health, health=health) for health in ("hung", "looping", "failed", "late", "waiting", "ok")
    )

    assert ids(troubled(rows, Filter(), NOW)) == ["hung", "looping", "failed", "late"]


def test_a_cause_is_found_also_in_chords_that_are_well() -> None:
    rows = (row("a", health="ok", cause="duplicate_delivery"), row("b", health="ok", cause=None))

    assert ids(troubled(rows, Filter(cause="duplicate_delivery"), NOW)) == ["a"]


@pytest.mark.parametrize(
    "wanted",
    [
        Filter(callback="shop.report"),
        Filter(cause="queue_unconsumed"),
        Filter(queue="low"),
        Filter(text="QUEUE LOW"),
        Filter(text="c1"),
        Filter(age=100),
        Filter(callback="shop.report", cause="queue_unconsumed", queue="low", text="shop", age=60),
    ],
)
def test_each_filter_takes_what_it_names_and_leaves_the_rest(wanted: Filter) -> None:
    other = row(
        "other",
        callback="shop.mail",
        cause="worker_lost",
        queues=("high",),
        why="",
        waits_for="",
        opened_at=NOW - 50,
    )

    assert ids(troubled((other, row("c1")), wanted, NOW)) == ["c1"]


def test_a_chord_of_unknown_age_is_older_than_any() -> None:
    assert troubled((row(opened_at=None),), Filter(age=1e9), NOW)


def test_alerts_find_callbacks_by_the_label_of_the_metrics() -> None:
    long, hostile, unknown = (
        row("long", callback="x" * 300),
        row("hostile", callback="a\nb"),
        row("no", callback=None),
    )
    rows = (long, hostile, unknown)

    assert ids(troubled(rows, Filter(callback=label("x" * 300)), NOW)) == ["long"]
    assert ids(troubled(rows, Filter(callback=r"a\nb"), NOW)) == ["hostile"]
    assert ids(troubled(rows, Filter(callback="unknown"), NOW)) == ["no"]


def test_chords_are_grouped_by_cause_the_worst_health_first_then_the_largest() -> None:
    groups = by_cause(
        (
            row("late", health="late", cause="task_overdue"),
            row("a", cause="worker_lost"),
            row("b"),
            row("c"),
        )
    )

    assert [(group.name, group.chords, group.health) for group in groups] == [
        ("queue_unconsumed", 2, "hung"),
        ("worker_lost", 1, "hung"),
        ("task_overdue", 1, "late"),
    ]


def test_a_group_tells_of_its_oldest_chord() -> None:
    (group,) = by_cause(
        (
            row("young", why="young", remedy="wait", opened_at=NOW - 1),
            row("old", why="old", remedy="act", opened_at=NOW - 9),
            row("ageless", why="ageless", opened_at=None),
        )
    )

    assert (group.why, group.remedy, group.opened_at) == ("old", "act", NOW - 9)


@pytest.mark.parametrize("cause", CAUSES)
def test_every_cause_of_the_catalogue_is_said_in_a_plain_sentence(cause: str) -> None:
    (group,) = by_cause((row(cause=cause),))

    assert group.says.endswith((".", ":"))
    assert "`" not in group.says
    assert "\n" not in group.says


def test_a_cause_of_another_version_is_said_by_its_name_on_one_line() -> None:
    assert by_cause((row(cause="new\ncause"),))[0].says == r"new\ncause"
    assert by_cause((row(cause=None),))[0].says == "No cause is known"


def test_chords_are_grouped_by_the_queue_they_wait_on() -> None:
    rows = (*(row(f"c{number}", queues=("reports",)) for number in range(37)), row("last", queues=("a\nb",)))

    assert [group.says for group in by_queue(rows)] == [
        "37 chords wait on queue reports",
        r"1 chord waits on queue a\nb",
    ]


def test_a_chord_that_waits_on_two_queues_is_in_both_and_one_that_waits_on_none_apart() -> None:
    groups = by_queue((row("two", queues=("a", "b")), row("none", queues=())))

    assert {group.name: group.chords for group in groups} == {"a": 1, "b": 1, "": 1}
    assert next(group for group in groups if not group.name).says == "1 chord waits on no queue"


def test_a_group_leads_to_its_chords() -> None:
    rows = (row("a", queues=("x" * 300, "a\udc80")), row("b", cause="c" * 250, queues=()))

    for group in by_queue(rows):
        assert not group.name or ids(troubled(rows, Filter(queue=group.name), NOW)) == ["a"]
    assert [len(troubled(rows, Filter(cause=group.name), NOW)) for group in by_cause(rows)] == [1, 1]


def test_a_group_names_its_most_frequent_callbacks_and_counts_the_others() -> None:
    rows = (
        *(row(f"c{number}", callback=f"task{number}") for number in range(8)),
        row("again", callback="task7"),
    )

    (group,) = by_cause(rows)

    assert group.callbacks[0] == "task7"
    assert (len(group.callbacks), group.more_callbacks) == (5, 3)


def test_no_chords_make_no_groups() -> None:
    assert by_cause(()) == by_queue(()) == ()
