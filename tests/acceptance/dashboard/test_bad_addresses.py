"""Ids that nobody knows, and nonsense in the address of every page: a sentence and a way back, never a traceback."""

from __future__ import annotations

from urllib.parse import quote
from uuid import uuid4

import pytest
from playwright.sync_api import expect

from tests.acceptance.dashboard.dashboard import PAGES, Dashboard, looking
from tests.acceptance.dashboard.stack import Stack
from tests.support.browser import Browser
from tests.unit.dashboards.dashboard_fakes import HOSTILE

pytestmark = pytest.mark.faults

#: As many as fit into an address that servers take.
LONG = "9" * 4000
NONSENSE = (
    "\x00",
    "-1e999",
    "nan",
    "\N{SKULL}\u202e",
    "../../etc/passwd",
    "{{7*7}}",
    LONG,
    *HOSTILE[:2],
    HOSTILE[6],
)
PARAMETERS = ("id", "callback", "cause", "queue", "text", "age", "by", "range", "sort", "page", "nobody")


def quoted(value: str) -> str:
    """Return a value as an address holds it."""
    return quote(value.encode("utf-8", "replace"), safe="")


def parameters(value: str) -> str:
    """Return the query in which every parameter has this value."""
    names = PARAMETERS if len(value) < 100 else ("id", "callback")
    return "&".join(f"{name}={quoted(value)}" for name in names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page or "overview")
def test_nonsense_in_the_address_of_a_page_is_answered_by_the_page(
    shop: Stack, browser: Browser, page: str
) -> None:
    with looking(browser, shop.url) as dashboard:
        for value in NONSENSE:
            dashboard.open(f"/{page}?{parameters(value)}")
            assert dashboard.text().strip(), value
        # A parameter twice, one without a value, and bytes that are no text.
        for query in ("id=a&id=b&by=cause&by=queue", "id&callback&age", "id=%ff%fe&callback=%c0%80&age=%"):
            dashboard.open(f"/{page}?{query}")
            assert dashboard.text().strip(), query


def test_an_id_that_nobody_knows_is_a_sentence_and_a_way_back(shop: Stack, browser: Browser) -> None:
    with looking(browser, shop.url) as dashboard:
        main = dashboard.page.get_by_test_id("stMain")
        for value in (str(uuid4()), *NONSENSE, *HOSTILE[2:6], " "):
            dashboard.open(f"/chord?id={quoted(value)}")
            # What is only white space asks for nothing.
            asked = value.strip()
            expect(main).to_contain_text("No chord is found under this id." if asked else "Choose a chord")
        main.get_by_role("link", name="Stuck chords").click()
        dashboard.row("reports.publish", "3 of 5")


def test_a_page_that_is_not_there_leads_to_the_overview(shop: Stack, browser: Browser) -> None:
    with browser.window(shop.url, expected=(r"/nosuchpage/_stcore/", "does not seem to exist")) as window:
        dashboard = Dashboard(window)
        dashboard.open("/nosuchpage?id=1")
        dashboard.page.keyboard.press("Escape")
        dashboard.row("reports.publish", "3 of 5")
