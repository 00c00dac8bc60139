"""Redis servers that may lose what they were given. Pure; one function per rule, named as the rule."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from chordwatch.doctor.facts import Facts
from chordwatch.doctor.finding import Finding
from chordwatch.evidence.facts import Server

_WORDS = {"broker": "the broker", "backend": "the result backend", "store": "chordwatch's store"}
_KEEPS = "noeviction"


def redis_evicts(facts: Facts) -> Iterator[Finding]:
    """A full Redis with such a policy drops keys: a chord's counter, a queue."""
    roles: dict[str, list[str]] = defaultdict(list)
    servers: dict[str, Server] = {}
    for role, server in facts.servers.items():
        # Queues have no time to live, so these policies spare them.
        if _may_evict(server) and not (role == "broker" and _spares_queues(server)):
            which = server.run_id or role
            roles[which].append(_WORDS.get(role, role))
            servers[which] = server
    for which, server in servers.items():
        lost = server.evicted_keys or 0
        done = f" {lost:,} keys have been evicted since it started." if lost else ""
        only_records = roles[which] == [_WORDS["store"]]
        harm = (
            "Chords then look lost that are not."
            if only_records
            else "A chord whose counter is dropped never runs its callback."
        )
        yield Finding(
            rule="redis_evicts",
            severity="error" if lost and not only_records else "warning",
            where="maxmemory-policy of " + " and ".join(roles[which]),
            reason=f"This Redis drops keys when its {server.maxmemory or 0:,} bytes are full "
            f"({server.maxmemory_policy}).{done} {harm}",
            fix="Set maxmemory-policy noeviction on the Redis that Celery uses, and keep caches on another one.",
        )


def _may_evict(server: Server) -> bool:
    return bool(server.maxmemory) and server.maxmemory_policy not in (None, _KEEPS)


def _spares_queues(server: Server) -> bool:
    return (server.maxmemory_policy or "").startswith("volatile-")


RULES = (redis_evicts,)
