"""How long what takes some seconds on a quick machine may take on this one, now."""

from __future__ import annotations

import subprocess
import sys
import time

#: The control: what every command does first, and nothing of ours.
_CONTROL = (sys.executable, "-c", "import celery.bin.celery")
#: Seconds that the control takes on a machine as quick as those on which the tests' limits were set: one on which it
#: took 0.63 s needed 1.6 times the CPU time for looks at 10,000 chords.
_QUICK = 0.4
_TIMES = 5


def slowed(seconds: float) -> float:
    """Return a limit of time that was set on a quick machine as it is here and now; never less.

    The pace is measured in the same run: machines differ, and other guests of a host take up to half of its cores away.
    """
    begun = time.monotonic()
    for _ in range(_TIMES):
        subprocess.run(_CONTROL, check=True)
    pace = (time.monotonic() - begun) / _TIMES / _QUICK
    return seconds * max(1.0, pace)


def within(spent: float, seconds: float) -> bool:
    """Tell whether this took less than a limit of time that was set on a quick machine.

    The pace is measured, which takes some seconds, only when that decides.
    """
    return spent < seconds or spent < slowed(seconds)
