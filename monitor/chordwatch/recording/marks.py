"""The one message header that is added, and only to callbacks: whose callback a task is, and how deep within it.

A callback's depth is 0; where the callback is itself a chord, or is replaced by one, the tasks of that chord's header
are one deeper, and its own callback is as deep as the chord was. So a task of depth 0 without further steps ends the
callback. A single mark of depth 0 is the chord's id; anything else is a list of `[chord id, depth]`, the chord
that calls the task directly being the last.
Runs in whichever worker process publishes. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chordwatch.foreign import as_dict
from chordwatch.recording.signatures import chain_ids, read_body, starts

MARK = "chordwatch"

#: Chord id and depth.
Mark = tuple[str, int]


def read_marks(headers: Mapping[str, Any]) -> list[Mark]:
    """Return the marks of a message, or of a running task's request."""
    value = headers.get(MARK)
    if value is None:
        return []
    return (
        [(value, 0)] if isinstance(value, str) else [(str(chord_id), int(depth)) for chord_id, depth in value]
    )


def mark(headers: dict[str, Any], marks: list[Mark]) -> None:
    """Write marks into a message's headers; none changes nothing."""
    if marks:
        single = len(marks) == 1 and not marks[0][1]
        headers[MARK] = marks[0][0] if single else [list(each) for each in marks]


def handed_on(
    task_id: str, embed: dict[str, Any], running: Mapping[str, Any], callbacks: Mapping[str, int]
) -> list[Mark]:
    """Return the marks of a message that a running task publishes.

    `callbacks` are the ids that start the callback of the running task's own chord, with their depths.
    """
    marks = read_marks(running)
    if task_id in callbacks:
        depth = callbacks[task_id]
        outer = [(chord_id, level - 1 + depth) for chord_id, level in marks if level]
        return [*outer, (running["group"], depth)]
    if not marks or task_id == running["id"]:  # a retry, or a task that replaces the running one
        return marks
    if callbacks and starts(as_dict(embed.get("chord"))) == callbacks:
        return [(chord_id, level) for chord_id, level in marks if level]  # a part added to the same header
    chain = running.get("chain")
    following = starts(as_dict(chain[-1])) if chain else {}
    if task_id in following:
        return _deeper(marks, following[task_id])
    return _replacing(embed, running["id"], marks)


def _replacing(embed: dict[str, Any], running_id: str, marks: list[Mark]) -> list[Mark]:
    """Return the marks of a message that begins what replaces the running task: a later task inherits its id."""
    body = read_body(embed.get("chord"))
    if body and running_id in body.task_ids:
        return _deeper(marks, 1)
    if running_id in chain_ids(embed):
        return marks
    return []


def _deeper(marks: list[Mark], levels: int) -> list[Mark]:
    return [(chord_id, depth + levels) for chord_id, depth in marks]
