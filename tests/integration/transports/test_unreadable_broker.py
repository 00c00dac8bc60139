"""kombu's filesystem transport, into which nobody looks: records and heartbeats alone tell why a chord is stuck."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.transports.elsewhere import FOR_EVER, Elsewhere, Sent, causes, named
from tests.support.servers import Processes, RedisServer, kill

pytestmark = pytest.mark.faults


@pytest.fixture
def place(processes: Processes, redis: RedisServer) -> Elsewhere:
    """An instrumented installation whose messages are files; results and store are in Redis."""
    messages = processes.folder / "messages"
    messages.mkdir()
    folders = {"data_folder_in": str(messages), "data_folder_out": str(messages)}
    options = {**folders, "control_folder": str(processes.folder / "control")}
    return Elsewhere(
        processes, "filesystem://", redis.url(1), store=redis.url(2), broker_transport_options=options
    )


def only(chord: dict[str, Any], cause: str, sent: Sent, part: int) -> dict[str, Any]:
    """Return the chord's one verdict, which is of this cause and names this part."""
    assert causes(chord)[:1] == [cause]
    found: dict[str, Any] = chord["verdicts"][0]
    assert found["tasks"] == [sent.header[part]]
    return found


def test_verdicts_come_from_records_and_heartbeats(place: Elsewhere) -> None:
    add = ("add", 1, 1, None)
    worker = place.worker(concurrency=3)
    healthy = place.send(add, add)
    failing = place.send(add, ("boom", None))
    ignoring = place.send(add, ("ignore", None))
    unread = place.send(add, ("add", 1, 1, "nobody"))
    lost = place.send(add, ("nap", FOR_EVER, None))

    chord = place.explained_when(lost, named("header_running"), "its worker beats and runs it")
    assert chord["health"] == "ok"
    chord = place.explained_when(healthy, lambda chord: chord["health"] == "done", "it is done")
    assert causes(chord) == []
    place.explained_when(failing, named("header_failed"), "the error is named")
    chord = place.explained_when(ignoring, named("header_ignored"), "the ignored task is named")
    only(chord, "header_ignored", ignoring, 1)
    chord = place.explained_when(unread, named("queue_unconsumed"), "the queue is named")
    assert "in queue nobody" in only(chord, "queue_unconsumed", unread, 1)["summary"]

    kill(worker)

    chord = place.explained_when(lost, named("worker_lost"), "the worker is named")
    found = only(chord, "worker_lost", lost, 1)
    assert "w1@here" in found["summary"]
    assert not found["certain"]
    assert any("queues could not be read" in line for line in found["evidence"])
    done = place.chords("list")
    assert done.returncode == 0
    assert "neither Redis nor RabbitMQ" in done.stderr
