"""Where a task runs, of which the X-ray sees nothing: its message is acknowledged, and its worker may be silent."""

from __future__ import annotations

from typing import Any

from tests.integration.recorded.conftest import Installation
from tests.support.polling import wait_until
from tests.support.servers import kill

LONG = 300.0


def running(installation: Installation, chord_id: str) -> dict[str, Any]:
    """Return the chord once its first task is known to have started."""

    def shown() -> dict[str, Any] | None:
        chord: dict[str, Any] = installation.chords("show", chord_id, bare=True)
        return chord if chord["header"][0]["state"] == "started" else None

    found = wait_until(shown, "the first task has started")
    assert found
    return found


def causes(chord: dict[str, Any]) -> list[str]:
    return [verdict["cause"] for verdict in chord["verdicts"]]


def test_a_task_on_a_worker_too_busy_to_answer_is_running(installation: Installation) -> None:
    worker = installation.worker(concurrency=1, pool="solo")
    chord_id, _, header = installation.publish(2, LONG)
    chord = running(installation, chord_id)

    assert chord["header"][0]["worker"] == "w1@here"
    assert chord["header"][0]["started_at"] is not None
    assert "header_running" in causes(chord)
    running_verdict = chord["verdicts"][causes(chord).index("header_running")]
    assert running_verdict["tasks"] == [header[0]]
    assert running_verdict["summary"] == "1 task runs on w1@here."
    kill(worker)


def test_a_task_whose_worker_was_killed_is_not_said_to_run(installation: Installation) -> None:
    worker = installation.worker(concurrency=1)
    chord_id, _, _ = installation.publish(1, LONG)
    alive = running(installation, chord_id)
    kill(worker)
    dead = installation.chords("show", chord_id)

    assert causes(alive) == ["header_running"]
    assert (dead["state"], dead["health"], dead["verdicts"]) == ("open", "ok", [])
    assert dead["header"][0]["worker"] == "w1@here"
