from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from dashboard_fakes import HOSTILE, NOW, FakeSource

from chordwatch.board.examined import Examination
from chordwatch.doctor.finding import Finding
from chordwatch.errors import ChordwatchError
from chordwatch.text import plain

pytest.importorskip("streamlit", reason="Streamlit is not installed: the extra `dashboard`")

if TYPE_CHECKING:
    from streamlit.testing.v1 import AppTest

    Open = Callable[..., AppTest]

EXPIRES = Finding(
    rule="results_expire_early",
    severity="error",
    where="result_expires",
    reason="Results expire after 60 s, but chords take 300 s.",
    fix="Set result_expires to 3600.",
)
ROUTE = Finding(
    rule="queue_without_worker",
    severity="warning",
    where="queue low",
    reason="Nobody reads it.",
    fix="Start one.",
)


def examined(*findings: Finding, **changes: Any) -> FakeSource:
    values: dict[str, Any] = {"taken_at": NOW, "tasks": 12, "chords": 3400, "workers": 2}
    return FakeSource(found=Examination(findings=findings, **{**values, **changes}))


def texts(elements: Any) -> list[str]:
    return [element.value for element in elements]


def test_each_finding_says_where_it_is_why_it_is_one_and_how_to_end_it(open_page: Open) -> None:
    page = open_page("doctor", examined(EXPIRES, ROUTE))

    assert not page.exception
    assert texts(page.subheader) == [":red[**1 error**], :orange[**1 warning**]"]
    badges = [text for text in texts(page.markdown) if "badge" in text]
    assert badges == [
        ":red-badge[error] **results_expire_early**",
        ":orange-badge[warning] **queue_without_worker**",
    ]
    assert texts(page.text) == [
        "result_expires",
        "Results expire after 60 s, but chords take 300 s.",
        "Fix: Set result_expires to 3600.",
        "queue low",
        "Nobody reads it.",
        "Fix: Start one.",
    ]


def test_a_healthy_installation_says_on_what_that_stands(open_page: Open) -> None:
    page = open_page("doctor", examined())

    assert texts(page.success) == ["No hazard found."]
    basis = page.caption[-1].value
    assert "12 tasks of this project and 3,400 recorded chords; 2 workers answered" in basis
    assert not page.error


def test_that_nobody_was_asked_is_no_health(open_page: Open) -> None:
    sentence = "The broker at redis://**@host:6379/0 does not answer."
    page = open_page("doctor", examined(workers=None, unreachable=(sentence,)))

    assert texts(page.error) == ["**Not everything could be examined.**"]
    assert texts(page.text) == [sentence]
    assert not page.success
    assert "workers were not asked" in page.caption[-1].value


def test_what_was_not_looked_at_is_said(open_page: Open) -> None:
    page = open_page("doctor", examined(gaps=("No chord is recorded.",)))

    assert texts(page.text) == ["No chord is recorded."]


def test_it_is_asked_when_it_is_shown_and_anew_on_the_button(open_page: Open) -> None:
    source = examined(EXPIRES)
    page = open_page("doctor", source)
    next(button for button in page.button if button.label == "Examine again").click().run()

    asked = [question for question in source.asked if question[0] == "findings"]
    assert asked[0] == ("findings", False)
    assert asked[-1] == ("findings", True)


def test_of_a_thousand_findings_the_worst_are_shown_and_the_rest_is_counted(open_page: Open) -> None:
    page = open_page("doctor", examined(*[ROUTE] * 1000))

    assert not page.exception
    assert len(page.text) == 300
    assert "900 more are printed by `celery -A proj chords doctor`." in texts(page.caption)


def test_a_doctor_that_cannot_begin_is_a_sentence(open_page: Open) -> None:
    page = open_page("doctor", FakeSource(found=ChordwatchError("This failed with KeyError.")))

    assert not page.exception
    assert texts(page.error) == ["**The doctor could not begin.**"]
    assert texts(page.text) == ["This failed with KeyError."]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_other_systems_say_is_given_to_nothing_that_parses_it(open_page: Open, text: str) -> None:
    hostile = Finding(rule="unknown_setting", severity="note", where=text, reason=text, fix=text)
    page = open_page("doctor", examined(hostile, gaps=(text,), unreachable=(text,)))

    assert not page.exception
    shown = plain(text, 2000)
    assert texts(page.text) == [shown, shown, shown, plain(f"Fix: {text}", 2000), shown]
    parsed = [*page.markdown, *page.caption, *page.subheader, *page.error, *page.success]
    assert not [element for element in parsed if shown in element.value]
