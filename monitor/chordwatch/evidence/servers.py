"""What one Redis says of itself in INFO: since when it runs, what it lost, what it may lose.

Used by the readers of broker and result backend, through the client that each has. Asks INFO alone: managed
services refuse CONFIG. Checked against Redis 6.2 to 7.4; what a server leaves out stays None.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import redis

from chordwatch.evidence.budget import Gaps
from chordwatch.evidence.facts import Server
from chordwatch.foreign import as_dict, as_int, as_moment, as_text

#: One command each: several sections in one are new in Redis 7.
_SECTIONS = ("server", "stats", "commandstats", "memory", "replication", "persistence", "errorstats")
_FLUSHES = ("cmdstat_flushdb", "cmdstat_flushall")
#: How Redis begins to refuse a write that it cannot take: no memory, a replica, a disk that fails, or loading.
_REFUSALS = ("OOM", "READONLY", "MISCONF", "LOADING", "NOREPLICAS")
#: Writes that no snapshot has taken for so long (seconds): nobody has configured snapshots.
_UNSAVED = 86_400
#: Redis takes its start for a save; its clocks count whole seconds.
_SLACK = 2.0


def read_server(client: Any, what: str, url: str, gaps: Gaps) -> Server:
    """Return what the Redis of `what` (the broker, the result backend) at `url`, without password, says of itself.

    Nothing where it refuses INFO, which `gaps` then says. `flushes` and `evicted_keys` count for all its databases.

    Raises:
        redis.RedisError: it does not answer.
    """
    pipe = client.pipeline(transaction=False)
    for section in _SECTIONS:
        pipe.info(section)
    answers = pipe.execute(raise_on_error=False)
    if any(isinstance(answer, redis.ResponseError) for answer in answers):
        gaps.note(f"The {what} at {url} refuses INFO, so its restarts, evictions and flushes are not known.")
        return Server()
    told = {name: as_dict(answer) for name, answer in zip(_SECTIONS, answers, strict=True)}
    server, memory = told["server"], told["memory"]
    uptime, run_id = as_int(server.get("uptime_in_seconds")), server.get("run_id")
    return Server(
        run_id=None if run_id is None else str(run_id),
        role=as_text(told["replication"].get("role")),
        started_at=None if uptime is None else as_moment(time.time() - uptime),
        evicted_keys=as_int(told["stats"].get("evicted_keys")),
        flushes=_flushes(told["commandstats"]),
        maxmemory_policy=as_text(memory.get("maxmemory_policy")),
        maxmemory=as_int(memory.get("maxmemory")),
        persistent=_persistent(told["persistence"], server),
        refused=_refused(told["errorstats"], server),
    )


def _flushes(commands: Mapping[str, Any]) -> int | None:
    """Return how often a database was emptied; a command that never ran is not listed."""
    if not commands:  # some managed services tell nothing
        return None
    return sum(as_int(as_dict(commands.get(name)).get("calls")) or 0 for name in _FLUSHES)


def _refused(errors: Mapping[str, Any], server: Mapping[str, Any]) -> dict[str, int] | None:
    """Return how often it refused commands; an error that never came is not listed, nor is any before Redis 6.2."""
    version = [
        int(part) if part.isdecimal() else 0 for part in str(server.get("redis_version", "")).split(".")
    ]
    if not errors and version < [6, 2]:
        return None
    return {kind: as_int(as_dict(errors.get(f"errorstat_{kind}")).get("count")) or 0 for kind in _REFUSALS}


def _persistent(told: Mapping[str, Any], server: Mapping[str, Any]) -> bool | None:
    """Return whether its data outlives a restart; None where that shows in no sign.

    Whether snapshots are configured stands in CONFIG alone: INFO tells that one was taken since the start.
    """
    if told.get("aof_enabled"):
        return True
    uptime, now = as_int(server.get("uptime_in_seconds")), as_int(server.get("server_time_usec"))
    saved, unsaved = as_int(told.get("rdb_last_save_time")), as_int(told.get("rdb_changes_since_last_save"))
    if uptime is None or now is None or saved is None:
        return None
    if saved - (now / 1e6 - uptime) > _SLACK:
        return True
    return False if uptime > _UNSAVED and unsaved else None
