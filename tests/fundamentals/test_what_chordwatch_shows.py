"""A first tour: what `chordwatch.connect` shows of a project that knows nothing of chordwatch.

The project is a plain Celery one with a Redis, a worker that reads the queue `celery`, and chords of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery, chord
from celery.result import AsyncResult

from chordwatch import connect
from chordwatch.model import Chord
from chordwatch.watch import Watch
from tests.support.polling import wait_until
from tests.support.servers import Processes, RedisServer, clean_environment

PROJECT = Path(__file__).parents[1] / "integration" / "xray"


@pytest.fixture
def app(redis: RedisServer) -> Iterator[Celery]:
    """The project's app, as its web process has it: it sends tasks by their names."""
    app = Celery("project", broker=redis.url(0), backend=redis.url(1), set_as_current=False)
    yield app
    # Results that nobody awaits would unsubscribe when they are collected, and connect for it.
    app.backend.result_consumer.stop()
    app.backend.result_consumer.subscribed_to.clear()
    app.backend.client.connection_pool.disconnect()
    app.close()


@pytest.fixture
def worker(redis: RedisServer, processes: Processes) -> None:
    """A real worker with two pool processes; what was sent before it came waits for it."""
    processes.start(
        "worker",
        *(sys.executable, "-m", "celery", "-A", "project", "worker", "-c", "2", "-n", "w1@zoo"),
        *("--without-gossip", "--without-mingle", "-l", "INFO"),
        cwd=PROJECT,
        env=clean_environment(PROJECT_BROKER=redis.url(0), PROJECT_BACKEND=redis.url(1)),
    )
    wait_until(lambda: "ready." in processes.log("worker"), "the worker is ready")


@pytest.fixture
def watch(app: Celery) -> Iterator[Watch]:
    """What this is about: a look from outside, without a change to the project."""
    watch = connect(app)
    yield watch
    watch.close()


def send(app: Celery, *, unread: bool = False) -> AsyncResult:
    """Send a chord of two additions; with `unread` the second goes to a queue that nobody reads."""
    first, second = (app.signature("project.add", args=(number, number)) for number in (1, 2))
    header = [first, second.set(queue="nobody") if unread else second]
    return chord(header, app=app)(app.signature("project.collect"))


def group_of(result: AsyncResult) -> str:
    """Return the chord's id: the group id of its header."""
    return str(result.parent.id)


def seen(watch: Watch, wanted: str, like: Callable[[Chord], Any]) -> Chord:
    """Look until the chord is as it is expected to become."""

    def look() -> Chord | None:
        chord = watch.get(wanted)
        return chord if chord and like(chord) else None

    found = wait_until(look, f"chord {wanted} is as expected")
    assert found
    return found


def test_an_unknown_id_is_nothing(watch: Watch) -> None:
    """There is no such chord, and that is an answer, not an error."""
    assert watch.get("no-such-id") is None
    assert watch.list() == []


def test_a_chord_is_seen_as_soon_as_it_is_sent(app: Celery, watch: Watch) -> None:
    """Nothing has run yet: 0 of 2, and both parts are missing, under their indexes and names."""
    result = send(app)

    chord = watch.get(group_of(result))

    assert chord is not None
    assert (chord.state, chord.counted, chord.size) == ("open", 0, 2)
    assert [(part.index, part.name) for part in chord.missing] == [(0, "project.add"), (1, "project.add")]
    assert (chord.callback.task_id, chord.callback.name) == (result.id, "project.collect")


@pytest.mark.usefixtures("worker")
def test_an_open_chord_tells_how_far_it_is(app: Celery, watch: Watch) -> None:
    """One part is counted, the other is not: k of N, and which one is missing."""
    chord = seen(watch, group_of(send(app, unread=True)), lambda chord: chord.counted)

    assert (chord.state, chord.counted, chord.size) == ("open", 1, 2)
    assert [part.index for part in chord.missing] == [1]


@pytest.mark.usefixtures("worker")
def test_every_id_of_a_chord_leads_to_it(app: Celery, watch: Watch) -> None:
    """The group id, the callback's id that the caller holds, and each header task's id."""
    result = send(app, unread=True)
    ids = [group_of(result), result.id, *(task.id for task in result.parent.children)]
    seen(watch, group_of(result), lambda chord: chord.counted)

    found = [watch.get(id_) for id_ in ids]

    assert [chord and chord.chord_id for chord in found] == [group_of(result)] * 4


@pytest.mark.usefixtures("worker")
def test_a_chord_that_waits_in_a_queue_that_nobody_reads_is_hung_and_says_so(
    app: Celery, watch: Watch
) -> None:
    """Celery says nothing of it, ever; chordwatch names the queue, the task and the remedy."""
    result = send(app, unread=True)
    chord = seen(watch, group_of(result), lambda chord: chord.counted)

    assert chord.health == "hung"
    verdict = chord.verdicts[0]
    assert verdict.cause == "queue_unconsumed"
    assert verdict.tasks == (result.parent.children[1].id,)
    assert "in queue nobody, which no worker reads" in verdict.summary
    assert "-Q nobody" in verdict.remedy
    assert [listed.chord_id for listed in watch.list(health="hung")] == [chord.chord_id]


@pytest.mark.usefixtures("worker")
def test_a_finished_chord_is_done(app: Celery, watch: Watch) -> None:
    """Celery has deleted the chord's counters by now; the stored results still tell of it."""
    result = send(app)
    chord = seen(watch, group_of(result), lambda chord: chord.state != "open")

    assert (chord.state, chord.health, chord.counted) == ("succeeded", "done", 2)
    assert chord.callback.state == "succeeded"
    assert watch.list(health="open") == []
    assert [listed.chord_id for listed in watch.list(health="done")] == [chord.chord_id]
