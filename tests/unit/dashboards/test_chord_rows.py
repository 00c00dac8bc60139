from __future__ import annotations

import time

import pytest
from chord_rows import SHOWN_CHORDS, SHOWN_NOTES, SHOWN_QUEUES, chord_row, clock, overview_of, queue_rows
from dashboard_fakes import HOSTILE, NOW, look, sighting, verdict

from chordwatch.evidence.facts import Queue
from chordwatch.model import OUTCOMES, Callback


def test_stuck_chords_come_first_and_among_them_the_oldest() -> None:
    seen = look(
        *(sighting(health, health) for health in reversed(OUTCOMES)),
        sighting("older", "hung", opened_at=NOW - 99_999),
        sighting("ageless", "hung", opened_at=None, progressed_at=None),
    )

    ids = [row.chord_id for row in overview_of(seen).chords]

    assert ids == ["older", "hung", "ageless", "looping", "failed", "late", "waiting", "ok"]


def test_chords_are_counted_by_health_worst_first_and_zeros_too() -> None:
    counts = overview_of(look(sighting("a", "ok"), sighting("b", "ok"), sighting("c", "late"))).counts

    assert list(counts.items()) == [
        ("hung", 0),
        ("looping", 0),
        ("failed", 0),
        ("late", 1),
        ("waiting", 0),
        ("ok", 2),
    ]


@pytest.mark.parametrize(
    ("healths", "partial", "expected"),
    [
        ([], False, "No open chords"),
        ([], True, "No open chords seen"),
        (["ok"], False, "None of 1 open chord is known to be stuck"),
        (["ok", "late", "failed"], False, "None of 3 open chords is known to be stuck"),
        (["ok", "hung"], False, "1 of 2 open chords is stuck"),
        (["looping", "hung"], True, "2 of 2 open chords seen are stuck"),
    ],
)
def test_the_headline_answers_whether_anything_is_stuck(
    healths: list[str], partial: bool, expected: str
) -> None:
    seen = look(*(sighting(str(index), health) for index, health in enumerate(healths)), partial=partial)

    assert overview_of(seen).headline == expected


def test_a_row_says_all_of_its_chord() -> None:
    row = chord_row(sighting("c1", "hung", verdicts=(verdict(summary="Why."),)), now=NOW)

    assert row.callback == "tasks.report"
    assert (row.progress, row.percent) == ("3 of 8", 37)
    assert (row.age, row.idle) == (3725, 65)
    assert (row.cause, row.waits_for, row.chord_id) == ("Why.", "5 not located", "c1")


def test_what_is_not_known_stays_unknown() -> None:
    row = chord_row(
        sighting(size=None, callback=Callback(), opened_at=None, progressed_at=None),
        now=NOW,
    )

    assert (row.callback, row.percent, row.age, row.idle) == ("?", None, None, None)


def test_a_chord_without_progress_is_idle_since_it_was_opened() -> None:
    assert chord_row(sighting(progressed_at=None), now=NOW).idle == 3725


def test_a_clock_ahead_of_ours_gives_no_negative_age() -> None:
    assert chord_row(sighting(opened_at=NOW + 60), now=NOW).age == 0


@pytest.mark.parametrize(("counted", "size", "percent"), [(99_999, 100_000, 99), (9, 8, 100), (0, 0, None)])
def test_only_a_complete_header_is_at_100_percent(counted: int, size: int, percent: int | None) -> None:
    assert chord_row(sighting(counted=counted, size=size), now=NOW).percent == percent


def test_of_ten_thousand_chords_the_worst_200_are_shown_in_a_moment() -> None:
    seen = look(*(sighting(f"c{index}", OUTCOMES[index % 6]) for index in range(10_000)))

    started = time.perf_counter()
    overview = overview_of(seen)
    elapsed = time.perf_counter() - started

    assert len(overview.chords) == SHOWN_CHORDS
    assert {row.health for row in overview.chords} == {"hung"}
    assert overview.cut == "The worst 200 of 10,000 open chords; 9,800 more are not shown."
    assert overview.headline == "3,334 of 10,000 open chords are stuck"
    assert elapsed < 1


def test_nothing_is_said_of_a_cut_where_nothing_was_cut() -> None:
    overview = overview_of(look(*(sighting(f"c{index}") for index in range(SHOWN_CHORDS))))

    assert overview.cut == ""
    assert overview.queues_cut == ""


def test_queues_that_nobody_consumes_come_first_then_the_longest() -> None:
    rows = queue_rows(
        (
            Queue(name="idle", length=0, unacked=0, consumers=0),
            Queue(name="long", length=900, unacked=3, consumers=2),
            Queue(name="abandoned", length=2, unacked=0, consumers=0),
            Queue(name="not asked", length=5, unacked=0, consumers=None),
        )
    )

    assert [row.name for row in rows] == ["abandoned", "long", "not asked", "idle"]
    assert [row.consumers for row in rows] == ["0", "2", "?", "0"]
    assert [bool(row.remark) for row in rows] == [True, False, False, False]


def test_of_very_many_queues_the_first_are_shown() -> None:
    queues = tuple(Queue(name=f"q{index}", length=index, unacked=0) for index in range(SHOWN_QUEUES + 20))

    overview = overview_of(look(queues=queues))

    assert len(overview.queues) == SHOWN_QUEUES
    assert overview.queues_cut == "The longest 100 of 120 queues; 20 more are not shown."


def test_a_partial_look_and_its_gaps_are_noted() -> None:
    overview = overview_of(look(partial=True, gaps=("12 keys were skipped.", "line\nbreak")))

    assert overview.notes == (
        "This look ended on its time budget: there may be chords that it has not seen.",
        "12 keys were skipped.",
        r"line\nbreak",
    )


def test_very_many_gaps_are_cut() -> None:
    notes = overview_of(look(gaps=tuple(f"gap {index}" for index in range(1000)))).notes

    assert len(notes) == SHOWN_NOTES + 1
    assert notes[-1] == "980 more notes of this kind."


def test_the_time_of_the_look_is_the_viewers() -> None:
    assert clock(NOW, "Europe/Berlin") == "16:13:20"
    assert clock(NOW, "No/Such_Zone") == "14:13:20 UTC"
    assert clock(NOW, "../../etc/passwd") == "14:13:20 UTC"
    assert clock(NOW, None) == "14:13:20 UTC"
    assert overview_of(look()).seen == "Seen at 14:13:20 UTC · 1 worker answered"


def test_hostile_texts_are_short_printable_lines_in_every_cell() -> None:
    seen = look(
        *(
            sighting(f"{index}{text}", callback=Callback(name=text), verdicts=(verdict(summary=text),))
            for index, text in enumerate(HOSTILE)
        ),
        queues=tuple(Queue(name=text, length=1, unacked=0) for text in HOSTILE),
        gaps=HOSTILE,
    )

    overview = overview_of(seen)

    cells = [
        *(cell for row in overview.chords for cell in (row.callback, row.cause, row.chord_id)),
        *(row.name for row in overview.queues),
        *overview.notes,
    ]
    assert all(cell.isprintable() and len(cell) <= 300 for cell in cells)
