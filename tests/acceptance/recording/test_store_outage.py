"""The store goes away under load: no task fails or is late for it, what was lost is counted, and it comes back."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chordwatch.model import Chord
from chordwatch.store.protocol import Store
from tests.support.polling import wait_until
from tests.support.servers import Processes, RedisServer, clean_environment, redis_binary
from tests.support.workflows.foreign import Shop
from tests.support.workflows.recorded import open_store

PARTS = 5
CHORDS_PER_SECOND = 12
#: Seconds of load before, during and after the outage.
BEFORE, DURING, AFTER = 1.5, 4.0, 2.5
#: What a busy machine may do to one worker and not to the other.
RATIO, SECONDS = 3.0, 0.3

LOAD = """\
import os, sys, time

from celery import chord

from shop.app import app


def write(line):
    with open(os.environ["SHOP_JOURNAL"], "a") as journal:
        journal.write(line + "\\n")


@app.task
def part(sent):
    now = time.time()
    write(f"latency {now} {now - sent}")


@app.task
def done(_, sent):
    write(f"done {time.time()} {time.time() - sent}")


if __name__ == "__main__":
    from shop.load import done, part

    seconds, rate, parts = map(float, sys.argv[1:])
    start = time.time()
    for number in range(int(seconds * rate)):
        time.sleep(max(0.0, start + number / rate - time.time()))
        sent = time.time()
        chord_id = chord([part.s(sent) for _ in range(int(parts))], done.s(sent)).apply_async().parent.id
        write(f"publish {sent} {time.time() - sent} {chord_id}")
"""


class Load:
    """A project under load; reads its journal."""

    def __init__(self, shop: Shop, name: str, **extra: str) -> None:
        shop.add("load", LOAD)
        self.journal = shop.folder / "journal"
        self._environment = extra | {"SHOP_JOURNAL": str(self.journal)}
        options = ("-I", "shop.load", "-P", "threads", "-c", "4", "--without-gossip", "--without-mingle")
        self.worker = shop.worker(*options, name=name, **self._environment)
        self._shop, self._name = shop, name

    def start(self, seconds: float) -> subprocess.Popen[bytes]:
        """Start the publishing process."""
        arguments = (str(seconds), str(CHORDS_PER_SECOND), str(PARTS))
        return self._shop.processes.start(
            f"{self._name}-load",
            *(sys.executable, "-m", "shop.load", *arguments),
            cwd=self._shop.folder,
            env=clean_environment(**self._environment),
        )

    def lines(self, what: str) -> list[list[str]]:
        """Return the fields of all lines of a kind."""
        lines = self.journal.read_text().splitlines() if self.journal.exists() else []
        return [line.split()[1:] for line in lines if line.startswith(what)]

    def slowest(self, what: str) -> tuple[float, float]:
        """Return 99th percentile and maximum, in seconds."""
        seconds = sorted(float(fields[1]) for fields in self.lines(what))
        return seconds[int(len(seconds) * 0.99)], seconds[-1]

    def published(self) -> dict[str, float]:
        """Return when each chord was published, by its id."""
        return {fields[2]: float(fields[0]) for fields in self.lines("publish")}

    def log(self) -> str:
        """Return what the worker wrote."""
        return self._shop.processes.log(self._name)


class Outage:
    """A Redis of its own for the store, which can stand still, or end and come back empty on the same port."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self.server = RedisServer(processes)
        self._process = self.server.process

    @property
    def url(self) -> str:
        """The store's URL."""
        return self.server.url(0)

    def stand_still(self) -> None:
        """Stop it, with its connections open."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        """End it, with everything it knew."""
        self._process.kill()
        self._process.wait()

    def return_empty(self) -> None:
        """Start another one on its port."""
        options = ("--port", str(self.server.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
        self._process = self._processes.start(
            "redis-again", redis_binary(), *options, cwd=self._processes.folder
        )


@pytest.fixture
def outage(processes: Processes) -> Iterator[Outage]:
    outage = Outage(processes)
    yield outage
    outage.go_on()
    outage.server.close()


def under_load(
    folder: Path, redis: RedisServer, processes: Processes, outage: Outage, kind: str, **settings: str
) -> tuple[Load, float, float]:
    """Put an instrumented project and its control under load, with an outage; return when it began and ended."""
    loads = []
    for name, database, settings_of in (("watched", 0, settings), ("control", 2, {})):
        (folder / name).mkdir()
        shop = Shop(
            folder / name,
            redis,
            processes,
            instrumented=name == "watched",
            databases=(database, database + 1),
        )
        extra = {**settings_of, "CHORDWATCH_STORE_URL": outage.url} if name == "watched" else {}
        loads.append(Load(shop, name, **extra))
    producers = [load.start(BEFORE + DURING + AFTER) for load in loads]
    wait_until(lambda: all(load.published() for load in loads), "both loads are under way", 60)
    began, ended = fail_for_a_while(outage, kind)
    assert [producer.wait(60) for producer in producers] == [0, 0]
    for load in loads:
        wait_until(lambda load=load: len(load.lines("done")) == len(load.published()), "all chords are done")
    watched, control = loads
    for what in ("latency", "done", "publish"):
        for mine, its in zip(watched.slowest(what), control.slowest(what), strict=True):
            assert mine <= RATIO * its + SECONDS, (what, watched.slowest(what), control.slowest(what))
    return watched, began, ended


def fail_for_a_while(outage: Outage, kind: str) -> tuple[float, float]:
    """Let the store fail; return when it began and ended."""
    time.sleep(BEFORE)  # the load goes on meanwhile
    began = time.time()
    {"stands still": outage.stand_still, "is gone": outage.end}[kind]()
    time.sleep(DURING)
    {"stands still": outage.go_on, "is gone": outage.return_empty}[kind]()
    return began, time.time()


def whole(chord: Chord | None) -> bool:
    """Tell whether a chord is recorded from its first to its last moment."""
    if chord is None or chord.state != "succeeded" or (chord.size, chord.counted) != (PARTS, PARTS):
        return False
    tasks = (*chord.header, chord.callback)
    return len(chord.header) == PARTS and all(
        task.published_at and task.started_at and task.finished_at and task.worker == "watched@here"
        for task in tasks
    )


def recorded(store: Store, chord_id: str) -> Chord | None:
    found = store.get(chord_id)
    return found.chord if found else None


@pytest.mark.parametrize("kind", ["stands still", "is gone"])
def test_no_task_is_late_for_a_store_that_fails_and_what_happened_meanwhile_is_told_later(
    tmp_path: Path, redis: RedisServer, processes: Processes, outage: Outage, kind: str
) -> None:
    watched, began, _ = under_load(tmp_path, redis, processes, outage, kind)

    chords = watched.published()
    # A store that comes back empty has forgotten what it knew, and nobody can tell it again.
    told = [name for name, at in chords.items() if kind == "stands still" or at > began]
    assert len(told) > CHORDS_PER_SECOND * DURING
    with open_store(outage.url) as store:
        missed: list[str] = []

        def all_whole() -> bool:
            missed[:] = [name for name in told if not whole(recorded(store, name))]
            return not missed

        wait_until(all_whole, "every chord is recorded whole", 20.0)
        assert dict(store.counters().dropped) == {}
    assert "Traceback" not in watched.log()


def test_what_a_small_buffer_lost_is_counted_and_later_chords_are_right(
    tmp_path: Path, redis: RedisServer, processes: Processes, outage: Outage
) -> None:
    watched, _, ended = under_load(
        tmp_path, redis, processes, outage, "stands still", CHORDWATCH_BUFFER_SIZE="100"
    )

    chords = watched.published()
    later = [name for name, at in chords.items() if at > ended + 1.0]
    assert later
    with open_store(outage.url) as store:
        wait_until(
            lambda: all(whole(recorded(store, name)) for name in later), "later chords are whole", 20.0
        )
        lost = sum(records_missed(recorded(store, name)) for name in chords)
        dropped = sum(store.counters().dropped.values())
    assert (
        0 < lost <= dropped <= 1.5 * lost
    )  # facts of chords, and that a callback was received, are lost unseen


def records_missed(chord: Chord | None) -> int:
    """Return how many records of a chord's tasks are not known: published, received (of parts), ended."""
    if chord is None:
        return 3 * PARTS + 2
    parts = [task for task in chord.header if task.attempts]
    seen = sum(bool(task.published_at) + bool(task.finished_at) for task in (*parts, chord.callback))
    return 3 * PARTS + 2 - seen - sum(bool(task.attempts[0].received_at) for task in parts)
