"""CPU time (user and system) of processes, from the kernel's own clock of each process. Linux only."""

from __future__ import annotations

import time
from pathlib import Path

#: CPUCLOCK_SCHED of the kernel's clock ids, which `clock_getcpuclockid(3)` builds in the same way.
_SCHEDULED = 2


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that all threads of a live process have used."""
    return time.clock_gettime_ns((~pid << 3) | _SCHEDULED) / 1e9


def tree(pid: int) -> list[int]:
    """Return a process and its descendants. The children of each of its threads count."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += tree(int(child))
    return found


def tree_seconds(pid: int) -> float:
    """Return the CPU time of a process and its live descendants."""
    return sum(map(cpu_seconds, tree(pid)))
