"""An installation whose monitor Prometheus scrapes; all of chordwatch on default settings."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from chordwatch.metrics.alerts import Thresholds
from tests.acceptance.diagnosis.installation import HERE as PROJECT
from tests.acceptance.diagnosis.installation import Installation
from tests.support.polling import wait_until
from tests.support.prometheus import Alerting
from tests.support.servers import Processes, RedisServer, celery, free_port, run

HERE = Path(__file__).parent
#: Every alert waits, and stays, for seconds instead of minutes; what is compared with a number stays as it is.
FAST = Thresholds(
    hung_for=5,
    looping_for=5,
    late_for=15,  # what one look calls late for a moment is shown for five seconds, until the next look
    unhealthy_keep=5,
    unconsumed_for=5,
    backlog_for=5,
    worker_down_for=5,
    blind_for=20,  # Prometheus takes five seconds to find its first target, and a monitor some to restart
    blind_keep=5,
)


class Watched(Installation):
    """An instrumented installation, its monitor, and the alerting that looks at it."""

    def __init__(self, redis: RedisServer, processes: Processes, **settings: Any) -> None:
        super().__init__(redis, processes, instrumented=True, **settings)
        self._port = free_port()
        self.monitor = self.watch()
        self.alerting = Alerting(processes, f"127.0.0.1:{self._port}", FAST)
        wait_until(lambda: self.alerting.ask("job:chordwatch_monitors:count"), "Prometheus knows the monitor")

    def watch(self) -> subprocess.Popen[bytes]:
        """Start the monitor where Prometheus looks for it, and wait until it has taken a look."""
        command = celery("-A", "project", "chords", "monitor", "--port", str(self._port))
        self.monitor = self.processes.start("monitor", *command, cwd=PROJECT, env=self.environment())
        wait_until(self._ready, "the monitor is ready")
        return self.monitor

    def _ready(self) -> bool:
        try:
            return self._page("/readyz").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def _page(self, path: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self._port}{path}", timeout=20)

    def metrics(self) -> httpx.Response:
        """Return what the monitor serves to Prometheus."""
        return self._page("/metrics")

    def running(self, chord_id: str) -> bool:
        """Whether the third part of a chord has begun."""
        found = self.store.get(chord_id)
        return bool(found) and [part.state for part in found.chord.header].count("started") == 1

    def send_again(self, chord_id: str, queue: str) -> None:
        """Send the part of a chord again that is not counted, as somebody who mends it by hand would."""
        found = self.store.get(chord_id)
        assert found
        [lost] = [part.task_id for part in found.chord.header if not part.counted]
        arguments = (chord_id, found.chord.callback.task_id, lost, queue)
        done = run(sys.executable, str(HERE / "again.py"), *arguments, cwd=PROJECT, env=self.environment())
        assert done.returncode == 0, done.stderr

    def trickle(self) -> subprocess.Popen[str]:
        """Start a producer that sends chords of short parts until its standard input closes."""
        return subprocess.Popen(
            (sys.executable, str(HERE / "trickle.py")),
            cwd=PROJECT,
            env=self.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        """Give connections back, and hear of no more alerts."""
        self.alerting.close()
        super().close()

    def environment(self, login: str = "") -> dict[str, str]:
        """Return the environment in which the project can be imported, also by a script in this folder."""
        return {**super().environment(login), "PYTHONPATH": str(PROJECT)}
