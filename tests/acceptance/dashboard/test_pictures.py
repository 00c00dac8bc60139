"""Pictures of every page in both themes and two widths, for people to look at: CI keeps them, docs/ has the best."""

from __future__ import annotations

import pytest

from tests.acceptance.dashboard.dashboard import looking
from tests.acceptance.dashboard.past import plant_an_hour
from tests.acceptance.dashboard.stack import Stack
from tests.support.browser import SCREENSHOTS, Browser, Theme

pytestmark = pytest.mark.faults

#: Addresses by the name of the picture; a word in braces is the kind of a chord.
PICTURES = {
    "overview": "/",
    "stuck": "/stuck",
    "stuck-by-cause": "/stuck?by=cause",
    "chord": "/chord?id={lost}",
    "chord-finished": "/chord?id={retried}",
    "chord-nested": "/chord?id={nested}",
    "chord-unknown": "/chord?id=nobody",
    "queues": "/queues",
    "trends": "/trends?range=1h",
    "doctor": "/doctor",
}
SIZES = {"": 1280, "-narrow": 800}
#: Pixels; no page is longer.
TALLEST = 3000


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES, ids=lambda size: size or "wide")
def test_a_picture_of_every_page_is_kept(shop: Stack, browser: Browser, theme: Theme, size: str) -> None:
    plant_an_hour(shop.store)
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    with looking(browser, shop.url, theme=theme, width=SIZES[size]) as dashboard:
        for name, address in PICTURES.items():
            path = SCREENSHOTS / f"{name}-{theme}{size}.png"
            path.unlink(missing_ok=True)
            dashboard.open(address.format(**shop.chords))
            dashboard.take(path, TALLEST)
            assert path.stat().st_size > 10_000
