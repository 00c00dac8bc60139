"""Keys and messages that are not what they should be: skipped, counted, shown literally, never a traceback."""

from __future__ import annotations

import json
import pickle
import re
import subprocess
from typing import Any

import pytest
from redis import Redis

from tests.acceptance.xray.planted import message, part
from tests.integration.xray.stranger import GROUP, META, finish, start_chords
from tests.support.servers import RedisServer

LONG = "long" * 2500
#: Ids of whole, planted chords; each is shown on one line, literally, and found.
NAMES = {
    "newline": "one\ntwo",
    "escape": "\x1b[31mred\x1b[0m",
    "emoji": "🐇 rabbit",
    "markup": "[red]x[/red] [link=file:///etc]y[/link]",
    "long": LONG,
    "override": "abc\u202edcba",
    "binary": b"\xff\xfe\x00raw".decode("utf-8", "surrogateescape"),
    "markdown": "|*a*`b`<b>|",
}
FIFTY_MB = 50 * 1024 * 1024
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f\u202e]")


def raw(text: str) -> bytes:
    """Return text as the bytes it stands for."""
    return text.encode("utf-8", "surrogateescape")


def plant_named(redis: RedisServer, name: str) -> None:
    """Plant a chord of two, one counted and one queued, under a hostile id with hostile task names."""
    key = raw(GROUP + name)
    redis.backend.set(key + b".s", 2, ex=3600)
    redis.backend.zadd(
        key + b".j", {raw(part("counted-" + name.replace("\udcff", "x").replace("\udcfe", "x"))): 0}
    )
    redis.backend.expire(key + b".j", 3600)
    hostile = message("waits-" + name, name, 1, task=name, callback=name, eta="9999-12-31T23:59:59-14:00")
    redis.broker.lpush("celery", hostile)


def run_all(redis: RedisServer, *commands: tuple[str, ...]) -> list[subprocess.CompletedProcess[str]]:
    """Run commands at the same time; none may show a traceback or write what a terminal would obey."""
    started = [start_chords(redis.url(0), redis.url(1), *command) for command in commands]
    try:
        finished = [finish(process, 40) for process in started]
    finally:
        for process in started:
            process.kill()
    for done in finished:
        assert "Traceback" not in done.stderr, done.stderr
        assert not _CONTROL.search(done.stdout + done.stderr), done.args
    return finished


def test_hostile_names_are_listed_on_one_line_each(redis: RedisServer) -> None:
    for name in NAMES.values():
        plant_named(redis, name)
    listed, table, check = run_all(redis, ("list", "--format", "json"), ("list",), ("check",))

    assert (listed.returncode, table.returncode) == (0, 0)
    assert check.returncode == 1  # their tasks wait, and nobody is there
    assert sorted(chord["chord_id"] for chord in json.loads(listed.stdout)) == sorted(NAMES.values())
    assert len(table.stdout.splitlines()) == 1 + 2 * len(NAMES)
    assert max(len(line) for line in table.stdout.splitlines()) <= 300
    assert "🐇 rabbit" in table.stdout
    assert "one\\ntwo" in table.stdout
    assert "[red]x[/red] [link=file:///etc]" in table.stdout
    assert LONG[:100] not in table.stdout


@pytest.mark.parametrize("kind", [kind for kind, name in NAMES.items() if "\0" not in name])
def test_a_hostile_name_is_found_and_shown_literally(redis: RedisServer, kind: str) -> None:
    name = NAMES[kind]
    plant_named(redis, name)
    shown, table, report = run_all(
        redis, ("show", name, "--format", "json"), ("show", name), ("report", name)
    )

    assert [done.returncode for done in (shown, table, report)] == [0, 0, 0]
    seen = json.loads(shown.stdout)
    assert seen["chord_id"] == seen["callback"]["name"] == name
    assert [(gap["index"], gap["name"]) for gap in seen["missing"]] == [(1, name)]
    assert len(table.stdout) < 12_000
    assert len(report.stdout) < 6_000
    assert report.stdout.count("\n|") == 3  # a head, a rule and the one missing part
    if name.isprintable() and len(name) < 60:
        assert name in table.stdout


#: Values that no reader expects, by key and how to plant them.
FOREIGN_KEYS: list[tuple[str, str, Any]] = [
    ("a.s", "set", "abc"),
    ("b.s", "lpush", "x"),
    ("c.s", "set", 2),
    ("c.j", "set", "a string"),
    ("d.s", "set", 2),
    ("d.j", "hset", {"a": "b"}),
    ("e.s", "set", 10**12),
    ("f.s", "set", -5),
    ("g.s", "set", 2),
    ("g.t", "hset", {"a": "b"}),
    ("h.j", "zadd", {"no json": 1}),
    ("h.s", "set", 3),
    ("i.j", "zadd", {json.dumps([1, "id", "SUCCESS"]): 0, json.dumps({"a": 1}): 1}),
    ("j.j", "zadd", {part("giant-index"): 1e300}),
    ("k.j", "zadd", {part("no-index"): float("inf"), part("minus"): -7}),
    ("l.c", "lpush", "x"),
    ("m.d", "set", "lonely"),
    ("n.s", "set", "9" * 5000),
    ("o.j", "rpush", part("in-a-list")),
    ("", "set", "no id"),
    (".s", "set", 2),
    ("p", "set", b"\x80\x04."),
    ("p.s", "set", 2),
    ("q", "set", json.dumps({"result": [[["deep", None], 7], [1, 2, 3]]})),
    ("q.s", "set", 2),
]
#: These make chords of as many parts as are ever shown; each is shown in a test of its own.
HUGE = ("e.s", "j.j")
FOREIGN_RESULTS: list[tuple[str, str, Any]] = [
    ("hash", "hset", {"a": "b"}),
    ("garbage", "set", bytes(range(256))),
    ("truncated", "set", '{"status": "SUCC'),
    ("deep", "set", "[" * 100_000),
    ("number", "set", "7"),
    (
        "late",
        "set",
        json.dumps({"status": "SUCCESS", "date_done": "9999-12-31T23:59:59-14:00", "group_id": "x"}),
    ),
    (
        "early",
        "set",
        json.dumps({"status": "SUCCESS", "date_done": "0001-01-01T00:00:00+14:00", "group_id": "x"}),
    ),
    (
        "ring",
        "set",
        json.dumps({"status": "SUCCESS", "group_id": "ring", "parent_id": "ring", "children": []}),
    ),
    ("types", "set", json.dumps({"status": ["SUCCESS"], "result": 1, "children": {"a": 1}})),
    ("error", "set", json.dumps({"status": "FAILURE", "result": {"exc_type": 7, "exc_message": [[["x"]]]}})),
    ("pickle", "set", pickle.dumps({"status": "SUCCESS"})),
]
FOREIGN_MESSAGES: list[str | bytes] = [
    '{"hello": "world"}',
    '{"body": "W1', "[]", "null", "7", b"\x00\xff" * 100, "[" * 100_000,
    '{"headers": {"id": 7, "group": {}}}',
    message("bad-body", "z", 0).replace('"body": "', '"body": "%%%'),
    message("bad-index", "z", "first"),
    message("huge-index", "z", 10**30),
    message("infinite", "z", 1e400),
    message("past", "z", 2, eta="0001-01-01T00:00:00+14:00"),
    message("surrogate", "z", 3, task="\ud800", callback="\udfff"),
    message("retries", "z", 4, retries=10**30),
    message("negative", "z", -3),
]  # fmt: skip


def plant_foreign(client: Redis, prefix: str, values: list[tuple[str, str, Any]]) -> None:
    """Plant values of every type."""
    for key, command, value in values:
        plant = getattr(client, command)
        plant(prefix + key, mapping=value) if isinstance(value, dict) else plant(prefix + key, value)


def test_foreign_keys_and_messages_are_skipped_and_counted(redis: RedisServer) -> None:
    plant_foreign(redis.backend, GROUP, [row for row in FOREIGN_KEYS if row[0] not in HUGE])
    plant_foreign(redis.backend, META, FOREIGN_RESULTS)
    redis.backend.pexpire(f"{GROUP}c.s", 10**15)
    redis.broker.lpush("celery", *(raw for raw in FOREIGN_MESSAGES if "huge-index" not in str(raw)))
    redis.broker.set("celery\x06\x163", "no list")
    redis.broker.hset("unacked", mapping={"a": "garbage", "b": '[{"headers": 1}, "x", "y"]', "c": "[1, 2]"})
    redis.broker.sadd("_kombu.binding.x", "no separator", b"\xff\x06\x16\x06\x16\xff", "\x06\x16\x06\x16a\nb")
    redis.broker.set("_kombu.binding.y", "no set")
    plant_named(redis, "sound")
    listed, table, check, shown = run_all(
        redis,
        ("list", "--limit", "1000", "--format", "json"),
        ("list",),
        ("check", "--format", "json"),
        ("show", "sound", "--format", "json"),
    )

    assert (listed.returncode, table.returncode, check.returncode, shown.returncode) == (0, 0, 1, 0)
    assert "sound" in {chord["chord_id"] for chord in json.loads(listed.stdout)}
    assert json.loads(shown.stdout)["size"] == 2
    for kind in ("damaged message", "message that is no Celery task", "chord key of a foreign type",
                 "payload in an unknown format among the counted parts", "foreign entry among the counted parts",
                 "pickled result", "damaged result", "foreign result"):  # fmt: skip
        assert re.search(rf"Skipped [\d,]+ × {kind}", listed.stderr), (kind, listed.stderr)


@pytest.mark.parametrize("key", ["c", "e", "h", "i", "j", "k", "o", "p", "q", "z"])
def test_a_chord_with_foreign_keys_can_be_shown(redis: RedisServer, key: str) -> None:
    plant_foreign(redis.backend, GROUP, [row for row in FOREIGN_KEYS if row[0].startswith(key)])
    redis.backend.pexpire(f"{GROUP}{key}.s", 10**15)
    redis.broker.lpush("celery", *FOREIGN_MESSAGES[8:])
    finished = run_all(redis, ("show", key), ("results", key), ("report", key))

    expected = 1 if key == "c" else 0  # what is no chord key at all is no chord
    assert [done.returncode for done in finished] == [expected] * 3, [done.stderr for done in finished]


@pytest.mark.soak
def test_fifty_megabytes_are_passed_over(redis: RedisServer) -> None:
    big = b"x" * FIFTY_MB
    redis.backend.set(f"{META}huge", b'{"status": "SUCCESS", "result": "' + big + b'"}')
    redis.backend.set(f"{META}blob", big)
    redis.backend.set(f"{GROUP}heavy.s", 2)
    redis.backend.zadd(f"{GROUP}heavy.j", {b'[1, "counted", "SUCCESS", "' + big + b'"]': 0})
    redis.backend.sadd(f"{GROUP}heavy.d", "counted:0")
    redis.broker.lpush("celery", b'{"body": "' + big + b'"}')
    redis.broker.lpush("celery", message("waits", "heavy", 1))
    redis.broker.hset("unacked", "tag", b'[{"body": "' + big + b'"}, "", "celery"]')
    commands = [
        ("list", "--format", "json"),
        ("show", "heavy", "--format", "json"),
        ("check",),
        ("results", "heavy", "--format", "json"),
    ]
    listed, shown, checked, results = (run_all(redis, command)[0] for command in commands)
    redis.backend.flushall()

    assert (listed.returncode, shown.returncode, checked.returncode, results.returncode) == (0, 0, 1, 0)
    seen = json.loads(shown.stdout)
    assert (seen["chord_id"], seen["size"], seen["counted"]) == ("heavy", 2, 1)
    assert "Skipped 2 × oversized message" in listed.stderr
    assert re.search(r"Skipped \d+ × part with an oversized result", shown.stderr)
    assert re.search(r"Skipped \d+ × oversized result", listed.stderr)
    rows = json.loads(results.stdout)
    assert [(row["index"], row["task_id"], row["result"]) for row in rows] == [
        (0, "counted", None),
        (1, "waits", None),
    ]
