"""What the readers of broker and result backend learn of a real Redis, and what a kept look makes of it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from celery import Celery
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from chordwatch.errors import UnreachableError
from chordwatch.evidence.backend import BackendReader
from chordwatch.evidence.broker import BrokerReader
from chordwatch.evidence.budget import Gaps
from chordwatch.evidence.facts import Server
from chordwatch.watch.servers import ServerMemory
from tests.support.polling import wait_until
from tests.support.servers import Processes, RedisServer, redis_binary


class Looks:
    """Looks again and again at the Redis that is broker and result backend."""

    def __init__(self, broker: str, backend: str) -> None:
        self._app = Celery("looks", broker=broker, backend=backend, set_as_current=False)
        self.backend, self.broker = BackendReader(self._app), BrokerReader(self._app)
        self._memory = ServerMemory()
        self.gaps = Gaps()

    def both(self) -> tuple[Server, Server]:
        """Return what broker and backend say now."""
        return self.broker.info(self.gaps), self.backend.info(self.gaps)

    def kinds(self) -> list[str]:
        """Look at the backend; return the kinds of all changes so far."""
        seen = self._memory.update("backend", self.backend.info(self.gaps), time.time())
        return [change.kind for change in seen.changes]

    def close(self) -> None:
        """Give the connections back."""
        self.broker.close()
        self._app.close()


@pytest.fixture
def server(processes: Processes) -> Iterator[RedisServer]:
    server = RedisServer(processes)
    yield server
    server.close()


@pytest.fixture
def looks(server: RedisServer) -> Iterator[Looks]:
    looks = Looks(server.url(0), server.url(1))
    yield looks
    looks.close()


def start_again(server: RedisServer, processes: Processes) -> None:
    """End the server and start another one in its place."""
    server.process.terminate()
    server.process.wait(90)
    place = ("--port", str(server.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(processes.folder))
    processes.start("again", redis_binary(), *place)
    wait_until(lambda: answers(server.backend), "Redis answers again")


def uptime(server: RedisServer) -> int:
    return int(server.backend.info("server")["uptime_in_seconds"])


def answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except RedisConnectionError:
        return False


def test_both_readers_tell_of_their_server(looks: Looks, server: RedisServer) -> None:
    told = server.broker.info("server")
    for seen in looks.both():
        assert (seen.run_id, seen.role) == (told["run_id"], "master")
        assert seen.started_at == pytest.approx(time.time() - told["uptime_in_seconds"], abs=3)
        assert (seen.evicted_keys, seen.flushes, seen.maxmemory) == (0, 0, 0)
        assert (seen.maxmemory_policy, seen.persistent, seen.changes) == ("noeviction", None, ())
    assert looks.gaps.lines() == ()
    assert looks.kinds() == looks.kinds() == []


def test_flushes_are_counted_and_noticed(looks: Looks, server: RedisServer) -> None:
    server.backend.flushdb()
    assert looks.kinds() == []
    server.broker.flushall()
    server.backend.flushdb()

    assert [seen.flushes for seen in looks.both()] == [3, 3]
    assert looks.kinds() == looks.kinds() == ["flushed"]


def test_a_flush_inside_a_script_is_noticed_too(looks: Looks, server: RedisServer) -> None:
    looks.kinds()
    server.backend.eval("redis.call('FLUSHDB')", 0)

    assert looks.kinds() == ["flushed"]


def test_evictions_are_noticed(looks: Looks, server: RedisServer) -> None:
    looks.kinds()
    server.backend.config_set("maxmemory-policy", "allkeys-random")
    limit = server.backend.info("memory")["used_memory"] + 500_000
    server.backend.config_set("maxmemory", limit)
    for number in range(300):
        server.backend.set(f"filler-{number}", b"x" * 10_000)
    evicted = server.backend.info("stats")["evicted_keys"]
    _, seen = looks.both()

    assert (seen.evicted_keys or 0) >= evicted > 0  # a full server evicts for a reader's connection too
    assert (seen.maxmemory_policy, seen.maxmemory) == ("allkeys-random", limit)
    assert looks.kinds() == ["evicted"]


def test_a_restart_is_noticed(looks: Looks, server: RedisServer, processes: Processes) -> None:
    looks.kinds()
    before = looks.backend.info(looks.gaps)
    wait_until(lambda: uptime(server) >= 3, "uptime, told in whole seconds, differs clearly")
    start_again(server, processes)
    after = looks.backend.info(looks.gaps)

    assert before.run_id != after.run_id
    assert (after.started_at or 0) - (before.started_at or 0) >= 2
    assert looks.kinds() == looks.kinds() == ["restarted"]


def test_a_master_that_becomes_a_replica_is_noticed(looks: Looks, server: RedisServer) -> None:
    looks.kinds()
    server.backend.replicaof("127.0.0.1", str(server.port + 1))

    assert looks.both()[1].role == "slave"
    assert looks.kinds() == ["role_changed"]


def test_what_outlives_a_restart_is_known_where_it_shows(looks: Looks, server: RedisServer) -> None:
    wait_until(lambda: uptime(server) >= 4, "the start, which Redis takes for a save, is past")
    server.backend.save()
    assert [seen.persistent for seen in looks.both()] == [True, True]


def test_an_append_only_file_outlives_a_restart(processes: Processes) -> None:
    server = RedisServer(processes, "--appendonly", "yes")
    looks = Looks(server.url(0), server.url(1))

    assert [seen.persistent for seen in looks.both()] == [True, True]
    looks.close()
    server.close()


def test_a_user_who_may_not_ask_info_is_told_once_of_each_server(server: RedisServer) -> None:
    server.broker.execute_command("ACL", "SETUSER", "few", "on", ">open-sesame", "~*", "&*", "+@all", "-info")
    place = f"redis://few:open-sesame@127.0.0.1:{server.port}"
    looks = Looks(f"{place}/0", f"{place}/1")

    assert looks.both() == looks.both() == (Server(), Server())
    assert looks.kinds() == []
    said = looks.gaps.lines()
    assert [line.partition(" at ")[0] for line in said] == ["The broker", "The result backend"]
    assert all("refuses INFO" in line and "open-sesame" not in line for line in said)
    assert not looks.gaps.partial
    looks.close()


def test_a_server_that_is_away_is_unreachable(looks: Looks, server: RedisServer) -> None:
    looks.both()
    server.process.terminate()
    server.process.wait(90)

    for reader in (looks.broker, looks.backend):
        with pytest.raises(UnreachableError, match="does not answer"):
            reader.info(looks.gaps)
    assert looks.gaps.lines() == ()
