"""Redis users who may not do everything, and workers that never answer: what is not known is said, and costs little."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from redis import Redis

from chordwatch.watch import Look, Watch
from tests.acceptance.diagnosis.installation import Installation
from tests.acceptance.xray.planted import message, part
from tests.integration.xray.stranger import GROUP
from tests.support.pace import within
from tests.support.polling import wait_until
from tests.support.servers import Processes, RedisServer

pytestmark = pytest.mark.faults

LOGIN = "visitor:open-sesame@"
UNACKED = "refuses to let the unacknowledged messages be read"
RECORDED = "Nothing that was recorded is shown: the store"
HASHES = ("-hget", "-hgetall", "-hmget", "-hscan", "-hlen")
STUCK = 50


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Installation, str, str]]:
    """An instrumented installation with a Redis of its own; a chord whose part nobody reads, and one whose is lost."""
    processes = Processes(tmp_path_factory.mktemp("guarded"))
    redis = RedisServer(processes)
    installation = Installation(redis, processes, instrumented=True)
    installation.worker("main")
    unread, lost = installation.send("add", "nobody"), installation.send("add", "limbo")
    recorded = lambda: installation.store.get(lost)  # noqa: E731
    wait_until(lambda: (known := recorded()) and known.chord.counted == 2, "the parts are recorded")
    redis.broker.delete("limbo")
    yield installation, unread, lost
    installation.close()
    processes.stop()
    redis.close()


def explained(installation: Installation, chord_id: str, *rights: str) -> tuple[list[dict[str, Any]], str]:
    """Return the verdicts that a user with these rights gets, and what the command says besides."""
    installation.redis.broker.execute_command("ACL", "SETUSER", "visitor", "reset")
    installation.redis.broker.execute_command(
        "ACL", "SETUSER", "visitor", "on", ">open-sesame", "~*", "&*", "+@all", *rights
    )
    done, _ = installation.chords("explain", chord_id, "--format", "json", login=LOGIN)
    assert done.returncode == 0, done.stderr
    assert "open-sesame" not in done.stderr
    assert "Traceback" not in done.stderr
    verdicts: list[dict[str, Any]] = json.loads(done.stdout)["verdicts"]
    return verdicts, done.stderr


def found(verdicts: list[dict[str, Any]]) -> list[tuple[str, bool]]:
    """Return the causes, and whether they are certain."""
    return [(verdict["cause"], verdict["certain"]) for verdict in verdicts]


@pytest.mark.parametrize(
    ("rights", "missing"),
    [
        ((), ()),
        (("-memory",), ()),
        (("-info",), ("The broker at", "The result backend at", "refuses INFO")),
    ],
    ids=["everything", "MEMORY USAGE", "INFO"],
)
def test_what_is_not_needed_for_a_verdict_leaves_it_certain(
    guarded: tuple[Installation, str, str], rights: tuple[str, ...], missing: tuple[str, ...]
) -> None:
    installation, unread, lost = guarded
    verdicts, said = explained(installation, unread, *rights)
    others, said_of_lost = explained(installation, lost, *rights)

    assert found(verdicts) == [("queue_unconsumed", True)]
    assert found(others) == [("message_lost", True)]
    for sentence in missing:
        assert sentence in said
        assert sentence in said_of_lost
    assert bool(said) == bool(missing)


@pytest.mark.parametrize(
    ("rights", "missing"),
    [
        (("-client",), (RECORDED, "'client'")),
        (HASHES, (UNACKED, RECORDED)),
        (("-info", "-client", "-memory", *HASHES), (UNACKED, RECORDED, "refuses INFO")),
    ],
    ids=["CLIENT", "hashes", "all of them"],
)
def test_what_is_needed_for_a_verdict_and_refused_makes_it_uncertain_and_is_said(
    guarded: tuple[Installation, str, str], rights: tuple[str, ...], missing: tuple[str, ...]
) -> None:
    installation, unread, lost = guarded
    verdicts, said = explained(installation, unread, *rights)
    others, said_of_lost = explained(installation, lost, *rights)

    assert found(verdicts) == [("queue_unconsumed", False)]
    assert all(not certain for _, certain in found(others))
    # What may lie among the unacknowledged messages is not lost.
    assert (UNACKED in missing) == (not others)
    for sentence in missing:
        assert sentence in said
        assert sentence in said_of_lost


def plant(broker: Redis, backend: Redis, numbers: range) -> None:
    """Plant chords of three parts, of which the last waits."""
    for chord in numbers:
        key, ids = f"{GROUP}stuck-{chord}", [f"task-{chord}-{index}" for index in range(3)]
        backend.set(f"{key}.s", 3, ex=86400)
        backend.zadd(f"{key}.j", {part(ids[0]): 0, part(ids[1]): 1})
        backend.expire(f"{key}.j", 86400)
        broker.lpush("celery", message(ids[2], f"stuck-{chord}", 2))


def timed_look(redis: RedisServer) -> tuple[Look, float]:
    """Return the first look of a user, and the seconds it took."""
    app = Celery("user", broker=redis.url(0), backend=redis.url(1), set_as_current=False)
    watch = Watch(app)
    begun = time.monotonic()
    look = watch.look(health="open")
    took = time.monotonic() - begun
    watch.close()
    app.backend.client.connection_pool.disconnect()
    app.close()
    return look, took


def test_workers_that_never_answer_cost_one_timeout_and_not_one_for_each_chord(
    redis: RedisServer, processes: Processes
) -> None:
    installation = Installation(redis, processes, instrumented=False, worker_enable_remote_control=False)
    installation.worker("silent", "other")
    plant(redis.broker, redis.backend, range(1))
    one, took_one = timed_look(redis)
    plant(redis.broker, redis.backend, range(1, STUCK))
    many, took_many = timed_look(redis)
    installation.close()

    print(f"1 chord: {took_one:.1f} s, {STUCK}: {took_many:.1f} s")
    assert (len(one.chords), len(many.chords), many.workers) == (1, STUCK, ())
    # Each timeout is a second: two would be one too many.
    assert within(took_many - took_one, 0.5)
    assert not any(
        verdict.certain for chord in many.chords for verdict in chord.verdicts if verdict.outcome == "hung"
    )
