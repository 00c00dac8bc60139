"""What became of every chord, from the three witnesses alone.

Counted is what Celery wrote into its own keys, published is what went over the wire, a run is what the task wrote
into the journal, and how a task ended is its stored result.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.workflows.wiretap import Counting, Message

#: Celery's own task, which collects the parts where a task was replaced by a group: it writes no journal.
ACCUMULATE = "celery.accumulate"
STATES = {"SUCCESS": "succeeded", "FAILURE": "failed", "REVOKED": "revoked"}
ENDS = {"retried": "retrying"}

Event = dict[str, Any]
Runs = tuple[Event, ...]


@dataclass(frozen=True)
class Task:
    """A part of a header, or of a callback. `runs` are its starts, `ends` counts how runs ended by attempt."""

    id: str
    name: str
    state: str
    runs: Runs = ()
    ends: Counter[tuple[int, str]] = field(default_factory=Counter)
    published: int = 0
    counted: bool = False


@dataclass(frozen=True)
class Fate:
    """What became of a chord. `steps` are all tasks of its callback, `first_names` the names it may be called by."""

    chord_id: str
    size: int | None
    state: str
    header: dict[str, Task]
    callback_id: str | None
    first_names: frozenset[str]
    steps: dict[str, Task]

    @property
    def counted(self) -> int:
        """How many parts Celery counted."""
        return sum(part.counted for part in self.header.values())


class Oracle:
    """Knows the fate of every chord; `state_of` gives the stored state of a task's result, or None."""

    def __init__(
        self,
        messages: Iterable[Message],
        countings: Mapping[str, Counting],
        events: Iterable[Event],
        state_of: Callable[[str], str | None],
    ) -> None:
        self._countings = countings
        self._state_of = state_of
        self._messages: dict[str, list[Message]] = {}
        self._headers: dict[str, list[Message]] = {}
        self._events: dict[str, list[Event]] = {}
        for message in messages:
            self._messages.setdefault(message.id, []).append(message)
            if message.chord is not None and message.group is not None:
                self._headers.setdefault(message.group, []).append(message)
        for event in events:
            self._events.setdefault(event["id"], []).append(event)

    def fates(self) -> dict[str, Fate]:
        """Return what became of each chord whose header was published, by group id."""
        return {chord_id: self._fate(chord_id, found) for chord_id, found in self._headers.items()}

    def _fate(self, chord_id: str, messages: list[Message]) -> Fate:
        counting = self._countings.get(chord_id, Counting())
        size = None if counting.size is None else counting.size + counting.added
        ids = dict.fromkeys([message.id for message in messages]) | dict.fromkeys(counting.parts)
        header = {task_id: self._task(task_id, counting.parts.get(task_id)) for task_id in ids}
        body = messages[0].chord
        assert body
        steps = {task_id: self._task(task_id) for task_id, _ in leaves(body)}
        last = [steps[task_id].state for task_id in last_ids(body)]
        return Fate(
            chord_id=chord_id,
            size=size,
            state=_state(size, counting, [step.state for step in steps.values()], last),
            header=header,
            callback_id=next(iter(steps)) if len(steps) == 1 else None,
            first_names=frozenset(name for _, name in first_leaves(body)),
            steps=steps,
        )

    def _task(self, task_id: str, counted: str | None = None) -> Task:
        messages = [message for message in self._messages.get(task_id, ()) if not message.copied]
        events = self._events.get(task_id, [])
        return Task(
            id=task_id,
            name=messages[-1].name if messages else "",
            state=self._state(task_id, counted),
            runs=tuple(event for event in events if event["event"] == "start"),
            ends=Counter((event["retries"], event["end"]) for event in events if event["event"] == "end"),
            published=len(messages),
            counted=counted is not None,
        )

    def _state(self, task_id: str, counted: str | None) -> str:
        stored = STATES.get(counted or self._state_of(task_id) or "")
        ends = [event["end"] for event in self._events.get(task_id, ()) if event["event"] == "end"]
        if stored == "failed" and ends and ends[-1] == "rejected":
            return "rejected"
        if stored:
            return stored
        return "ignored" if ends else "unknown"


def _state(size: int | None, counting: Counting, steps: list[str], last: list[str]) -> str:
    complete = size is not None and len(counting.parts) >= size
    if complete and set(counting.parts.values()) != {"SUCCESS"}:
        return "failed"
    if set(steps) & {"failed", "revoked", "rejected"}:
        return "failed"
    return "succeeded" if complete and set(last) == {"succeeded"} else "open"


def leaves(signature: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield id and name of every task in a serialised signature."""
    members = _members(signature)
    if members is None:
        yield str(signature["options"].get("task_id")), signature["task"]
    for member in members or ():
        yield from leaves(member)


def first_leaves(signature: dict[str, Any]) -> list[tuple[str, str]]:
    """Return id and name of the tasks that a signature begins with."""
    members = _members(signature)
    if members is None:
        return list(leaves(signature))
    if signature["task"] == "celery.chain":
        return first_leaves(members[0])
    if signature["task"] == "celery.chord":
        members = members[:-1]
    return [leaf for member in members for leaf in first_leaves(member)]


def last_ids(signature: dict[str, Any]) -> list[str]:
    """Return the ids of the tasks that a signature ends with."""
    members = _members(signature)
    if members is None:
        return [task_id for task_id, _ in leaves(signature)]
    if signature["task"] in ("celery.chain", "celery.chord"):
        return last_ids(members[-1])
    return [task_id for member in members for task_id in last_ids(member)]


def _members(signature: dict[str, Any]) -> list[dict[str, Any]] | None:
    kwargs = signature["kwargs"]
    match signature["task"]:
        case "celery.chain" | "celery.group":
            return list(kwargs["tasks"])
        case "celery.chord":
            header = kwargs["header"]
            return [*(header["kwargs"]["tasks"] if isinstance(header, dict) else header), kwargs["body"]]
    return None
