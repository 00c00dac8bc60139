"""What is lost when the kernel kills a busy pool child: transitions that tasks wrote down and the store never saw.

The tasks of a chord write to a file when they start and when they are about to end. In the midst of it the child
gets SIGKILL; the worker goes on with a new one. Of the killed child's tasks all but the one it was in the midst of
are asked for: those had started and ended as far as Celery is concerned.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from pathlib import Path

from benchmarks.cpu import tree
from benchmarks.figures import Figure, Spread
from benchmarks.scene import Scene, scene
from benchmarks.variants import CHORDWATCH
from tests.support.polling import wait_until

SIZE = 600
#: A no-op chord of this size keeps one child busy for longer than this.
LATEST_KILL_SECONDS = 0.4
SETTLE_SECONDS = 1.0


def measure_killed(kills: int) -> list[Figure]:
    """Return how many transitions each kill lost, and of how many."""
    with scene() as opened:
        seen = opened.processes.folder / "seen"
        worker = opened.worker(CHORDWATCH, "bench", BENCHMARK_SEEN=str(seen)).pid
        opened.producer(CHORDWATCH)
        counted = [_kill(opened, worker, seen) for _ in range(kills)]
    return [
        Figure(
            group="SIGKILL of a busy child",
            what=what,
            variant=CHORDWATCH,
            unit=f"transitions per kill, {kills} kills [min - max]",
            spread=Spread.range(values),
        )
        for what, values in (
            ("written by the killed child's tasks", [written for written, _ in counted]),
            ("lost", [lost for _, lost in counted]),
        )
    ]


def _kill(opened: Scene, worker: int, seen: Path) -> tuple[int, int]:
    seen.write_text("")
    child = tree(worker)[1]
    _, [(group, _)] = opened.producers[0].publish(1, SIZE, header_queue="held", queue="bench", task="witness")
    opened.broker.rename("held", "bench")
    wait_until(seen.read_text, "the first task starts")
    time.sleep(random.uniform(0.1, LATEST_KILL_SECONDS))
    os.kill(child, signal.SIGKILL)
    # The callback may never come: Celery can lose a part whose child dies between its result and its count.
    wait_until(lambda: _finished(seen) >= SIZE - 1, "a new child runs the rest")
    time.sleep(SETTLE_SECONDS)
    written = [(moment, task_id) for pid, moment, task_id in _lines(seen) if int(pid) == child]
    assert 0 < len(written) < 2 * SIZE, "the child was not killed in the midst of the chord"
    last = written[-1][1]
    done = [(moment, task_id) for moment, task_id in written if task_id != last]
    known = _known(opened, group)
    return len(done), len(set(done) - known)


def _lines(seen: Path) -> list[list[str]]:
    return [line.split() for line in seen.read_text().splitlines()]


def _finished(seen: Path) -> int:
    return sum(moment == "finished" for _, moment, _ in _lines(seen))


def _known(opened: Scene, group: str) -> set[tuple[str, str]]:
    """Return which starts and ends of the chord's header tasks the store knows."""
    with contextlib.closing(opened.store()) as store:
        recorded = store.get(group)
    assert recorded is not None, "the store does not know the chord"
    return {
        (moment, task.task_id)
        for task in recorded.chord.header
        for moment, at in (("started", task.started_at), ("finished", task.finished_at))
        if at is not None and task.task_id is not None
    }
