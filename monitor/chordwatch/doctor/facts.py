"""What the doctor judges, as plain values: this process, the workers, the servers, what was recorded.

Pure. Durations are seconds, None where unknown. Names come from other people's systems and are hostile.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from chordwatch.evidence.facts import Limits, Server

#: redis: Celery counts in Redis. counting: another backend that counts by itself. polling: `celery.chord_unlock`
#: asks again and again. none: chords are refused, for want of a backend or by its kind (rpc).
BackendKind = Literal["redis", "counting", "polling", "none"]

OWN = "this process"


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process's configuration by new lower-case names, passwords and prefixes masked as `inspect conf` masks them.

    `backend` is the URL of its result backend as it is in effect, `disabled` where it has none.
    """

    name: str
    conf: Mapping[str, Any] = field(default_factory=dict)
    backend: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """A worker that answered. `registered` is None where it did not tell; `prefetch` is messages it may hold."""

    process: Process
    queues: frozenset[str] = frozenset()
    registered: frozenset[str] | None = None
    concurrency: int | None = None
    prefetch: int | None = None

    @property
    def name(self) -> str:
        """Its node name."""
        return self.process.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task of this process's app, built-in ones left out. `queue` is where it is routed, None if not known.

    Limits are those in effect, its own or the configuration's.
    """

    name: str
    queue: str | None = None
    time_limit: float | None = None
    soft_time_limit: float | None = None
    acks_late: bool = False
    reject_on_worker_lost: bool = False
    retry_on_worker_lost: bool = False
    ignore_result: bool = False
    retry_delay: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """Finished runs of a task in recorded chords."""

    count: int
    median: float
    longest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The longest of something, and whose it was: a task's name or a chord's id."""

    of: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What recorded chords tell. `gap` is the longest time between two parts of one chord that Celery counted.

    `chord` is the longest from the first message to the last part, `eta` the furthest ahead of its message.
    `header` names the tasks that were in a header.
    """

    chords: int = 0
    runs: Mapping[str, Runs] = field(default_factory=dict)
    gap: Span | None = None
    chord: Span | None = None
    eta: Span | None = None
    header: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that a rule may look at.

    `given` are the names of settings that are set here, as written, a namespace's prefix taken away.
    `workers` is None where they could not be asked. `beating` are instrumented workers by node, with their queues.
    `routed` are queues that task_queues or task_routes name, by setting. `servers` are by role: broker, backend, store.
    """

    own: Process
    given: tuple[str, ...] = ()
    tasks: tuple[Task, ...] = ()
    routed: Mapping[str, str] = field(default_factory=dict)
    transport: str = "redis"
    backend_kind: BackendKind = "redis"
    workers: tuple[Worker, ...] | None = None
    beating: Mapping[str, frozenset[str]] = field(default_factory=dict)
    servers: Mapping[str, Server] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    observed: Observed = field(default_factory=Observed)

    @property
    def answered(self) -> tuple[Worker, ...]:
        """The workers that answered."""
        return self.workers or ()

    @property
    def processes(self) -> tuple[Process, ...]:
        """Whose configuration counts: every worker's, and this process's where it has the project's code."""
        own = (self.own,) if self.tasks else ()
        return (*own, *(worker.process for worker in self.answered))

    def values(self, setting: str) -> Iterator[tuple[str, Any]]:
        """Yield process name and value of a setting, of those that tell."""
        for process in self.processes:
            if setting in process.conf:
                yield process.name, process.conf[setting]
