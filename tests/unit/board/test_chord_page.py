from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from chordwatch.board.chord_page import MAX_ERRORS, RELATIONS, ChordPage, Links, chord_page_of
from chordwatch.board.links import cause_url
from chordwatch.board.timeline import Timeline
from chordwatch.diagnosis.causes import CAUSES
from chordwatch.evidence.facts import Place
from chordwatch.metrics.alerts import RUNBOOK_URL
from chordwatch.model import Attempt, Callback, MissingPart
from chordwatch.settings import read_settings
from chordwatch.watch.look import Sighting
from chordwatch.watch.related import Related
from tests.support.pace import within
from tests.unit.cli.rendered import NAMES, hostile, verdict
from tests.unit.recorded import ran, recorded, runs
from tests.unit.seen import NOW, header_task, in_queue, open_chord

SETTINGS = read_settings(
    {},
    flower_url="https://flower.example/base/",
    grafana_url="https://grafana.example",
    trace_url="https://traces.example/{trace_id}?all",
)


def page(places: dict[str, Place] | None = None, **fields: Any) -> ChordPage:
    return chord_page_of(Sighting(chord=recorded(**fields).chord, places=places or {}), now=NOW)


def test_a_page_says_how_the_chord_is() -> None:
    made = page({"h1": in_queue("low")})

    assert (made.callback, made.callback_state, made.progress) == ("zoo.collect", "not sent yet", "1 of 2")
    assert (made.age, made.idle, made.waits_for, made.finished) == (60, 5, "1 in queue low", False)


def test_a_finished_chord_took_its_time_and_waits_for_nothing() -> None:
    made = page(state="succeeded", health="done", finished_at=NOW - 20, missing=(), counted=2)

    assert (made.age, made.idle, made.waits_for, made.finished) == (40, None, "", True)


def test_what_is_not_known_stays_unknown() -> None:
    made = page(opened_at=None, progressed_at=None, callback=Callback(), size=None)

    assert (made.age, made.idle, made.callback) == (None, None, "?")


@pytest.mark.parametrize(
    ("found", "words", "ran_for"),
    [
        ({"certain": True, "since": NOW - 2}, "lost with its worker", 3),
        # Its worker beat last before it took the task.
        ({"certain": True, "since": NOW - 7}, "lost with its worker", None),
        ({"certain": False, "since": NOW - 2}, "perhaps lost with its worker", None),
        ({"certain": True, "since": NOW - 2, "cause": "worker_frozen"}, "", 5),
    ],
)
def test_a_run_that_was_lost_with_its_worker_is_no_longer_counted(
    found: dict[str, Any], words: str, ran_for: float | None
) -> None:
    lost = verdict(**{"cause": "worker_lost", "tasks": ("h0", "h1"), **found})
    part, done = page(verdicts=(lost,)).tasks

    assert (part.task_id, part.state, part.lost, part.ran) == ("h1", "started", words, ran_for)
    assert (done.task_id, done.lost, done.ran) == ("h0", "", 10)


def test_parts_that_are_worth_reading_come_first() -> None:
    again = (
        Attempt(attempt=0, state="retrying", error="OSError: gone"),
        Attempt(attempt=1, state="succeeded"),
    )
    made = page(
        header=(
            ran(0),
            runs(1),
            ran(2, attempts=again),
            ran(3, state="failed", error="ValueError: no"),
            ran(4),
        ),
        missing=(MissingPart(index=1, task_id="h1"), MissingPart(index=9)),
    )

    assert [row.index for row in made.tasks] == [1, 2, 3, 0, 4, 9]
    assert [row.error for row in made.tasks] == ["", "OSError: gone", "ValueError: no", "", "", ""]
    assert [row.runs for row in made.tasks] == [1, 2, 1, 1, 1, 0]


def test_a_row_tells_the_times_of_its_last_attempt_and_where_it_is() -> None:
    made = page({"h1": Place(kind="scheduled", name="w1@zoo", eta=NOW + 300)})
    missing, counted = made.tasks

    assert (missing.waited, missing.ran, missing.worker) == (55, 5, "w1@zoo")
    assert missing.where == "held back by w1@zoo until 5 min from now"
    assert (counted.waited, counted.ran, counted.where, counted.queue) == (10, 10, "", "celery")


def test_a_part_that_another_chord_ends_says_so() -> None:
    inner = open_chord(chord_id="4fdd6692-a75c-4f6f", health="hung", callback=Callback(task_id="h1"))

    made = chord_page_of(
        Sighting(chord=recorded().chord), now=NOW, related=(Related(relation="inside", chord=inner),)
    )

    assert made.tasks[0].where == "ends the chord 4fdd6692-a75… (hung, 1 of 2)"
    assert "subgraph" in made.expanded
    assert "subgraph" not in made.graph
    (row,) = made.related
    assert (row.relation, row.health, row.chord_id) == (RELATIONS["inside"], "hung", "4fdd6692-a75c-4f6f")


def test_a_planned_relative_is_not_called_ok() -> None:
    planned = Related(relation="after", chord=open_chord(state="planned", counted=0, size=None))

    made = chord_page_of(Sighting(chord=open_chord()), now=NOW, related=(planned,))

    assert made.related[0].health == "planned"
    assert made.expanded == ""


def test_equal_errors_are_told_once_with_their_number() -> None:
    failed = [ran(number, state="failed", error="ValueError: no") for number in range(3)]
    made = page(
        header=(*failed, ran(3, error="KeyError: 1")),
        callback=Callback(name="zoo.collect", error="ChordError: x"),
    )

    assert [(row.count, row.error, row.task) for row in made.errors] == [
        (3, "ValueError: no", "zoo.add"),
        (1, "KeyError: 1", "zoo.add"),
        (1, "ChordError: x", "zoo.collect"),
    ]


def test_very_many_errors_are_bounded() -> None:
    made = page(header=tuple(ran(number, error=f"E: {number}") for number in range(500)))

    assert len(made.errors) == MAX_ERRORS


def test_links_lead_to_the_tools_that_are_named() -> None:
    odd = Callback(task_id="body", name="größe & <b>")
    seen = Sighting(chord=open_chord(callback=odd), trace_id=0xBEEF)

    links = chord_page_of(seen, now=NOW, settings=SETTINGS).links

    assert links.of_task("a/b?c\udc80") == "https://flower.example/base/task/a%2Fb%3Fc%3F"
    assert links.charts == (
        "https://grafana.example/d/chordwatch-callback?var-callback=gr%C3%B6%C3%9Fe+%26+%3Cb%3E"
    )
    assert links.trace == f"https://traces.example/{'0' * 28}beef?all"
    assert chord_page_of(Sighting(chord=open_chord()), now=NOW, settings=SETTINGS).links.trace == ""
    assert chord_page_of(seen, now=NOW, settings=read_settings({})).links == Links()
    assert Links().of_task("x") == ""
    assert links.of_task("") == ""


@pytest.mark.parametrize(
    ("callback", "url"),
    [
        (Callback(task_id="body"), ""),
        (Callback(task_id="body", state="failed", error="ChordError: Dependency h1 raised E()"), ""),
        (Callback(task_id="body", state="published"), "https://flower.example/base/task/body"),
        (Callback(task_id="body", state="failed", error="E: no"), "https://flower.example/base/task/body"),
        (
            Callback(task_id="body", state="failed", error="ChordError: its own", started_at=NOW),
            "https://flower.example/base/task/body",
        ),
    ],
)
def test_a_callback_that_was_not_sent_has_no_page_in_flower(callback: Callback, url: str) -> None:
    seen = Sighting(chord=open_chord(callback=callback))

    assert chord_page_of(seen, now=NOW, settings=SETTINGS).links.callback == url


def test_each_cause_has_a_place_in_the_docs() -> None:
    cause = next(iter(CAUSES))

    assert cause_url(verdict(cause=cause)) == f"{RUNBOOK_URL}#{cause}"


def test_a_chord_that_nobody_recorded_has_no_timeline() -> None:
    bare = replace(recorded().chord, instrumented=False)

    assert chord_page_of(Sighting(chord=bare), now=NOW).timeline == Timeline()
    assert page().timeline.bars


@pytest.mark.parametrize("name", NAMES)
def test_foreign_texts_are_short_lines(name: str) -> None:
    odd = hostile(name)
    related = (Related(relation="inside", chord=odd.chord), Related(relation="before", chord=odd.chord))

    made = chord_page_of(odd, now=NOW, related=related)

    texts = [
        made.callback,
        made.waits_for,
        *(row.error for row in made.errors),
        *(row.task for row in made.errors),
    ]
    for row in made.tasks:
        texts += [row.name, row.where, row.worker, row.queue, row.error]
    for relative in made.related:
        texts += [relative.callback, relative.why]
    assert all(text.isprintable() and len(text) <= 300 for text in texts)


def test_a_page_of_ten_thousand_parts_is_made_in_a_moment() -> None:
    header = tuple(ran(number) if number % 10 else header_task(number) for number in range(10_000))
    seen = Sighting(chord=recorded(header=header, size=10_000, counted=9_000).chord)

    started = time.process_time()
    made = chord_page_of(seen, now=NOW)
    seconds = time.process_time() - started

    assert len(made.tasks) == 10_000
    assert len(made.graph) < 3_000
    assert within(seconds, 1)
