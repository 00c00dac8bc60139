"""Somebody is paged and opens the dashboard: what hangs, why, what to do; in both themes, and nothing leaves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote_plus, urlsplit

import pytest
import yaml
from playwright.sync_api import expect

from tests.acceptance.dashboard.dashboard import Dashboard, looking
from tests.acceptance.dashboard.stack import Stack
from tests.support.browser import Browser, Theme
from tests.support.polling import wait_until
from tests.support.servers import ROOT, free_port

pytestmark = pytest.mark.faults

THEMES: tuple[Theme, ...] = ("light", "dark")
RULES = yaml.safe_load((ROOT / "alerts" / "chords.rules.yml").read_text(encoding="utf-8"))
DASHBOARD = "http://127.0.0.1:8501"
#: By which texts one knows the rows of chords.
ROWS = {
    "lost": ("images.album", "10 of 11"),
    "unread": ("reports.publish", "3 of 5"),
    "nested": ("images.album", "1 of 2"),
    "running": ("exports.upload", "4 of 5"),
}


@pytest.fixture(params=THEMES)
def dashboard(shop: Stack, browser: Browser, request: pytest.FixtureRequest) -> Iterator[Dashboard]:
    """The overview, opened by somebody whose system has one theme or the other."""
    with looking(browser, shop.url, theme=request.param) as dashboard:
        yield dashboard


def alert_link(alert: str, **labels: str) -> str:
    """Return where an alert leads, as Prometheus fills in its link."""
    rules = [rule for group in RULES["groups"] for rule in group["rules"] if rule.get("alert") == alert]
    link = rules[0]["annotations"]["dashboard_url"]
    for name, value in labels.items():
        link = link.replace(f"{{{{ $labels.{name} | urlquery }}}}", quote_plus(value))
    assert "{{" not in link
    return str(link.removeprefix(DASHBOARD))


def test_from_the_overview_to_the_chord_that_hangs(shop: Stack, dashboard: Dashboard) -> None:
    main = dashboard.page.get_by_test_id("stMain")
    lost = shop.chords["lost"]
    expect(main).to_contain_text("4 of 5 open chords are stuck")
    expect(main).to_contain_text("Start a worker that reads the queue (celery -A proj worker -Q reports)")
    expect(main).to_contain_text("1 vanished")
    dashboard.row("hung", "images.album", "10 of 11", "was lost with worker images@shop")
    dashboard.row("hung", "reports.publish", "3 of 5", "2 in queue reports")
    dashboard.row("reports", "nobody takes its tasks")

    dashboard.choose("images.album", "10 of 11")
    dashboard.page.wait_for_url(f"**/chord?id={lost}")
    dashboard.drawn()
    expect(main).to_contain_text("images.album")
    expect(main).to_contain_text("10 of 11")
    expect(main).to_contain_text("worker lost")
    expect(main).to_contain_text(f"celery -A proj chords results {lost}")
    expect(main).to_contain_text("Two looks since")
    expect(main).to_contain_text("The last heartbeat of images@shop came at")
    graph = main.get_by_test_id("stGraphVizChart")
    expect(graph).to_contain_text("barrier")
    expect(graph).to_contain_text("10 succeeded")
    expect(graph).to_contain_text("callback · images.album")
    timeline = main.get_by_test_id("stVegaLiteChart")
    expect(timeline).to_contain_text("10 · images.resize")
    expect(timeline).to_contain_text("waited")
    dashboard.row("images.resize", "lost with its worker", "images@shop")

    main.get_by_text("Report for a ticket").click()
    expect(main.get_by_test_id("stCode")).to_contain_text("worker_lost")
    dashboard.page.go_back()
    expect(main).to_contain_text("4 of 5 open chords are stuck")


def test_a_chord_that_finished_shows_its_retries_and_its_straggler(shop: Stack, dashboard: Dashboard) -> None:
    dashboard.open(f"/chord?id={shop.chords['retried']}")
    main = dashboard.page.get_by_test_id("stMain")

    expect(main).to_contain_text("It has finished, and nothing was wrong.")
    expect(main).to_contain_text("Straggler: index 3, imports.fetch on main@shop")
    expect(main.get_by_test_id("stVegaLiteChart")).to_contain_text("waited for a retry")
    expect(main.get_by_test_id("stVegaLiteChart")).to_contain_text("straggler")
    dashboard.row("imports.fetch", "succeeded", "the supplier refused request 2", "3")


def test_a_chord_that_failed_says_which_part_and_why(shop: Stack, dashboard: Dashboard) -> None:
    dashboard.open(f"/chord?id={shop.chords['failed']}")
    main = dashboard.page.get_by_test_id("stMain")

    expect(main).to_contain_text("invoices.check failed with ValueError: invoice 3 has no address")
    dashboard.row("invoices.check", "failed", "invoice 3 has no address")


def test_a_chord_within_a_chord_is_one_click_away(shop: Stack, dashboard: Dashboard) -> None:
    dashboard.open(f"/chord?id={shop.chords['nested']}")
    main = dashboard.page.get_by_test_id("stMain")
    graph = main.get_by_test_id("stGraphVizChart")
    before = graph.text_content()
    main.get_by_text("Show the chords inside in full").click()
    wait_until(lambda: graph.text_content() != before, "the chord inside is drawn in full")
    expect(graph).to_contain_text("reports.section")

    dashboard.choose("reports.publish", "ends one of this chord's parts")
    dashboard.page.wait_for_url(lambda url: "/chord?id=" in url and shop.chords["nested"] not in url)
    dashboard.drawn()
    expect(main).to_contain_text("queue unconsumed")
    dashboard.row("images.album", "this chord ends one of its parts")


def test_explained_anew_it_is_still_lost(shop: Stack, dashboard: Dashboard) -> None:
    dashboard.open(f"/chord?id={shop.chords['lost']}")
    main = dashboard.page.get_by_test_id("stMain")
    main.get_by_role("button", name="Explain now").click()
    expect(main).to_contain_text("Diagnosed anew at")
    expect(main).to_contain_text("worker lost")


def test_the_webhooks_link_leads_to_the_chord(shop: Stack, dashboard: Dashboard) -> None:
    link = shop.alerted("lost")
    assert link == f"{shop.url}/chord?id={shop.chords['lost']}"
    dashboard.open(link)
    expect(dashboard.page.get_by_test_id("stMain")).to_contain_text("was lost with worker images@shop")


@pytest.mark.parametrize(
    ("link", "shown", "hidden"),
    [
        (alert_link("CeleryChordHung", callback="images.album", cause="worker_lost"), "lost", "unread"),
        (
            alert_link("CeleryChordHung", callback="reports.publish", cause="queue_unconsumed"),
            "unread",
            "lost",
        ),
        (alert_link("CeleryChordFailureRate", callback="images.album"), "nested", "unread"),
        (alert_link("CeleryQueueWithoutConsumer", queue_name="reports"), "unread", "lost"),
        (alert_link("CeleryWorkerDown"), "lost", "running"),
    ],
    ids=["lost", "unread", "by callback", "by queue", "all"],
)
def test_an_alerts_link_leads_to_its_chords(dashboard: Dashboard, link: str, shown: str, hidden: str) -> None:
    dashboard.open(link)

    dashboard.row("hung", *ROWS[shown])
    assert not dashboard.has_row(*ROWS[hidden])
    assert urlsplit(dashboard.page.url).query == urlsplit(link).query


def test_the_link_of_a_backlog_leads_to_the_queues(dashboard: Dashboard) -> None:
    dashboard.open(alert_link("CeleryQueueBacklog"))

    expect(dashboard.page.get_by_test_id("stMain")).to_contain_text("in 1 queue that no worker reads")
    dashboard.row("reports", "nobody takes its tasks")


def test_filters_groups_and_text_stand_in_the_address(shop: Stack, dashboard: Dashboard) -> None:
    dashboard.open("/stuck")
    main = dashboard.page.get_by_test_id("stMain")
    expect(main).to_contain_text("4 hung")
    dashboard.pick("Callback", "reports.publish")
    dashboard.page.wait_for_url("**/stuck?callback=reports.publish")
    expect(main).to_contain_text("2 hung")
    dashboard.fill("Text", shop.chords["unread"][:13])
    expect(main).to_contain_text("1 hung")
    dashboard.row(*ROWS["unread"])
    address = dashboard.page.url
    dashboard.page.goto("about:blank")
    dashboard.open(address)
    expect(main).to_contain_text("1 hung")

    dashboard.fill("Text", "no such text")
    expect(main).to_contain_text("No open chord matches these filters")
    main.get_by_role("link", name="Show all").click()
    expect(main).to_contain_text("4 hung")

    main.get_by_role("radio", name="By queue").or_(main.get_by_role("button", name="By queue")).click()
    dashboard.page.wait_for_url("**/stuck?by=queue")
    dashboard.row("2 chords wait on queue reports")
    dashboard.choose("2 chords wait on queue reports")
    dashboard.page.wait_for_url("**/stuck?queue=reports")
    dashboard.row(*ROWS["unread"])
    assert not dashboard.has_row(*ROWS["lost"])


@pytest.mark.parametrize("which", ["a part", "the callback"])
def test_the_id_of_any_task_finds_its_chord(shop: Stack, dashboard: Dashboard, which: str) -> None:
    stored = shop.store.get(shop.chords["unread"])
    assert stored
    known = stored.chord.callback if which == "the callback" else stored.chord.header[4]
    dashboard.fill("Find a chord", f" {known.task_id} ")
    dashboard.page.wait_for_url(f"**/chord?id={shop.chords['unread']}")
    expect(dashboard.page.get_by_test_id("stMain")).to_contain_text("reports.publish")


def test_queues_say_who_waits_and_that_nobody_comes(dashboard: Dashboard) -> None:
    dashboard.open("/queues")
    main = dashboard.page.get_by_test_id("stMain")
    expect(main).to_contain_text("in 1 queue that no worker reads")
    dashboard.row("reports", "3", "nobody takes its tasks")
    expect(main.get_by_test_id("stVegaLiteChart").first).to_contain_text("reports")
    dashboard.choose("reports", "nobody takes its tasks")
    dashboard.page.wait_for_url("**/stuck?queue=reports")
    dashboard.row(*ROWS["unread"])


def test_trends_tell_of_each_callback(dashboard: Dashboard) -> None:
    dashboard.open("/trends?range=1h")
    dashboard.row("imports.load", "1", "2")
    dashboard.row("invoices.send", "1")
    assert "1h" in dashboard.page.url


def test_the_doctor_finds_something(dashboard: Dashboard) -> None:
    dashboard.open("/doctor")
    main = dashboard.page.get_by_test_id("stMain")
    expect(main).to_contain_text("no_time_limit")
    main.get_by_role("button", name="Examine again").click()
    dashboard.drawn()
    expect(main).to_contain_text("1 worker answered")


def test_the_theme_follows_the_system_and_can_be_chosen(shop: Stack, browser: Browser) -> None:
    for theme, other in (("light", "Dark"), ("dark", "Light")):
        with looking(browser, shop.url, f"/chord?id={shop.chords['lost']}", theme=theme) as dashboard:
            dark = dashboard.darkness() > 0.5
            assert dark == (theme == "dark")
            dashboard.switch_theme(other)
            wait_until(
                lambda dashboard=dashboard, dark=dark: (dashboard.darkness() > 0.5) != dark, f"it is {other}"
            )
            expect(dashboard.page.get_by_test_id("stGraphVizChart")).to_contain_text("barrier")


def test_paused_it_stands_still_and_goes_on_afterwards(dashboard: Dashboard) -> None:
    main = dashboard.page.get_by_test_id("stMain")
    caption = main.get_by_text(re.compile("^Seen at"))
    seen = lambda: caption.inner_text().split()[2]  # noqa: E731  # too small for a def
    first = seen()
    wait_until(lambda: seen() != first, "it is live")
    toggle = dashboard.page.get_by_test_id("stSidebar").get_by_text("Pause")
    toggle.click()
    expect(main).to_contain_text("paused")
    still = seen()
    dashboard.page.wait_for_timeout(7_000)  # longer than it takes to be drawn anew
    assert seen() == still
    toggle.click()
    wait_until(lambda: seen() != still, "it is live again")


def test_a_chosen_place_is_kept_while_it_is_live(dashboard: Dashboard) -> None:
    place = "document.querySelector('[data-testid=stMain]').scrollTop"
    table = dashboard.page.get_by_test_id("stDataFrame").first
    seen = dashboard.page.get_by_text(re.compile("^Seen at"))

    def kept() -> bool:
        dashboard.page.evaluate(f"{place} = 300")
        table.evaluate("table => { table.kept = true }")
        before = seen.inner_text()
        wait_until(lambda: seen.inner_text() != before, "it was drawn anew")
        # What grows or shrinks by a line's fraction above it moves it by as much.
        assert abs(dashboard.page.evaluate(place) - 300) < 10
        return bool(table.evaluate("table => table.kept"))

    # The first time it may have been drawn for the first time only just now, on a machine that is held up.
    assert kept() or kept(), "the table is taken away and drawn anew: it flickers"


def test_a_password_is_asked_before_anything_is_shown(shop: Stack, browser: Browser) -> None:
    url = shop.start_dashboard(free_port(), CHORDWATCH_DASHBOARD_PASSWORD="open-sesame")
    with browser.window(url, expected=(r"_stcore/",)) as window:
        page = window.page
        for path in ("/", f"/chord?id={shop.chords['lost']}", "/doctor"):
            page.goto(path)
            expect(page.get_by_label("Password of this dashboard")).to_be_visible()
            assert "images" not in page.inner_text("body")
            assert page.get_by_test_id("stDataFrame").count() == 0
        page.get_by_label("Password of this dashboard").fill("open")
        page.get_by_role("button", name="Open").click()
        expect(page.get_by_text("That is not the password.")).to_be_visible()
        page.get_by_label("Password of this dashboard").fill("open-sesame")
        page.get_by_role("button", name="Open").click()
        expect(page.get_by_test_id("stMain")).to_contain_text("Examine again")
        assert "open-sesame" not in page.content()
