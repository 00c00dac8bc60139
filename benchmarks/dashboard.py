"""What the dashboard costs and how fast it is with 100,000 chords: a real server, a real monitor, a real browser.

Times are from the click, or from the address given to a new browser without any cache, until what was asked for is
drawn, on a server that has drawn it before.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import time
from collections.abc import Callable, Iterator, Sequence

import httpx
from playwright.sync_api import Page

from benchmarks.cpu import tree_seconds
from benchmarks.figures import Figure, Spread
from benchmarks.planted import STUCK, Installation
from benchmarks.scene import Scene, scene
from chordwatch.board.posted import BOARD, read_board
from chordwatch.board.rows import Board
from chordwatch.store.redis_store import RedisStore
from tests.support.browser import Browser, running_browser
from tests.support.polling import wait_until
from tests.support.servers import celery, free_port

#: Seconds between two refreshes of a page, as `dashboards/chord_ui.py` has it.
REFRESH = 5.0
#: So many refreshes are measured, a minute of them.
_REFRESHES = 12
_START_SECONDS = 300.0
_HEADLINE = re.compile(r"of .* are stuck")
#: Streamlit asks for its server below a page's own address first, which the browser's console tells.
_EXPECTED = (r"404 .*/_stcore/",)
#: Filters of the stuck chords by their text, and a page that is left and come back to.
_TEXTS = ("nobody", "dead@here", "nowhere")


def measure_dashboard(rounds: int) -> list[Figure]:
    """Return the times of pages and the CPU of refreshes."""
    with scene() as opened, _serving(opened) as (address, pid, large_id), running_browser() as browser:
        _visit(browser, address)  # the server is warm from here on
        paints, tables = zip(*(_visit(browser, address) for _ in range(rounds)), strict=True)
        with browser.window(address, expected=_EXPECTED) as window:
            window.page.goto("/")
            changes = [_change(window.page) for _ in range(rounds)]
            filters = [_filter(window.page, _TEXTS[i % len(_TEXTS)]) for i in range(rounds)]
            said, drawn = zip(*(_chord(window.page, large_id) for _ in range(rounds)), strict=True)
        overview = _refreshing(browser, address, "/", pid, _overview)
        stuck = _refreshing(browser, address, "/stuck", pid, _stuck)
    return [
        _figure("overview in a new browser, until it says how many are stuck", "s", paints, 2.0),
        _figure("the same, until the table is drawn", "s", tables, None),
        _figure("a page change", "s", changes, 1.0),
        _figure("a filter of the stuck chords", "s", filters, 1.0),
        _figure("a chord of 10,000 tasks, until it says why it is stuck", "s", said, 2.0),
        _figure("the same, until graph and table are drawn", "s", drawn, None),
        _figure("refresh of the overview", "ms CPU of the server", overview, 150.0),
        _figure("refresh of the stuck chords", "ms CPU of the server", stuck, 150.0),
    ]


@contextlib.contextmanager
def _serving(opened: Scene) -> Iterator[tuple[str, int, str]]:
    """Plant the chords and start monitor and dashboard; give its address and process, and the large chord's id."""
    environment = opened.environment("", CHORDWATCH_STORE_MAX_MB="1024")
    with contextlib.closing(Installation(opened.redis)) as planted:
        monitor = celery("-A", "benchmarks.project", "chords", "monitor", "--port", "0")
        opened.processes.start("monitor", *monitor, env=environment)
        with contextlib.closing(opened.store()) as store:
            wait_until(lambda: _all_found(store), "the monitor has found all that are stuck", _START_SECONDS)
        port = free_port()
        command = celery("-A", "benchmarks.project", "chords", "dashboard", "--port", str(port))
        dashboard = opened.processes.start("dashboard", *command, env=environment)
        address = f"http://127.0.0.1:{port}"
        wait_until(lambda: _answers(address), "the dashboard answers", _START_SECONDS)
        yield address, dashboard.pid, planted.large_id


def _all_found(store: RedisStore) -> bool:
    board: Board | None = read_board(store.posted([BOARD]).get(BOARD, b""))
    return board is not None and board.stuck >= STUCK


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/_stcore/health").is_success
    except httpx.TransportError:
        return False


def _visit(browser: Browser, address: str) -> tuple[float, float]:
    """Return the seconds until the overview says how things are in a new browser, and until it is drawn."""
    with browser.window(address, expected=_EXPECTED) as window:
        began = time.monotonic()
        window.page.goto("/", wait_until="commit")
        window.page.get_by_role("heading", name=_HEADLINE).wait_for()
        said = time.monotonic() - began
        _table(window.page)
        return said, time.monotonic() - began


def _overview(page: Page) -> None:
    page.get_by_role("heading", name=_HEADLINE).wait_for()
    _table(page)


def _stuck(page: Page) -> None:
    page.get_by_text("These are the worst").wait_for()
    _table(page)


def _chord(page: Page, chord_id: str) -> tuple[float, float]:
    """Return the seconds from an id that is searched until its chord says why it is stuck, and until it is drawn."""
    _go(page, "Overview", _overview)
    time.sleep(4)  # so that the server has to look at the chord again
    page.get_by_label("Find a chord").fill(chord_id)
    began = time.monotonic()
    page.get_by_label("Find a chord").press("Enter")
    page.get_by_text("9,900 of 10,000").first.wait_for()
    page.get_by_role("heading", name="Why", exact=True).wait_for()
    said = time.monotonic() - began
    page.get_by_test_id("stGraphVizChart").locator("svg").wait_for()
    _table(page)
    return said, time.monotonic() - began


def _table(page: Page) -> None:
    page.get_by_test_id("stDataFrame").locator("canvas").first.wait_for()


def _change(page: Page) -> float:
    """Return the seconds from one page to another by the navigation, the slower one of two."""
    _go(page, "Overview", _overview)
    there = _go(page, "Stuck chords", _stuck)
    return max(there, _go(page, "Overview", _overview))


def _go(page: Page, name: str, drawn: Callable[[Page], None]) -> float:
    began = time.monotonic()
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=name, exact=True).click()
    drawn(page)
    return time.monotonic() - began


def _filter(page: Page, text: str) -> float:
    """Return the seconds from a text for which the stuck chords are filtered until they are."""
    if "/stuck" not in page.url:
        _go(page, "Stuck chords", _stuck)
    matching = page.get_by_text(re.compile(r"\d match, of"))
    field = page.get_by_label("Text", exact=True)
    field.fill(text)
    began = time.monotonic()
    field.press("Enter")
    matching.wait_for()
    took = time.monotonic() - began
    field.fill("")
    field.press("Enter")
    matching.wait_for(state="detached")
    return took


def _refreshing(
    browser: Browser, address: str, path: str, pid: int, drawn: Callable[[Page], None]
) -> list[float]:
    """Return the milliseconds of CPU that the server spends on each refresh of a page that is left open."""
    with browser.window(address, expected=_EXPECTED) as window:
        window.page.goto(path)
        drawn(window.page)
        time.sleep(REFRESH * 1.5)  # so that each refresh lies within what is measured as one
        spent = [tree_seconds(pid)]
        for _ in range(_REFRESHES):
            time.sleep(REFRESH)
            spent.append(tree_seconds(pid))
        return [(later - earlier) * 1000 for earlier, later in itertools.pairwise(spent)]


def _figure(what: str, unit: str, values: Sequence[float], target: float | None) -> Figure:
    return Figure(
        group="dashboard with 100,000 chords",
        what=what,
        variant="chordwatch",
        unit=unit,
        spread=Spread.of(values),
        target=target,
    )
