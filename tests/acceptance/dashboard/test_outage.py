"""What an open page says while Redis is silent or has forgotten, and that it goes on by itself afterwards."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.acceptance.dashboard.dashboard import Dashboard, looking
from tests.acceptance.dashboard.stack import Stack
from tests.support.browser import Browser
from tests.support.servers import Processes

pytestmark = pytest.mark.faults
#: Milliseconds until a page says that a server is silent, or goes on: each question waits for some seconds.
IN_TIME = 45_000


@pytest.fixture
def stack(browser: Browser, processes: Processes) -> Iterator[Stack]:
    """A small shop that has one chord in a queue that nobody reads."""
    assert browser
    stack = Stack(processes)
    stack.start_worker("main", "celery", concurrency=3)
    stack.start_monitor()
    stack.start_dashboard()
    stack.send()
    stack.wait_for_cause("unread", "queue_unconsumed")
    yield stack
    stack.redis.process.send_signal(signal.SIGCONT)
    stack.close()


def test_a_silent_redis_is_a_sentence_on_every_open_page_which_then_goes_on(
    stack: Stack, browser: Browser
) -> None:
    with (
        looking(browser, stack.url) as overview,
        looking(browser, stack.url, f"/chord?id={stack.chords['unread']}") as chord,
    ):
        overview.row("reports.publish", "3 of 5")
        stack.redis.process.send_signal(signal.SIGSTOP)
        for dashboard in (overview, chord):
            says(dashboard, "does not answer")
        stack.redis.process.send_signal(signal.SIGCONT)

        expect(overview.page.get_by_test_id("stMain")).not_to_contain_text("does not answer", timeout=IN_TIME)
        overview.row("reports.publish", "3 of 5")
        says(chord, "which no worker reads")


def test_a_chord_of_which_nothing_is_left_is_a_sentence_and_a_way_back(
    stack: Stack, browser: Browser
) -> None:
    with looking(browser, stack.url, f"/chord?id={stack.chords['unread']}") as dashboard:
        says(dashboard, "which no worker reads")
        stack.redis.backend.flushdb()
        stack.redis.broker.flushdb()
        says(dashboard, "No chord is found under this id.")
        dashboard.page.get_by_test_id("stMain").get_by_role("link", name="Stuck chords").click()
        says(dashboard, "No chord")


def says(dashboard: Dashboard, text: str) -> None:
    """Wait until the open page says something."""
    expect(dashboard.page.get_by_test_id("stMain")).to_contain_text(text, timeout=IN_TIME)
