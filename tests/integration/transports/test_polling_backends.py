"""Result backends that do not count: `celery.chord_unlock` polls, and its message tells the chord even bare."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.transports.elsewhere import FOR_EVER, Elsewhere, Sent, causes, named
from tests.support.servers import Processes, RedisServer

pytestmark = pytest.mark.faults

ADD = ("add", 1, 1, None)


def backend(processes: Processes, kind: str) -> str:
    """Return where results are kept."""
    if kind == "sql":
        return f"db+sqlite:///{processes.folder}/results.db"
    (processes.folder / "results").mkdir()
    return f"file://{processes.folder}/results"


@pytest.fixture(params=["files", "sql"])
def place(request: pytest.FixtureRequest, processes: Processes, redis: RedisServer) -> Elsewhere:
    """An instrumented installation with results in files, a bare one with results in SQL; each with a worker."""
    store = redis.url(2) if request.param == "files" else None
    place = Elsewhere(processes, redis.url(0), backend(processes, request.param), store=store)
    place.worker(concurrency=3)
    return place


def verdict(chord: dict[str, Any], cause: str) -> dict[str, Any]:
    """Return the chord's verdict of this cause."""
    (found,) = [each for each in chord["verdicts"] if each["cause"] == cause]
    return dict(found)


def polled(place: Elsewhere, sent: Sent) -> dict[str, Any]:
    """Return the chord when the poll that never ends is named."""
    chord = place.explained_when(sent, lambda chord: "unlock_polling" in causes(chord), "the poll is named")
    found = verdict(chord, "unlock_polling")
    assert found["outcome"] == "looping"
    assert found["tasks"] == [sent.header[1]]
    assert found["certain"] is place.instrumented
    return chord


def test_what_polls_for_ever_is_named_and_what_runs_is_not(place: Elsewhere) -> None:
    running = place.send(ADD, ("nap", FOR_EVER, None))
    quiet = place.send(ADD, ("quiet", 1, None))
    ignoring = place.send(ADD, ("ignore", None))
    unread = place.send(ADD, ADD, body="nobody")

    for sent in (quiet, ignoring):
        chord = polled(place, sent)
        assert (chord["size"], chord["counted"]) == (2, 1)
    chord = place.explained_when(unread, named("callback_queue_unconsumed"), "the callback's queue is named")
    assert "celery.chord_unlock" in chord["verdicts"][0]["summary"]
    assert "queue nobody" in chord["verdicts"][0]["summary"]
    # By now it has been polled as often as the others.
    chord = place.explained(running)
    assert (chord["health"], causes(chord)) == ("ok", ["header_running"])
    assert [task["task_id"] for task in chord["header"]] == running.header
    for wanted in (running.callback_id, running.header[1]):
        assert running.chord_id in place.chords("show", wanted).stdout


def test_the_commands_work_and_say_in_one_sentence_what_is_not_to_be_had(place: Elsewhere) -> None:
    sent = place.send(ADD, ADD)
    if place.instrumented:
        place.explained_when(sent, lambda chord: chord["health"] == "done", "the chord is done")

    for command in ("list", "check"):
        done = place.chords(command)
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("does not count parts") == 1


def test_a_chord_whose_results_are_in_sql_and_that_failed_is_known_from_its_record(
    processes: Processes, redis: RedisServer
) -> None:
    place = Elsewhere(processes, redis.url(0), backend(processes, "sql"), store=redis.url(2))
    place.worker()
    sent = place.send(ADD, ("boom", None))

    chord = place.explained_when(sent, named("header_failed"), "the error is named")

    assert "ValueError: boom" in chord["verdicts"][0]["summary"]
