"""RabbitMQ as broker, Redis as result backend and store: the faults that apply, with real workers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.integration.transports.elsewhere import FOR_EVER, Elsewhere, Sent, causes, named
from tests.support.polling import wait_until
from tests.support.rabbitmq import RabbitServer
from tests.support.servers import Processes, RedisServer, kill

pytestmark = pytest.mark.faults


@dataclass
class Scene:
    """Chords of every kind on one installation; `w1` ran them and was killed, `w2` came after it."""

    place: Elsewhere
    sent: dict[str, Sent] = field(default_factory=dict)

    def explained(self, name: str) -> dict[str, Any]:
        """Return one of the chords with its verdicts."""
        return self.place.explained(self.sent[name])


@pytest.fixture(scope="module")
def scene(lasting: Processes, rabbit: RabbitServer, own_redis: RedisServer) -> Scene:
    """Send all chords, kill the worker that runs one of them for ever, and start another one."""
    place = Elsewhere(lasting, rabbit.url, own_redis.url(1), store=own_redis.url(2))
    scene, add = Scene(place), ("add", 1, 1, None)
    first = place.worker("w1", concurrency=3)
    headers: dict[str, tuple[tuple[Any, ...], ...]] = {
        "healthy": (add, add),
        "unread": (add, ("add", 1, 1, "nobody")),
        "unread callback": (add, add),
        "failing": (add, ("boom", None)),
        "ignoring": (add, ("ignore", None)),
        "lost": (add, ("nap", FOR_EVER, None)),
    }
    for name, header in headers.items():
        scene.sent[name] = place.send(*header, body="nobodys" if name == "unread callback" else None)
    place.explained_when(scene.sent["lost"], named("header_running"), "the task of the chord runs")
    wait_until(lambda: scene.explained("ignoring")["counted"] == 1, "the other part is counted")
    kill(first)
    place.worker("w2", concurrency=1)
    return scene


def test_a_chord_that_is_well_is_done(scene: Scene) -> None:
    chord = scene.explained("healthy")

    assert (chord["state"], chord["health"], chord["counted"]) == ("succeeded", "done", 2)


def test_a_header_task_in_a_queue_without_consumer_is_named_by_rabbitmqs_own_count(scene: Scene) -> None:
    chord = scene.explained("unread")

    (found,) = chord["verdicts"]
    assert (found["cause"], found["certain"]) == ("queue_unconsumed", True)
    assert found["tasks"] == [scene.sent["unread"].header[1]]
    assert "in queue nobody" in found["summary"]


def test_a_callback_in_a_queue_without_consumer_is_named(scene: Scene) -> None:
    chord = scene.explained("unread callback")

    (found,) = chord["verdicts"]
    assert (found["cause"], found["certain"]) == ("callback_queue_unconsumed", True)
    assert found["tasks"] == [scene.sent["unread callback"].callback_id]
    assert "in queue nobodys" in found["summary"]


def test_a_failing_header_is_named(scene: Scene) -> None:
    chord = scene.explained("failing")

    assert (chord["state"], causes(chord)) == ("failed", ["header_failed"])
    assert "ValueError: boom" in chord["verdicts"][0]["summary"]


def test_an_ignored_header_is_named(scene: Scene) -> None:
    chord = scene.place.explained_when(scene.sent["ignoring"], named("header_ignored"), "it is named")

    assert chord["verdicts"][0]["certain"]
    assert chord["verdicts"][0]["tasks"] == [scene.sent["ignoring"].header[1]]


def test_a_task_that_was_lost_with_its_worker_is_named(scene: Scene) -> None:
    chord = scene.place.explained_when(scene.sent["lost"], named("worker_lost"), "the worker is named")

    found = chord["verdicts"][0]
    assert found["certain"]
    assert found["tasks"] == [scene.sent["lost"].header[1]]
    assert "w1@here" in found["summary"]


def test_the_look_says_what_rabbitmq_does_not_tell(scene: Scene) -> None:
    done = scene.place.chords("list", "--health", "open", "--format", "json")

    assert done.returncode == 0
    assert "RabbitMQ tells how many messages wait in a queue, not which" in done.stderr
    assert {chord["chord_id"] for chord in json.loads(done.stdout)} == {
        scene.sent[name].chord_id for name in ("unread", "unread callback", "ignoring", "lost")
    }


def test_the_monitor_serves_what_rabbitmq_counts(scene: Scene) -> None:
    with scene.place.monitor() as http:
        wait_until(
            lambda: {c["health"] for c in http.get("/api/chords").json()} >= {"hung", "done"},
            "the chords are judged",
        )
        metrics = wait_until(
            lambda: text if "nobodys" in (text := http.get("/metrics").text) else None,
            "the queues are counted",
        )

    assert 'celery_queue_length{queue_name="nobody"} 1.0' in metrics
    assert 'celery_active_consumer_count{queue_name="nobody"} 0.0' in metrics
    assert 'celery_active_consumer_count{queue_name="celery"} 1.0' in metrics


@pytest.fixture
def bare(processes: Processes, rabbit: RabbitServer, redis: RedisServer) -> Elsewhere:
    """An installation of which nobody records anything."""
    return Elsewhere(processes, rabbit.url, redis.url(1), task_default_queue="bare")


def test_without_records_a_failing_header_is_named_and_a_running_one_is_well(bare: Elsewhere) -> None:
    bare.worker()
    failing = bare.send(("add", 1, 1, None), ("boom", None))
    running = bare.send(("add", 1, 1, None), ("nap", FOR_EVER, None))

    chord = bare.explained_when(failing, named("header_failed"), "the error is named")
    assert chord["state"] == "failed"
    chord = bare.explained_when(running, lambda chord: chord["counted"] == 1, "one part is counted")
    assert chord["health"] == "ok"
    assert "hung" not in {verdict["outcome"] for verdict in chord["verdicts"]}


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("amqp://guest:secret@127.0.0.1:{port}//", "refuses the login"),
        ("amqp://guest:guest@127.0.0.1:{port}/elsewhere", "virtual host"),
        ("amqp://guest:secret@127.0.0.1:1//", "does not answer"),
    ],
)
def test_a_rabbitmq_that_refuses_is_exit_3_and_a_sentence_without_the_password(
    processes: Processes, rabbit: RabbitServer, redis: RedisServer, url: str, says: str
) -> None:
    place = Elsewhere(processes, url.format(port=rabbit.port), redis.url(1))

    done = place.chords("list")

    assert (done.returncode, done.stdout) == (3, "")
    assert says in done.stderr
    assert "secret" not in done.stderr
    assert "Traceback" not in done.stderr
