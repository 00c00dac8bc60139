from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from chordwatch.diagnosis.wording import clock
from chordwatch.evidence.facts import Server, ServerChange
from chordwatch.watch import servers as module
from chordwatch.watch.servers import KEPT_SECONDS, ServerMemory
from tests.unit.seen import NOW

STARTED = NOW - 5000


def server(**fields: Any) -> Server:
    """Return a master that has run for a while and lost nothing."""
    usual: dict[str, Any] = {"run_id": "a" * 40, "role": "master", "started_at": STARTED}
    return Server(**{**usual, "evicted_keys": 0, "flushes": 0, **fields})


def looked(*looks: Server, every: float = 5.0) -> tuple[ServerChange, ...]:
    """Return the changes after looks at one server, the last of which was at NOW."""
    memory = ServerMemory()
    first = NOW - every * (len(looks) - 1)
    seen = [memory.update("backend", look, first + every * number) for number, look in enumerate(looks)]
    return seen[-1].changes


def kinds(*looks: Server) -> list[str]:
    return [change.kind for change in looked(*looks)]


def test_what_was_before_the_first_look_is_no_change() -> None:
    assert looked(server(evicted_keys=9, flushes=2)) == ()


def test_nothing_happened_between_looks_that_are_alike() -> None:
    # Uptime is told in whole seconds.
    assert looked(server(), server(started_at=STARTED + 0.9), server(started_at=STARTED - 0.9)) == ()


def test_a_look_returns_what_was_seen() -> None:
    memory, seen = ServerMemory(), server(maxmemory=7, maxmemory_policy="allkeys-lru", persistent=True)

    assert memory.update("backend", seen, NOW) == seen
    assert memory.update("backend", seen, NOW + 5) == seen


def test_a_flush_lies_between_two_looks() -> None:
    assert looked(server(flushes=1), server(flushes=3)) == (
        ServerChange(
            kind="flushed",
            since=NOW - 5,
            until=NOW,
            text=f"FLUSHDB or FLUSHALL ran 2 times between {clock(NOW - 5)} and {clock(NOW)}.",
        ),
    )
    assert " once " in looked(server(), server(flushes=1))[0].text


def test_evicted_keys_are_counted() -> None:
    (change,) = looked(server(evicted_keys=10), server(evicted_keys=1244))

    assert (change.kind, change.since, change.until) == ("evicted", NOW - 5, NOW)
    assert "evicted 1,234 keys" in change.text


def test_a_restart_is_at_its_time_and_its_counters_begin_anew() -> None:
    new = server(run_id="b" * 40, started_at=NOW - 2, flushes=1, evicted_keys=1)
    changes = looked(server(flushes=5, evicted_keys=5), new)

    assert {change.kind: (change.since, change.until) for change in changes} == {
        "restarted": (NOW - 2, NOW - 2),
        "flushed": (NOW - 2, NOW),
        "evicted": (NOW - 2, NOW),
    }
    assert changes[0].text == (
        f"Redis was restarted at {clock(NOW - 2)}; run_id was aaaaaaaaaaa… and is bbbbbbbbbbb…."
    )


def test_a_restart_without_known_uptime_lies_between_two_looks() -> None:
    (change,) = looked(server(started_at=None), server(run_id="b" * 40, started_at=None))

    assert (change.kind, change.since, change.until) == ("restarted", NOW - 5, NOW)


def test_another_server_behind_the_same_name_is_a_failover_and_no_restart() -> None:
    other = server(run_id="b" * 40, started_at=STARTED - 60, flushes=7, evicted_keys=7)
    (change,) = looked(server(), other)

    assert (change.kind, change.since, change.until) == ("role_changed", NOW - 5, NOW)
    assert "Another Redis answers" in change.text


def test_a_role_that_changes_is_told_with_both() -> None:
    (change,) = looked(server(), server(role="slave"))

    assert (change.kind, change.text) == (
        "role_changed",
        f"Redis was master at {clock(NOW - 5)} and is slave.",
    )


def test_counters_that_were_reset_count_from_zero() -> None:
    assert kinds(server(flushes=5, evicted_keys=5), server()) == []
    (change,) = looked(server(evicted_keys=5), server(evicted_keys=2))
    assert "evicted 2 keys" in change.text


def test_what_is_not_told_is_no_change() -> None:
    assert kinds(server(), server(evicted_keys=None, flushes=None, role=None)) == []
    assert kinds(server(evicted_keys=None, flushes=None), server(evicted_keys=3, flushes=3)) == []


def test_a_look_that_was_refused_is_skipped_and_keeps_what_is_known() -> None:
    memory = ServerMemory()
    memory.update("backend", server(), NOW - 15)
    memory.update("backend", server(flushes=1), NOW - 10)
    refused = memory.update("backend", Server(), NOW - 5)
    (first, second) = memory.update("backend", server(flushes=2), NOW).changes

    assert (refused.run_id, refused.changes) == (None, (first,))
    assert (second.since, second.until) == (NOW - 10, NOW)


def test_servers_are_told_apart() -> None:
    memory = ServerMemory()
    memory.update("broker", server(), NOW - 5)
    memory.update("backend", server(run_id="b" * 40), NOW - 5)
    memory.update("backend", server(run_id="b" * 40, flushes=1), NOW)

    assert memory.update("broker", server(), NOW).changes == ()


def test_changes_are_forgotten_after_a_week() -> None:
    memory = ServerMemory()
    memory.update("backend", server(), NOW - 5)
    memory.update("backend", server(flushes=1), NOW)

    assert memory.update("backend", server(flushes=1), NOW + KEPT_SECONDS).changes
    assert memory.update("backend", server(flushes=1), NOW + KEPT_SECONDS + 1).changes == ()


def test_a_server_that_evicts_at_every_look_makes_one_change_an_hour() -> None:
    looks = 2000
    changes = looked(*(server(evicted_keys=3 * number) for number in range(looks)))

    assert [change.kind for change in changes] == ["evicted"] * 3
    assert changes[-1].until == NOW
    assert [later.since - before.until for before, later in pairwise(changes)] == [0, 0]
    assert sum(int(change.text.split()[2].replace(",", "")) for change in changes) == 3 * (looks - 1)


def test_evictions_far_apart_are_two_changes() -> None:
    memory = ServerMemory()
    memory.update("backend", server(), NOW)
    memory.update("backend", server(evicted_keys=1), NOW + 5)
    memory.update("backend", server(evicted_keys=1), NOW + 100)
    changes = memory.update("backend", server(evicted_keys=3), NOW + 105).changes

    assert [(change.since, change.until) for change in changes] == [(NOW, NOW + 5), (NOW + 100, NOW + 105)]


def test_many_flushes_do_not_push_a_restart_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_CHANGES", 3)
    memory, new = ServerMemory(), "b" * 40
    memory.update("backend", server(), NOW - 5)
    for number in range(10):
        look = server(run_id=new, started_at=NOW - 1, flushes=number)
        seen = memory.update("backend", look, NOW + number)

    assert [change.kind for change in seen.changes] == ["restarted", "flushed", "flushed", "flushed"]
    assert [change.until for change in seen.changes[1:]] == [NOW + 7, NOW + 8, NOW + 9]


def test_a_hostile_role_and_run_id_are_made_plain() -> None:
    changes = looked(server(), server(run_id="\x1b[2J", role="\nmaster\x1b", started_at=NOW - 1))

    assert not any(char in change.text for change in changes for char in "\x1b\n")
