from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from celery import Celery
from dashboard_fakes import FakeSource

from chordwatch.errors import SettingError
from chordwatch.settings import read_settings

pytest.importorskip("streamlit", reason="Streamlit is not installed: the extra `dashboard`")

import chord_password  # after the skip

if TYPE_CHECKING:
    from streamlit.testing.v1 import AppTest

    Open = Callable[..., AppTest]

PAGES = ("overview", "stuck", "chord", "queues", "trends", "doctor")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chord_password, "DELAY", 0.0)


def source(password: str = "open-sesame") -> FakeSource:
    return FakeSource(settings=read_settings(Celery(set_as_current=False).conf, dashboard_password=password))


def give(page: AppTest, password: str) -> AppTest:
    page.text_input[0].input(password)
    return page.button[0].click().run()


@pytest.mark.parametrize("name", PAGES)
def test_every_page_asks_before_it_reads_or_draws(open_page: Open, name: str) -> None:
    asked = source()

    page = open_page(name, asked, id="c1", callback="x")

    assert not page.exception
    assert [field.label for field in page.text_input] == ["Password of this dashboard"]
    assert page.text_input[0].proto.type == page.text_input[0].proto.PASSWORD
    assert not page.title
    assert not page.toggle
    assert asked.asked == []


def test_who_gives_it_sees_the_page_and_the_others_without_being_asked_again(open_page: Open) -> None:
    page = give(open_page("overview", source()), "open-sesame")

    assert not page.exception
    assert page.toggle
    page.switch_page("app_pages/doctor.py").run()
    assert "Password of this dashboard" not in [field.label for field in page.text_input]


@pytest.mark.parametrize("given", ["", "open-sesam", "Open-Sesame", "open-sesame ", "é", "x" * 10_000])
def test_a_wrong_one_opens_nothing_and_is_logged_without_being_shown(
    open_page: Open, given: str, caplog: pytest.LogCaptureFixture
) -> None:
    asked = source()
    with caplog.at_level(logging.WARNING):
        page = give(open_page("overview", asked), given)

    assert [error.value for error in page.error] == ["That is not the password."]
    assert asked.asked == []
    assert [record.getMessage() for record in caplog.records if record.name == "chord_password"] == [
        "Somebody gave a wrong password"
    ]


def test_any_text_can_be_a_password(open_page: Open) -> None:
    page = give(open_page("overview", source(" gr\u00fc\u00df dich ")), " gr\u00fc\u00df dich ")

    assert not page.error
    assert page.toggle


def test_without_the_setting_nobody_is_asked(open_page: Open) -> None:
    page = open_page("overview", source(""))

    assert page.toggle
    assert "Password of this dashboard" not in [field.label for field in page.text_input]


def test_a_changed_password_is_asked_for(open_page: Open) -> None:
    changing = source("first")
    page = give(open_page("overview", changing), "first")
    assert page.toggle

    changing.settings = source("second").settings
    page.run()

    assert not page.toggle
    assert page.text_input[0].label == "Password of this dashboard"


def test_what_a_session_remembers_is_not_the_password(open_page: Open) -> None:
    page = give(open_page("overview", source()), "open-sesame")

    assert page.session_state["let_in"] != b"open-sesame"
    assert "sesame" not in str(page.session_state["let_in"])


def test_without_settings_nothing_is_drawn_but_the_sentence(open_page: Open) -> None:
    page = open_page("overview", SettingError("CHORDWATCH_APP is 'x', which cannot be loaded."))

    assert not page.exception
    assert not page.toggle
    assert [text.value for text in page.text] == ["CHORDWATCH_APP is 'x', which cannot be loaded."]


def test_guessing_by_many_at_once_is_no_faster_than_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chord_password, "DELAY", 0.1)
    guesses = [threading.Thread(target=chord_password._complaint, args=("a", "b")) for _ in range(4)]

    started = time.monotonic()
    for guess in guesses:
        guess.start()
    for guess in guesses:
        guess.join()

    assert time.monotonic() - started >= 0.4


def test_an_attempt_waits_for_its_turn_only_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chord_password, "PATIENCE", 0.01)

    with chord_password._turn:
        assert "Too many" in (chord_password._complaint("open", "open") or "")
    assert chord_password._complaint("open", "open") is None
