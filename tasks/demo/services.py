"""The services of the demo: what each is called, how it is started, and how it shows that it answers.

The one list for `python -m tasks.demo` and for docker-compose.yml; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

#: The usual port of each service that listens.
PORTS: Mapping[str, int] = {
    "redis": 6379,
    "model-service": 9000,
    "workflow-api": 8000,
    "monitor": 9809,
    "flower": 5555,
    "dashboard": 8501,
    "alertmanager": 9093,
    "prometheus": 9090,
}
QUEUES = ("critical", "default", "low")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the services run: the address they bind to, and under which name and port others reach them."""

    bind: str
    hosts: Mapping[str, str]
    ports: Mapping[str, int]
    data: str
    prometheus_config: str
    prometheus_data: str
    alertmanager_config: str
    alertmanager_data: str

    def address(self, name: str) -> str:
        """Return host:port of the service `name` as the others see it."""
        return f"{self.hosts[name]}:{self.ports[name]}"

    @property
    def env(self) -> dict[str, str]:
        """What every service finds in its environment."""
        return {
            "DEMO_REDIS_URL": f"redis://{self.address('redis')}",
            "MODEL_SERVICE_URL": f"http://{self.address('model-service')}",
            "DEMO_DATA_DIR": f"{self.data}/files",
            # A person's browser reaches every service on this machine, in containers by the published port.
            "CHORDWATCH_DASHBOARD_URL": f"http://127.0.0.1:{self.ports['dashboard']}",
            "CHORDWATCH_FLOWER_URL": f"http://127.0.0.1:{self.ports['flower']}",
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One process. It answers when `health` is 200, when the worker `node` replies, or when it `says` a line.

    `pages` are the addresses worth showing to a person, by name; each leads to a page that answers 200.
    """

    name: str
    argv: tuple[str, ...]
    health: str | None = None
    node: str | None = None
    says: str | None = None
    pages: Mapping[str, str] = field(default_factory=dict)


def services(place: Place) -> tuple[Service, ...]:
    """Return all services at `place`, Redis first, in the order of their dependence."""
    return (
        _redis(place),
        *_python_servers(place),
        *(_worker(queue) for queue in QUEUES),
        _beat(place),
        _monitor(place),
        _flower(place),
        _dashboard(place),
        _alertmanager(place),
        _prometheus(place),
    )


def _redis(place: Place) -> Service:
    port = str(place.ports["redis"])
    # No password, so protected mode would refuse the other containers; nothing is published but to 127.0.0.1.
    options = ("--protected-mode", "no", "--save", "", "--appendonly", "no")
    argv = ("redis-server", "--bind", place.bind, "--port", port, *options)
    return Service(name="redis", argv=argv, says="Ready to accept connections")


def _python_servers(place: Place) -> tuple[Service, ...]:
    pages = {
        "model-service": {"model-service": "/health"},
        "workflow-api": {"workflow-api": "/api/workflows", "alerts": "/alerts"},
    }
    return tuple(
        Service(
            name=name,
            argv=("python", "-m", f"tasks.{name.replace('-', '_')}", *_listen(place, name)),
            health=f"http://{place.address(name)}/health",
            pages={page: f"http://{place.address(name)}{path}" for page, path in paths.items()},
        )
        for name, paths in pages.items()
    )


def _listen(place: Place, name: str) -> tuple[str, ...]:
    return ("--host", place.bind, "--port", str(place.ports[name]))


def _worker(queue: str) -> Service:
    argv = ("celery", "-A", "tasks", "worker", "-Q", queue, "-n", f"{queue}@%h", "-c", "2", "-l", "INFO")
    return Service(name=f"worker-{queue}", argv=argv, node=queue)


def _beat(place: Place) -> Service:
    argv = ("celery", "-A", "tasks", "beat", "-s", f"{place.data}/beat-schedule", "-l", "INFO")
    return Service(name="beat", argv=argv, says="beat: Starting")


def _monitor(place: Place) -> Service:
    root = f"http://{place.address('monitor')}"
    return Service(
        name="monitor",
        argv=("celery", "-A", "tasks", "chords", "monitor", *_listen(place, "monitor")),
        health=f"{root}/healthz",
        pages={"monitor": f"{root}/api/chords", "api-docs": f"{root}/docs", "metrics": f"{root}/metrics"},
    )


def _flower(place: Place) -> Service:
    root = f"http://{place.address('flower')}"
    options = (f"--address={place.bind}", f"--port={place.ports['flower']}")
    return Service(
        name="flower",
        argv=("celery", "-A", "tasks", "flower", "--conf=dashboards/flowerconfig.py", *options),
        health=f"{root}/healthcheck",
        pages={"flower": f"{root}/", "flower-chords": f"{root}/chords"},
    )


def _dashboard(place: Place) -> Service:
    root = f"http://{place.address('dashboard')}"
    return Service(
        name="dashboard",
        argv=("celery", "-A", "tasks", "chords", "dashboard", *_listen(place, "dashboard")),
        health=f"{root}/_stcore/health",
        pages={"dashboard": f"{root}/"},
    )


def _alertmanager(place: Place) -> Service:
    root = f"http://{place.address('alertmanager')}"
    return Service(
        name="alertmanager",
        argv=(
            "alertmanager",
            f"--config.file={place.alertmanager_config}",
            f"--storage.path={place.alertmanager_data}",
            f"--web.listen-address={place.bind}:{place.ports['alertmanager']}",
            "--cluster.listen-address=",  # it has no peers; by default it listens for some on every address
        ),
        health=f"{root}/-/ready",
        pages={"alertmanager": f"{root}/"},
    )


def _prometheus(place: Place) -> Service:
    root = f"http://{place.address('prometheus')}"
    return Service(
        name="prometheus",
        argv=(
            "prometheus",
            f"--config.file={place.prometheus_config}",
            f"--storage.tsdb.path={place.prometheus_data}",
            f"--web.listen-address={place.bind}:{place.ports['prometheus']}",
        ),
        health=f"{root}/-/ready",
        pages={"prometheus": f"{root}/"},
    )
