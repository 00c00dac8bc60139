"""Which commands of ours hold Redis up: those that do so whenever they are sent, not those that lost the core once."""

from __future__ import annotations

import re
from collections import defaultdict
from statistics import median

from redis import Redis

from tests.support.pace import slowed

#: One command of ours may occupy Redis of a quick machine for so long. Microseconds.
BLOCKED = 10_000
#: How a server is started that remembers every command and what it took.
REMEMBERING = ("--slowlog-log-slower-than", "0", "--slowlog-max-len", "1000000")
#: What differs between two commands of one kind: cursors, times and ids. Small numbers bound the work and stay.
_FLEETING = re.compile(r"(?<=^SCAN )\d+|(?<= )\d+(?= COUNT )|[0-9a-f-]{16,}|\d{6,}(\.\d+)?")
#: A piece of a list from one place to another, both counted from the same end: its length is the work.
_PIECE = re.compile(r"^([LZ]RANGE \S+) (?:(\d+) (\d+)|-(\d+) -(\d+))")


class CommandTimes:
    """What each kind of command took, over all that is done to a server which is `REMEMBERING`.

    SLOWLOG counts the time in which other processes have the core. That hits a few calls of many; what is too much
    work is so in each. Of what is sent once only doing the same again tells.
    """

    def __init__(self, client: Redis) -> None:
        """Begin: what was sent so far is not ours."""
        self._client = client
        self._took: dict[str, list[int]] = defaultdict(list)
        client.slowlog_reset()

    def slow(self) -> set[str]:
        """Return the kinds of command of which half the calls so far took Redis over `BLOCKED`."""
        for entry in self._client.slowlog_get(1_000_000):
            self._took[_kind(entry["command"].decode(errors="replace"))].append(entry["duration"])
        self._client.slowlog_reset()
        suspects = self._beyond(BLOCKED)
        return suspects and self._beyond(slowed(BLOCKED))

    def _beyond(self, limit: float) -> set[str]:
        found = {kind for kind, durations in self._took.items() if median(durations) > limit}
        return {kind for kind in found if not kind.startswith("SLOWLOG")}


def _kind(command: str) -> str:
    if piece := _PIECE.match(command):
        first, last = (int(number) for number in piece.groups()[1:] if number)
        return f"{piece[1]} for {abs(last - first) + 1}"
    return _FLEETING.sub("#", command)[:200]
