"""Redis users who may not do everything: what is refused is said, what is not needed is done without."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.acceptance.xray.planted import plant_header
from tests.integration.xray.stranger import finish, start_chords
from tests.support.servers import Processes, RedisServer

BOTH = ("list", "--format", "json"), ("show", "small", "--format", "json")


@pytest.fixture
def guarded(processes: Processes) -> Iterator[RedisServer]:
    """A Redis with users of its own and a chord of five, three counted."""
    server = RedisServer(processes)
    plant_header(server.broker, server.backend, "small", 5, 3)
    yield server
    server.close()


def url(server: RedisServer, database: int) -> str:
    return f"redis://visitor:open-sesame@127.0.0.1:{server.port}/{database}"


def allow(server: RedisServer, *rights: str) -> None:
    server.broker.execute_command("ACL", "SETUSER", "visitor", "on", ">open-sesame", "~*", "&*", *rights)


def test_a_user_without_scan_is_told_what_is_refused(guarded: RedisServer) -> None:
    allow(guarded, "+@all", "-scan")
    done = finish(start_chords(url(guarded, 0), url(guarded, 1), "list"))

    assert (done.returncode, done.stdout) == (3, "")
    assert "scan" in done.stderr.lower()
    assert "refuses" in done.stderr
    assert f"127.0.0.1:{guarded.port}" in done.stderr
    assert "open-sesame" not in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("rights", [("+@all", "-memory"), ("+@all", "-@admin", "-@dangerous", "-@scripting")])
def test_rights_that_reading_does_not_need_are_not_missed(
    guarded: RedisServer, rights: tuple[str, ...]
) -> None:
    allow(guarded, *rights)
    started = [start_chords(url(guarded, 0), url(guarded, 1), *command) for command in BOTH]
    listed, shown = (finish(process) for process in started)

    assert (listed.returncode, shown.returncode) == (0, 0), listed.stderr + shown.stderr
    assert [chord["chord_id"] for chord in json.loads(listed.stdout)] == ["small"]
    seen = json.loads(shown.stdout)
    assert (seen["size"], seen["counted"]) == (5, 3)
    assert [gap["task_id"] for gap in seen["missing"]] == ["task-000003", "task-000004"]


def test_a_user_who_may_only_read_gets_what_can_be_read(guarded: RedisServer) -> None:
    allow(guarded, "+@read", "+@connection", "+ping", "+select", "+info")
    listed = finish(start_chords(url(guarded, 0), url(guarded, 1), "list", "--format", "json"))

    assert listed.returncode == 0, listed.stderr
    assert [chord["chord_id"] for chord in json.loads(listed.stdout)] == ["small"]
    assert "The workers could not be asked" in listed.stderr
    assert json.loads(listed.stdout)[0]["verdicts"] == []
