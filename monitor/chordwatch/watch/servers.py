"""What happened to the Redis servers between two looks: restarts, flushes, evictions, failovers. Pure.

Memory of a kept Watch. What happened before its first look shows in `Server.started_at`, `flushes`, `evicted_keys`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import get_args

from chordwatch.diagnosis.wording import clock
from chordwatch.evidence.facts import Server, ServerChange, ServerChangeKind
from chordwatch.text import plain

#: Seconds for which a change is kept: as long as verdicts.
KEPT_SECONDS = 7 * 86_400
#: So many changes of each kind are kept at the most.
_MAX_CHANGES = 1000
#: A server that evicts without end makes one change an hour, as long as no pause is longer than this. Seconds.
_PAUSE, _AT_MOST = 60.0, 3600.0
#: Uptime is told in whole seconds.
_SLACK = 2.0


@dataclass(slots=True)
class _History:
    """One server: as the last look that could read it saw it, and when that was (Unix seconds)."""

    last: Server
    seen_at: float
    evicted: int = 0
    changes: dict[ServerChangeKind, deque[ServerChange]] = field(
        default_factory=lambda: {kind: deque(maxlen=_MAX_CHANGES) for kind in get_args(ServerChangeKind)}
    )


class ServerMemory:
    """Compares each look at a server with the one before. Names are ours (`broker`, `backend`), so they are few."""

    def __init__(self) -> None:
        self._histories: dict[str, _History] = {}

    def update(self, name: str, server: Server, now: float) -> Server:
        """Return the server as seen at `now` (Unix seconds), with all changes of the last 7 days, oldest first."""
        history = self._histories.get(name)
        if history is None:
            if server.run_id is not None:
                self._histories[name] = _History(server, now)
            return server
        if (
            server.run_id is not None
        ):  # else it could not be read: the next look is compared with the last one
            for change in _changes(history, server, now):
                history.changes[change.kind].append(change)
            history.last, history.seen_at = server, now
        for kept in history.changes.values():
            while kept and kept[0].until < now - KEPT_SECONDS:
                kept.popleft()
        changes = (change for kept in history.changes.values() for change in kept)
        return replace(server, changes=tuple(sorted(changes, key=lambda change: change.until)))


def _changes(history: _History, server: Server, now: float) -> Iterator[ServerChange]:
    """Yield what is different since the last look; the last eviction may be taken back and told anew, longer."""
    before, since = history.last, history.seen_at
    started = server.started_at
    anew = server.run_id != before.run_id
    if anew and started is not None and started < since - _SLACK:
        yield _role_changed(
            f"Another Redis answers than at {clock(since)}: it runs since {clock(started)}, "
            f"run_id was {_id(before)} and is {_id(server)}.",
            since,
            now,
        )
        return  # its counters say nothing about the time since then
    if anew:
        text = f"Redis was restarted at {clock(started)}; run_id was {_id(before)} and is {_id(server)}."
        began = since if started is None else started
        yield ServerChange(
            kind="restarted", since=began, until=now if started is None else started, text=text
        )
        since = began  # its counters begin there
    if server.role != before.role and server.role and before.role:
        text = f"Redis was {plain(before.role)} at {clock(history.seen_at)} and is {plain(server.role)}."
        yield _role_changed(text, since, now)
    flushes = _more(before.flushes, server.flushes, anew=anew)
    if flushes:
        times = "once" if flushes == 1 else f"{flushes:,} times"
        text = f"FLUSHDB or FLUSHALL ran {times} between {clock(since)} and {clock(now)}."
        yield ServerChange(kind="flushed", since=since, until=now, text=text)
    evicted = _more(before.evicted_keys, server.evicted_keys, anew=anew)
    if evicted:
        yield _evicted(history, evicted, since, now)


def _more(before: int | None, now: int | None, *, anew: bool) -> int:
    """Return by how much a counter grew; it begins anew with a restart, and after CONFIG RESETSTAT."""
    if now is None or (before is None and not anew):
        return 0
    return now if anew or before is None or now < before else now - before


def _evicted(history: _History, number: int, since: float, now: float) -> ServerChange:
    """Return the eviction, together with the one just before it: a full server evicts at every look."""
    kept = history.changes["evicted"]
    last = kept[-1] if kept else None
    begun = last.since if last else None
    if last and begun is not None and since - last.until <= _PAUSE and now - begun <= _AT_MOST:
        kept.pop()
        since, number = begun, number + history.evicted
    history.evicted = number
    keys = "1 key" if number == 1 else f"{number:,} keys"
    text = f"Redis evicted {keys} between {clock(since)} and {clock(now)}."
    return ServerChange(kind="evicted", since=since, until=now, text=text)


def _role_changed(text: str, since: float, now: float) -> ServerChange:
    return ServerChange(kind="role_changed", since=since, until=now, text=text)


def _id(server: Server) -> str:
    return plain(server.run_id or "not told", 12)
