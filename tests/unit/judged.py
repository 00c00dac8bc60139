"""Cases to judge: the chord of `tests.unit.seen` with what bears on it, and what is said of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chordwatch.diagnosis import Case, diagnose
from chordwatch.evidence.facts import Consumers, Place, Worker, WorkerLife
from chordwatch.model import Attempt, Callback, HeaderTask, Verdict
from tests.unit.recorded import recorded
from tests.unit.seen import NOW, W1, consumers, header_task, open_chord

NOWHERE = Place(kind="nowhere")
READ = consumers(W1)


def case(places: Mapping[str, Place], who: Consumers = READ, **fields: Any) -> Case:
    """Return the case of an open chord whose `h0` is counted; what the chord has differently is `chord`."""
    chord = fields.pop("chord", None) or open_chord()
    return Case(**{"chord": chord, "places": places, "consumers": who, "now": NOW, **fields})


def told(places: Mapping[str, Place], *header: HeaderTask, who: Consumers = READ, **fields: Any) -> Case:
    """Return the case of a recorded chord, whose header besides `h0` is `header`."""
    parts = (header_task(0, counted=True, state="succeeded"), *header)
    known = recorded(header=parts, size=len(parts), **fields.pop("chord", {}))
    return case(places, who, chord=known.chord, recorded=known, **fields)


def causes(case: Case) -> list[str]:
    """Return the causes that are named, in their order."""
    return [verdict.cause for verdict in diagnose(case)]


def said(case: Case, cause: str) -> Verdict:
    """Return the one verdict of this cause."""
    (verdict,) = [verdict for verdict in diagnose(case) if verdict.cause == cause]
    return verdict


def started(number: int = 1, *, at: float = NOW - 60, worker: str = "w1@zoo", **fields: Any) -> HeaderTask:
    """Return a header task that a worker started at `at` and whose end nobody told."""
    run = Attempt(attempt=0, state="started", worker=worker, received_at=at - 1, started_at=at)
    usual = {"state": "started", "worker": worker, "started_at": at, "attempt": 0, "attempts": (run,)}
    return header_task(number, **{**usual, **fields})


def received(number: int = 1, *, at: float = NOW - 60, worker: str = "w1@zoo", **fields: Any) -> HeaderTask:
    """Return a header task that a worker received at `at` and has not started."""
    run = Attempt(attempt=0, state="received", worker=worker, received_at=at)
    return header_task(number, **{"state": "received", "worker": worker, "attempts": (run,), **fields})


def callback(**fields: Any) -> Callback:
    """Return the callback."""
    return Callback(**{"task_id": "body", "name": "zoo.collect", **fields})


def life(node: str = "w1@zoo", *, since: float = NOW - 600, **fields: Any) -> WorkerLife:
    """Return a life of a worker that beats and reads `celery`."""
    usual = {"boot": f"{node}-{since}", "last_beat_at": NOW - 1, "stale": False, "queues": ("celery",)}
    return WorkerLife(**{"node": node, "since": since, **usual, **fields})


def dead(node: str = "w1@zoo", **fields: Any) -> WorkerLife:
    """Return a life of a worker that beats no more and whose connection is gone."""
    return life(node, **{"last_beat_at": NOW - 25, "stale": True, "connected": False, **fields})


def alive(hostname: str = "w1@zoo", **fields: Any) -> Worker:
    """Return a worker that has answered all questions."""
    usual = {"queues": ("celery",), "concurrency": 1, "started_at": NOW - 7200}
    return Worker(**{"hostname": hostname, **usual, **fields})


def unacked(*, ago: float = 60, **fields: Any) -> Place:
    """Return the place of a task whose message was delivered so many seconds ago and is not acknowledged."""
    return Place(**{"kind": "unacked", "name": "celery", "since": NOW - ago, **fields})


def running(*, ago: float = 60, worker: str = "w1@zoo") -> Place:
    """Return the place of a task that a worker runs since so many seconds."""
    return Place(kind="active", name=worker, since=NOW - ago)
