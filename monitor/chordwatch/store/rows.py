"""Reads what the script writes; the other side of each layout is in `lua/` (codec, rows, tasks)."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgpack

from chordwatch.recording.records import Role, unpack_id, unpack_trace
from chordwatch.store.facts import (
    CallbackFacts,
    ChordFacts,
    Ended,
    Published,
    SingleRun,
    State,
    TaskFacts,
    Tries,
    Worked,
)

PAGE_ROWS = 128
_HEAD = struct.Struct(">B6sIIII6s6s6sIIIHHHBIIBBI")
_VERSION = 1
_ROWS = {3: struct.Struct(">16sBBBHBHBHBHB"), 4: struct.Struct(">16sBBBIIII")}
_NO_ID = bytes(16)
_END, _COUNTED, _DYNAMIC, _ELSEWHERE = 7, 8, 64, 128
_TASK_WON = 1
_DETAIL, _DROPPED = 4, 16

Names = Mapping[int, str]


@dataclass(slots=True)
class StoredChord:
    """A chord's own key, taken apart. `segment` is where its names are, `page` the first rows of its header."""

    packed_id: bytes
    base: int
    size: int
    added: int
    counted: int
    failed: int
    opened: int
    last: int
    progressed: int
    segment: int
    flags: int
    state: int
    top: int
    pairs: list[tuple[int, int]]
    workers: tuple[int, ...]
    facts: dict[Any, Any]
    page: bytes

    @property
    def has_detail(self) -> bool:
        """Whether more of the header stands under the key of its detail."""
        return bool(self.flags & _DETAIL)


def decode_chord(packed_id: bytes, value: bytes) -> StoredChord | None:
    """Return the parts of a chord's own key, None where it is not as this version writes it."""
    if len(value) < _HEAD.size:
        return None
    head = _HEAD.unpack_from(value)
    (version, base, size, added, counted, failed, opened, last, progressed, _touched, segment, _look) = head[
        :12
    ]
    (_number, _label, flags, state, top, _extra, pairs, workers, facts_length) = head[12:]
    workers_at = _HEAD.size + 4 * pairs
    facts_at = workers_at + 2 * workers
    page_at = facts_at + facts_length
    if version != _VERSION or page_at >= len(value) or value[page_at] not in _ROWS or state > max(State):
        return None
    try:
        facts = msgpack.unpackb(value[facts_at:page_at], raw=True, strict_map_key=False)
    except (ValueError, TypeError, msgpack.UnpackException):
        return None
    return StoredChord(
        packed_id=packed_id,
        base=_integer(base),
        size=size,
        added=added,
        counted=counted,
        failed=failed,
        opened=_integer(opened),
        last=_integer(last),
        progressed=_integer(progressed),
        segment=segment,
        flags=flags,
        state=state,
        top=top,
        pairs=list(struct.iter_unpack(">HH", value[_HEAD.size : workers_at])),
        workers=struct.unpack_from(f">{workers}H", value, workers_at),
        facts=facts if isinstance(facts, dict) else {},
        page=value[page_at:],
    )


def _integer(raw: bytes) -> int:
    return int.from_bytes(raw, "big")


def text(raw: bytes) -> str:
    """Return stored text; what is no text is shown as far as it is."""
    try:
        return raw.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return raw.decode("utf-8", "replace")


def read_facts(
    stored: StoredChord, detail: Mapping[bytes, bytes], names: Names, *, only_waiting: bool = False
) -> ChordFacts | None:
    """Return what is known of a chord, None where it is not as this version writes it.

    `detail` is the hash under the key of its detail.
    With `only_waiting` the header has only tasks that are not counted, and of the others the index alone.
    A task that cannot be read is left out.
    """
    try:
        facts = _own_facts(stored, names)
    except (TypeError, ValueError, IndexError, KeyError, AttributeError):
        return None
    facts.counted_left_out = only_waiting
    pages = {0: stored.page} | {int(f[1:]): page for f, page in detail.items() if _is_page(f)}
    for number, page in pages.items():
        for index, row in _rows(number, page):
            if only_waiting and row[1] & _COUNTED:
                facts.counted_indexes.add(index)
            else:
                facts.header[unpack_id(row[0])] = _row(stored, index, row, names)
    for field, value in detail.items():
        task = None if _is_page(field) else _task(value, stored.base, names)
        if task and only_waiting and task.counted:
            facts.counted_indexes.add(task.index)
        elif task:
            facts.header[unpack_id(field)] = task
    return facts


def _is_page(field: bytes) -> bool:
    return field[:1] == b"p" and field[1:].isdigit()


def _own_facts(stored: StoredChord, names: Names) -> ChordFacts:
    told = stored.facts
    callback = told.get(b"c") or (None, 0, 0, 0)
    others = {unpack_id(i): _read_task(t, stored.base, names) for i, t in (told.get(b"b") or {}).items()}
    error = told.get(b"x")
    return ChordFacts(
        chord_id=unpack_id(stored.packed_id),
        state=State(stored.state),
        size=stored.size - 1 if stored.size else None,
        added=stored.added,
        counted=stored.counted,
        failed=stored.failed,
        opened=stored.opened or None,
        last_counted=stored.last or None,
        progressed=stored.progressed or None,
        callback=CallbackFacts(
            unpack_id(callback[0]) if callback[0] else None,
            names.get(callback[1]),
            names.get(callback[2]),
            callback[3],
        ),
        errbacks=[(unpack_id(i) if i else None, names.get(name)) for i, name in told.get(b"e") or ()],
        root_id=unpack_id(told[b"r"]) if b"r" in told else None,
        parent_id=unpack_id(told[b"p"]) if b"p" in told else None,
        carrier_id=unpack_id(told[b"w"]) if b"w" in told else None,
        applied=told.get(b"A", 0),
        dispatch_error=(int(error[0]), text(error[1])) if error else None,
        signature=told.get(b"s"),
        trace=unpack_trace(told.get(b"t", b"")),
        detail_dropped=bool(stored.flags & _DROPPED),
        others=others,
    )


def _rows(number: int, page: bytes) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """Yield indexes and rows of the header tasks in a page."""
    layout = _ROWS.get(page[0] if page else 0)
    if layout is None:
        return
    whole = len(page) - (len(page) - 1) % layout.size
    for index, row in enumerate(layout.iter_unpack(page[1:whole]), number * PAGE_ROWS):
        if row[0] != _NO_ID:
            yield index, row


def _row(stored: StoredChord, index: int, row: tuple[Any, ...], names: Names) -> TaskFacts:
    _, flags, pair, worker_at, *times = row
    if len(times) > 4:  # noqa: PLR2004  # three bytes each: high and low
        times = [(high << 8) | low for high, low in zip(times[::2], times[1::2], strict=True)]
    published, received, started, finished = times
    name, queue = stored.pairs[pair - 1] if 0 < pair <= len(stored.pairs) else (0, 0)
    base, end, counted = stored.base - 1, flags & _END, bool(flags & _COUNTED)
    single = None
    if flags < _ELSEWHERE and (published or received or started or end):
        single = SingleRun(
            names.get(queue),
            names.get(stored.workers[worker_at - 1]) if 0 < worker_at <= len(stored.workers) else None,
            base + published if published else None,
            base + received if received else None,
            base + started if started else None,
            base + finished if end else None,
            end,
        )
    dynamic, won = bool(flags & _DYNAMIC), counted and end == 1
    return TaskFacts(0, index, names.get(name), counted, won, dynamic, None, single)


def _task(value: bytes, base: int, names: Names) -> TaskFacts | None:
    try:
        return _read_task(msgpack.unpackb(value, raw=True, strict_map_key=False), base, names)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, msgpack.UnpackException):
        return None


def _read_task(told: Mapping[bytes, Any], base: int, names: Names) -> TaskFacts:
    index, eta = told.get(b"i"), told.get(b"y")
    tries = [_read_tries(attempt, base, names) for attempt in told[b"a"]]
    return TaskFacts(
        role=told.get(b"o", Role.HEADER),
        index=index if isinstance(index, int) and index is not False else None,
        name=tries[-1].name if tries else None,
        counted=bool(told[b"f"] & _COUNTED),
        won=bool(told[b"f"] & _TASK_WON),
        dynamic=bool(told[b"f"] & _DYNAMIC),
        eta=None if eta is None else base + eta,
        tries=tries,
    )


def _read_tries(attempt: Any, base: int, names: Names) -> Tries:
    nesting, retries, name, queue, published, received, started, ended = attempt
    return Tries(
        nesting,
        retries,
        names.get(name),
        names.get(queue),
        [Published(base + at, names.get(queue_number)) for at, queue_number in published],
        [Worked(base + at, names.get(worker)) for at, worker in received],
        [Worked(base + at, names.get(worker)) for at, worker in started],
        [_read_end(end, base, names) for end in ended],
    )


def _read_end(told: Any, base: int, names: Names) -> Ended:
    at, began, end, counted, last, error, worker = told
    return Ended(
        base + at,
        base + began if began is not False else None,
        end,
        bool(counted),
        bool(last),
        text(error) if error else None,
        names.get(worker),
    )
