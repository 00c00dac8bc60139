from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from urllib.parse import quote

import pytest

from chordwatch.errors import UnreachableError
from chordwatch.flower.installed import TEMPLATES, with_entry
from chordwatch.store.protocol import Membership
from tests.unit.dashboards.dashboard_fakes import HOSTILE, board, row
from tests.unit.flower.conftest import InProcess

Start = Callable[..., InProcess]
AUTHORIZED = {"Authorization": "Basic " + base64.b64encode(b"me:secret").decode()}


def test_the_page_stands_in_flowers_own_frame(flower: Start) -> None:
    (page,) = flower().get("/chords")

    text = page.body.decode()
    assert page.code == 200
    assert re.findall(r'nav-link active"\s+href="([^"]*)"', text) == ["/chords"]
    assert "/static/css/bootstrap.min.css" in text
    assert "chords-table" in text


@pytest.mark.parametrize("path", ["/workers", "/tasks", "/broker", "/chords", "/nowhere"])
def test_every_page_of_flower_leads_to_the_chords(flower: Start, path: str) -> None:
    (page,) = flower().get(path)

    assert page.body.decode().count('href="/chords"') == 1


def test_it_shows_what_the_board_shows(flower: Start) -> None:
    started = flower()
    started.source.seen = board(row("c1", "hung"), row("c2"))
    (answer,) = started.get("/chords?json=1")

    told = json.loads(answer.body)
    assert answer.headers["Content-Type"].startswith("application/json")
    assert [(chord["id"], chord["health"]) for chord in told["chords"]] == [("c1", "hung"), ("c2", "ok")]
    # Nothing is asked of the store for tasks that Flower does not have.
    assert started.store.questions == []


def test_without_chords_it_is_empty(flower: Start) -> None:
    (answer,) = flower().get("/chords?json=1")

    assert json.loads(answer.body)["chords"] == []


def test_where_nothing_can_be_seen_it_says_so(flower: Start) -> None:
    started = flower()
    started.source.seen = UnreachableError("The broker at redis://h:6379/0 does not answer; \u202e check it.")
    (answer,) = started.get("/chords?json=1")

    assert answer.code == 200
    assert json.loads(answer.body) == {
        "error": "The broker at redis://h:6379/0 does not answer; \\u202e check it."
    }


def test_it_links_to_the_tasks_that_flower_has(flower: Start) -> None:
    started = flower(url_prefix="/flower/")
    started.source.seen = board(row("c1", "hung"))
    started.tasks = [("t 1", "tasks.part"), ("t2", "tasks.part"), ("alone", "tasks.other")]
    started.store.members = {
        "t 1": Membership(chord_id="c1", role="header", index=4, callback="tasks.report"),
        "t2": Membership(chord_id="elsewhere", role="header", index=0, callback="tasks.report"),
    }
    first, second = started.get("/flower/chords?json=1", "/flower/chords?json=1")

    (chord,) = json.loads(first.body)["chords"]
    assert chord["tasks"] == [{"label": "header 4", "state": "RECEIVED", "url": "/flower/task/t%201"}]
    assert json.loads(second.body)["chords"] == [chord]
    # One question for all of them, and none for the second view.
    assert [sorted(asked) for asked in started.store.questions] == [["alone", "t 1", "t2"]]


def test_a_store_that_does_not_answer_takes_the_links_alone(flower: Start) -> None:
    started = flower()
    started.source.seen, started.tasks = board(row("c1", "hung")), [("t1", "tasks.part")]
    started.store.error = UnreachableError("The store does not answer.")
    (answer,) = started.get("/chords?json=1")

    assert [chord["tasks"] for chord in json.loads(answer.body)["chords"]] == [[]]


def test_a_password_of_flower_protects_it(flower: Start) -> None:
    started = flower(basic_auth=["me:secret"])

    assert [answer.code for answer in started.get("/chords", "/chords?json=1")] == [401, 401]
    assert started.source.asked == []
    assert [answer.code for answer in started.get("/chords", "/chords?json=1", headers=AUTHORIZED)] == [
        200,
        200,
    ]


def test_a_login_of_flower_protects_it(flower: Start) -> None:
    started = flower(auth=r".*@example\.com", auth_provider="flower.views.auth.GoogleAuth2LoginHandler")
    answers = started.get("/chords", "/chords?json=1", follow_redirects=False)

    assert [answer.code for answer in answers] == [302, 302]
    assert answers[0].headers["Location"].startswith("/login?next=%2Fchords")
    assert started.source.asked == []


def test_behind_a_prefix_it_is_nowhere_else(flower: Start) -> None:
    page, elsewhere = flower(url_prefix="flower").get("/flower/chords", "/chords")

    assert (page.code, elsewhere.code) == (200, 404)
    assert 'href="/flower/chords"' in page.body.decode()


@pytest.mark.parametrize("value", ["", "0", "no", *HOSTILE[:-1]], ids=lambda value: json.dumps(value)[:20])
def test_nonsense_in_its_address_is_no_error(flower: Start, value: str) -> None:
    asked = quote(value.encode("utf-8", "replace"), safe="")
    answers = flower().get(f"/chords?json={asked}", f"/chords?id={asked}&{asked}={asked}", "/chords?json=%ff")

    assert [answer.code for answer in answers][:2] == [200, 200]
    assert answers[2].code in (200, 400)


def test_a_navigation_bar_that_is_not_known_stays_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    assert with_entry("<nav>another Flower</nav>") == "<nav>another Flower</nav>"
    assert "/chords without an entry" in caplog.text


def test_the_page_names_no_other_host() -> None:
    for template in TEMPLATES.iterdir():
        assert "://" not in template.read_text()
