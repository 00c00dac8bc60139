from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from chordwatch.board.graph import MAX_GROUPS, MAX_TASKS, graph_of
from chordwatch.evidence.facts import Place
from chordwatch.model import Callback, Errback, MissingPart
from chordwatch.watch.look import Sighting
from chordwatch.watch.related import Related, Relation
from tests.unit.cli.rendered import NAMES, hostile
from tests.unit.seen import header_task, in_queue, open_chord

_NODE = re.compile(r'^(\w+) \[label="((?:[^"\\]|\\.)*)"', re.MULTILINE)


def boxes(dot: str) -> dict[str, str]:
    """Return what stands in each box, lines joined by a slash."""
    return {name: label.replace("\\n", " / ") for name, label in _NODE.findall(dot)}


def seen(places: dict[str, Place] | None = None, **fields: Any) -> Sighting:
    return Sighting(chord=open_chord(**fields), places=places or {})


def other(relation: Relation, **fields: Any) -> Related:
    return Related(relation=relation, chord=open_chord(**{"chord_id": "other", **fields}))


def large(counted: int, waiting: int) -> dict[str, Any]:
    done = [header_task(number, counted=True, state="succeeded") for number in range(counted)]
    rest = [header_task(number, state="published") for number in range(counted, counted + waiting)]
    return {"header": (*done, *rest), "size": counted + waiting, "counted": counted}


def test_a_small_header_is_drawn_task_by_task_with_where_each_is() -> None:
    drawn = boxes(graph_of(seen({"h1": in_queue("reports")})))

    assert drawn == {
        "header": "header / 2 parts",
        "h0": "0 · zoo.add / succeeded",
        "h1": "1 · zoo.add / in queue reports",
        "barrier": "barrier / 1 of 2",
        "callback": "callback · zoo.collect / not sent yet",
    }


def test_a_large_header_is_drawn_by_state() -> None:
    places = {f"h{number}": in_queue("reports") for number in range(412, 420)}

    drawn = boxes(graph_of(seen(places, **large(412, 8))))

    assert [drawn["h0"], drawn["h1"]] == ["412 succeeded", "8 in queue reports"]
    assert "h2" not in drawn


def test_a_few_missing_parts_of_a_large_header_are_named() -> None:
    drawn = boxes(graph_of(seen({"h10": Place(kind="nowhere")}, **large(10, 1))))

    assert [drawn["h0"], drawn["h1"]] == ["10 succeeded", "10 · zoo.add / nowhere"]


def test_many_running_tasks_are_one_box_whatever_their_workers() -> None:
    places = {f"h{number}": Place(kind="active", name=f"w{number}@zoo") for number in range(20, 40)}

    assert boxes(graph_of(seen(places, **large(20, 20))))["h1"] == "20 running"


def test_very_many_states_are_bounded() -> None:
    places = {f"h{number}": in_queue(f"q{number // 4}") for number in range(400)}
    drawn = boxes(graph_of(seen(places, **large(0, 400))))

    assert len([name for name in drawn if name.startswith("h")]) <= MAX_GROUPS + 2
    assert f"{400 - 4 * MAX_GROUPS} in other places" in drawn.values()


def test_a_retried_task_tells_its_run() -> None:
    task = header_task(1, state="retrying", attempts=(object(), object()))

    assert boxes(graph_of(seen(header=(task,))))["h0"] == "1 · zoo.add / retrying, run 2"


def test_parts_without_a_known_id_are_counted() -> None:
    missing = tuple(MissingPart(index=number) for number in range(3))

    assert boxes(graph_of(seen(header=(), missing=missing)))["nameless"] == "3 of unknown id / not counted"


def test_the_chain_before_and_after_is_drawn_in_its_order() -> None:
    related = (
        other("before", state="succeeded", health="done", callback=Callback(name="zoo.first")),
        other("before", state="succeeded", health="done", callback=Callback(name="zoo.second")),
        other("after", state="planned", callback=Callback(name="zoo.next"), size=None, counted=0),
    )

    dot = graph_of(seen(), related)

    drawn = boxes(dot)
    assert drawn["b0"] == "chord · zoo.first / done, 1 of 2"
    assert drawn["a0"] == "chord · zoo.next / not sent yet"
    for edge in ("b0 -> b1;", "b1 -> header;", "callback -> a0;"):
        assert edge in dot


def test_a_chord_that_was_sent_by_a_task_shows_that_task() -> None:
    dot = graph_of(seen(parent_id="4fdd6692-a75c-4f6f"))

    assert boxes(dot)["parent"] == "task / 4fdd6692-a75…"
    assert "parent -> header;" in dot


def test_a_chord_inside_is_one_box_or_drawn_in_full() -> None:
    inner = other("inside", callback=Callback(task_id="h1", name="zoo.inner"), health="hung")

    closed, full = graph_of(seen(), (inner,)), graph_of(seen(), (inner,), expanded=True)

    assert boxes(closed)["i0"] == "chord inside · zoo.inner / hung, 1 of 2"
    assert "h1" not in boxes(closed)
    assert "i0 -> barrier;" in closed
    assert "subgraph cluster_x0" in full
    assert boxes(full)["x0g0"] == "1 succeeded"
    assert "x0c -> barrier;" in full


def test_around_and_sent_chords_are_drawn() -> None:
    dot = graph_of(seen(), (other("around"), other("sent", chord_id="third")))

    assert boxes(dot)["a0"].startswith("chord around it · zoo.collect")
    assert 'header -> s0 [style=dashed, label="sent"]' in dot


def test_errbacks_are_drawn() -> None:
    drawn = boxes(graph_of(seen(errbacks=(Errback(task_id="e", name="zoo.alarm", state="succeeded"),))))

    assert drawn["e0"] == "errback · zoo.alarm / succeeded"


@pytest.mark.parametrize("name", [*NAMES, 'say "hi" \\N \\G', "&lt;b&gt; &amp;", "<b>html</b>"])
@pytest.mark.parametrize("expanded", [False, True])
def test_foreign_names_stay_in_their_quotes(name: str, expanded: bool) -> None:
    odd = hostile(name)
    inner = Related(relation="inside", chord=replace(odd.chord, chord_id="inner"))
    dot = graph_of(odd, (inner, replace(inner, relation="after")), expanded=expanded)

    outside = re.sub(r'"(?:[^"\\]|\\.)*"', "", dot)
    assert outside.isascii()
    assert not re.search(r"zoo|tasks|hi|html|größe|<|&", outside)
    assert not re.search(r"&(?!amp;)", dot)
    assert all(
        re.fullmatch(r"(?:[^\\]|\\\\|\\n|\\\")*", label)
        for label in re.findall(r'label="((?:[^"\\]|\\.)*)"', dot)
    )
    assert len(dot) < 8000


def test_ten_tasks_are_too_many_to_be_drawn_one_by_one() -> None:
    drawn = boxes(graph_of(seen(**large(MAX_TASKS + 1, 0))))

    assert drawn["h0"] == f"{MAX_TASKS + 1} succeeded"
