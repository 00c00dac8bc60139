"""An installation whose monitor is scraped: broker, backend and store are servers of their own."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.alerts.scraper import Scraper
from tests.faults.bench import HERE, Bench, Mode
from tests.support.servers import ROOT, RedisServer, celery, free_port, kill

#: Seconds between two scrapes, as between two looks of a monitor.
INTERVAL = 5.0
#: Seconds between two chords of a traffic.
EVERY = 0.5


@dataclass
class Installation(Bench):
    """A bench with a monitor; `variables` are those of the environment of every process."""

    mode: Mode = "instrumented"
    variables: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.store_server = RedisServer(self.processes)
        self._port = free_port()
        self._started = 0
        self.scraper: Scraper | None = None

    def environment(self, **extra: str) -> dict[str, str]:
        """Return the environment in which the project can be imported."""
        store = {"CHORDWATCH_STORE_URL": self.store_server.url(0)}
        return super().environment(**store, **self.variables, **extra)

    def monitor(self, project: str = "project") -> None:
        """Start the monitor, always at the same address, and wait until it answers; the first time scrape it."""
        self._started += 1
        name = f"monitor-{self._started}"
        command = celery("-A", project, "chords", "monitor", "--port", str(self._port))
        self._monitor = self.processes.start(
            name, *command, cwd=HERE, env=self.environment(PYTHONPATH=str(ROOT))
        )
        self.until(lambda: "127.0.0.1" in self.processes.log(name), "the monitor listens")
        if self.scraper is None:
            self.scraper = Scraper(f"http://127.0.0.1:{self._port}/metrics", INTERVAL)

    def kill_monitor(self) -> None:
        """Kill the monitor, as a lost node does."""
        kill(self._monitor)

    def freeze(self, server: RedisServer) -> None:
        """Let a server answer nobody and forget nothing, as a lost network does."""
        os.kill(server.process.pid, signal.SIGSTOP)

    def thaw(self, server: RedisServer) -> None:
        """Let a server go on."""
        os.kill(server.process.pid, signal.SIGCONT)

    def end(self, worker: str) -> None:
        """Shut a worker down warmly, and wait until it has ended."""
        self.signal(worker, signal.SIGTERM)
        self.wait_for_end(worker)

    def scrapes(self, number: int) -> None:
        """Wait for so many more scrapes."""
        assert self.scraper
        self.scraper.more(number)

    def mark(self, moment: str) -> None:
        """Keep that this was done before the next scrape."""
        assert self.scraper
        self.scraper.mark(moment)

    @contextmanager
    def traffic(self, *names: str, every: float = EVERY) -> Iterator[None]:
        """Within this block publish these chords in turn, one every so many seconds."""
        stopping = threading.Event()

        def publish() -> None:
            while not stopping.is_set():
                for name in names:
                    self.send(name)
                    stopping.wait(every)

        thread = threading.Thread(target=publish, name="traffic")
        thread.start()
        try:
            yield
        finally:
            stopping.set()
            thread.join()

    def close(self) -> None:
        """Scrape no more, then end everything; what is frozen goes on, so that it can end."""
        if self.scraper:
            self.scraper.stop()
        for server in (self.broker_server, self.backend_server, self.store_server):
            if server.process.poll() is None:
                self.thaw(server)
        super().close()
        self.store_server.close()
