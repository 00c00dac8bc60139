"""How soon a hung chord is named, by the monitor on default settings and by `explain`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.acceptance.diagnosis.installation import Installation, Monitor, moment_of
from tests.support.pace import within
from tests.support.polling import wait_until
from tests.support.servers import Processes, RedisServer, kill

#: They measure, and want the machine for themselves.
pytestmark = pytest.mark.soak

Install = Callable[[bool], Installation]
#: Seconds from the moment from which on it can be known.
INSTRUMENTED, BARE = 15.0, 150.0
EXPLAINED = 3.0


@pytest.fixture
def install(redis: RedisServer, processes: Processes) -> Iterator[Install]:
    """Make an installation with one worker of the default queue."""
    made: list[Installation] = []

    def install(instrumented: bool) -> Installation:
        made.append(Installation(redis, processes, instrumented=instrumented))
        made[-1].worker("main")
        return made[-1]

    yield install
    for installation in made:
        installation.close()


def causes(installation: Installation, chord_id: str) -> list[str]:
    """Return the causes that the monitor has named, the first one first."""
    judgement = installation.judged(chord_id)
    return [verdict.cause for verdict in judgement.chord.verdicts] if judgement else []


def named_at(installation: Installation, chord_id: str, cause: str, seconds: float) -> float:
    """Return when the monitor had named a cause for certain: then it is in the store."""

    def named() -> bool:
        judgement = installation.judged(chord_id)
        return bool(judgement) and any(v.cause == cause for v in judgement.chord.verdicts)

    return moment_of(named, f"{cause} is named", seconds)


def beaten_at(installation: Installation, node: str) -> float:
    """Return when a worker gave its last sign of life, by the store's clock."""
    return max(w.last_beat_at for w in installation.store.workers() if w.heartbeat.node == node)


def test_a_worker_that_is_killed_is_named_within_fifteen_seconds_of_its_last_heartbeat(
    install: Install,
) -> None:
    installation = install(True)
    doomed = installation.worker("doomed", "doomed")
    monitor = Monitor(installation)
    chord_id = installation.send("nap", "doomed")
    wait_until(lambda: "project.nap" in installation.processes.log("doomed"), "the task is received")
    wait_until(lambda: monitor.chord(chord_id), "the monitor has seen the chord")
    assert causes(installation, chord_id) == []
    kill(doomed)
    found = named_at(installation, chord_id, "worker_lost", 2 * INSTRUMENTED)
    monitor.close()

    took = found - beaten_at(installation, "doomed@here")
    print(f"worker_lost after {took:.1f} s")
    assert within(took, INSTRUMENTED)
    assert causes(installation, chord_id) == ["worker_lost"]
    assert chord_id in monitor.log()


def test_a_queue_that_nobody_reads_is_named_within_fifteen_seconds_of_the_publish(install: Install) -> None:
    installation = install(True)
    monitor = Monitor(installation)
    chord_id = installation.send("add", "nobody")
    recorded = installation.store.get(chord_id)
    assert recorded
    published = max(task.published_at or 0.0 for task in recorded.chord.header)
    found = named_at(installation, chord_id, "queue_unconsumed", 2 * INSTRUMENTED)
    monitor.close()

    print(f"queue_unconsumed after {found - published:.1f} s")
    assert within(found - published, INSTRUMENTED)
    assert causes(installation, chord_id) == ["queue_unconsumed"]


def test_without_instrumentation_both_are_named_within_two_and_a_half_minutes(install: Install) -> None:
    installation = install(False)
    doomed = installation.worker("doomed", "doomed")
    monitor = Monitor(installation)
    lost = installation.send("nap", "doomed")
    begun = moment_of(
        lambda: "project.nap" in installation.processes.log("doomed"), "the nap is received", 10
    )
    unread = installation.send("add", "nobody")
    kill(doomed)
    read_at = named_at(installation, unread, "queue_unconsumed", 2 * BARE)
    lost_at = named_at(installation, lost, "worker_lost", 2 * BARE)
    monitor.close()

    print(f"queue_unconsumed after {read_at - begun:.1f} s, worker_lost after {lost_at - begun:.1f} s")
    assert within(max(read_at, lost_at) - begun, BARE)
    assert causes(installation, unread) == ["queue_unconsumed"]


@pytest.mark.parametrize("instrumented", [True, False], ids=["instrumented", "bare"])
def test_explain_answers_within_three_seconds(install: Install, instrumented: bool) -> None:
    installation = install(instrumented)
    chord_id = installation.send("add", "nobody")
    took = []
    for _ in range(3):
        done, seconds = installation.chords("explain", chord_id)
        took.append(seconds)
        assert done.returncode == 0, done.stderr
        assert "queue_unconsumed" in done.stdout
        if seconds < EXPLAINED:
            break

    print(f"explain took {took} s")
    assert within(min(took), EXPLAINED)
