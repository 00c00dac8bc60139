"""What the tests of workers are told of."""

from __future__ import annotations

from typing import Any

from chordwatch.diagnosis import Case
from chordwatch.evidence.facts import Consumers, Message, Place, WorkerTask
from chordwatch.model import Attempt, HeaderTask, MissingPart
from tests.unit.judged import (
    NOWHERE,
    alive,
    case,
    dead,
    life,
    running,
    started,
    told,
)
from tests.unit.seen import NOW, active, consumers, header_task, keys, meta, open_chord

LOST = {"h1": NOW - 5}


OTHER = consumers(alive("w2@zoo"))


def lost(task: HeaderTask | None = None, place: Place = NOWHERE, **fields: Any) -> Case:
    usual: dict[str, Any] = {"who": OTHER, "nowhere_since": LOST, "lives": {"w1@zoo": (dead(),)}}
    return told({"h1": place}, task or started(), **{**usual, **fields})


def bare(
    *, who: Consumers = OTHER, place: Place = NOWHERE, opened: float | None = None, **result: Any
) -> Case:
    known = meta("h1", **{"state": "started", "worker": "w1@zoo", "pid": 77, "finished_at": None, **result})
    chord = open_chord(opened_at=opened)
    return case({"h1": place}, who, chord=chord, metas={"h1": known}, nowhere_since=LOST)


FROZEN = life(last_beat_at=NOW - 25, stale=True, connected=True)


CANCELLED = header_task(
    1,
    state="retrying",
    worker="w1@zoo",
    attempts=(
        Attempt(attempt=0, state="retrying", worker="w1@zoo", started_at=NOW - 60, finished_at=NOW - 41),
    ),
)


LEFT = {"w1@zoo": (life(gone=True, last_beat_at=NOW - 40),)}


def parent(*, ago: float = 60, slots: int = 1, beside: tuple[WorkerTask, ...] = (), **fields: Any) -> Case:
    """Return the case of `h1`, which runs and has sent `child`, which has not begun."""
    child = Message(task_id="child", name="zoo.sub", queue="celery", parent_id="h1", unacked=True)
    worker = alive(concurrency=slots, tasks=(active("h1"), *beside))
    usual: dict[str, Any] = {"children": {"h1": (child,)}, "who": consumers(worker)}
    return case({"h1": running(ago=ago)}, **{**usual, **fields})


def stranger(*, ago: float = 60, missing: MissingPart = MissingPart(index=1), **fields: Any) -> Case:  # noqa: B008
    """Return the case of a chord with a part that nobody can name; `x` runs and has sent `child`."""
    child = Message(task_id="child", name="zoo.sub", queue="celery", parent_id="x", unacked=True)
    runs = WorkerTask(task_id="x", name="zoo.parent", kind="active", started_at=NOW - ago)
    chord = open_chord(missing=(missing,), header=(header_task(0, counted=True, state="succeeded"),))
    usual: dict[str, Any] = {
        "children": {"x": (child,)},
        "who": consumers(alive(concurrency=1, tasks=(runs,))),
    }
    return case({}, **{**usual, "chord": chord, **fields})


def joining(*, asked: float = NOW, members: tuple[str, ...] = ("h0", "h1"), **fields: Any) -> Case:
    """Return the case of a complete chord whose `h1` is counted and still runs on `w1@zoo`."""
    header = tuple(header_task(n, counted=True, state="succeeded") for n in (0, 1))
    chord = open_chord(header=header, counted=2, missing=(), progressed_at=NOW - 47)
    known = {"chord": chord, "keys": keys(size=2, counted=2, members=members), **fields}
    return case({}, consumers(alive(tasks=(active("h1"),)), asked_at=asked), **known)


HOSTILE = "x\n\x1b[31m\u202e[bold]" + "y" * 10_240


EVIL = started(task_id=HOSTILE, name=HOSTILE, worker=HOSTILE)


EVIL_WORKER = alive(
    HOSTILE, queues=(HOSTILE,), tasks=(WorkerTask(task_id=HOSTILE, name=HOSTILE, kind="active"),)
)
