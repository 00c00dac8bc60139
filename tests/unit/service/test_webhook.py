"""The webhook: what arrives, that nobody waits for it, and that no secret of its URL is shown."""

from __future__ import annotations

import base64
import logging
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from celery import Celery

from chordwatch.errors import SettingError
from chordwatch.service.changes import Change
from chordwatch.service.loop import make_loop
from chordwatch.service.webhook import Webhook
from chordwatch.settings import read_settings
from tests.support.polling import wait_until
from tests.support.receiver import Receiver
from tests.support.servers import free_port
from tests.unit.cli.rendered import NAMES, verdict
from tests.unit.seen import NOW, open_chord


def change(chord_id: str = "group") -> Change:
    lost = verdict(cause="worker_lost")
    chord = open_chord(chord_id=chord_id, verdicts=(lost,))
    return Change(at=NOW, chord=chord, cause="worker_lost", verdict=lost)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def post() -> Iterator[Callable[..., tuple[Webhook, Counter[str]]]]:
    """Make webhooks that are closed afterwards; with them their errors."""
    made: list[Webhook] = []

    def make(url: str, **settings: Any) -> tuple[Webhook, Counter[str]]:
        errors: Counter[str] = Counter()
        made.append(Webhook(url, errors, **{"pauses": (0.01, 0.01), **settings}))
        return made[-1], errors

    yield make
    for webhook in made:
        webhook.close()


Post = Callable[..., tuple[Webhook, "Counter[str]"]]


def test_each_change_arrives_once_and_in_order(receiver: Receiver, post: Post) -> None:
    webhook, errors = post(f"http://{receiver.place}/hook?key=1")
    for n in range(20):
        webhook.send(change(str(n)))

    wait_until(lambda: len(receiver.received) == 20, "all arrived")
    path, headers, body = receiver.received[0]
    assert path == "/hook?key=1"
    assert headers["Content-Type"] == "application/json"
    assert "Authorization" not in headers
    assert body["event"] == "verdict"
    assert [body["chord"]["chord_id"] for *_, body in receiver.received] == [str(n) for n in range(20)]
    assert errors == {"webhook": 0}


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_hostile_names_arrive_as_json(name: str, receiver: Receiver, post: Post) -> None:
    post(f"http://{receiver.place}/")[0].send(change(name))

    wait_until(lambda: receiver.received, "it arrived")
    assert receiver.received[0][2]["chord"]["chord_id"] == name


@pytest.mark.parametrize("name", ["group", *NAMES], ids=ascii)
def test_where_there_is_a_dashboard_the_document_links_to_the_chord(
    name: str, receiver: Receiver, post: Post
) -> None:
    post(f"http://{receiver.place}/", dashboard_url="https://chords.example/x")[0].send(change(name))
    post(f"http://{receiver.place}/")[0].send(change(name))

    wait_until(lambda: len(receiver.received) == 2, "both arrived")
    bodies = [body for *_, body in receiver.received]
    (link,) = (body["dashboard_url"] for body in bodies if "dashboard_url" in body)
    page = urlsplit(link)
    assert link.isascii()
    assert (page.netloc, page.path, page.fragment) == ("chords.example", "/x/chord", "")
    assert parse_qs(page.query, keep_blank_values=True) == {"id": [name.encode(errors="replace").decode()]}


def test_a_failure_is_tried_again_and_in_the_end_counted(receiver: Receiver, post: Post) -> None:
    receiver.statuses = [500, 503, 204, 500, 404, 500, 204]
    webhook, errors = post(f"http://{receiver.place}/")
    for name in ("a", "b", "c"):
        webhook.send(change(name))

    wait_until(lambda: len(receiver.received) == 7, "all attempts")
    assert [body["chord"]["chord_id"] for *_, body in receiver.received] == [*"aaabbbc"]
    wait_until(lambda: errors["webhook"] == 1, "one was lost")


def test_a_redirect_is_not_followed(receiver: Receiver, post: Post) -> None:
    receiver.statuses = [302, 307, 301]
    webhook, errors = post(f"http://{receiver.place}/")
    webhook.send(change())

    wait_until(lambda: errors["webhook"] == 1, "it was lost")
    assert [path for path, *_ in receiver.received] == ["/"] * 3


def test_the_login_of_the_url_becomes_a_header(receiver: Receiver, post: Post) -> None:
    post(f"http://me:open%2Dsesame@{receiver.place}/")[0].send(change())

    wait_until(lambda: receiver.received, "it arrived")
    _, headers, _ = receiver.received[0]
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")) == b"me:open-sesame"
    assert headers["Host"] == receiver.place


def test_nobody_waits_for_a_server_that_hangs_and_the_oldest_are_dropped(
    receiver: Receiver, post: Post
) -> None:
    receiver.gate.clear()
    webhook, errors = post(f"http://{receiver.place}/", limit=3)
    webhook.send(change("first"))
    wait_until(lambda: not webhook._waiting, "the first is on its way")
    started = time.monotonic()
    for n in range(100):
        webhook.send(change(str(n)))

    assert time.monotonic() - started < 1
    assert errors["webhook"] == 97
    receiver.gate.set()
    wait_until(lambda: len(receiver.received) == 4, "the last ones arrived")
    assert [body["chord"]["chord_id"] for *_, body in receiver.received] == ["first", "97", "98", "99"]


def test_a_server_that_never_answers_costs_a_timeout(post: Post, caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        webhook, errors = post(f"http://127.0.0.1:{silent.getsockname()[1]}/", timeout=0.1)
        webhook.send(change())
        wait_until(lambda: errors["webhook"] == 1, "it was lost")
    wait_until(lambda: "does not answer (TimeoutError)" in caplog.text, "it is said")


def test_the_end_waits_for_what_is_to_be_sent_but_not_for_long(receiver: Receiver, post: Post) -> None:
    webhook, _ = post(f"http://{receiver.place}/")
    for n in range(5):
        webhook.send(change(str(n)))
    webhook.close()
    assert len(receiver.received) == 5

    receiver.gate.clear()
    hanging, _ = post(f"http://{receiver.place}/", pauses=(60.0,))
    hanging.send(change())
    started = time.monotonic()
    hanging.close()
    assert time.monotonic() - started < 4
    receiver.gate.set()


def test_no_secret_of_the_url_is_logged_and_a_failure_only_once(
    receiver: Receiver, post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    refused = f"http://me:open-sesame@127.0.0.1:{free_port()}/services/open-sesame?key=open-sesame"
    answered = f"http://me:open-sesame@{receiver.place}/services/open-sesame?key=open-sesame"
    receiver.statuses = [500] * 6
    for url, lost in ((refused, 2), (answered, 2)):
        webhook, errors = post(url)
        webhook.send(change())
        webhook.send(change())
        wait_until(lambda errors=errors, lost=lost: errors["webhook"] == lost, "both are lost")
    webhook.send(change())
    wait_until(lambda: "takes changes again" in caplog.text, "it answers again")

    messages = [record.getMessage() for record in caplog.records]
    assert messages == [
        "The webhook at http://127.0.0.1 does not answer (ConnectionRefusedError); changes are lost.",
        "The webhook at http://127.0.0.1 answers 500; changes are lost.",
        "The webhook at http://127.0.0.1 takes changes again.",
    ]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hook",
        "ftp://secret/",
        "file:///etc/secret",
        "http://",
        "http:///secret",
        "http://h:port-secret/",
        "http://h:99999/secret",
        "http://[secret/",
        "http://h/se cret",
        "http://h/sé cret",
        "http://h/\r\nX-Secret: 1",
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(SettingError) as raised:
        Webhook(url, Counter())

    assert str(raised.value) == "The webhook must be an http:// or https:// URL with a host."


def test_a_monitors_webhook_links_to_the_dashboard_of_the_settings() -> None:
    settings = read_settings({"chordwatch_dashboard_url": "https://chords.example/"})

    loop = make_loop(Celery("project", set_as_current=False), settings, webhook="http://127.0.0.1:9/")

    assert loop._webhook
    assert loop._webhook._dashboard_url == "https://chords.example"
