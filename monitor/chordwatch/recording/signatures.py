"""Celery's serialised signatures, as messages embed them: who is the callback, which parts are still ahead.

Checked against Celery 5.4 to 5.7 (`canvas.py`). Pure.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from chordwatch.foreign import as_dict, as_int, as_list, as_text

#: A hostile or gigantic canvas is walked only so far.
MAX_SIGNATURES = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """The callback as every header message embeds it.

    `task_id` is the id the caller holds (`AsyncResult.id` of the chord), `name` the first real task's.
    `task_ids` are the ids of all steps in it and after it; `ends` is the number of tasks that end it (1, or the members
    of a group). `carries`: it holds steps of something around the chord, a chain's or another chord's.
    """

    task_id: str | None
    name: str | None
    queue: str | None = None
    task_ids: tuple[str, ...] = ()
    ends: int = 1
    errbacks: tuple[tuple[str | None, str | None], ...] = ()
    carries: bool = False

    @property
    def ids(self) -> tuple[str, ...]:
        """All ids under which it may have a result."""
        return tuple(dict.fromkeys(id_ for id_ in (self.task_id, *self.task_ids) if id_))


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedPart:
    """A part of a chord that the message of another task, the carrier, still holds.

    A later step of a chain in the header, or an inner chord's body, which is a part of the outer chord. `behind`: the
    group id of the inner chord whose body it is in, None where that is the carrier's own, or there is none.
    """

    chord_id: str
    task_id: str
    index: int | None
    name: str | None
    body: Body
    carrier_id: str
    behind: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedPart:
    """A part of a chord that is not published yet; `index` is its place in the header, None inside a group."""

    task_id: str
    index: int | None
    name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedChord:
    """A chord that is still ahead in a chain; `body` is its callback's signature."""

    chord_id: str
    body: dict[str, Any]
    parts: tuple[PlannedPart, ...]


def read_body(signature: object) -> Body | None:
    """Return the callback that a header message embeds under `chord`, None when there is none."""
    root = as_dict(signature)
    if not root:
        return None
    steps = list(_tasks(root))
    options = as_dict(root.get("options"))
    first = as_dict(steps[0]) if steps else root
    return Body(
        task_id=as_text(as_dict(_last(root).get("options")).get("task_id")),
        name=as_text(first.get("task")),
        queue=as_text(as_dict(first.get("options")).get("queue")) or as_text(options.get("queue")),
        task_ids=_unique(as_text(as_dict(step.get("options")).get("task_id")) for step in steps),
        ends=sum(1 for _ in _ends(root)),
        errbacks=tuple(_errbacks(root)),
        carries=any(_goes_on(step) for step in (root, *steps)),
    )


def _goes_on(signature: object) -> bool:
    options = as_dict(as_dict(signature).get("options"))
    return bool(options.get("chain") or options.get("chord"))


def starts(signature: dict[str, Any]) -> dict[str, int]:
    """Return the ids of the tasks that are published first, with the number of chords whose header each is in."""
    found: dict[str, int] = {}
    stack, seen = [(signature, 0)], 0
    while stack and seen < MAX_SIGNATURES:
        (root, depth), seen = stack.pop(), seen + 1
        kwargs = as_dict(root.get("kwargs"))
        match root.get("subtask_type"):
            case "chain":
                inner = as_list(kwargs.get("tasks"))[:1]
            case "group":
                inner = as_list(kwargs.get("tasks"))
            case "chord":
                inner, depth = _members(kwargs.get("header")), depth + 1
            case _:
                inner = []
                if task_id := as_text(as_dict(root.get("options")).get("task_id")):
                    found[task_id] = depth
        stack.extend((as_dict(task), depth) for task in inner)
    return found


def failing_with(chain: object) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield chord id, callback and signature of each part that Celery counts as failed when the step before fails."""
    stack, seen = [as_dict(step) for step in as_list(chain)], 0
    while stack and seen < MAX_SIGNATURES:
        step, seen = stack.pop(), seen + 1
        options = as_dict(step.get("options"))
        chord_id, body = as_text(options.get("group_id")), as_dict(options.get("chord"))
        if chord_id and body and as_text(options.get("task_id")):
            yield chord_id, body, step
        if step.get("subtask_type") == "chord":
            stack.append(as_dict(as_dict(step.get("kwargs")).get("body")))


def planned_chords(embed: dict[str, Any]) -> Iterator[PlannedChord]:
    """Yield the chords that the steps after the message's own task hold, outermost first."""
    stack = [as_dict(root) for root in (*as_list(embed.get("chain")), *as_list(embed.get("callbacks")))]
    seen = 0
    while stack and seen < MAX_SIGNATURES:
        signature, seen = stack.pop(), seen + 1
        kwargs = as_dict(signature.get("kwargs"))
        match signature.get("subtask_type"):
            case "chain" | "group":
                stack.extend(as_dict(task) for task in reversed(as_list(kwargs.get("tasks"))))
            case "chord":
                header, body = kwargs.get("header"), as_dict(kwargs.get("body"))
                members = _members(header)
                stack.extend(as_dict(task) for task in reversed([*members, body]))
                chord_id = as_text(as_dict(as_dict(header).get("options")).get("task_id")) or as_text(
                    as_dict(signature.get("options")).get("task_id")
                )
                if chord_id and body:
                    yield PlannedChord(chord_id=chord_id, body=body, parts=tuple(_planned_parts(members)))
            case _:
                pass


def _planned_parts(members: list[Any]) -> Iterator[PlannedPart]:
    """Yield the header's parts as Celery counts them: of a chain the last step, of a chord the callback."""
    for index, member in enumerate(members):
        ends = [task for task in _ends(as_dict(member)) if task]
        for task in ends:
            task_id = as_text(as_dict(task.get("options")).get("task_id"))
            if task_id:
                yield PlannedPart(
                    task_id=task_id, index=index if len(ends) == 1 else None, name=as_text(task.get("task"))
                )


def _members(header: object) -> list[Any]:
    group = as_dict(header)
    return as_list(as_dict(group.get("kwargs")).get("tasks")) if group else as_list(header)


def _ends(root: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the real tasks that end a signature."""
    stack, seen = [root], 0
    while stack and seen < MAX_SIGNATURES:
        signature, seen = stack.pop(), seen + 1
        kwargs = as_dict(signature.get("kwargs"))
        tasks = as_list(kwargs.get("tasks"))
        match signature.get("subtask_type"):
            case "chain":
                stack.extend(as_dict(task) for task in tasks[-1:])
            case "group":
                stack.extend(as_dict(task) for task in reversed(tasks))
            case "chord":
                stack.append(as_dict(kwargs.get("body")))
            case _:
                yield signature


def embedded_parts(embed: dict[str, Any], carrier_id: str) -> Iterator[EmbeddedPart]:
    """Yield the parts of chords that the carrier's chain, callbacks and chord body still hold.

    Celery marks them: their options name both the group they count for and its body (`chord`). What such a step, or
    that body, holds in turn is carried along, too.
    """
    first = (*as_list(embed.get("chain")), *as_list(embed.get("callbacks")), embed.get("chord"))
    roots: deque[tuple[object, str | None]] = deque((root, None) for root in first)
    found: set[str] = set()
    seen = 0
    while roots and seen < MAX_SIGNATURES:
        packed, behind = roots.popleft()
        root = as_dict(packed)
        for signature in _tasks(root) if root else ():
            seen += 1
            options = as_dict(signature.get("options"))
            chord_id, task_id = as_text(options.get("group_id")), as_text(options.get("task_id"))
            roots.extend((step, None) for step in as_list(options.get("chain")))
            roots.append((options.get("chord"), chord_id))
            body = read_body(options.get("chord"))
            if chord_id and task_id and body and task_id not in found:
                found.add(task_id)
                yield EmbeddedPart(
                    chord_id=chord_id,
                    task_id=task_id,
                    index=as_int(options.get("group_index")),
                    name=as_text(signature.get("task")),
                    body=body,
                    carrier_id=carrier_id,
                    behind=behind,
                )


def chain_ids(embed: dict[str, Any]) -> tuple[str, ...]:
    """Return the task ids of the steps that follow the message's own task in its chain."""
    tasks = (task for root in as_list(embed.get("chain")) for task in _tasks(as_dict(root)))
    return _unique(as_text(as_dict(task.get("options")).get("task_id")) for task in tasks)


def _tasks(root: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the real tasks of a signature in order of running; chains, groups and chords are opened."""
    stack, seen = [root], 0
    while stack and seen < MAX_SIGNATURES:
        signature, seen = stack.pop(), seen + 1
        kwargs = as_dict(signature.get("kwargs"))
        match signature.get("subtask_type"):
            case "chain" | "group":
                inner = as_list(kwargs.get("tasks"))
            case "chord":
                header = kwargs.get("header")
                inner = [*(as_list(header) or [header]), kwargs.get("body")]
            case _:
                inner = []
                yield signature
        stack.extend(as_dict(task) for task in reversed(inner) if as_dict(task))


def _last(root: dict[str, Any]) -> dict[str, Any]:
    """Return the signature whose id the caller holds: of a chord its callback's, else the signature itself."""
    seen = 0
    while root.get("subtask_type") == "chord" and seen < MAX_SIGNATURES:
        root, seen = as_dict(as_dict(root.get("kwargs")).get("body")), seen + 1
    return root


def _errbacks(root: dict[str, Any]) -> Iterator[tuple[str | None, str | None]]:
    linked = as_dict(root.get("options")).get("link_error")
    for errback in as_list(linked) or [linked]:
        signature = as_dict(errback)
        if signature:
            task_id = as_text(as_dict(signature.get("options")).get("task_id"))
            yield task_id, as_text(signature.get("task"))


def _unique(values: Iterator[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for value in values if value))
