"""The records that instrumented processes send to the store: one batch is one msgpack document, without binary type.

Pure; used by every instrumented process to write, and by the store to read.

A batch is `[VERSION, boot, sequence, node, dropped, strings, chords]`: `boot` names the sending process, `sequence`
counts its batches from 1, `node` is its worker's name, `dropped` maps a reason to a number of lost records, and
names of tasks and queues are indexes into `strings`.
Redis' msgpack knows no binary type: pack with `use_bin_type=False` (a store takes both, but the other one twice).
Each chord is `[packed group id, facts, records]`; see `Facts` and `Record`.
"""

from __future__ import annotations

import binascii
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple, TypedDict

VERSION = 1

_UUID_LENGTH, _UUID_BYTES = 36, 16
#: Stands for no id in the store's rows, so the UUID of zeros is kept as text.
_NO_ID = bytes(_UUID_BYTES)
_TRACE = struct.Struct(">16s8sQB")
_SAMPLED = 1
#: In a trace's flags: the header is so large that each of its tasks has a trace of its own.
SPLIT = 0x80


class Kind(IntEnum):
    """What was seen of a task. `EXPECTED` is a part that another task's message still carries."""

    EXPECTED = 0
    PUBLISHED = 1
    RECEIVED = 2
    STARTED = 3
    ENDED = 4


class Role(IntEnum):
    """What a task is to the chord. The callback may be several tasks: the steps of a chain, a group."""

    HEADER = 0
    CALLBACK = 1
    ERRBACK = 2


class End(IntEnum):
    """How a run ended. `FAILED` also stands for what Celery reports as failed without having run it."""

    SUCCEEDED = 1
    FAILED = 2
    RETRYING = 3
    REVOKED = 4
    REJECTED = 5
    IGNORED = 6


class Record(NamedTuple):
    """One sighting of one run of a task. Times are Unix seconds; trailing fields may be left out as None.

    A run is one start of one attempt; an attempt is `(nesting, retries)`, as `replace()` keeps id and retries and
    counts `nesting` up.
    `started_at` in `ENDED` names the run that ended; None where the process that saw the end does not know it.
    `counted`: Celery counted the part with this end. `last`: no further step of the callback follows.
    `dynamic`: the part was added by `add_to_chord`, so the chord's size grows by one.
    """

    kind: int
    role: int
    task_id: bytes
    group_index: int | None
    retries: int
    nesting: int
    at: float
    name: int | None
    queue: int | None
    end: int | None = None
    started_at: float | None = None
    counted: bool | None = None
    last: bool | None = None
    error: str | None = None
    eta: float | None = None
    dynamic: bool | None = None


class Facts(TypedDict, total=False):
    """What a process knows of a chord as a whole; sent by each process when it first meets the chord.

    Keys are single letters, because the store keeps some of them as they come:
    `c` callback `[packed id or None, name, queue or None, number of tasks that end it]`, `e` errbacks
    `[[packed id or None, name], ...]`, `s` the callback's signature (msgpack), `n` the size that Celery wrote,
    `r` root id, `p` parent id, `w` the id of the task whose message carries the
    chord ahead in its chain, `x` a dispatch that failed `[time, error]`, `a` the time of a dispatch by
    `_chord.run`, `l` 1 where the chord is still ahead in a chain (planned), `u` 1 where the process cannot tell whether
    the group is a chord's at all (an undecodable message): such an entry alone makes no chord, it waits for one.
    `t` is the chord's trace (`pack_trace`); of several the first counts, and one that names a parent before one that
    names none.
    """

    c: list[object]
    e: list[list[object]]
    s: bytes
    n: int
    r: str
    p: str
    x: list[object]
    a: float
    w: str
    l: int  # noqa: E741  # the wire's key
    u: int
    t: bytes


class Trace(NamedTuple):
    """The trace that a chord's spans belong to: ids as numbers, `parent_id` 0 where the chord's span is its root.

    `flags` are those of `traceparent`, and `SPLIT`. `began`: when the first message was published, in Unix nanoseconds;
    0 where nobody told, as publishing is recorded when it is done.
    """

    trace_id: int
    parent_id: int = 0
    flags: int = _SAMPLED
    began: int = 0

    @property
    def sampled(self) -> bool:
        """Whether its spans are exported."""
        return bool(self.flags & _SAMPLED)


def pack_trace(trace: Trace) -> bytes:
    """Return a trace as the store keeps it: 33 bytes."""
    trace_id, parent_id = trace.trace_id.to_bytes(16, "big"), trace.parent_id.to_bytes(8, "big")
    return _TRACE.pack(trace_id, parent_id, trace.began, trace.flags)


def unpack_trace(packed: bytes) -> Trace | None:
    """Return the trace that `pack_trace` packed, None where this is none."""
    if len(packed) != _TRACE.size:
        return None
    trace_id, parent_id, began, flags = _TRACE.unpack(packed)
    return Trace(int.from_bytes(trace_id, "big"), int.from_bytes(parent_id, "big"), flags, began)


#: A heartbeat names so many running and so many waiting tasks at the most.
MAX_IDS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """What a worker's main process says of itself. Ids are those of chord tasks only, at most `MAX_IDS` each.

    `queues` are those that it reads now, `left` others that it read in this life, the last of them until `left_at`.
    `at` and `left_at` are its own clock's times (Unix seconds), which may be wrong; None from a version that did not
    tell `at`, and where nothing was left.
    """

    node: str
    boot: str
    pid: int
    queues: tuple[str, ...]
    concurrency: int
    pool: str
    active: tuple[str, ...] = ()
    reserved: tuple[str, ...] = ()
    at: float | None = None
    left: tuple[str, ...] = ()
    left_at: float | None = None


def pack_id(task_id: str) -> bytes:
    """Return an id as the store keeps it: 16 bytes for a UUID as Celery writes it, longer or shorter for others."""
    if len(task_id) == _UUID_LENGTH and task_id[8:24:5] == "----" and task_id.lower() == task_id:
        try:
            packed = binascii.unhexlify(task_id.replace("-", ""))
        except ValueError:
            packed = b""
        if len(packed) == _UUID_BYTES and packed != _NO_ID:
            return packed
    raw = b"~" + task_id.encode("utf-8", "surrogatepass")
    return raw if len(raw) != _UUID_BYTES else b"\0" + raw


def unpack_id(packed: bytes) -> str:
    """Return the id that `pack_id` packed."""
    if len(packed) == _UUID_BYTES:
        text = packed.hex()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
    return packed.lstrip(b"\0")[1:].decode("utf-8", "surrogatepass")
