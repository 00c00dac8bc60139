from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dashboard_fakes import HOSTILE, FakeWatch, look, sighting, verdict

from chordwatch.errors import SettingError, UnreachableError
from chordwatch.evidence.facts import Place, Queue
from chordwatch.model import OUTCOMES, Callback
from chordwatch.watch.look import Look

streamlit = pytest.importorskip("streamlit", reason="Streamlit is not installed: the extra `dashboard`")

import chord_source  # noqa: E402  # after the skip
from streamlit.testing.v1 import AppTest  # noqa: E402  # after the skip

APP = Path(__file__).parents[3] / "dashboards" / "app.py"

#: Elements whose text the browser shows as it is; everything else is Markdown.
LITERAL_ELEMENTS = {"arrow_data_frame", "dataframe", "text"}

Open = Callable[[Look | Exception], AppTest]


@pytest.fixture
def open_page(monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Return a function that draws the dashboard on what a fake watch answers."""
    streamlit.cache_resource.clear()

    def open_page(answer: Look | Exception) -> AppTest:
        monkeypatch.setattr(chord_source, "open_watch", lambda: FakeWatch(answer))
        return AppTest.from_file(str(APP), default_timeout=30).run()

    yield open_page
    streamlit.cache_resource.clear()


def texts(elements: Any) -> list[str]:
    return [element.value for element in elements]


def test_stuck_chords_stand_first_with_progress_cause_and_what_they_wait_for(open_page: Open) -> None:
    page = open_page(
        look(
            sighting("fine", "ok"),
            sighting(
                "stuck",
                "hung",
                {"t0": Place(kind="queue", name="low"), "t1": Place(kind="nowhere")},
                size=5,
                verdicts=(verdict(summary="Queue low has no consumer."),),
            ),
        )
    )

    assert not page.exception
    assert texts(page.subheader) == [":red[1 of 2 open chords is stuck]", "Queues"]
    first = page.dataframe[0].value.iloc[0].to_dict()
    assert first == {
        "health": "hung",
        "callback": "tasks.report",
        "progress": "3 of 5",
        "percent": 60.0,
        "age": 3725.0,
        "idle": 65.0,
        "cause": "Queue low has no consumer.",
        "waits_for": "1 in queue low, 1 nowhere",
        "chord_id": "stuck",
    }


def test_every_health_is_counted_on_top(open_page: Open) -> None:
    page = open_page(look(*(sighting(f"{health}{n}", health) for n in range(3) for health in OUTCOMES[:2])))

    assert [metric.value for metric in page.metric] == ["3", "3", "0", "0", "0", "0"]
    assert [metric.label for metric in page.metric][:3] == [
        ":red[**Hung**]",
        ":violet[**Looping**]",
        "Failed",
    ]


def test_nothing_is_red_while_nothing_is_stuck(open_page: Open) -> None:
    page = open_page(look(sighting("a", "ok"), sighting("b", "waiting")))

    assert page.subheader[0].value == "None of 2 open chords is known to be stuck"


def test_queues_are_shown_with_depth_unacked_and_consumers(open_page: Open) -> None:
    page = open_page(look(queues=(Queue(name="low", length=37, unacked=2, consumers=0),)))

    row = page.dataframe[0].value.iloc[0].to_dict()
    assert (row["name"], row["length"], row["unacked"], row["consumers"]) == ("low", 37, 2, "0")
    assert row["remark"] == "tasks wait and no worker consumes this queue"


def test_without_open_chords_the_page_says_how_to_get_one(open_page: Open) -> None:
    page = open_page(look(queues=()))

    assert page.subheader[0].value == "No open chords"
    assert "python -m tasks.run" in page.info[0].value
    assert not page.dataframe
    assert not page.exception


def test_a_chord_of_which_almost_nothing_is_known_is_shown(open_page: Open) -> None:
    page = open_page(
        look(sighting(size=None, callback=Callback(), opened_at=None, progressed_at=None, missing=()))
    )

    row = page.dataframe[0].value.iloc[0]
    assert (row["callback"], row["progress"], row["waits_for"]) == (
        "?",
        "3 of ?",
        "an unknown number of parts",
    )
    assert row[["percent", "age", "idle"]].isna().all()


def test_of_ten_thousand_chords_the_worst_are_drawn_and_the_rest_is_counted(open_page: Open) -> None:
    huge = look(*(sighting(f"c{index}", OUTCOMES[index % 6]) for index in range(10_000)))

    started = time.perf_counter()
    page = open_page(huge)
    elapsed = time.perf_counter() - started

    assert len(page.dataframe[0].value) == 200
    assert "The worst 200 of 10,000 open chords; 9,800 more are not shown." in texts(page.caption)
    assert page.metric[0].value == "1,667"
    assert elapsed < 10


def test_an_unreachable_broker_is_a_sentence_and_no_traceback(open_page: Open) -> None:
    sentence = (
        "The broker redis://:**@host:6379/0 does not answer: check that it runs and that its URL is right."
    )
    page = open_page(UnreachableError(sentence))

    assert texts(page.error) == ["**The chords cannot be read.**"]
    assert texts(page.text) == [sentence]
    assert texts(page.caption) == ["This page goes on trying every few seconds."]
    assert not page.exception
    assert not page.dataframe


def test_a_wrong_setting_is_a_sentence_and_is_not_said_to_mend_itself(open_page: Open) -> None:
    page = open_page(SettingError("CHORDWATCH_APP is 'x', which cannot be loaded."))

    assert texts(page.error) == ["**The dashboard is not set up.**"]
    assert texts(page.text) == ["CHORDWATCH_APP is 'x', which cannot be loaded."]
    assert not page.caption


def test_a_defect_shows_neither_its_message_nor_a_traceback(open_page: Open) -> None:
    page = open_page(RuntimeError("redis://:secret@host"))

    assert not page.exception
    assert "secret" not in str(page)
    assert "RuntimeError" in page.text[0].value


def test_what_could_not_be_seen_is_noted_at_the_end(open_page: Open) -> None:
    page = open_page(look(sighting(), partial=True, gaps=("12 keys were skipped.",)))

    # By its text alone: AppTest of Streamlit 1.54 takes an expander with an icon for a status.
    assert texts(page.text)[0].endswith("it has not seen.\n12 keys were skipped.")
    assert page.subheader[0].value == "None of 1 open chord seen is known to be stuck"


def test_a_complete_look_has_no_notes(open_page: Open) -> None:
    assert not open_page(look(sighting())).text


def test_foreign_text_reaches_no_element_that_parses_it(open_page: Open) -> None:
    names = [f"zebra {text}" for text in HOSTILE]
    page = open_page(
        look(
            *(
                sighting(
                    f"{name}{index}",
                    "hung",
                    {"t0": Place(kind="queue", name=name)},
                    callback=Callback(name=name),
                    verdicts=(verdict(summary=name),),
                )
                for index, name in enumerate(names)
            ),
            queues=tuple(Queue(name=name, length=1, unacked=0, consumers=0) for name in names),
            gaps=tuple(names),
        )
    )

    assert not page.exception
    assert len(page.dataframe[0].value) == len(names)
    parsed = [element for element in _elements(page.main) if element.type not in LITERAL_ELEMENTS]
    assert parsed
    assert not [element for element in parsed if "zebra" in str(element.proto)]


def test_a_hostile_error_reaches_no_element_that_parses_it(open_page: Open) -> None:
    page = open_page(UnreachableError("zebra :red[x] <b> $x$ " + "y" * 10_000))

    parsed = [element for element in _elements(page.main) if element.type not in LITERAL_ELEMENTS]
    assert not [element for element in parsed if "zebra" in str(element.proto)]
    assert page.text[0].value.startswith("zebra :red[x] <b> $x$ yyy")
    assert len(page.text[0].value) <= 300


def _elements(block: Any) -> Iterator[Any]:
    for child in block.children.values():
        if hasattr(child, "children"):
            yield from _elements(child)
        else:
            yield child
