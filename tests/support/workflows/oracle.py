"""What became of every chord, from the three witnesses alone.

Counted is what Celery wrote into its own keys, published is what went over the wire, a run is what the task wrote
into the journal, and how a task ended is its stored result.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.workflows.wiretap import Counting, Message

#: Celery's own task, which collects the parts where a task was replaced by a group: it writes no journal.
ACCUMULATE = "celery.accumulate"
STATES = {"SUCCESS": "succeeded", "FAILURE": "failed", "REVOKED": "revoked"}
#: A task that rejects itself for good is failed to Celery.
ENDS = {"retried": "retrying", "rejected": "failed"}
#: Two starts of one attempt in two processes of one worker, or two messages of it, are one to the store when they are
#: of the same millisecond. The witnesses are not that exact: what is so few seconds apart may be one or two.
BLUR = 0.01

Event = dict[str, Any]
Signature = dict[str, Any]


@dataclass(frozen=True)
class Task:
    """A part of a header, or of a callback: its messages, the starts of its runs, and their ends."""

    id: str
    name: str
    state: str
    messages: tuple[Message, ...] = field(default=(), repr=False)
    runs: tuple[Event, ...] = field(default=(), repr=False)
    ended: tuple[Event, ...] = field(default=(), repr=False)
    counted: bool = False

    @property
    def ends(self) -> Counter[tuple[int, str]]:
        """How its runs ended, by attempt."""
        return Counter((event["retries"], ENDS.get(event["end"], event["end"])) for event in self.ended)

    @property
    def blurred(self) -> Counter[str]:
        """How many of its messages and runs the store may take for the one before, by the name that they have."""
        sent = (
            (
                message.at,
                message.name,
                message.headers["retries"],
                message.headers.get("replaced_task_nesting"),
            )
            for message in self.messages
            if not message.copied
        )
        begun = ((run["at"], run["name"], *_run(run), run["node"]) for run in self._first_in_process())
        return _close(sent) + _close(begun)

    def _first_in_process(self) -> Iterator[Event]:
        """Yield one run of each attempt in each process: the recorder tells those of one process apart."""
        yield from {(run["pid"], *_run(run)): run for run in reversed(self.runs)}.values()


#: Ids of a callback's tasks, with how often each was replaced before.
CallbackKey = tuple[tuple[str, int], ...]


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
    #: A task that was delivered twice dispatched its chord twice; both have the same callback.
    callback_key: CallbackKey = ()
    twin: bool = False

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
        self._names: dict[str, str] = {}
        self._carriers: dict[str, list[Message]] = {}
        #: By chord: what carried one of its parts first, a later step of a chain or an inner chord's callback.
        self._carried: dict[str, tuple[Signature, float]] = {}
        for message in messages:
            for step in [step for top in message.chain for step in (top, *leaves(top))]:
                self._names[_id(step)] = step["task"]
                self._carriers.setdefault(_id(step), []).append(message)
                self._carry(step, message.at)
            # The callback of a chord that is a part of another: of that one no other message may ever come.
            for step in leaves(message.chord) if message.chord else ():
                self._carry(step, message.at)
            self._messages.setdefault(message.id, []).append(message)
            if message.chord is not None and message.group is not None:
                self._headers.setdefault(message.group, []).append(message)
        for event in events:
            self._events.setdefault(event["id"], []).append(event)
        self._callbacks = Counter(
            key for found in self._headers.values() for key in {_key(message.chord) for message in found}
        )

    def _carry(self, step: Signature, at: float) -> None:
        if "chord" in step["options"]:
            self._carried.setdefault(step["options"]["group_id"], (step["options"]["chord"], at))

    def fates(self) -> dict[str, Fate]:
        """Return what became of each chord that was dispatched, by group id."""
        # A size alone is no chord: Celery writes one for a group in a header, too.
        carried = [
            chord_id
            for chord_id, counting in self._countings.items()
            if counting.size is not None and chord_id in self._carried
        ]
        return {chord_id: self._fate(chord_id) for chord_id in dict.fromkeys([*self._headers, *carried])}

    def _fate(self, chord_id: str) -> Fate:
        messages = self._headers.get(chord_id, [])
        body, since = (messages[0].chord, messages[0].at) if messages else self._carried[chord_id]
        counting = self._countings.get(chord_id, Counting())
        size = None if counting.size is None else counting.size + counting.added
        assert body
        counted = {part: state for part, state in counting.parts.items() if not self._untold(part, state)}
        steps = {
            task_id: self._step(task_id, since)
            for task_id in self._steps(list(map(_id, leaves(body))), since)
        }
        ids = dict.fromkeys([*(message.id for message in messages), *counted])
        if any(step.messages for step in steps.values()):
            counted |= self._late(ids.keys() - counted.keys())
        header = {task_id: self._part(chord_id, task_id, counted.get(task_id)) for task_id in ids}
        last = last_ids(body)
        return Fate(
            chord_id=chord_id,
            size=size,
            state=_state(size, counted, steps, last),
            header=header,
            callback_id=last[0] if len(list(leaves(body))) == 1 else None,
            first_names=frozenset(first_names(body)),
            steps=steps,
            callback_key=_key(body),
            twin=self._callbacks[_key(body)] > 1,
        )

    def _untold(self, task_id: str, counted: str) -> bool:
        """Whether a part failed with a chord before it in its chain: Celery counts it, and no signal tells of it."""
        if counted != "FAILURE" or task_id in self._messages:
            return False
        carriers = {message.id for message in self._carriers.get(task_id, ())}
        return not any(self._state(carrier, None) == "failed" for carrier in carriers)

    def _late(self, task_ids: Collection[str]) -> dict[str, str]:
        """Return the parts that succeeded after the callback was sent: done to us, dismissed by Celery 5.7.

        A part that was delivered again adds its members again, to a header that may have been complete without them.
        """
        return {task_id: "SUCCESS" for task_id in task_ids if self._state_of(task_id) == "SUCCESS"}

    def _part(self, chord_id: str, task_id: str, counted: str | None) -> Task:
        return self._task(
            task_id,
            [
                message
                for message in self._messages.get(task_id, ())
                if message.chord and message.group == chord_id
            ],
            [
                event
                for event in self._events.get(task_id, ())
                if event["part"] and event["group"] == chord_id
            ],
            counted,
        )

    def _steps(self, found: list[str], since: float) -> list[str]:
        """Return tasks of a callback, with those of the headers of chords that replaced one of them."""
        replacing = [
            message.id
            for messages in self._headers.values()
            if messages[0].at > since and not set(found).isdisjoint(map(_id, leaves(messages[0].chord)))
            for message in messages
            if message.id not in found
        ]
        return self._steps(found + replacing, since) if replacing else found

    def _step(self, task_id: str, since: float) -> Task:
        """Return a task of a callback; what had its id before it is older than the header."""
        events = self._events.get(task_id, ())
        runs = {_run(event) for event in events if event["event"] == "start" and event["at"] > since}
        return self._task(
            task_id,
            [message for message in self._messages.get(task_id, ()) if message.at > since],
            [event for event in events if _run(event) in runs],
        )

    def _task(
        self, task_id: str, messages: list[Message], events: list[Event], counted: str | None = None
    ) -> Task:
        return Task(
            id=task_id,
            name=messages[-1].name if messages else self._names.get(task_id, ""),
            state=self._state(task_id, counted),
            runs=tuple(event for event in events if event["event"] == "start"),
            messages=tuple(messages),
            ended=tuple(event for event in events if event["event"] == "end"),
            counted=counted is not None,
        )

    def _state(self, task_id: str, counted: str | None) -> str:
        """Return how a task ended: as it was counted or stored, else as it says itself.

        An attempt may be over before the one before it has written down, or stored, that it is retried.
        """
        stored = STATES.get(counted or self._state_of(task_id) or "")
        ends = [event for event in self._events.get(task_id, ()) if event["event"] == "end"]
        last = max(ends, key=_run)["end"] if ends else "unknown"
        return stored or ENDS.get(last, last)


def _state(size: int | None, counted: dict[str, str], steps: dict[str, Task], last: list[str]) -> str:
    complete = size is not None and len(counted) >= size
    if complete and set(counted.values()) != {"SUCCESS"}:
        return "failed"
    # Of a callback that it could not send, Celery stores an error that nobody tells.
    if any(step.messages and step.state in ("failed", "revoked") for step in steps.values()):
        return "failed"
    ended = {steps[task_id].state for task_id in last}
    return "succeeded" if complete and ended == {"succeeded"} else "open"


def leaves(signature: Signature | None) -> Iterator[Signature]:
    """Yield the signature of every task in a serialised signature."""
    if signature is None:
        return
    members = _members(signature)
    if members is None:
        yield signature
    for member in (*(members or ()), *_tail(signature)):
        yield from leaves(member)


def first_names(signature: Signature) -> list[str]:
    """Return the names of the tasks that a signature begins with."""
    members = _members(signature)
    if members is None:
        return [signature["task"]]
    if signature["task"] == "celery.chain":
        return first_names(members[0])
    if signature["task"] == "celery.chord":
        members = members[:-1]
    return [name for member in members for name in first_names(member)]


def last_ids(signature: Signature) -> list[str]:
    """Return the ids of the tasks that a signature ends with."""
    if tail := _tail(signature):
        return last_ids(tail[-1])
    members = _members(signature)
    if members is None:
        return [_id(signature)]
    if signature["task"] in ("celery.chain", "celery.chord"):
        return last_ids(members[-1])
    return [task_id for member in members for task_id in last_ids(member)]


def _id(signature: Signature) -> str:
    return str(signature["options"].get("task_id"))


def _key(signature: Signature | None) -> CallbackKey:
    """Return what only the callbacks of twins have in common: ids, and how often a task was replaced before."""
    return tuple((_id(leaf), leaf["options"].get("replaced_task_nesting") or 0) for leaf in leaves(signature))


def _close(seen: Iterable[tuple[Any, ...]]) -> Counter[str]:
    """Count by name what comes at most `BLUR` after something else of which all but the time is the same."""
    found: Counter[str] = Counter()
    before: dict[tuple[Any, ...], float] = {}
    for at, *what in sorted(seen, key=lambda sighting: sighting[0]):
        key = tuple(what)
        found[key[0]] += at - before.get(key, 0.0) <= BLUR
        before[key] = at
    return found


def _run(event: Event) -> tuple[int, int]:
    return event["nesting"], event["retries"]


def _tail(signature: Signature) -> list[Signature]:
    """Return the steps that follow in a chain, in which the signature's chord is a step itself."""
    return list(reversed(signature["options"].get("chain") or ()))


def _members(signature: Signature) -> list[Signature] | None:
    kwargs = signature["kwargs"]
    match signature["task"]:
        case "celery.chain" | "celery.group":
            return list(kwargs["tasks"])
        case "celery.chord":
            header = kwargs["header"]
            return [*(header["kwargs"]["tasks"] if isinstance(header, dict) else header), kwargs["body"]]
    return None
