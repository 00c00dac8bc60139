"""10,000 open chords, 1,000 of them stuck: all are named, no other is, at a bounded price."""

from __future__ import annotations

import base64
import json
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from celery import Celery
from redis.client import PubSub

from chordwatch.service.changes import Change
from chordwatch.service.judge import Judge
from chordwatch.settings import Settings, read_settings
from chordwatch.store import open_store
from chordwatch.watch import Look, Watch
from chordwatch.watch.watch import ASK_WORKERS_EVERY
from tests.acceptance.diagnosis.crowd import CAUSES, Crowd
from tests.support.pace import slowed, within
from tests.support.polling import wait_until
from tests.support.servers import Processes, RedisServer
from tests.support.slow_commands import REMEMBERING, CommandTimes

CHORDS, STUCK = 10_000, 1_000
#: The default.
LOOK_SECONDS = 3.0
CPU_SECONDS = 10.0


class Monitor:
    """What the monitor does in one cycle, in this process."""

    def __init__(self, server: RedisServer, **settings: float) -> None:
        self.app = Celery("monitor", broker=server.url(0), backend=server.url(1), set_as_current=False)
        self.settings: Settings = read_settings(self.app.conf, **settings)
        self.watch = Watch(self.app, self.settings)
        self.told: list[Change] = []
        self.judge = Judge(
            lambda: open_store(self.settings, self.app, client_name="chordwatch:monitor"),
            keep=3600,
            tell=self.told.append,
            errors=Counter(),
        )

    def cycle(self) -> tuple[Look, float]:
        """Take one look and judge it; return it and the seconds of CPU that took."""
        begun = time.process_time()
        look = self.watch.look(health="all", limit=None)
        self.judge.judge(look)
        return look, time.process_time() - begun

    def close(self) -> None:
        """Give all connections back."""
        self.watch.close()
        self.judge.close()
        self.app.backend.client.connection_pool.disconnect()
        self.app.close()


@pytest.fixture
def server(processes: Processes) -> Iterator[RedisServer]:
    """A Redis of the test's own, which tells what each command took."""
    server = RedisServer(processes, *REMEMBERING)
    yield server
    server.close()


@pytest.fixture
def crowd(server: RedisServer) -> Iterator[Crowd]:
    """The chords' keys, messages, records and heartbeats."""
    crowd = Crowd(server)
    yield crowd
    crowd.close()


def named(look: Look) -> dict[str, set[str]]:
    """Return the causes of each chord that is not well, by chord id."""
    return {
        chord.chord_id: {v.cause for v in chord.verdicts if v.outcome not in ("ok", "waiting")}
        for chord in look.chords
        if chord.health not in ("ok", "waiting", "done")
    }


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_thousand_stuck_chords_among_ten_thousand_are_named_at_a_bounded_price(
    server: RedisServer, crowd: Crowd
) -> None:
    crowd.plant(CHORDS)
    asked = server.broker.pubsub()
    asked.psubscribe("*celery.pidbox*")
    monitor = Monitor(server, look_seconds=slowed(LOOK_SECONDS))
    begun = time.monotonic()
    commands = CommandTimes(server.broker)
    spent: list[float] = []

    def all_named() -> bool:
        look, seconds = monitor.cycle()
        spent.append(seconds)
        found = named(look)
        healthy = {id_: causes for id_, causes in found.items() if id_ not in crowd.stuck}
        assert healthy == {}, "a healthy chord was called stuck"
        return not look.partial and found.keys() == crowd.stuck.keys()

    with crowd.beating():
        wait_until(all_named, "all that are stuck are named", slowed(120))
        steady: list[float] = []
        for _ in range(2):
            look, seconds = monitor.cycle()
            steady.append(seconds)
    slow = commands.slow()
    took = time.monotonic() - begun
    monitor.close()

    print(f"CPU seconds until all were named {spent}, then {steady}; slow {slow}; {took:.0f} s")
    assert len(crowd.stuck) == STUCK
    found = named(look)
    wrong = {id_: found.get(id_) for id_, kind in crowd.stuck.items() if found.get(id_) != {CAUSES[kind]}}
    assert wrong == {}
    assert found.keys() == crowd.stuck.keys()
    assert {change.chord.chord_id for change in monitor.told} == crowd.stuck.keys()
    assert within(min(steady), CPU_SECONDS)
    assert slow == set()
    questions = Counter(broadcast(asked))
    print(questions)
    assert set(questions) >= {"active", "active_queues"}
    assert max(questions.values()) <= 1 + took // ASK_WORKERS_EVERY


def broadcast(asked: PubSub) -> Iterator[str]:
    """Yield the names of the questions that were put to all workers."""
    while message := asked.get_message(timeout=1):
        if message["type"] == "pmessage":
            body = json.loads(message["data"])["body"]
            yield json.loads(base64.b64decode(body))["method"]


def test_a_look_without_time_for_all_keys_says_so_and_calls_nobody_stuck(
    server: RedisServer, crowd: Crowd
) -> None:
    crowd.plant(1_000)
    monitor = Monitor(server, look_seconds=0.1)
    with crowd.beating():
        looks = [monitor.cycle()[0] for _ in range(3)]
    monitor.close()

    assert looks[0].partial
    assert any("Time ran out after" in line for line in looks[0].gaps)
    for look in looks:
        assert len(look.chords) == 1_000
        assert named(look).keys() <= crowd.stuck.keys()
