"""An installation in which the doctor finds nothing, to be spoilt by the tests one fact at a time."""

from __future__ import annotations

from typing import Any

from chordwatch.doctor.examine import examine
from chordwatch.doctor.facts import OWN, Facts, Observed, Process, Runs, Task, Worker
from chordwatch.doctor.finding import Finding
from chordwatch.doctor.project import known_settings
from chordwatch.evidence.facts import Limits

URL = "redis://db:6379/1"
CONF: dict[str, Any] = {
    "task_always_eager": False,
    "task_time_limit": 60,
    "task_serializer": "json",
    "accept_content": ["json"],
    "worker_prefetch_multiplier": 4,
    "broker_transport_options": {},
    "result_backend_transport_options": {},
}


def process(name: str = OWN, backend: str | None = URL, **conf: Any) -> Process:
    return Process(name=name, conf={**CONF, **conf}, backend=backend)


def worker(name: str = "w1@zoo", *, backend: str | None = URL, **fields: Any) -> Worker:
    """Return a worker of queue celery that knows the usual task; `conf` changes its configuration."""
    conf = fields.pop("conf", {})
    usual = {
        "process": process(name, backend, **conf),
        "queues": frozenset({"celery"}),
        "registered": frozenset({"zoo.add"}),
        "concurrency": 4,
        "prefetch": 4,
    }
    return Worker(**{**usual, **fields})


def task(name: str = "zoo.add", **fields: Any) -> Task:
    return Task(**{"name": name, "queue": "celery", "time_limit": 60.0, "retry_delay": 180.0, **fields})


def ran(seconds: float, longest: float | None = None) -> Runs:
    return Runs(count=30, median=seconds, longest=seconds if longest is None else longest)


def installation(**fields: Any) -> Facts:
    usual: dict[str, Any] = {
        "own": process(),
        "tasks": (task(),),
        "workers": (worker(),),
        "limits": Limits(
            visibility_timeout=3600, chord_expires=86_400, result_expires=86_400, task_time_limit=60
        ),
        "observed": Observed(chords=100, runs={"zoo.add": ran(1.0)}, header=frozenset({"zoo.add"})),
    }
    return Facts(**{**usual, **fields})


def found(rule: str, **fields: Any) -> list[Finding]:
    """Return what a rule says of the installation with these facts."""
    return [finding for finding in examine(installation(**fields), known_settings()) if finding.rule == rule]


def only(rule: str, **fields: Any) -> Finding:
    """Return the one finding of a rule."""
    (finding,) = found(rule, **fields)
    return finding
