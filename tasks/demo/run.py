"""The demo from start to end: ports, Redis, services, tour, and the end of them all.

Runs in the demo's main process, which supervises and never plays: the tour is a process of its own.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from tasks.demo.answers import page_at, unanswered
from tasks.demo.data_folder import DataFolder
from tasks.demo.errors import DemoError
from tasks.demo.ports import LOOPBACK, changes, choose_ports
from tasks.demo.prometheus_config import write_configs
from tasks.demo.redis_server import find_redis_server
from tasks.demo.services import PORTS, Place, Service, services
from tasks.demo.supervise import Child, Supervisor
from tasks.demo.tour_process import UNFINISHED, TourProcess

ROOT = Path(__file__).parents[2]
#: A cold start compiles and imports everything once, on a small machine in competition with itself.
ANSWER_SECONDS = 120.0
#: Between choosing a port and listening on it somebody else may take it.
ATTEMPTS = 3
#: Variables that `celery` takes for its own options, from whatever project the shell is set up for.
CELERY_OPTIONS = frozenset({"APP", "BROKER_URL", "CONFIG_MODULE", "LOADER", "RESULT_BACKEND", "SKIP_CHECKS"})
FOREIGN_PREFIXES = ("CELERY", "CHORDWATCH_", "FLOWER_", "STREAMLIT_")
#: Services that run when one of these programs is on PATH.
OPTIONAL = {
    "Alertmanager": ("alertmanager", "prometheus-alertmanager"),  # the second is Debian's name for it
    "Prometheus": ("prometheus",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line asked for."""

    seconds: float | None
    summary: Path | None
    data: Path


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without what would send Celery, Flower or Streamlit elsewhere than to the demo."""
    kept = {
        name: value
        for name, value in given.items()
        if name not in CELERY_OPTIONS and not name.startswith(FOREIGN_PREFIXES)
    }
    return kept | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


class Interrupt:
    """Remembers the first SIGINT or SIGTERM; the demo looks at it wherever it waits."""

    def __init__(self) -> None:
        self.number = 0
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._remember)

    def _remember(self, number: int, _frame: FrameType | None) -> None:
        self.number = self.number or number

    def happened(self) -> bool:
        """Whether the demo has been told to stop."""
        return self.number != 0


def run(options: Options) -> int:
    """Run the demo; return its exit code.

    Raises:
        DemoError: A service did not answer, or there is nothing to start it with.
    """
    if options.summary is not None and not options.summary.absolute().parent.is_dir():
        raise DemoError(f"There is no folder for {options.summary}.")
    interrupt = Interrupt()
    folder = DataFolder(options.data)
    try:
        for _ in range(ATTEMPTS - 1):
            ports = choose_ports(PORTS)
            try:
                return _once(options, folder, ports, interrupt)
            except DemoError:
                now = choose_ports(ports)
                stolen = [name for name, port in ports.items() if now[name] != port]
                if not stolen:
                    raise
            _say(f"Somebody else took the port of {', '.join(stolen)} meanwhile; starting again.")
        return _once(options, folder, choose_ports(PORTS), interrupt)
    finally:
        folder.close()
        _say("Everything is stopped.")


def _once(options: Options, folder: DataFolder, ports: Mapping[str, int], interrupt: Interrupt) -> int:
    """Run the demo on these ports, which were free a moment ago."""
    with closing(Supervisor(cwd=ROOT, logs=folder.logs, register=folder.register)) as supervisor:
        return Demo(options, folder, ports, supervisor, interrupt).play()


class Demo:
    """One run of the demo, inside a supervisor that stops what it started."""

    def __init__(
        self,
        options: Options,
        folder: DataFolder,
        ports: Mapping[str, int],
        supervisor: Supervisor,
        interrupt: Interrupt,
    ) -> None:
        self._options = options
        self._folder = folder
        self._supervisor = supervisor
        self._interrupt = interrupt
        self._ports = ports
        self._place = Place(
            bind=LOOPBACK,
            hosts=dict.fromkeys(PORTS, LOOPBACK),
            ports=self._ports,
            data=str(folder.path),
            prometheus_config=str(folder.path / "prometheus.yml"),
            prometheus_data=str(folder.path / "prometheus"),
            alertmanager_config=str(folder.path / "alertmanager.yml"),
            alertmanager_data=str(folder.path / "alertmanager"),
        )
        self._env = environment(os.environ) | self._place.env
        self._programs = {
            "python": (sys.executable,),
            "celery": (sys.executable, "-m", "celery"),
            "redis-server": (find_redis_server(),),
        }

    def play(self) -> int:
        """Start everything, wait for the tour's end or an interrupt; return the exit code."""
        self._announce()
        redis, *others = services(self._place)
        begun = time.monotonic()
        self._start([redis])
        started = self._start(self._available(others))
        if self._interrupt.happened():
            return 128 + self._interrupt.number
        pages = {name: page_at(url) or url for service in started for name, url in service.pages.items()}
        _say(f"All {len(self._supervisor.children)} services answer after {time.monotonic() - begun:.0f} s.")
        for name, url in pages.items():
            _say(f"  {name:<14} {url}")
        return self._tour(pages)

    def _announce(self) -> None:
        for sentence in changes(PORTS, self._ports):
            _say(sentence)
        if self._folder.path != self._folder.wanted:
            _say(f"Another demo is running, so this one writes to {self._folder.path}.")
        _say(f"Starting the services; their logs are in {self._folder.logs}.")

    def _available(self, wanted: Sequence[Service]) -> list[Service]:
        """Leave out what is not on PATH; give what is its configuration."""
        write_configs(self._place)
        for title, programs in OPTIONAL.items():
            found = next(filter(None, map(shutil.which, programs)), None)
            if found is None:
                _say(f"{title} is not on PATH; the demo runs without it.")
            else:
                self._programs[title.lower()] = (found,)
        return [service for service in wanted if service.argv[0] in self._programs]

    def _start(self, wanted: Sequence[Service]) -> Sequence[Service]:
        """Start these services together and wait until each answers."""
        pairs = []
        for service in wanted:
            program, *arguments = service.argv
            argv = (*self._programs[program], *arguments)
            pairs.append((service, self._supervisor.start(service.name, argv, self._env)))
        broker = f"redis://{self._place.address('redis')}/0"
        silent = unanswered(pairs, broker, ANSWER_SECONDS, self._stopped)
        if not self._interrupt.happened():
            self._refuse_lost()
            if silent:
                raise DemoError("\n".join(_silence(service, child) for service, child in silent))
        return wanted

    def _stopped(self) -> bool:
        return self._interrupt.happened() or bool(self._supervisor.lost())

    def _tour(self, pages: dict[str, str]) -> int:
        """Let the tour run to its end; then look once more whether all services are there."""
        options = self._options
        tour = TourProcess(
            self._supervisor, self._env, seconds=options.seconds, summary=options.summary, pages=pages
        )
        try:
            ended = tour.wait(self._stopped)
            if ended is not None:
                self._check(pages)
        finally:
            code = tour.stop()
        self._refuse_lost()
        return 128 + self._interrupt.number if code == UNFINISHED else code

    def _check(self, pages: Mapping[str, str]) -> None:
        """Look once more whether every page answers."""
        dead = [url for url in pages.values() if page_at(url) != url]
        if dead:
            raise DemoError(
                f"No answer any more from {', '.join(dead)}; the logs are in {self._folder.logs}."
            )

    def _refuse_lost(self) -> None:
        lost = self._supervisor.lost()
        if lost:
            raise DemoError(
                "\n".join(
                    f"{child.name} ended by itself with exit code {child.returncode}; its log is {child.log}."
                    for child in lost
                )
            )


def _silence(service: Service, child: Child) -> str:
    addresses = " and ".join(filter(None, (service.health, *service.pages.values())))
    at = f" at {addresses}" if addresses else ""
    return f"{service.name} did not answer{at} within {ANSWER_SECONDS:.0f} s; its log is {child.log}."


def _say(sentence: str) -> None:
    print(sentence, flush=True)
