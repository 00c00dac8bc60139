from __future__ import annotations

from typing import Any

from chordwatch.evidence.facts import TaskMeta
from chordwatch.watch import family
from tests.unit.seen import NOW, meta

HEADER = (meta("h0", group_id="group"), meta("h1", group_id="group"))


def called_by(wanted: TaskMeta, *others: TaskMeta) -> str | None:
    return family.chord_called_by(wanted, {m.task_id: m for m in (wanted, *others)})


def chord_error(task_id: str, **fields: Any) -> TaskMeta:
    text = f"ChordError: Dependency {task_id} raised ValueError('header boom')"
    return meta("body", state="failed", error_type="ChordError", error=text, **fields)


def test_the_callback_descends_from_the_header_task_that_finished_last() -> None:
    assert called_by(meta("body", group_id="group", parent_id="h1"), *HEADER) == "group"


def test_a_header_task_is_not_the_callback() -> None:
    assert called_by(HEADER[0], *HEADER) is None
    assert called_by(meta("h2", group_id="group", parent_id="sender"), meta("sender"), *HEADER) is None


def test_a_task_that_add_to_chord_added_is_not_the_callback() -> None:
    adder = meta("h0", group_id="group", children=("extra",))

    assert called_by(meta("extra", group_id="group", parent_id="h0"), adder) is None


def test_an_errback_is_not_the_callback_though_it_descends_from_a_header_task() -> None:
    assert called_by(meta("errback", parent_id="h1"), *HEADER) is None


def test_an_errback_that_celery_sends_as_a_group_descends_from_a_header_task_that_failed() -> None:
    failed = meta("h1", group_id="group", state="failed")

    assert called_by(meta("errback", group_id="errbacks", parent_id="h1"), HEADER[0], failed) is None


def test_the_callback_of_an_inner_chord_belongs_to_the_inner_one() -> None:
    inner = meta("i0", group_id="inner")

    assert called_by(meta("inner-body", group_id="group", parent_id="i0"), inner, *HEADER) == "inner"


def test_the_last_step_of_a_chain_as_callback_leads_back_through_its_first() -> None:
    first = meta("b1", parent_id="h1", children=("b2",))

    assert called_by(meta("b2", group_id="group", parent_id="b1"), first, *HEADER) == "group"


def test_the_last_step_of_a_chain_in_the_header_is_not_the_callback() -> None:
    first = meta("c1", children=("h2",), parent_id=None)

    assert called_by(meta("h2", group_id="group", parent_id="c1"), first, *HEADER) is None


def test_a_chord_error_quotes_a_task_of_the_header() -> None:
    assert called_by(chord_error("h1"), *HEADER) == "group"


def test_a_chord_error_that_quotes_an_unknown_task_leads_nowhere() -> None:
    assert called_by(chord_error("gone"), *HEADER) is None


def test_only_a_chord_error_quotes() -> None:
    assert family.quoted_id(chord_error("h1")) == "h1"
    assert family.quoted_id(meta("x", error="ValueError: Dependency h1 raised ValueError('no')")) is None
    assert family.quoted_id(meta("x")) is None


def test_parents_in_a_ring_lead_nowhere() -> None:
    ring = [
        meta(
            f"r{number}",
            group_id="group",
            parent_id=f"r{(number + 1) % 3}",
            children=(f"r{(number - 1) % 3}",),
        )
        for number in range(3)
    ]
    own = meta("own", group_id="group", parent_id="own", children=("own",))

    assert called_by(ring[0], *ring) is None
    assert called_by(own) is None


def test_results_are_kept_by_their_group() -> None:
    groups = family.by_group([*HEADER, meta("x", group_id="other"), meta("alone")])

    assert {group: sorted(metas) for group, metas in groups.items()} == {
        "group": ["h0", "h1"],
        "other": ["x"],
    }


def test_every_chord_is_told_its_callback() -> None:
    body = meta("body", group_id="group", parent_id="h1")
    metas = {m.task_id: m for m in (*HEADER, body, meta("errback", parent_id="h0"))}

    assert family.callbacks(metas) == {"group": (body,)}


def test_every_member_of_a_group_as_callback_is_told() -> None:
    members = tuple(meta(name, group_id="group", parent_id="h1") for name in ("one", "two"))

    assert family.callbacks({m.task_id: m for m in (*HEADER, *members)}) == {"group": members}


def test_a_callback_without_a_group_id_counts_only_where_celery_gives_none() -> None:
    metas = {m.task_id: m for m in (*HEADER, meta("body", parent_id="h1"))}

    assert family.callbacks(metas) == {}
    assert family.callbacks(metas, groupless=True) == {"group": (metas["body"],)}


def test_failures_without_a_group_that_may_be_a_chords_are_kept_newest_last() -> None:
    late = meta("late", state="failed", error="ChordError: Callback error: TypeError()", finished_at=NOW)
    early = meta("early", state="failed", error_type="NotRegistered", error="NotRegistered: x")
    others = (
        meta("fine"),
        meta("told", state="failed", error_type="NotRegistered", group_id="group"),
        meta("own", state="failed", error_type="ValueError", error="ValueError: x"),
        meta("timeless", state="failed", error_type="NotRegistered", finished_at=None),
    )

    assert family.strays([late, *others, early]) == (early, late)


def test_of_many_such_failures_the_newest_are_kept() -> None:
    many = [
        meta(f"r{number}", state="failed", error_type="NotRegistered", finished_at=NOW + number)
        for number in range(family.MAX_STRAYS + 5)
    ]
    kept = family.strays(many)

    assert (len(kept), kept[0].task_id) == (family.MAX_STRAYS, "r5")
