"""The page of one chord in its states: nothing asked, unknown, normal, finished, huge, unreachable, hostile."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from dashboard_fakes import HOSTILE, FakeSource

from chordwatch.board.chord_page import ChordPage, chord_page_of
from chordwatch.errors import SettingError, UnreachableError
from chordwatch.evidence.facts import Place
from chordwatch.model import Attempt, Callback, Errback, Verdict
from chordwatch.settings import read_settings
from chordwatch.text import plain
from chordwatch.watch.look import Sighting
from chordwatch.watch.related import Related
from tests.support.pace import within
from tests.unit.cli.rendered import verdict
from tests.unit.recorded import ran, recorded, runs
from tests.unit.seen import NOW, header_task, in_queue, open_chord

HUNG = {"health": "hung", "verdicts": (verdict(),)}
DONE = {"state": "succeeded", "health": "done", "missing": (), "counted": 2, "finished_at": NOW - 20}


def page(*related: Related, places: dict[str, Place] | None = None, **fields: Any) -> ChordPage:
    seen = Sighting(chord=recorded(**fields).chord, places=places or {})
    return chord_page_of(seen, now=NOW, related=related, report="## Chord `group`", notes=("Time ran out.",))


def source(made: ChordPage, **answers: Any) -> FakeSource:
    """Return a source that finds the chord by its group id and by one of its tasks."""
    return FakeSource(chords={"group": made, "h1": made}, **answers)


def texts(app: Any) -> str:
    return "\n".join(element.value for element in app.text)


def titles(app: Any) -> list[str]:
    return [element.value for element in app.subheader]


def markdown(app: Any) -> str:
    """Return all that a browser would parse as Markdown."""
    kinds = (
        "markdown",
        "caption",
        "title",
        "header",
        "subheader",
        "info",
        "warning",
        "error",
        "success",
        "metric",
    )
    found = [element for kind in kinds for element in app.get(kind)]
    parts = [str(getattr(element, name, "")) for element in found for name in ("value", "label", "body")]
    return "\n".join([*parts, *(button.label for button in app.button), *(box.label for box in app.expander)])


def test_without_an_id_the_page_says_how_to_get_to_a_chord(open_page: Callable[..., Any]) -> None:
    app = open_page("chord", source(page()))

    assert not app.exception
    assert "search for one by its id" in app.info[0].value
    assert len(app.get("page_link")) == 2


@pytest.mark.parametrize("wanted", ["../../etc/passwd", "%00%ff", "x" * 5000, *HOSTILE[2:4]])
def test_an_unknown_id_is_a_sentence_and_a_way_back(open_page: Callable[..., Any], wanted: str) -> None:
    app = open_page("chord", source(page()), id=wanted)

    assert not app.exception
    assert app.warning[0].value == "No chord is found under this id."
    assert len(app.get("page_link")) == 2
    assert wanted.strip() not in markdown(app)


def test_a_hung_chord_tells_why_first(open_page: Callable[..., Any]) -> None:
    app = open_page("chord", source(page(places={"h1": in_queue("nobody")}, **HUNG)), id="group")

    assert not app.exception
    assert titles(app)[:2] == [":red[Hung]", "Why"]
    assert app.metric[0].value == "1 of 2"
    said = texts(app)
    for sentence in (
        "zoo.collect",
        "Waits for: 1 in queue nobody",
        "1 task of the header waits in queue nobody, which no worker reads.",
        "zoo.add (index 1) h1 is in queue nobody.",
        "Start a worker.",
        "Does a busy worker read it?",
        "Time ran out.",
    ):
        assert sentence in said
    assert "not certain" in markdown(app)
    assert app.code[0].value == "## Chord `group`"
    assert [link.proto.url.rpartition("#")[2] for link in app.get("link_button")] == ["queue_unconsumed"]


def test_graph_timeline_and_table_are_drawn(open_page: Callable[..., Any]) -> None:
    app = open_page("chord", source(page(places={"h1": in_queue("nobody")}, **HUNG)), id="group")

    (graph,) = app.get("graphviz_chart")
    assert "1 · zoo.add\\nin queue nobody" in graph.proto.spec
    assert len(app.get("vega_lite_chart")) == 1
    rows = app.dataframe[0].value
    assert list(rows["index"]) == [1, 0]
    assert list(rows["state"]) == ["started, not counted", "succeeded"]


def test_any_id_of_the_chord_leads_to_it_and_the_address_becomes_its_own(
    open_page: Callable[..., Any],
) -> None:
    app = open_page("chord", source(page()), id="h1")

    assert not app.exception
    assert titles(app)[0] == ":green[OK]"
    assert app.query_params["id"] == "group"


def test_a_finished_chord_is_not_explained(open_page: Callable[..., Any]) -> None:
    app = open_page("chord", source(page(**DONE)), id="group")

    assert titles(app)[0] == ":gray[Done]"
    assert [metric.label for metric in app.metric] == ["Counted", "Took"]
    assert "Explain now" not in [button.label for button in app.button]


def test_a_planned_chord_waits_for_the_tasks_before_it(open_page: Callable[..., Any]) -> None:
    app = open_page("chord", source(page(state="planned", counted=0)), id="group")

    captions = [element.value for element in app.caption]
    assert any(caption.startswith("It is not sent yet") for caption in captions)
    assert "Nothing is known to be wrong." not in captions


def test_explain_now_asks_for_a_fresh_diagnosis(open_page: Callable[..., Any]) -> None:
    asked = source(page(), explained={"group": page(**HUNG)})
    app = open_page("chord", asked, id="group")
    assert "Start a worker." not in texts(app)

    next(button for button in app.button if button.label == "Explain now").click()
    app.run()

    assert ("explain", "group") in asked.asked
    assert "Start a worker." in texts(app)


def test_a_diagnosis_that_fails_is_a_sentence(open_page: Callable[..., Any]) -> None:
    app = open_page(
        "chord", source(page(), explained=UnreachableError("The broker does not answer.")), id="group"
    )

    next(button for button in app.button if button.label == "Explain now").click()
    app.run()

    assert not app.exception
    assert "The broker does not answer." in texts(app)


def test_a_chord_inside_is_drawn_in_full_on_demand_and_leads_to_its_page(
    open_page: Callable[..., Any],
) -> None:
    inner = Related(relation="inside", chord=open_chord(chord_id="inner", callback=Callback(task_id="h1")))
    app = open_page("chord", source(page(inner)), id="group")
    assert "subgraph" not in app.get("graphviz_chart")[0].proto.spec

    next(toggle for toggle in app.toggle if toggle.key == "expanded").set_value(True)
    app.run()

    assert "subgraph" in app.get("graphviz_chart")[0].proto.spec
    related = next(table for table in app.dataframe if "relation" in table.value.columns).value
    assert list(related["chord_id"]) == ["inner"]


def test_the_store_or_broker_being_away_is_a_sentence(open_page: Callable[..., Any]) -> None:
    away = FakeSource(chords=UnreachableError("The broker at redis://:**@db/0 does not answer."))

    app = open_page("chord", away, id="group")

    assert not app.exception
    assert app.error[0].value == "**The chords cannot be read.**"
    assert "redis://:**@db/0 does not answer" in texts(app)


def test_a_dashboard_that_is_not_set_up_says_so(open_page: Callable[..., Any]) -> None:
    app = open_page("chord", SettingError("No Celery app is named."), id="group")

    assert not app.exception
    assert app.error[0].value == "**The dashboard is not set up.**"


def test_while_paused_the_chord_stays_as_it_was(open_page: Callable[..., Any]) -> None:
    asked = source(page())
    app = open_page("chord", asked, id="group")
    next(toggle for toggle in app.toggle if toggle.key == "paused").set_value(True)
    app.run()
    asked.chords = {"group": page(**DONE)}
    app.run()

    assert titles(app)[0] == ":green[OK]"


def test_a_chord_of_ten_thousand_parts_is_drawn_a_page_at_a_time_within_a_second(
    open_page: Callable[..., Any],
) -> None:
    header = (
        *(ran(number) for number in range(9_000)),
        *(header_task(number) for number in range(9_000, 10_000)),
    )
    made = page(header=header, size=10_000, counted=9_000, **HUNG)
    app = open_page("chord", source(made), id="group")
    started = time.process_time()
    app.run()
    seconds = time.process_time() - started

    assert not app.exception
    assert len(app.dataframe[0].value) == 1_000
    assert "1 to 1,000 of 10,000 tasks." in markdown(app)
    assert "9,000 succeeded" in app.get("graphviz_chart")[0].proto.spec
    assert within(seconds, 1)

    next(box for box in app.number_input if box.label == "Page").set_value(10)
    app.run()
    assert "9,001 to 10,000 of 10,000 tasks." in markdown(app)


def test_the_table_shows_what_the_viewer_chose(open_page: Callable[..., Any]) -> None:
    failed = ran(2, state="failed", error="ValueError: no")
    app = open_page("chord", source(page(header=(ran(0), runs(1), failed))), id="group")

    app.get("button_group")[0].set_value("eventful")
    app.run()
    assert list(app.dataframe[0].value["index"]) == [2]


def test_a_chord_that_nobody_recorded_says_how_to_get_a_timeline(open_page: Callable[..., Any]) -> None:
    bare = Sighting(chord=replace(recorded().chord, instrumented=False, header=()))

    app = open_page("chord", source(chord_page_of(bare, now=NOW)), id="group")

    assert not app.exception
    assert "chordwatch.instrument(app)" in markdown(app)
    assert "No header task is known" in markdown(app)


def test_a_chord_of_which_only_the_last_verdict_is_left_shows_that(open_page: Callable[..., Any]) -> None:
    left = Sighting(chord=open_chord(header=(), size=None, progressed_at=None, **HUNG))

    app = open_page("chord", source(chord_page_of(left, now=NOW)), id="group")

    assert not app.exception
    assert "1 task of the header waits in queue nobody" in texts(app)


def test_links_lead_to_flower_and_grafana(open_page: Callable[..., Any]) -> None:
    settings = read_settings({}, flower_url="https://flower.example", grafana_url="https://grafana.example")
    sent = Callback(task_id="body", name="zoo.collect", state="published", published_at=NOW)
    made = chord_page_of(Sighting(chord=recorded(callback=sent).chord), now=NOW, settings=settings)

    app = open_page("chord", source(made), id="group")

    assert [link.proto.url for link in app.get("link_button")] == [
        "https://flower.example/task/body",
        "https://grafana.example/d/chordwatch-callback?var-callback=zoo.collect",
    ]
    assert list(app.dataframe[0].value["flower"]) == [
        "https://flower.example/task/h1",
        "https://flower.example/task/h0",
    ]


def test_there_is_no_link_to_a_callback_that_was_not_sent(open_page: Callable[..., Any]) -> None:
    settings = read_settings({}, flower_url="https://flower.example")
    made = chord_page_of(Sighting(chord=recorded().chord), now=NOW, settings=settings)

    app = open_page("chord", source(made), id="group")

    assert not app.exception
    assert not app.get("link_button")


def odd_parts(text: str) -> tuple[Any, Verdict, Related]:
    """Return a header task, a verdict and a related chord in which every foreign text is this one."""
    named = replace(verdict(), summary=text, evidence=(text,), remedy=text, question=text, cause=text)
    run = Attempt(attempt=0, state="failed", worker=text, started_at=NOW - 9, finished_at=NOW, error=text)
    task = {"task_id": text, "name": text, "error": text, "queue": text, "worker": text, "attempts": (run,)}
    inner = open_chord(
        chord_id=text, callback=Callback(task_id=text, name=text), health="hung", verdicts=(named,)
    )
    return ran(0, **task, state="failed", counted=False), named, Related(relation="inside", chord=inner)


def test_foreign_text_is_given_to_nothing_that_parses_it(open_page: Callable[..., Any]) -> None:
    header, verdicts, inner = zip(*map(odd_parts, HOSTILE), strict=True)
    chord = recorded(
        header=header,
        callback=Callback(task_id=HOSTILE[0], name=HOSTILE[0], error=HOSTILE[1], worker=HOSTILE[2]),
        errbacks=tuple(Errback(task_id=text, name=text) for text in HOSTILE),
        parent_id=HOSTILE[3],
        health="hung",
        verdicts=verdicts,
    ).chord
    seen = Sighting(chord=chord, places={text: Place(kind="active", name=text) for text in HOSTILE})
    report = "\n".join(map(plain, HOSTILE))

    app = open_page(
        "chord", source(chord_page_of(seen, now=NOW, related=inner, notes=HOSTILE, report=report)), id="group"
    )

    assert not app.exception
    assert len(app.dataframe) == 3
    parsed = markdown(app)
    assert not [text for text in HOSTILE if text in parsed or plain(text) in parsed]


def test_a_verdict_of_an_unknown_cause_is_shown_without_its_name(open_page: Callable[..., Any]) -> None:
    foreign: Verdict = replace(verdict(), cause="[click](javascript:alert(1))")

    app = open_page("chord", source(page(health="hung", verdicts=(foreign,))), id="group")

    assert not app.exception
    assert "javascript" not in markdown(app)
    assert not app.get("link_button")
