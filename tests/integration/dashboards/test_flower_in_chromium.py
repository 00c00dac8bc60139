"""Flower as an operator opens it: a real worker, a real fault, a real browser."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.acceptance.dashboard.stack import HERE, Stack, bazaar
from tests.support.browser import SCREENSHOTS, Browser
from tests.support.polling import wait_until
from tests.support.servers import ROOT, Processes, celery, free_port, kill
from tests.unit.dashboards.dashboard_fakes import HOSTILE

pytestmark = pytest.mark.faults

PASSWORD = {"username": "me", "password": "secret"}
#: Milliseconds; several processes share two cores.
PATIENCE = 60_000


class Flower:
    """A Flower with our file, at `url`, with a prefix and a password where they are given."""

    def __init__(self, stack: Stack, name: str, *options: str, prefix: str = "") -> None:
        port = free_port()
        self.url, self.prefix, self._log = (
            f"http://127.0.0.1:{port}",
            prefix,
            lambda: stack.processes.log(name),
        )
        config = ROOT / "dashboards" / "flowerconfig.py"
        stack.processes.start(
            name,
            *celery("-A", stack.project, "flower", f"--conf={config}", f"--port={port}", *options),
            *([f"--url-prefix={prefix}"] if prefix else []),
            cwd=HERE,
            env=stack.environment(),
        )
        wait_until(self._answers, "Flower answers")

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}{self.prefix}/healthcheck", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


@pytest.fixture(scope="module")
def shop(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:  # noqa: ARG001  # without one nothing is started
    """A shop with one worker without task events, a monitor, and two queues that nobody reads."""
    processes = Processes(tmp_path_factory.mktemp("shop"))
    try:
        stack = Stack(processes)
        # Each test sends a task that runs for ever.
        stack.start_worker("main", "celery", concurrency=6)
        stack.start_monitor()
        yield stack
        stack.close()
    finally:
        processes.stop(3)


def rows(page: Page, table: str) -> Locator:
    """Return the rows of one of the page's tables."""
    return page.locator(f"{table} tbody tr")


def open_chords(page: Page, flower: Flower, stuck: str) -> Locator:
    """Open the page by its entry in Flower's navigation bar; return the row of a stuck chord."""
    page.set_default_timeout(PATIENCE)
    page.goto(f"{flower.prefix}/broker")
    page.get_by_role("navigation").get_by_role("link", name="Chords", exact=True).click()
    expect(page).to_have_url(f"{flower.url}{flower.prefix}/chords")
    row = rows(page, "#chords-table").filter(has=page.locator(f'[title="{stuck}"]'))
    expect(row).to_be_visible(timeout=PATIENCE)
    return row


def test_without_events_the_page_shows_a_stuck_chord_and_the_queues(shop: Stack, browser: Browser) -> None:
    shop.send()
    shop.wait_for_cause("unread", "queue_unconsumed")
    flower = Flower(shop, "flower", "--basic-auth=me:secret", prefix="/inner/flower")

    with browser.window(flower.url, http_credentials=PASSWORD, width=1500) as window:
        page = window.page
        row = open_chords(page, flower, shop.chords["unread"])

        expect(row).to_contain_text("hung")
        expect(row).to_contain_text("reports.publish")
        expect(row).to_contain_text("3 of 5")
        expect(row).to_contain_text("2 tasks of the header wait in queue reports, which no worker reads.")
        expect(row.get_by_role("link")).to_have_attribute(
            "href", f"{shop.url}/chord?id={shop.chords['unread']}"
        )
        expect(page.locator("#chords-seen")).to_contain_text("by the monitor")
        queue = rows(page, "#chord-queues-table").filter(has_text="reports")
        expect(queue.locator("td").nth(1)).to_have_text("3")
        expect(queue.locator("td").nth(3)).to_have_text("0")
        # No worker sends events, and so Flower knows of no task.
        page.goto(f"{flower.prefix}/tasks")
        expect(page.locator("#tasks-table")).to_contain_text("No tasks have been received.")
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.goto(f"{flower.prefix}/chords")
        expect(rows(page, "#chords-table").first).to_contain_text("hung")
        page.screenshot(path=SCREENSHOTS / "flower-chords.png", full_page=True)


def test_the_page_follows_what_happens_and_keeps_what_was_chosen(shop: Stack, browser: Browser) -> None:
    flower = Flower(shop, "follows")

    with browser.window(flower.url, width=1500) as window:
        page = window.page
        page.set_default_timeout(PATIENCE)
        page.goto("/chords")
        expect(page.locator("#chords-open")).to_have_text(re.compile(r"\d+"))
        before = int(page.locator("#chords-open").inner_text())
        page.get_by_role("button", name="Stuck").click()
        page.locator("#chords-table_filter input").fill("reports.publish")
        shop.send()
        expect(page.locator("#chords-open")).to_have_text(
            re.compile(rf"^(?!{before}$)\d+$"), timeout=PATIENCE
        )
        expect(
            rows(page, "#chords-table").filter(has=page.locator(f'[title="{shop.chords["unread"]}"]'))
        ).to_be_visible(timeout=60_000)
        # What runs well is not shown, and neither are the other callbacks.
        assert all(
            "hung" in text and "reports.publish" in text
            for text in rows(page, "#chords-table").all_inner_texts()
        )
        expect(page.get_by_role("button", name="Stuck")).to_have_attribute("aria-pressed", "true")


def test_with_events_a_stuck_chords_header_task_says_so(shop: Stack, browser: Browser) -> None:
    flower = Flower(shop, "events", "--enable-events", "--basic-auth=me:secret", prefix="/flower")
    enabled = "Events of group {task} enabled by remote"
    wait_until(lambda: enabled in shop.processes.log("main"), "Flower has switched events on")
    chord_id = shop.send()["unread"]
    shop.wait_for_cause("unread", "queue_unconsumed")
    said = f"header index 0 of reports.publish · hung: queue_unconsumed · {shop.url}/chord?id={chord_id}"

    with browser.window(flower.url, http_credentials=PASSWORD, width=1600, theme="dark") as window:
        page = window.page
        page.set_default_timeout(PATIENCE)
        row = rows(page, "#tasks-table").filter(has_text=said)

        def told() -> bool:
            page.goto(f"{flower.prefix}/tasks?name=reports.section")
            expect(rows(page, "#tasks-table").first).to_contain_text("reports.section")
            return row.count() == 1

        # The monitor writes down what it has seen a moment after it has judged.
        wait_until(told, "the task's chord is told")
        page.screenshot(path=SCREENSHOTS / "flower-tasks.png")
        row.get_by_role("link").filter(has_text=re.compile(r"[0-9a-f]{8}-")).click()
        expect(page.locator("#task-page")).to_contain_text(said)
        # And from the page of chords back to Flower's tasks.
        chord = open_chords(page, flower, chord_id)
        chord.get_by_role("link", name="header 0").click()
        expect(page.locator("#task-page")).to_contain_text(said)


def test_without_its_redis_it_says_what_is_wrong_and_goes_on_trying(
    browser: Browser, processes: Processes
) -> None:
    stack = Stack(processes)
    flower = Flower(stack, "flower")
    nothing = "No open chords."

    with browser.window(flower.url) as window:
        page = window.page
        page.goto("/chords")
        expect(page.locator("#chords-table")).to_contain_text(nothing, timeout=PATIENCE)
        expect(page.locator("#chords-notes")).to_contain_text("No monitor runs")
        kill(stack.redis.process)
        expect(page.locator("#chords-error")).to_contain_text("does not answer", timeout=PATIENCE)
        page.reload()
        # Nobody knows whether there are chords.
        expect(page.locator("#chords-error")).to_contain_text("does not answer", timeout=PATIENCE)
        expect(page.get_by_text(nothing)).to_be_hidden()
        stack.redis.start()
        expect(page.get_by_text(nothing)).to_be_visible(timeout=PATIENCE)
        expect(page.locator("#chords-error")).to_be_hidden()
    stack.close()


def test_hostile_names_are_shown_as_they_are(browser: Browser, processes: Processes) -> None:
    names = [name for name in HOSTILE if name.isprintable() and len(name) < 80]
    assert len(names) >= 12
    stack = bazaar(processes, names)
    flower = Flower(stack, "flower", "--enable-events")
    enabled = "Events of group {task} enabled by remote"
    wait_until(lambda: enabled in stack.processes.log("worker"), "Flower has switched events on")
    stack.send(script="send_names.py")
    for name in names:
        stack.wait_for_cause(name, "queue_unconsumed")

    with browser.window(flower.url, width=1600, height=2000) as window:
        page = window.page
        page.set_default_timeout(PATIENCE)
        page.goto("/chords")
        page.locator("#chords-table_length select").select_option("100")
        page.locator("#chord-queues-table_length select").select_option("100")
        for name in names:
            chord = rows(page, "#chords-table").filter(has=page.locator(f'[title="{stack.chords[name]}"]'))
            expect(chord.locator("td").nth(1)).to_have_text(f"{name} takes", timeout=PATIENCE)
            expect(chord.locator("td").nth(3)).to_contain_text(name)
            expect(page.locator("#chord-queues-table").get_by_text(name, exact=True)).to_be_visible()
        page.goto("/tasks")
        page.locator("#tasks-table_length select").select_option("100")
        for name in names:
            said = f"of {name} takes · hung: queue_unconsumed · {stack.url}/chord?id={stack.chords[name]}"
            expect(rows(page, "#tasks-table").filter(has_text=said).first).to_be_visible()
    stack.close()
