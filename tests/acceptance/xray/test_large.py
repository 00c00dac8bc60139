"""Large installations: the answer comes in seconds, and Redis is blocked for no more than milliseconds."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator

import pytest
from redis import Redis

from tests.acceptance.xray.planted import plant_header
from tests.integration.xray.stranger import finish, start_chords
from tests.support.servers import Processes, RedisServer, clean_environment

FOREIGN = 2_000_000
HEADER, COUNTED = 100_000, 60_000
#: One command of ours may occupy Redis for so long.
BLOCKED_MICROSECONDS = 10_000


@pytest.fixture
def server(processes: Processes) -> Iterator[RedisServer]:
    """A Redis of the test's own, which tells slow commands."""
    server = RedisServer(processes, "--slowlog-log-slower-than", str(BLOCKED_MICROSECONDS))
    yield server
    server.close()


def timed(
    server: RedisServer, *arguments: str, limit: float, look: str = "3"
) -> tuple[subprocess.CompletedProcess[str], float]:
    """Run a command; return it and the seconds it took, the best of three where the machine is busy."""
    for attempt in range(3):
        done, took = timed_once(server, look, *arguments)
        if took < limit or attempt == 2:
            break
    return done, took


def timed_once(
    server: RedisServer, look: str, *arguments: str
) -> tuple[subprocess.CompletedProcess[str], float]:
    """Run a command; return it and the seconds it took."""
    env = clean_environment(CHORDWATCH_LOOK_SECONDS=look)
    server.broker.slowlog_reset()
    started = time.monotonic()
    done = finish(start_chords(server.url(0), server.url(1), *arguments, env=env))
    took = time.monotonic() - started
    print(f"{' '.join(arguments)}: {took:.1f} s; {done.stderr}")
    assert "Traceback" not in done.stderr
    return done, took


def blocking(client: Redis) -> list[tuple[int, bytes]]:
    """Return the commands that blocked Redis for too long since the last command of ours began."""
    return [(entry["duration"], entry["command"][:80]) for entry in client.slowlog_get(100)]


def test_two_million_foreign_keys_are_no_reason_to_wait(server: RedisServer) -> None:
    server.backend.execute_command("DEBUG", "POPULATE", FOREIGN, "foreign", 10)
    plant_header(server.broker, server.backend, "needle", 3, 1)
    assert blocking(server.broker), "populating blocks Redis, and it tells"
    assert server.backend.dbsize() > FOREIGN
    done, took = unblocking(server, "list", "--format", "json")
    chords = json.loads(done.stdout)

    assert done.returncode == 0
    assert took < 5
    assert [chord["chord_id"] for chord in chords] == ["needle"]  # its messages tell, whatever SCAN met
    shown, took = unblocking(server, "show", "needle", "--format", "json")
    assert took < 5
    assert json.loads(shown.stdout)["counted"] == 1


def unblocking(server: RedisServer, *arguments: str) -> tuple[subprocess.CompletedProcess[str], float]:
    """Return a look in which no command blocked Redis, the best of three.

    SLOWLOG counts the time in which other tests' processes had the two cores; a command of ours that is too long is
    too long each time.
    """
    for _ in range(3):
        done, took = timed(server, *arguments, limit=5)
        slow = blocking(server.broker)
        if not slow:
            break
    assert slow == []
    return done, took


def test_what_time_did_not_suffice_for_is_said(server: RedisServer) -> None:
    server.backend.execute_command("DEBUG", "POPULATE", 500_000, "foreign", 10)
    server.broker.slowlog_reset()
    env = clean_environment(CHORDWATCH_LOOK_SECONDS="0.2")
    done = finish(start_chords(server.url(0), server.url(1), "list", "--format", "json", env=env))

    assert done.returncode == 0
    assert json.loads(done.stdout) == []
    assert "Time ran out before all keys of the result backend were looked at" in done.stderr
    assert "CHORDWATCH_LOOK_SECONDS" in done.stderr
    assert blocking(server.broker) == []


def test_a_header_of_a_hundred_thousand_tasks_is_listed_and_shown(server: RedisServer) -> None:
    plant_header(server.broker, server.backend, "giant", HEADER, COUNTED)
    listed, list_took = timed(server, "list", "--format", "json", limit=5)
    slow_list = blocking(server.broker)
    shown, show_took = timed(server, "show", "giant", "--format", "json", limit=15, look="10")
    slow_show = blocking(server.broker)
    table, table_took = timed(server, "show", "task-099999", limit=15, look="10")
    found = json.loads(listed.stdout)[0]
    seen = json.loads(shown.stdout)

    assert (listed.returncode, shown.returncode, table.returncode) == (0, 0, 0)
    assert (found["size"], found["counted"], len(found["missing"])) == (HEADER, COUNTED, HEADER - COUNTED)
    assert (seen["size"], seen["counted"]) == (HEADER, COUNTED)
    assert sorted(gap["index"] for gap in seen["missing"]) == list(range(COUNTED, HEADER))
    assert sum(part["counted"] for part in seen["header"]) == COUNTED
    assert list_took < 5
    assert max(show_took, table_took) < 15
    assert "giant" in table.stdout
    assert len(table.stdout) < 50_000
    assert (slow_list, slow_show) == ([], [])
