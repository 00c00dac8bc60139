"""Ends the demo's processes when the demo itself was killed and could not.

Runs as a process of its own, by path, with nothing but the standard library: `guard.py REGISTER`. When its
standard input, a pipe that only the demo holds, closes, it ends what the register lists: "+PID" is the leader of
a process group, written by itself before it becomes a service, "-PID" one that the demo has ended.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

GRACE_SECONDS = 5.0
#: A process that was being started when the demo died has written itself into the register by then.
LATE_SECONDS = 1.0


def surviving(text: str) -> list[int]:
    """Return the leaders that were added and not removed, in the order of their start."""
    alive: dict[int, None] = {}
    for line in text.splitlines():
        sign, pid = line[:1], line[1:]
        if sign == "+" and pid.isdigit():
            alive[int(pid)] = None
        elif sign == "-" and pid.isdigit():
            alive.pop(int(pid), None)
    return list(alive)


def end(register: Path) -> None:
    """Ask the processes in the register to stop, then kill what is left of their groups."""
    begun = time.monotonic()
    asked: set[int] = set()
    left: list[int] = []
    while time.monotonic() < begun + LATE_SECONDS or (left and time.monotonic() < begun + GRACE_SECONDS):
        pids = surviving(register.read_text(encoding="utf-8"))
        for pid in pids:
            if pid not in asked:
                _send(os.kill, pid, signal.SIGTERM)
        asked.update(pids)
        left = [pid for pid in pids if _send(os.killpg, pid, 0)]
        time.sleep(0.1)
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
    sys.stdin.read()
    register = Path(sys.argv[1])
    if surviving(register.read_text(encoding="utf-8")):
        end(register)


if __name__ == "__main__":
    main()
