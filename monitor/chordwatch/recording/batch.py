"""Turns what the signal handlers noted into batches for the store. Runs in the recorder's thread."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgpack
from kombu.utils.json import dumps

from chordwatch.model import ERROR_LENGTH
from chordwatch.recording.notes import Entry
from chordwatch.recording.records import VERSION, Facts, pack_id
from chordwatch.recording.signatures import Body, read_body

#: Chords whose facts this process has sent lately; a chord that comes again after so many others sends them again.
_KNOWN_CHORDS = 4096
_NAME_LENGTH = 200
#: A signature beyond this is not kept: it would fill the store.
_MAX_SIGNATURE = 16 * 1024


class _Slot:
    """What a batch says of one chord."""

    __slots__ = ("chord_id", "facts", "records", "sure")

    def __init__(self, chord_id: bytes) -> None:
        self.chord_id, self.sure = chord_id, False
        self.facts: Facts = {}
        self.records: list[tuple[Any, ...]] = []

    def told(self, facts: Facts, again: list[_Slot]) -> _Slot:
        """Add facts; two dispatches of one chord are two, so the second goes into another slot, which is returned."""
        if "a" in self.facts and "a" in facts:
            again.append(self)
            return _Slot(self.chord_id).told(facts, again)
        self.facts.update(facts)
        self.sure = True
        return self

    def packed(self) -> list[Any]:
        return [self.chord_id, self.facts if self.sure else {**self.facts, "u": 1}, self.records]


class BatchWriter:
    """Packs entries into batches of one process. `sequence` counts them, so that none is applied twice."""

    def __init__(self, *, boot: str, node: str, keep_callbacks: bool) -> None:
        self._boot, self._node, self._keep_callbacks = boot, node, keep_callbacks
        self._sequence = 0
        self._known: dict[str, None] = {}
        self.unreadable = 0

    def pack(self, entries: Iterable[Entry], dropped: Mapping[str, int]) -> bytes:
        """Return the next batch. An entry that cannot be packed is left out and counted in `unreadable`."""
        strings: dict[str, int] = {}
        slots: dict[str, _Slot] = {}
        again: list[_Slot] = []
        for entry in entries:
            try:
                slot = slots.get(entry[0])
                if slot is None:
                    slot = slots[entry[0]] = _Slot(pack_id(entry[0]))
                if len(entry) == 2:  # noqa: PLR2004  # facts, see `Entry`
                    slots[entry[0]] = slot.told(entry[1], again)
                    continue
                if entry[1] is not False:
                    slot.sure = True
                    if entry[1] and entry[0] not in self._known:
                        slot.facts.update(self._facts(entry))
                slot.records.append(_record(entry, strings))
            except Exception:  # noqa: BLE001  # foreign values: an id that is no text; a try costs nothing
                self.unreadable += 1
        self._sequence += 1
        lost = {**dropped, **({"unreadable": self.unreadable} if self.unreadable else {})}
        self.unreadable = 0
        chords = [slot.packed() for slot in (*again, *slots.values())]
        document = [VERSION, self._boot, self._sequence, self._node, lost, list(strings), chords]
        # The msgpack in Redis knows no binary type, only the older strings without an encoding.
        packed: bytes = msgpack.packb(document, use_bin_type=False, unicode_errors="surrogatepass")
        return packed

    def _facts(self, entry: Entry) -> Facts:
        body, facts = entry[1], Facts()
        self._remember(entry[0])
        facts.update(body_facts(body))
        if self._keep_callbacks:
            signature = str(dumps(body)).encode("utf-8", "surrogatepass")  # type: ignore[no-untyped-call]
            if len(signature) <= _MAX_SIGNATURE:
                facts["s"] = signature
        return facts

    def _remember(self, chord_id: str) -> None:
        if len(self._known) >= _KNOWN_CHORDS:
            for oldest in list(self._known)[: _KNOWN_CHORDS // 2]:
                del self._known[oldest]
        self._known[chord_id] = None


def body_facts(signature: Mapping[str, Any]) -> Facts:
    """Return the facts about the callback that its signature tells."""
    options = signature["options"]
    if signature.get("subtask_type") is None and not options.get("link_error"):
        return {
            "c": [_packed(options.get("task_id")), _cut(signature.get("task")), _cut(options.get("queue")), 1]
        }
    body = read_body(signature)
    return known_body_facts(body) if body else {}


def known_body_facts(body: Body) -> Facts:
    """Return the facts about a callback whose signature was read already."""
    facts: Facts = {"c": [_packed(body.task_id), _cut(body.name), _cut(body.queue), body.ends]}
    if body.errbacks:
        facts["e"] = [[_packed(task_id), _cut(name)] for task_id, name in body.errbacks]
    return facts


def _record(entry: Entry, strings: dict[str, int]) -> tuple[Any, ...]:
    name, queue = entry[9], entry[10]
    return (
        *entry[2:4],
        pack_id(entry[4]),
        *entry[5:9],
        None if name is None else strings.setdefault(name[:_NAME_LENGTH], len(strings)),
        None if queue is None else strings.setdefault(queue[:_NAME_LENGTH], len(strings)),
        *entry[11:],
    )


def error_text(exc: object) -> str:
    """Return an exception as its type and the beginning of its text; it may be of any class, also a hostile one."""
    try:
        text = str(exc)
    except Exception:  # noqa: BLE001  # somebody else's __str__
        text = ""
    name = type(exc).__name__
    return f"{name}: {text}"[: len(name) + 2 + ERROR_LENGTH] if text else name


def _packed(task_id: object) -> bytes | None:
    return pack_id(task_id) if isinstance(task_id, str) and task_id else None


def _cut(name: object) -> str | None:
    return name[:_NAME_LENGTH] if isinstance(name, str) and name else None
