"""Ends the demo's processes when the demo itself was killed and could not.

Runs as a process of its own, by path, with nothing but the standard library. Reads "+PID" and "-PID" from the
demo, each the leader of a process group; when that pipe closes, what has been added and not removed is ended.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterable

GRACE_SECONDS = 5.0


def surviving(lines: Iterable[str]) -> list[int]:
    """Return the leaders that were added and never removed, in the order of their start."""
    alive: dict[int, None] = {}
    for line in lines:
        sign, pid = line[:1], line[1:].strip()
        if pid.isdigit() and sign == "+":
            alive[int(pid)] = None
        elif pid.isdigit():
            alive.pop(int(pid), None)
    return list(alive)


def end(leaders: Iterable[int]) -> None:
    """Ask these processes to stop, then kill what is left of their groups."""
    left = [pid for pid in leaders if _send(os.kill, pid, signal.SIGTERM)]
    deadline = time.monotonic() + GRACE_SECONDS
    while left and time.monotonic() < deadline:
        time.sleep(0.1)
        left = [pid for pid in left if _send(os.killpg, pid, 0)]
    for pid in left:
        _send(os.killpg, pid, signal.SIGKILL)


def _send(send: Callable[[int, int], None], pid: int, number: int) -> bool:
    """Send a signal; tell whether there was anybody to get it."""
    try:
        send(pid, number)
    except ProcessLookupError:
        return False
    return True


def main() -> None:
    """Wait for the demo's end; then end what it left."""
    # Ctrl-C and a SIGTERM to the whole group are the demo's to handle; the guard outlives it on purpose.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    end(surviving(sys.stdin))


if __name__ == "__main__":
    main()
