"""Celery's serialised signatures, as messages embed them: who is the callback, which parts are still ahead.

Checked against Celery 5.4 to 5.7 (`canvas.py`). Pure.
"""

from __future__ import annotations

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
    `task_ids` are the ids of all steps in it and after it.
    """

    task_id: str | None
    name: str | None
    queue: str | None = None
    task_ids: tuple[str, ...] = ()
    errbacks: tuple[tuple[str | None, str | None], ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        """All ids under which it may have a result."""
        return tuple(dict.fromkeys(id_ for id_ in (self.task_id, *self.task_ids) if id_))


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedPart:
    """A part of a chord that the message of another task, the carrier, still holds.

    A later step of a chain in the header, or an inner chord's body, which is a part of the outer chord.
    """

    chord_id: str
    task_id: str
    index: int | None
    name: str | None
    body: Body
    carrier_id: str


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
        errbacks=tuple(_errbacks(root)),
    )


def embedded_parts(embed: dict[str, Any], carrier_id: str) -> Iterator[EmbeddedPart]:
    """Yield the parts of chords that the carrier's chain, callbacks and chord body still hold.

    Celery marks them: their options name both the group they count for and its body (`chord`).
    """
    for root in (*as_list(embed.get("chain")), *as_list(embed.get("callbacks")), embed.get("chord")):
        for signature in _tasks(as_dict(root)):
            options = as_dict(signature.get("options"))
            chord_id, task_id = as_text(options.get("group_id")), as_text(options.get("task_id"))
            body = read_body(options.get("chord"))
            if chord_id and task_id and body:
                yield EmbeddedPart(
                    chord_id=chord_id,
                    task_id=task_id,
                    index=as_int(options.get("group_index")),
                    name=as_text(signature.get("task")),
                    body=body,
                    carrier_id=carrier_id,
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
