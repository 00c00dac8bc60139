"""What only the store in Redis can get wrong: foreign data, keys left behind, connections, servers that refuse."""

from __future__ import annotations

import random
import time
from contextlib import suppress

import pytest
from redis import Redis
from redis.crc import key_slot
from redis.exceptions import ResponseError

from chordwatch.errors import UnreachableError
from chordwatch.recording.records import Heartbeat
from chordwatch.store.keys import Keys
from chordwatch.store.protocol import Store
from chordwatch.store.redis_store import RedisStore
from tests.contract.batches import CALLBACK, Process, callback, ended, new_id, published, run_chord
from tests.contract.conftest import OpenStore
from tests.support.polling import wait_until
from tests.support.servers import Processes, RedisServer

NOW = time.time() - 100
BEAT = Heartbeat(node="one@host", boot="b1", pid=7, queues=("celery",), concurrency=4, pool="prefork")
#: What a test may leave: what all chords share.
SHARED = {b"m", b"k", b"callbacks", b"pairs"}


def fill(store: Store) -> list[str]:
    """Record a bit of everything; return ids."""
    store.beat(BEAT)
    chord_id, callback_id, tasks = run_chord(store, size=150, at=NOW)
    opened, retried = new_id(), new_id()
    worker = Process(store, boot="worker")
    worker.send(opened, [published(new_id(), NOW, index=0)], n=2, c=callback(new_id()))
    worker.send(opened, [ended(retried, NOW + 1, index=200, started=NOW, error="OSError")])
    worker.send(new_id(), [published(new_id(), NOW)], u=1)
    return [chord_id, callback_id, tasks[140], opened, retried]


def read_everything(store: Store, ids: list[str]) -> None:
    """Call every reader."""
    for known in ids:
        store.get(known)
    store.chords(ids)
    store.open_chords()
    store.finished_chords()
    store.open_counts()
    store.counters()
    store.workers()
    store.connections()
    store.state()


def keys(redis: Redis) -> list[bytes]:
    """Return all keys, but only some of the index's many buckets."""
    return [key for key in redis.scan_iter(count=1000) if b":i:" not in key or key.endswith(b"77")]


def plant(redis: Redis, key: bytes, kind: str) -> None:
    """Put foreign data of some type in a key's place."""
    redis.delete(key)
    if kind == "string":
        redis.set(key, b"\xff\x00foreign" * 30)
    elif kind == "empty":
        redis.set(key, b"")
    elif kind == "list":
        redis.rpush(key, b"foreign", b"\xff" * 30)
    elif kind == "hash":
        redis.hset(
            key, mapping={b"foreign": b"\xff", b"p1": b"\x07", b"p2": b"", b"#1": b"\xff", b"g1": b"x"}
        )
    elif kind == "set":
        redis.sadd(key, b"foreign", b"\xff" * 30)
    else:
        redis.zadd(key, {b"foreign": 1.0, b"\xff" * 30: 2.0})
    redis.expire(key, 1000)


@pytest.mark.parametrize("kind", ["string", "empty", "list", "hash", "set", "zset"])
def test_foreign_data_in_any_key_stops_nothing(
    kind: str, open_redis_store: OpenStore, redis: RedisServer
) -> None:
    store = open_redis_store()
    ids = fill(store)
    wait_until(lambda: store.counters().finished, "a chord settles")
    for key in keys(redis.broker):
        plant(redis.broker, key, kind)
        read_everything(store, ids)
        fresh, _, tasks = run_chord(store, size=2, at=NOW)
        assert store.get(fresh).chord.state == "succeeded", key
        assert store.get(tasks[1]).chord.chord_id == fresh, key
        store.beat(BEAT)
        read_everything(store, ids)
        ids = fill(store)


# A spoilt size makes a header of 200,000 parts: by chance in many of the 40 rounds.
@pytest.mark.parametrize("seed", range(2))
def test_bytes_changed_at_random_stop_nothing(
    seed: int, open_redis_store: OpenStore, redis: RedisServer
) -> None:
    store, chance = open_redis_store(), random.Random(seed)
    ids = fill(store)
    opened = ids[3]
    for _ in range(40):
        for key in redis.broker.scan_iter(match="chordwatch:1:*:[cd]:*"):
            spoil(redis.broker, key, chance)
        read_everything(store, ids)
        Process(store).send(
            opened, [ended(new_id(), NOW, index=0, started=NOW, counted=True)], n=2, p=new_id()
        )
        read_everything(store, ids)


def spoil(redis: Redis, key: bytes, chance: random.Random) -> None:
    """Change one byte of a string, or of a hash's values."""
    if redis.type(key) == b"hash":
        for field, value in redis.hgetall(key).items():
            redis.hset(key, field, changed(value, chance))
    elif value := redis.get(key):
        redis.set(key, changed(value, chance), keepttl=True)


def changed(value: bytes, chance: random.Random) -> bytes:
    """Return the value with one byte changed, or cut off."""
    at = chance.randrange(len(value)) if value else 0
    if chance.random() < 0.2:
        return value[:at]
    return value[:at] + bytes([chance.randrange(256)]) + value[at + 1 :]


def test_what_cannot_be_read_is_counted(open_redis_store: OpenStore, redis: RedisServer) -> None:
    store = open_redis_store()
    chord_id, *_ = run_chord(store, size=1, at=NOW)
    key = next(iter(redis.broker.scan_iter(match="*:c:*")))
    redis.broker.set(key, b"foreign", ex=100)
    redis.broker.sadd(Keys("default").versions, 2)
    assert store.get(chord_id) is None
    assert store.state().unreadable == {"chord": 1, "version 2": 1}
    Process(store).send(chord_id, n=1)
    assert store.counters().dropped == {"corrupt": 1}


def test_keys_of_another_version_are_left_alone(open_redis_store: OpenStore, redis: RedisServer) -> None:
    other = b"chordwatch:2:{default/0}:m"
    redis.broker.hset(other, "cur", 9)
    redis.broker.expire(other, 1000)
    store = open_redis_store()
    fill(store)
    store.counters()
    assert redis.broker.hgetall(other) == {b"cur": b"9"}


def test_thousands_of_chords_with_a_short_retention_leave_nothing(
    open_redis_store: OpenStore, redis: RedisServer
) -> None:
    store = open_redis_store(finished_retention=0.3, open_retention=1)
    for _ in range(20):
        for _ in range(25):
            run_chord(store, size=3, at=NOW)
        Process(store).send(new_id(), [published(new_id(), NOW, index=0)], c=callback(new_id()))
    wait_until(lambda: store.counters() and not store.state().chords, "all are forgotten", 20)
    prefix = Keys("default").prefix
    left = {key.removeprefix(prefix).split(b":")[0] for key in redis.broker.scan_iter(match=prefix + b"*")}
    assert left - {b"p"} <= SHARED
    assert store.state().bytes_used == 0
    assert store.counters().finished == {(CALLBACK, "succeeded"): 500}


def test_chords_whose_keys_redis_dropped_are_forgotten(
    open_redis_store: OpenStore, redis: RedisServer
) -> None:
    store = open_redis_store()
    fill(store)
    for key in redis.broker.scan_iter(match="*:[cd]:*"):
        redis.broker.delete(key)
    wait_until(lambda: store.counters() and not store.state().chords, "all are forgotten", 10)
    assert store.open_counts() == {}
    assert list(store.open_chords()) == list(store.finished_chords()) == []


def test_the_script_comes_back_after_a_restart(open_redis_store: OpenStore, redis: RedisServer) -> None:
    store = open_redis_store()
    run_chord(store, size=1, at=NOW)
    redis.broker.script_flush()
    chord_id, *_ = run_chord(store, size=1, at=NOW)
    assert store.get(chord_id).chord.state == "succeeded"


def test_one_named_connection(open_redis_store: OpenStore, redis: RedisServer) -> None:
    store = open_redis_store()
    read_everything(store, fill(store))
    names = [client["name"] for client in redis.broker.client_list()]
    assert names.count("chordwatch:test") == 1
    store.close()
    wait_until(
        lambda: "chordwatch:test" not in [client["name"] for client in redis.broker.client_list()],
        "the connection is closed",
    )


def test_connections_are_named_while_batches_are_sent(
    open_redis_store: OpenStore, redis: RedisServer
) -> None:
    store, reader = open_redis_store(client_name="chordwatch:one@host:b1"), open_redis_store()
    run_chord(store, size=2, at=NOW)
    assert reader.connections() == store.connections() == {("one@host", "b1")}
    chord_id, *_ = run_chord(store, size=2, at=NOW)
    assert store.get(chord_id).chord.state == "succeeded"
    redis.broker.client_kill_filter(_id=client_id(redis, "chordwatch:one@host:b1"))
    assert reader.connections() == frozenset()


def client_id(redis: RedisServer, name: str) -> str:
    """Return the id of a named connection."""
    return next(client["id"] for client in redis.broker.client_list() if client["name"] == name)


def test_who_may_not_list_clients_does_not_know_who_is_connected(processes: Processes) -> None:
    server = RedisServer(processes)
    rights = ("+@all", "-client", "+client|setname", "+client|setinfo")
    for right in rights:  # an older Redis does not know the last one
        with suppress(ResponseError):
            server.broker.execute_command("ACL", "SETUSER", "few", "on", ">open-sesame", "~*", "&*", right)
    url = f"redis://few:open-sesame@127.0.0.1:{server.port}/0"
    store = RedisStore(url, client_name="chordwatch:one@host:b1")
    store.beat(BEAT)
    assert store.connections() is None
    assert [worker.heartbeat.node for worker in store.workers()] == ["one@host"]
    store.close()
    server.close()


def test_behind_a_proxy_nobody_knows_who_is_connected(
    open_redis_store: OpenStore, redis: RedisServer
) -> None:
    store = open_redis_store()
    store.now()
    redis.broker.client_kill_filter(_id=client_id(redis, "chordwatch:test"))
    store._redis.connection_pool.connection_kwargs["client_name"] = (
        None  # the proxy's connections have no names
    )
    store._redis.connection_pool.reset()
    assert store.connections() is None


def test_a_store_that_cannot_be_reached_is_named_without_its_password() -> None:
    store = RedisStore("redis://:secret@127.0.0.1:1/0", client_name="chordwatch:test")
    for call in (
        lambda: store.apply(b""),
        lambda: store.get("x"),
        store.state,
        lambda: store.beat(BEAT),
        store.now,
        store.connections,
    ):
        with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:1") as raised:
            call()
        assert "secret" not in str(raised.value)


def test_a_full_server_is_unreachable_and_nothing_is_applied_by_half(
    processes: Processes,
) -> None:
    server = RedisServer(processes)
    store = RedisStore(server.url(0), client_name="chordwatch:test")
    chord_id = new_id()
    process = Process(store)
    process.send(chord_id, [published(new_id(), NOW, index=0)], c=callback(new_id()))
    server.broker.config_set("maxmemory", 1)
    with pytest.raises(UnreachableError):
        process.send(chord_id, [published(new_id(), NOW, index=1)])
    server.broker.config_set("maxmemory", 0)
    process.sequence -= 1
    process.send(chord_id, [published(new_id(), NOW, index=1)])
    assert sum(store.counters().header_tasks.values()) == 2
    store.close()
    server.close()


def test_a_server_that_evicts_is_told(processes: Processes) -> None:
    server = RedisServer(processes, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
    store = RedisStore(server.url(0), client_name="chordwatch:test")
    assert store.state().evicts
    store.close()
    server.close()


def test_all_keys_lie_in_one_slot_of_a_cluster(open_redis_store: OpenStore, redis: RedisServer) -> None:
    store = open_redis_store(namespace="na}me")
    read_everything(store, fill(store))
    slots = {key_slot(key) for key in keys(redis.broker)}
    assert len(slots) == 1
