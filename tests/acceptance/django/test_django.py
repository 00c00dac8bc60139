"""A real Django project on django-celery-results: the faults that apply, with real workers, recorded and bare."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable

import pytest

from tests.acceptance.django.conftest import Shop
from tests.integration.transports.elsewhere import FOR_EVER, causes, named
from tests.support.polling import wait_until
from tests.support.servers import RedisServer, kill

pytestmark = pytest.mark.faults

ADD = ("add", 1, 1, None)
OpenShop = Callable[..., Shop]


def test_recorded_chords_are_judged_as_on_redis(open_shop: OpenShop) -> None:
    shop = open_shop(recorded=True)
    worker = shop.worker(concurrency=3)
    healthy, failing = shop.send(ADD, ADD), shop.send(ADD, ("boom", None))
    quiet = shop.send(ADD, ("quiet", 1, None))
    unread, held = shop.send(ADD, ("add", 1, 1, "nobody")), shop.send(ADD, ADD, body="nobodys")
    ignoring, lost = shop.send(ADD, ("ignore", None)), shop.send(ADD, ("nap", FOR_EVER, None))

    shop.explained_when(lost, named("header_running"), "the task runs")
    chord = shop.explained_when(healthy, lambda chord: chord["health"] == "done", "it is done")
    assert (chord["counted"], causes(chord)) == (2, [])
    chord = shop.explained_when(failing, named("header_failed"), "the error is named")
    assert (chord["state"], "ValueError: boom" in chord["verdicts"][0]["summary"]) == ("failed", True)
    for sent, cause, task in (
        (unread, "queue_unconsumed", unread.header[1]),
        (held, "callback_queue_unconsumed", held.callback_id),
        (ignoring, "header_ignored", ignoring.header[1]),
        (quiet, "counter_overrun", quiet.callback_id),
    ):
        chord = shop.explained_when(sent, named(cause), f"{cause} is named")
        found = chord["verdicts"][0]
        assert (found["tasks"], found["certain"]) == ([task], cause != "counter_overrun")

    kill(worker)

    chord = shop.explained_when(lost, named("worker_lost"), "the worker is named")
    assert (chord["verdicts"][0]["tasks"], chord["verdicts"][0]["certain"]) == ([lost.header[1]], True)
    done = shop.chords("check", "--format", "json")
    assert done.returncode == 1
    assert {chord["chord_id"] for chord in json.loads(done.stdout)} >= {
        sent.chord_id for sent in (unread, held, ignoring)
    }


def test_without_records_the_chord_counter_names_the_whole_header(open_shop: OpenShop) -> None:
    shop = open_shop(recorded=False)
    worker = shop.worker(concurrency=2)
    unread = shop.send(ADD, ("add", 1, 1, "nobody"))
    lost = shop.send(ADD, ("nap", FOR_EVER, None), ("boom", None))

    chord = shop.explained_when(lost, lambda chord: chord["counted"] == 2, "two of three are counted")
    assert [task["task_id"] for task in chord["header"]] == lost.header
    assert [task["index"] for task in chord["header"]] == [0, 1, 2]
    assert [gap["task_id"] for gap in chord["missing"]] == [lost.header[1]]
    assert chord["header"][2]["error"] == "ValueError: boom"
    assert "header_running" in causes(chord)
    assert "hung" not in {verdict["outcome"] for verdict in chord["verdicts"]}
    chord = shop.explained_when(unread, named("queue_unconsumed"), "the queue is named")
    assert (chord["size"], chord["counted"], chord["callback"]["task_id"]) == (2, 1, unread.callback_id)
    results = json.loads(shop.chords("results", lost.chord_id, "--format", "json").stdout)
    assert [(row["index"], row["state"], row["result"]) for row in results][:2] == [
        (0, "succeeded", 2),
        (1, "missing", None),
    ]
    for wanted in (lost.header[1], lost.chord_id):
        assert lost.chord_id in shop.chords("show", wanted).stdout

    kill(worker)

    chord = shop.explained_when(
        lost, lambda chord: "worker_lost" in causes(chord), "the worker is asked about"
    )
    (found,) = [verdict for verdict in chord["verdicts"] if verdict["cause"] == "worker_lost"]
    assert (found["certain"], found["tasks"]) == (False, [lost.header[1]])
    assert found["question"]


def test_a_counter_that_a_redelivered_task_used_up_is_named(open_shop: OpenShop, redis: RedisServer) -> None:
    shop = open_shop(recorded=True)
    sent = shop.send(("add", 1, 1, "twice"), ("nap", FOR_EVER, None))
    message = json.loads(redis.broker.lindex("twice", 0))
    message["properties"]["delivery_tag"] = str(uuid.uuid4())
    shop.worker("w1", "-Q", "celery,twice", concurrency=3)
    # At the same moment both would read the same count: SQLite knows no `SELECT … FOR UPDATE`.
    left = "SELECT count FROM django_celery_results_chordcounter"
    wait_until(lambda: shop.rows(left) == [(1,)], "the first run is counted")
    redis.broker.rpush("twice", json.dumps(message))

    chord = shop.explained_when(
        sent, lambda chord: "counter_overrun" in causes(chord), "the counter is named"
    )

    (found,) = [verdict for verdict in chord["verdicts"] if verdict["cause"] == "counter_overrun"]
    assert (chord["state"], chord["health"], found["outcome"]) == ("open", "hung", "hung")
    assert found["tasks"] == [sent.header[1]]
    assert shop.rows("SELECT count(*) FROM django_celery_results_chordcounter") == [(0,)]


@pytest.mark.parametrize("recorded", [True, False])
def test_the_monitor_serves_the_chords_of_the_shop(open_shop: OpenShop, *, recorded: bool) -> None:
    shop = open_shop(recorded=recorded)
    shop.worker()
    unread = shop.send(ADD, ("add", 1, 1, "nobody"))

    with shop.monitor() as http:
        chord = wait_until(
            lambda: next((c for c in http.get("/api/chords").json() if c["health"] == "hung"), None),
            "the hung chord is served",
        )
        assert (chord["chord_id"], causes(chord)) == (unread.chord_id, ["queue_unconsumed"])
        one = http.get(f"/api/chords/{unread.header[0]}").json()
        assert one["chord_id"] == unread.chord_id


def test_a_database_that_was_not_migrated_is_exit_3_and_a_sentence(open_shop: OpenShop) -> None:
    shop = open_shop(recorded=False)
    shop.rows("DROP TABLE django_celery_results_chordcounter")

    done = shop.chords("list")

    assert (done.returncode, done.stdout) == (3, "")
    assert "migrate django_celery_results" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("sub_tasks", ["", "{", "[1, [2]]", '[[["h0", null], 5]]', "[" * 2000])
def test_a_strange_counter_stops_nothing(open_shop: OpenShop, sub_tasks: str) -> None:
    shop = open_shop(recorded=False)
    shop.rows(
        "INSERT INTO django_celery_results_chordcounter (group_id, sub_tasks, count) VALUES (?, ?, 3)",
        "strange",
        sub_tasks,
    )

    done = shop.chords("list", "--format", "json")

    assert done.returncode == 0, done.stderr
    assert [chord["chord_id"] for chord in json.loads(done.stdout)] in (["strange"], [])
