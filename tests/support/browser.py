"""A real Chromium, which notes whatever a page must not do: errors in its console, and requests to other hosts."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, sync_playwright

from tests.support.servers import ROOT

Theme = Literal["light", "dark"]
#: Where CI finds pictures of every page; nothing in it is committed.
SCREENSHOTS = ROOT / "var" / "screenshots"
_FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
#: Requests of these kinds stay within the browser.
_WITHIN = ("data", "blob", "about")
#: What a script of a payload would do: this, or a dialog.
OWNED = "owned"


def chromium_binary() -> str:
    """Return Debian's browser; without one skip, but fail in CI."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if found is None:
        missing = "no chromium: install Debian's package chromium"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    return found


class Browser:
    """A running Chromium. Each window of it has its own profile, and is judged when it is closed."""

    def __init__(self, chromium: Chromium) -> None:
        self._chromium = chromium

    @contextmanager
    def window(
        self,
        url: str,
        *,
        theme: Theme = "light",
        width: int = 1280,
        height: int = 900,
        expected: Sequence[str] = (),
        **options: Any,
    ) -> Iterator[Window]:
        """Open a window that may talk to the server at `url` alone; fail at its end if it did anything else.

        `expected`: errors in its console that are no fault of the page, as regular expressions.
        """
        context = self._chromium.new_context(
            base_url=url, color_scheme=theme, viewport={"width": width, "height": height}, **options
        )
        try:
            window = Window(context, url, expected)
            yield window
            window.judge()
        finally:
            context.close()


class Window:
    """One window: its page, what its console said, and whom it asked."""

    def __init__(self, context: BrowserContext, url: str, expected: Sequence[str]) -> None:
        self._expected = expected
        self._host = urlsplit(url).netloc
        self.errors: list[str] = []
        self.strangers: list[str] = []
        self.dialogs: list[str] = []
        self.requests = 0
        # The context hears of every page and of each worker's requests.
        context.on("request", lambda request: self._note(request.url))
        context.on("page", self._watch)
        self.page = context.new_page()

    def _watch(self, page: Page) -> None:
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.errors.append(f"uncaught: {error}"))
        page.on("websocket", lambda socket: self._note(socket.url))
        page.on("dialog", lambda dialog: (self.dialogs.append(dialog.message), dialog.dismiss()))

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(f"{message.text} ({message.location.get('url', '')})")

    def _note(self, url: str) -> None:
        self.requests += 1
        place = urlsplit(url)
        if place.scheme not in _WITHIN and place.netloc != self._host:
            self.strangers.append(url)

    def judge(self) -> None:
        """Fail if there was an error, a request to another host, a dialog, or a script of somebody else's."""
        title = self.page.title()  # asking brings what happened until now
        unexpected = [e for e in self.errors if not any(re.search(known, e) for known in self._expected)]
        assert self.requests > 0, "nothing was asked for: the test looks at nothing"
        assert not unexpected, f"errors in the console: {unexpected}"
        assert not self.strangers, f"requests to other hosts: {self.strangers}"
        assert not self.dialogs, f"a script of a payload ran: {self.dialogs}"
        assert OWNED not in title, "a script of a payload ran"


@contextmanager
def running_browser() -> Iterator[Browser]:
    """Start Chromium, and end it."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=chromium_binary(), args=[*_FLAGS])
        yield Browser(chromium)
        chromium.close()
