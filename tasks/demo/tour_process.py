"""The tour as the supervisor sees it: a process that writes to the demo's own terminal and may take its time.

Not one of honcho's: those have their output in a file, and a live table wants the terminal itself.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from tasks.demo.supervise import Supervisor

#: How the tour ends when it is told to stop before it was over.
UNFINISHED = 143
#: A fault that is being brought about ends its own worker first.
GRACE_SECONDS = 8.0
POLL_SECONDS = 0.2


class TourProcess:
    """`python -m tasks.demo.tour`, in a session of its own: Ctrl-C reaches the supervisor alone."""

    def __init__(
        self,
        supervisor: Supervisor,
        env: Mapping[str, str],
        *,
        seconds: float | None,
        summary: Path | None,
        pages: Mapping[str, str],
    ) -> None:
        argv = [sys.executable, "-m", "tasks.demo.tour", "--pages", json.dumps(dict(pages))]
        if seconds is not None:
            argv += ["--until", str(time.time() + seconds)]
        if summary is not None:
            argv += ["--summary", str(summary.absolute())]
        self._supervisor = supervisor
        self._process = subprocess.Popen(  # noqa: S603  # our own interpreter and arguments
            ["/bin/sh", "-c", supervisor.registered(argv)],
            env=dict(env),
            cwd=supervisor.cwd,
            start_new_session=True,
        )

    def wait(self, stopped: Callable[[], bool]) -> int | None:
        """Return the tour's exit code when it ends by itself, None when `stopped` comes first."""
        while not stopped():
            with suppress(subprocess.TimeoutExpired):
                return self._process.wait(POLL_SECONDS)
        return None

    def stop(self) -> int:
        """End the tour, if it has not ended yet, and return its exit code."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._supervisor.unregister(self._process.pid)
        return self._process.returncode
