"""The shop and a Chromium, which the tests that only look share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.acceptance.dashboard.stack import Stack, broken_shop
from tests.support.browser import SCREENSHOTS, Browser
from tests.support.servers import ROOT, Processes


@pytest.fixture(scope="session")
def shop(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The shop with real faults, looked at by its monitor and its dashboard."""
    assert browser  # without one the tests are skipped before anything is started
    processes = Processes(tmp_path_factory.mktemp("shop"))
    try:
        stack = broken_shop(processes)
        yield stack
        stack.close()
    finally:
        processes.stop(3)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say where the pictures of this run lie."""
    if pictures := sorted(SCREENSHOTS.glob("*.png")):
        place = SCREENSHOTS.relative_to(ROOT)
        terminalreporter.write_line(f"Pictures of what people see: {len(pictures)} in {place}/")
