"""The dashboard as somebody uses it: which pages there are, what stands in its tables, where one clicks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.support.browser import Browser, Window
from tests.support.polling import wait_until

PAGES = ("", "stuck", "chord", "queues", "trends", "doctor")
#: Streamlit looks for its server first below the page's own address, whenever one opens a page by its link:
#: https://github.com/streamlit/streamlit/issues/7074
PROBES = rf"404 \(Not Found\) \(http://[^/]+/({'|'.join(filter(None, PAGES))})/_stcore/(health|host-config)\)"
#: What Streamlit draws in the place of a page that raised.
BROKEN = "This app has encountered an error"
#: Milliseconds; a first look at a machine with two cores and a dozen processes.
PATIENCE = 60_000

_DRAWN = "[data-testid=stApp][data-test-script-state=notRunning]"
_A_WORD = re.compile(r"\w{3}")
#: A table is drawn on a canvas; for screen readers it holds its visible cells as a real table.
_ROWS = """tables => tables.map(table => [...table.querySelectorAll('canvas table tr')].map(
    row => [...row.querySelectorAll('th, td')].map(cell => cell.textContent)))"""
#: The box that marks a row as chosen. The head of a table has its own height, which is near 35 pixels.
_BOX_OF_ROW = """(table, number) => {
    const rows = +table.querySelector('canvas table').getAttribute('aria-rowcount') - 1;
    const height = table.querySelector('.dvn-scroll-inner').getBoundingClientRect().height;
    const each = Math.floor((height - 30) / rows);
    const place = table.querySelector('canvas').getBoundingClientRect();
    return [place.left + 15, place.top + (height - each * rows) + each * (number + 0.5)];
}"""
_HEIGHT = """() => Math.ceil(document.querySelector('[data-testid=stMainBlockContainer]')
    .getBoundingClientRect().height)"""
_GROUND = """() => getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor
    .match(/\\d+/g).slice(0, 3).map(Number)"""

expect.set_options(timeout=PATIENCE)


class Dashboard:
    """One window on the dashboard."""

    def __init__(self, window: Window) -> None:
        self.window, self.page = window, window.page
        self.page.set_default_timeout(PATIENCE)

    def open(self, path: str = "/") -> Page:
        """Open an address, and wait until all of its page is drawn."""
        self.page.goto(path)
        self.drawn()
        return self.page

    def drawn(self) -> None:
        """Wait until the page is drawn and no part of it is on its way; fail when it raised."""
        expect(self.page.locator(_DRAWN)).to_be_attached()
        expect(self.page.get_by_test_id("stMain")).to_contain_text(_A_WORD)
        expect(self.page.get_by_test_id("stSpinner")).to_have_count(0)
        assert BROKEN not in self.text()

    def text(self) -> str:
        """Return what the page says, without its tables."""
        return self.page.get_by_test_id("stMain").inner_text()

    def rows(self, tables: Locator) -> list[list[list[str]]]:
        """Return the cells of tables that are on the screen now, row by row; a page may redraw at any moment."""
        found: list[list[list[str]]] = tables.evaluate_all(_ROWS)
        return [rows[1:] for rows in found]  # without the heads of the columns

    def has_row(self, *texts: str) -> bool:
        """Whether there is a row in which all these texts stand, on the screen now."""
        return self._find(texts) is not None

    def row(self, *texts: str) -> tuple[Locator, int]:
        """Wait for the row in which all these texts stand; return its table and its number, from 0."""
        return wait_until(lambda: self._find(texts), f"a row with {texts}", PATIENCE / 1000)

    def _find(self, texts: Sequence[str]) -> tuple[Locator, int] | None:
        tables = self.page.get_by_test_id("stDataFrame")
        for place, rows in enumerate(self.rows(tables)):
            for number, row in enumerate(rows):
                if all(any(text in cell for cell in row) for text in texts):
                    return tables.nth(place), number
        return None

    def choose(self, *texts: str) -> None:
        """Click on the row in which all these texts stand."""
        table, number = self.row(*texts)
        table.scroll_into_view_if_needed()
        x, y = table.evaluate(_BOX_OF_ROW, number)
        self.page.mouse.click(x, y)

    def pick(self, label: str, choice: str) -> None:
        """Choose from a list of choices."""
        self.page.get_by_role("combobox", name=label).click()
        self.page.get_by_role("option", name=choice, exact=True).click()

    def fill(self, label: str, text: str) -> None:
        """Write into a field, and press Enter."""
        field = self.page.get_by_label(label, exact=True)
        field.fill(text)
        field.press("Enter")

    def switch_theme(self, name: str) -> None:
        """Choose a theme in Streamlit's own menu: System, Light or Dark."""
        self.page.get_by_test_id("stMainMenu").get_by_role("button").click()
        self.page.get_by_test_id(f"stMainMenuItem-theme-{name}").click()
        self.page.keyboard.press("Escape")

    def take(self, path: Path, tallest: int) -> None:
        """Take a picture of the whole page, at most so many pixels tall, when it no longer changes its height."""
        size = self.page.viewport_size
        assert size
        heights = [0, -1]
        while heights[-1] != heights[-2]:
            self.page.wait_for_timeout(1000)  # charts and tables take their size when they are drawn
            heights.append(self.page.evaluate(_HEIGHT))
            self.page.set_viewport_size({**size, "height": min(heights[-1], tallest)})
        self.page.screenshot(path=path)
        self.page.set_viewport_size(size)

    def darkness(self) -> float:
        """Return how dark the ground of the page is: 0 is white, 1 is black."""
        red, green, blue = self.page.evaluate(_GROUND)
        return float(1 - (red + green + blue) / 765)


@contextmanager
def looking(browser: Browser, url: str, path: str = "/", **options: Any) -> Iterator[Dashboard]:
    """Open a page of the dashboard in a window of its own, which is judged at its end."""
    with browser.window(url, expected=(PROBES,), **options) as window:
        dashboard = Dashboard(window)
        dashboard.open(path)
        yield dashboard
        dashboard.drawn()
