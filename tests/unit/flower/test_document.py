from __future__ import annotations

import json
from typing import Any

import pytest

from chordwatch.board.rows import QueueRow
from chordwatch.flower.document import MAX_CHORDS, NO_MONITOR, NOT_INSTRUMENTED, document
from chordwatch.store.protocol import Membership
from tests.unit.dashboards.dashboard_fakes import HOSTILE, NOW, board, row

DASHBOARD = "https://dash.example/base"


def shown(*args: Any, url: str = DASHBOARD, tasks: Any = None, **changes: Any) -> dict[str, Any]:
    return document(
        board(*args, **changes), tasks or {}, dashboard_url=url, task_url=lambda task_id: f"/task/{task_id}"
    )


def header(index: int) -> Membership:
    return Membership(chord_id="c1", role="header", index=index, callback="tasks.report")


def test_a_stuck_chord_is_told_with_its_cause_progress_and_link() -> None:
    told = shown(row("c 1", "hung"))

    (chord,) = told["chords"]
    assert (chord["health"], chord["stuck"], chord["progress"]) == ("hung", True, "3 of 8")
    assert (chord["cause"], chord["why"]) == (
        "queue_unconsumed",
        "2 tasks wait in queue low, which no worker consumes.",
    )
    assert (chord["waits_for"], chord["age"], chord["age_words"]) == ("2 in queue low", 3725, "1 h 2 min")
    assert chord["url"] == f"{DASHBOARD}/chord?id=c%201"
    assert (told["stuck"], told["counts"]["hung"], told["counts"]["open"]) == (1, 1, 1)
    assert (told["looker"], told["notes"]) == ("the monitor", [])


def test_without_a_dashboard_there_is_no_link() -> None:
    assert shown(row(), url="")["chords"][0]["url"] is None


def test_what_is_not_known_is_a_question_mark() -> None:
    (chord,) = shown(row(callback=None, size=None, opened_at=None))["chords"]

    assert (chord["callback"], chord["progress"], chord["age"], chord["age_words"]) == (
        "?",
        "3 of ?",
        None,
        "?",
    )


def test_nothing_has_begun_in_the_future() -> None:
    assert shown(row(opened_at=NOW + 60))["chords"][0]["age"] == 0


def test_queues_are_told_with_their_depth() -> None:
    (told,) = shown(
        queues=(QueueRow(name="low", length=5, unacked=2, consumers=None, oldest_at=NOW - 65, stuck=3),)
    )["queues"]

    assert told == {
        "name": "low",
        "length": 5,
        "unacked": 2,
        "consumers": None,
        "stuck": 3,
        "oldest": 65,
        "oldest_words": "1 min 5 s",
    }


def test_it_links_first_to_tasks_that_have_not_succeeded() -> None:
    known = [
        (("done", "SUCCESS"), header(0)),
        (("last", "SUCCESS"), Membership(chord_id="c1", role="callback", index=None, callback=None)),
        (("later", "RETRY"), header(9)),
        (("first", "STARTED"), header(2)),
    ]

    assert shown(row("c1"), tasks={"c1": known})["chords"][0]["tasks"] == [
        {"label": "header 2", "state": "STARTED", "url": "/task/first"},
        {"label": "header 9", "state": "RETRY", "url": "/task/later"},
        {"label": "header 0", "state": "SUCCESS", "url": "/task/done"},
    ]


def test_of_a_huge_board_the_worst_are_shown_and_the_rest_is_counted() -> None:
    told = shown(*(row(f"c{n}", "hung") for n in range(MAX_CHORDS + 20)), beyond=1000)

    assert [chord["rank"] for chord in told["chords"]] == list(range(MAX_CHORDS))
    assert told["notes"] == [f"The worst {MAX_CHORDS} of {MAX_CHORDS + 1020:,} open chords are shown."]
    assert len(json.dumps(told)) < 400_000


def test_it_says_what_to_do_where_nobody_looks_or_records() -> None:
    told = shown(looker="dashboard", instrumented=False, partial=True, notes=("The broker is slow.",))

    assert told["looker"] == "Flower itself"
    assert told["notes"] == [
        NO_MONITOR,
        NOT_INSTRUMENTED,
        "The look ended on its time budget: there may be chords that it has not seen.",
        "The broker is slow.",
    ]


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: json.dumps(name)[:24])
def test_hostile_text_is_one_short_visible_line(name: str) -> None:
    told = shown(
        row(name, "hung", callback=name, why=name, waits_for=name, cause=name),
        queues=(QueueRow(name=name, length=1, unacked=0, consumers=0),),
        notes=(name,),
        tasks={name: [(("t", name), header(0))]},
    )

    texts = [
        *(told["chords"][0][part] for part in ("id", "callback", "why", "waits_for", "cause")),
        *(told["queues"][0]["name"], *told["notes"], told["chords"][0]["tasks"][0]["state"]),
    ]
    assert all(text.isprintable() and 0 < len(text) <= 300 for text in texts)
    # An address takes no surrogates, and no quotes or brackets that would end an attribute.
    assert set(told["chords"][0]["url"]).isdisjoint("<>\"' \n")
    told["chords"][0]["url"].encode("ascii")
