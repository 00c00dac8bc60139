"""What a handler notes: which chords a task belongs to, and as what. Pure; on the hot path of every chord task.

An entry of the recorder's buffer is a plain tuple, because a named one costs three times as much:
`(*head, kind, *who, at, name, queue, *rest)`, where `rest` are the remaining fields of a `Record`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chordwatch.recording.marks import read_marks
from chordwatch.recording.records import Kind, Role
from chordwatch.recording.signatures import failing_with

_HEADER, _CALLBACK, _STARTED = int(Role.HEADER), int(Role.CALLBACK), int(Kind.STARTED)

Headers = Mapping[str, Any]
#: What the recorder's buffer holds; or facts of a chord as `(chord id, facts)`.
Entry = tuple[Any, ...]
#: Chord id; the callback's signature, None where the task does not carry it, False where it is not certain that the
#: group is a chord's.
Head = tuple[str, "Mapping[str, Any] | bool | None"]
#: Role, task id, group index, retries, nesting.
Who = tuple[int, str, "int | None", int, int]


#: What a task is to one chord: `(head, who, last)`; `last`: as its callback, no further step follows.
Part = tuple[Head, Who, bool]


class Run:
    """A chord task that runs in this process: what to note when it outlasts a flush, and when it ends."""

    __slots__ = ("announced", "at", "name", "parts", "queue")

    def __init__(self, at: float, parts: list[Part], name: str, queue: str | None) -> None:
        self.at, self.parts, self.name, self.queue = at, parts, name, queue
        self.announced = False

    def announce(self) -> list[Entry]:
        """Return the entries that say that the run has begun."""
        self.announced = True
        return [(*head, _STARTED, *who, self.at, self.name, self.queue) for head, who, _last in self.parts]


def parts_of(headers: Headers, chord: Any, chain: Any) -> list[Part]:
    """Return what a task is, from its message's headers and what the message embeds; nothing for a plain task.

    A header task embeds its chord's callback. A callback carries our mark; from Celery 5.6 on the task that ends it
    also has the header's group id and no index, which somebody else may have set by hand. The callback of an inner
    chord is a header task of the outer one as well.
    """
    group, marks = headers.get("group"), read_marks(headers)
    parts = []
    if chord is not None and group is not None:
        parts.append(header_part(headers, group, chord))
    for chord_id, depth in marks:
        parts.append(_callback_part(headers, chord_id, None, last=not depth and not chain))
    ends_a_chord = chord is None and group is not None and headers.get("group_index") is None
    if ends_a_chord and group not in dict(marks):
        parts.append(_callback_part(headers, str(group), False, last=not chain))  # see `Head`
    return parts


def parts_failing_with(chain: Any) -> list[tuple[Part, str]]:
    """Return what Celery counts as failed together with a task that these steps should have followed, with names."""
    return [
        (header_part(step["options"] | {"id": step["options"]["task_id"]}, chord_id, body), step["task"])
        for chord_id, body, step in failing_with(chain)
    ]


def parts_of_unreadable(headers: Headers) -> list[Part]:
    """Return what a task can be of which only the message's headers are known: any group may be a chord's."""
    group = headers.get("group")
    parts = parts_of(headers, None, None)
    if parts or group is None:
        return parts
    return [header_part(headers, group, False)]  # see `Head`


def header_part(headers: Headers, group: str, chord: Any) -> Part:
    """Return what a task is that is one of a chord's header."""
    get = headers.get
    who = (_HEADER, headers["id"], get("group_index"), get("retries") or 0, get("replaced_task_nesting") or 0)
    return (group, chord), who, False


def _callback_part(headers: Headers, chord_id: str, body: Any, *, last: bool) -> Part:
    get = headers.get
    who = (
        _CALLBACK,
        headers["id"],
        get("group_index"),
        get("retries") or 0,
        get("replaced_task_nesting") or 0,
    )
    return (chord_id, body), who, last
