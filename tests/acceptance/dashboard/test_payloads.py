"""Names that would do something where they were parsed, in everything that has a name, are shown as they are."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from chordwatch.board.grouping import label
from chordwatch.text import plain
from tests.acceptance.dashboard.dashboard import PAGES, Dashboard, looking
from tests.acceptance.dashboard.past import plant_an_hour
from tests.acceptance.dashboard.stack import Stack, bazaar
from tests.support.browser import Browser
from tests.support.polling import wait_until
from tests.support.servers import Processes
from tests.unit.dashboards.dashboard_fakes import HOSTILE

pytestmark = pytest.mark.faults

#: Celery itself cannot send a lone surrogate.
NAMES = tuple(name for name in HOSTILE if name.encode("utf-8", "ignore").decode() == name)
#: What the payloads would become: Streamlit draws none of these for us on any page.
PARSED = (
    *(
        '.katex, [href*="203.0.113.1"], [src*="203.0.113.1"], [href^="javascript:"], [src="x"], strong em, del',
    ),
    *("stMain h1:has-text('heading')", "table:not(canvas table) td:text-is('c')"),
)
#: So much of a name is enough to know it by; tables and charts cut long ones.
KNOWN_BY = 24


@pytest.fixture(scope="module")
def stack(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The project in which everything is named so."""
    assert browser
    processes = Processes(tmp_path_factory.mktemp("bazaar"))
    try:
        stack = bazaar(processes, NAMES)
        plant_an_hour(stack.store, dict.fromkeys(NAMES, (4.0, 3)))
        yield stack
        stack.close()
    finally:
        processes.stop(3)


def nothing_is_parsed(dashboard: Dashboard) -> None:
    """Fail where a payload became more than text."""
    for parsed in PARSED:
        assert dashboard.page.locator(parsed).count() == 0, parsed


def known_by(name: str) -> str:
    """Return how a name begins where it is shown."""
    return plain(name, 200)[:KNOWN_BY]


def test_there_are_a_dozen_payloads() -> None:
    assert len(NAMES) >= 12


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page or "overview")
def test_every_page_shows_names_as_they_are(stack: Stack, browser: Browser, page: str) -> None:
    with looking(browser, stack.url, f"/{page}", height=6000) as dashboard:
        if page not in {"chord", "doctor"}:
            main = dashboard.page.get_by_test_id("stMain")
            shown = lambda: [name for name in NAMES if known_by(name) in main.text_content()]  # noqa: E731
            wait_until(lambda: len(shown()) >= 5, "names are shown", 15)
        nothing_is_parsed(dashboard)


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_a_chords_page_and_its_filters_show_names_as_they_are(
    stack: Stack, browser: Browser, name: str
) -> None:
    with looking(browser, stack.url, f"/chord?id={stack.chords[name]}", height=3000) as dashboard:
        main = dashboard.page.get_by_test_id("stMain")
        for where in ("stText", "stGraphVizChart", "stVegaLiteChart", "stDataFrame"):
            place = main.get_by_test_id(where)
            expect(place.filter(has_text=known_by(name)).first).to_be_attached()
        main.get_by_text("Report for a ticket").click()
        expect(main.get_by_test_id("stCode")).to_contain_text("queue_unconsumed")
        nothing_is_parsed(dashboard)

        dashboard.open(f"/chord?id={stack.chords[f'{name} fails']}")
        expect(main).to_contain_text(f"ValueError: {known_by(name)[:12]}")
        nothing_is_parsed(dashboard)

        recorded = stack.store.get(stack.chords[name])
        assert recorded
        dashboard.open(f"/stuck?callback={quote(label(recorded.chord.callback.name), safe='')}")
        dashboard.row("hung", known_by(name))
        nothing_is_parsed(dashboard)
