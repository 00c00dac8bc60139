"""A stranger's project with one added line, under every pool that Celery has."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from chordwatch.model import Callback, HeaderTask
from chordwatch.store.protocol import RecordedChord
from tests.support.noted import NOTED_LATE
from tests.support.polling import wait_until
from tests.support.pools import pools
from tests.support.servers import Processes, RedisServer
from tests.support.workflows.foreign import Shop

POOLS = {
    "prefork": ("-P", "prefork", "-c", "2"),
    "threads": ("-P", "threads", "-c", "4"),
    "solo": ("-P", "solo"),
    "gevent": ("-P", "gevent", "-c", "10"),
    "eventlet": ("-P", "eventlet", "-c", "10"),
}
#: Longer than any test: what arrives was flushed because the process ended.
NEVER = {"CHORDWATCH_FLUSH_INTERVAL": "60"}


@pytest.fixture
def shop(tmp_path: Path, redis: RedisServer, processes: Processes) -> Shop:
    return Shop(tmp_path, redis, processes)


def succeeded(shop: Shop, chord_id: str) -> RecordedChord:
    """Wait until the chord is recorded as succeeded."""
    with shop.recorded() as store:

        def found() -> RecordedChord | None:
            seen = store.get(chord_id)
            return seen if seen and seen.chord.state == "succeeded" else None

        seen = wait_until(found, f"chord {chord_id} is recorded as succeeded", 30.0)
        assert seen
        assert dict(store.counters().dropped) == {}
    return seen


def went_through(task: HeaderTask | Callback, worker: str) -> bool:
    """Tell whether every time of a task is known and in order."""
    if task.published_at is None or task.started_at is None or task.finished_at is None:
        return False
    in_order = task.published_at - NOTED_LATE <= task.started_at <= task.finished_at
    return in_order and task.worker == worker and task.state == "succeeded"


@pytest.mark.parametrize("pool", pools(*POOLS))
def test_a_chord_is_recorded_whole_and_nothing_is_lost_at_shutdown(shop: Shop, pool: str) -> None:
    worker = shop.worker(*POOLS[pool], **NEVER)
    chord_id = shop.send(5, 0.1, **NEVER)
    wait_until(lambda: "shop.tasks.total[" in shop.processes.log("shop"), "the callback is received")

    worker.terminate()

    assert worker.wait(90) == 0, shop.processes.log("shop")
    seen = succeeded(shop, chord_id).chord
    assert (seen.size, seen.counted, seen.missing) == (5, 5, ())
    assert [task.index for task in seen.header] == [0, 1, 2, 3, 4]
    assert [went_through(task, "shop@here") for task in seen.header] == [True] * 5
    assert {task.name for task in seen.header} == {"shop.tasks.price"}
    assert all(len(task.attempts) == 1 and task.attempts[0].received_at for task in seen.header)
    assert went_through(seen.callback, "shop@here")
    assert seen.callback.name == "shop.tasks.total"
    assert "Traceback" not in shop.processes.log("shop")


@pytest.mark.parametrize("pool", pools(*POOLS))
def test_chords_are_tracked_live_and_leak_neither_threads_nor_files(shop: Shop, pool: str) -> None:
    worker = shop.worker(*POOLS[pool])
    history = [held(worker)]

    def stays() -> bool:
        """Play some chords; a pool child opens what it needs at its first task, and at its first callback."""
        for _ in range(3):
            succeeded(shop, shop.send(10))
        history.append(held(worker))
        return len(history) > 4 and all(history[-1][what] <= history[-4][what] for what in history[-1])

    wait_until(stays, "nothing more is held from chord to chord", 60.0)


def held(worker: subprocess.Popen[bytes]) -> dict[str, int]:
    """Return how many files and threads the processes of a worker hold."""
    pids = [worker.pid, *children_of(worker.pid)]
    return {
        "files": sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids),
        "threads": sum(len(list(Path(f"/proc/{pid}/task").iterdir())) for pid in pids),
    }


def children_of(pid: int) -> list[int]:
    """Return the process ids of the children."""
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in listed.split()]
