"""What the tests of state are told of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from chordwatch.diagnosis import Case
from chordwatch.evidence.facts import Place, Server, ServerChange, WorkerTask
from chordwatch.model import Attempt, HeaderTask, MissingPart
from chordwatch.store.protocol import RecordedChord
from tests.unit.judged import NOWHERE, alive, case, started, told
from tests.unit.recorded import ran
from tests.unit.seen import NOW, consumers, header_task, keys, meta, open_chord, part

CLEAN = Server(run_id="r", started_at=NOW - 9000, evicted_keys=0, flushes=0, maxmemory_policy="noeviction")


BOTH = (ran(0, finished_at=NOW - 55), ran(1, finished_at=NOW - 40))


def lost(*header: HeaderTask, **fields: Any) -> Case:
    """Return a recorded chord of which the result backend has a part and no size, unless told otherwise."""
    parts = header or BOTH
    counted = sum(task.counted for task in parts)
    gaps = tuple(MissingPart(index=t.index, task_id=t.task_id) for t in parts if not t.counted)
    chord = open_chord(
        header=parts,
        size=len(parts),
        counted=counted,
        missing=gaps,
        opened_at=NOW - 60,
        progressed_at=NOW - 40,
    )
    chord = replace(chord, **fields.pop("chord", {}))
    usual: dict[str, Any] = {
        "keys": keys(parts=(part(1),)),
        "backend": CLEAN,
        "recorded": RecordedChord(chord=fields.pop("known", chord), applied=1),
    }
    return case(fields.pop("places", {}), chord=chord, **{**usual, **fields})


def happened(kind: Any, *, ago: float = 50.0) -> Server:
    change = ServerChange(kind=kind, since=NOW - ago - 2, until=NOW - ago, text=f"It was {kind}.")
    return replace(CLEAN, changes=(change,))


RUNS = (ran(0), header_task(1, state="published"))


AT_WORK = Place(kind="active", name="w1@zoo", since=NOW - 3)


def apart(*header: HeaderTask, **fields: Any) -> Case:
    return lost(*header, **{"keys": keys(size=2), **fields})


REFUSED = "OutOfMemoryError: command not allowed when used memory > 'maxmemory'."


def unstored(error: str = REFUSED, place: Place = NOWHERE, **fields: Any) -> Case:
    run = Attempt(
        attempt=0, state="failed", worker="w1@zoo", started_at=NOW - 60, finished_at=NOW - 50, error=error
    )
    usual = {
        "state": "failed",
        "worker": "w1@zoo",
        "finished_at": NOW - 50,
        "error": error,
        "attempts": (run,),
    }
    task = header_task(1, **{**usual, **fields.pop("task", {})})
    return told({"h1": place}, task, **fields)


def uncounted(age: float = 6.0, **fields: Any) -> Case:
    result = meta("h1", **{"group_id": "group", "finished_at": NOW - age, **fields.pop("result", {})})
    header = (header_task(0, counted=True, state="succeeded"), header_task(1, state=result.state))
    usual: dict[str, Any] = {
        "keys": keys(size=2, parts=(part(0),)),
        "metas": {"h1": result},
        "nowhere_since": {"h1": NOW - 3},
        "chord": open_chord(header=header),
    }
    return case(fields.pop("places", {"h1": NOWHERE}), **{**usual, **fields})


FULL = keys(size=2, parts=(part(0), part(1)), touched_at=NOW - 60)


def claimed(**fields: Any) -> Case:
    header = tuple(header_task(number, counted=True, state="succeeded") for number in (0, 1))
    chord = open_chord(header=header, counted=2, missing=(), **fields.pop("chord", {}))
    usual: dict[str, Any] = {"keys": FULL, "nowhere_since": {"body": NOW - 5}, "who": consumers(alive())}
    return case(fields.pop("places", {}), chord=chord, **{**usual, **fields})


HELD = WorkerTask(task_id="h1", name="zoo.add", kind="active")


def twice(number: int) -> HeaderTask:
    runs = tuple(
        Attempt(attempt=0, state="succeeded", worker="w1@zoo", started_at=at, finished_at=at + 1)
        for at in (NOW - 60, NOW - 50)
    )
    return header_task(number, state="succeeded", attempts=runs)


def counter(*header: HeaderTask, remaining: int | None = None, **fields: Any) -> Case:
    parts = header or (twice(0), started(1))
    chord = open_chord(header=parts, progressed_at=NOW - 50, **fields.pop("chord", {}))
    usual: dict[str, Any] = {
        "keys": keys(counting="counter", remaining=remaining),
        "recorded": RecordedChord(chord=chord),
    }
    return case(fields.pop("places", {"h1": AT_WORK}), chord=chord, **{**usual, **fields})
