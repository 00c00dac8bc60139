from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from dashboard_fakes import FakeSource, board, row

from chordwatch.errors import SettingError

PAGES = ("overview", "stuck", "chord", "queues", "trends", "doctor")


@pytest.mark.parametrize("page", PAGES)
def test_every_page_is_drawn(open_page: Callable[..., Any], page: str) -> None:
    assert not open_page(page, FakeSource(board(row("c1", "hung")))).exception


def test_a_searched_id_opens_its_chord(open_page: Callable[..., Any]) -> None:
    app = open_page("queues", FakeSource())

    app.text_input(key="search").input(" c1 & <b> ").run()

    assert not app.exception
    assert app.text_input(key="search").value == ""
    assert app.query_params["id"] in ("c1 & <b>", ["c1 & <b>"])


def test_spaces_are_no_id(open_page: Callable[..., Any]) -> None:
    app = open_page("queues", FakeSource())

    app.text_input(key="search").input("   ").run()

    assert "id" not in app.query_params
    assert [title.value for title in app.title] == ["Queues"]


@pytest.mark.parametrize("page", PAGES)
def test_every_page_of_a_dashboard_without_an_app_says_what_to_set(
    open_page: Callable[..., Any], page: str
) -> None:
    app = open_page(page, SettingError("No Celery app is named: set CHORDWATCH_APP."))

    assert not app.exception
    assert "No Celery app is named: set CHORDWATCH_APP." in [text.value for text in app.text]


@pytest.mark.parametrize("page", PAGES)
def test_nonsense_in_the_address_of_any_page_is_no_traceback(
    open_page: Callable[..., Any], page: str
) -> None:
    nonsense = {"id": "\x00<b>", "callback": "y" * 5000, "age": "-1", "by": "?", "range": "1e999", "foo": ""}

    assert not open_page(page, FakeSource(board(row("c1", "hung"))), **nonsense).exception


def test_everybody_shares_one_source(open_page: Callable[..., Any]) -> None:
    import chord_ui  # noqa: PLC0415  # only where Streamlit is installed

    source = FakeSource()
    open_page("overview", source).run()

    assert chord_ui.source() is source
