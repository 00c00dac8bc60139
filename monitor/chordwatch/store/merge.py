"""Merges what processes report into what is known of a chord: the in-memory twin of the script. Pure.

`lua/chords.lua` and `lua/tasks.lua` do the same; the contract tests compare the two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from chordwatch.model import ERROR_LENGTH
from chordwatch.recording.records import End, Kind, Record, Role, unpack_id, unpack_trace
from chordwatch.store.facts import ChordFacts, Ended, Published, State, TaskFacts, Tries, Worked
from chordwatch.store.states import work_out

NAME_LENGTH = 200
MAX_ATTEMPTS, MAX_SIGHTINGS, MAX_OTHERS, MAX_ERRBACKS = 64, 20, 128, 64
MAX_SIZE = 1_000_000_000
_MAX_SECONDS = 1e11
_MAX_AHEAD = 400 * 86_400_000
_FUTURE = 1000
_EVENTS = {
    End.SUCCEEDED: "succeeded",
    End.FAILED: "failed",
    End.RETRYING: "retried",
    End.REVOKED: "revoked",
    End.REJECTED: "rejected",
}


class Event(NamedTuple):
    """What a counter counts."""

    role: int
    name: str | None
    event: str


@dataclass(slots=True)
class Merged:
    """A chord as it is kept in memory. `counted_at` tells when each header task was counted last."""

    facts: ChordFacts
    active: bool = False
    eta: int = 0
    counted_at: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Source:
    """Where records come from: the sender's node, the batch's strings, and the store's clock in milliseconds."""

    node: str | None
    strings: Sequence[str]
    now: int


def milliseconds(seconds: float) -> int:
    """Return a time as it is kept.

    Raises:
        ValueError: this is no time.
    """
    if not 0 <= seconds < _MAX_SECONDS:
        raise ValueError("not a time")
    return int(seconds * 1000 + 0.5)


def text(raw: bytes | str | None, length: int = NAME_LENGTH) -> str | None:
    """Return stored text, cut."""
    if raw is None or isinstance(raw, str):
        return raw and raw[:length]
    try:
        return raw.decode("utf-8", "surrogatepass")[:length]
    except UnicodeDecodeError:
        return raw.decode("utf-8", "replace")[:length]


def merge_facts(chord: Merged, told: Mapping[bytes, Any]) -> None:
    """Note what a process knows of the chord as a whole."""
    facts = chord.facts
    if b"c" in told:
        _merge_callback(facts, told[b"c"])
    for errback_id, name in told.get(b"e") or ():
        errback = (unpack_id(errback_id) if errback_id else None, text(name))
        if errback not in facts.errbacks and len(facts.errbacks) < MAX_ERRBACKS:
            facts.errbacks.append(errback)
    if b"n" in told:
        facts.size = max(facts.size or 0, min(told[b"n"], MAX_SIZE))
    facts.root_id = facts.root_id or text(told.get(b"r"))
    facts.parent_id = facts.parent_id or text(told.get(b"p"))
    facts.carrier_id = facts.carrier_id or text(told.get(b"w"))
    if trace := unpack_trace(told.get(b"t", b"")):
        known = facts.trace
        facts.trace = trace if known is None or (trace.parent_id and not known.parent_id) else known
    if b"s" in told and facts.state <= State.OPEN:
        facts.signature = facts.signature or told[b"s"]
    if b"x" in told:
        at, error = milliseconds(told[b"x"][0]), text(told[b"x"][1] or b"") or ""
        if facts.dispatch_error is None or at < facts.dispatch_error[0]:
            facts.dispatch_error = (at, error)
    facts.applied += b"a" in told
    chord.active = chord.active or not told.keys().isdisjoint((b"n", b"x", b"a"))


def _merge_callback(facts: ChordFacts, told: Sequence[Any]) -> None:
    known = facts.callback
    known.task_id = known.task_id or (unpack_id(told[0]) if told[0] else None)
    known.name = known.name or text(told[1])
    known.queue = known.queue or text(told[2])
    known.ends = known.ends or told[3] or 0


def merge_record(chord: Merged, fields: Sequence[Any], source: Source) -> list[Event]:
    """Note one sighting; return what is to be counted for it."""
    record = Record(*fields)
    facts, at = chord.facts, milliseconds(record.at)
    facts.progressed = max(facts.progressed or 0, min(at, source.now + _FUTURE))
    chord.active = chord.active or record.kind != Kind.EXPECTED
    if record.eta is not None:
        chord.eta = max(chord.eta, _eta(record.eta, source))
    if record.role != Role.HEADER:
        return _merge_other(facts, record, at, source)
    return [] if facts.detail_dropped else _merge_header(chord, record, at, source)


def _eta(eta: float, source: Source) -> int:
    return min(milliseconds(eta), source.now + _MAX_AHEAD)


def _merge_other(facts: ChordFacts, record: Record, at: int, source: Source) -> list[Event]:
    task_id = unpack_id(record.task_id)
    task = facts.others.get(task_id)
    if task is None:
        if len(facts.others) >= MAX_OTHERS:
            return []
        task = facts.others[task_id] = TaskFacts(role=record.role)
    events = merge_sighting(task, record, at, source)
    return events if record.role == Role.CALLBACK else []


def _merge_header(chord: Merged, record: Record, at: int, source: Source) -> list[Event]:
    facts, task_id = chord.facts, unpack_id(record.task_id)
    task = facts.header.get(task_id)
    if task is None:
        index = record.group_index
        task = facts.header[task_id] = TaskFacts(index=index)
    counted, won = task.counted, task.won
    events = merge_sighting(task, record, at, source)
    if record.dynamic and not task.dynamic:
        task.dynamic = True
        facts.added += 1
    if record.counted:
        task.counted = True
        task.won = task.won or record.end == End.SUCCEEDED
        facts.counted += not counted
        facts.failed += (not task.won) - (counted and not won)
        facts.last_counted = max(facts.last_counted or 0, at)
        chord.counted_at[task_id] = max(chord.counted_at.get(task_id, 0), at)
    first = record.started_at and milliseconds(record.started_at) if record.kind == Kind.ENDED else at
    if first and record.kind != Kind.EXPECTED:
        facts.opened = min(facts.opened or first, first)
    return events


def merge_sighting(task: TaskFacts, record: Record, at: int, source: Source) -> list[Event]:
    """Note one sighting of a task; return what is to be counted for it."""
    name, queue = _string(record.name, source), _string(record.queue, source)
    task.name = task.name or name
    if record.eta is not None:
        task.eta = max(task.eta or 0, _eta(record.eta, source))
    tries = _tries(task, record)
    tries.name = tries.name or name
    if queue and (not tries.queue or record.kind == Kind.PUBLISHED):
        tries.queue = queue
    worked = Worked(at, text(source.node))
    if record.kind == Kind.PUBLISHED:
        if any(published.at == at for published in tries.published):
            return []
        _insert(tries.published, Published(at, queue))
        return [Event(record.role, name, "published")]
    if record.kind == Kind.RECEIVED:
        if worked not in tries.received:
            _insert(tries.received, worked)
        return []
    began = at if record.kind == Kind.STARTED else None
    if record.started_at is not None:
        began = milliseconds(record.started_at)
    events = []
    if began is not None and (start := Worked(began, worked.worker)) not in tries.started:
        _insert(tries.started, start)
        events.append(Event(record.role, name, "started"))
    if record.kind == Kind.ENDED and _merge_end(tries, record, at, began, worked.worker):
        events.append(Event(record.role, name, _EVENTS.get(End(record.end or 0), "")))
    return [event for event in events if event.event]


def _string(at: int | None, source: Source) -> str | None:
    return None if at is None else source.strings[at]


def _tries(task: TaskFacts, record: Record) -> Tries:
    for tries in task.tries:
        if (tries.nesting, tries.retries) == (record.nesting, record.retries):
            return tries
    tries = Tries(record.nesting, record.retries)
    task.tries.append(tries)
    task.tries.sort(key=lambda known: (known.nesting, known.retries), reverse=True)
    del task.tries[MAX_ATTEMPTS:]
    return tries


def _insert(sightings: list[Any], sighting: Published | Worked | Ended) -> None:
    """Insert a sighting by time; of very many the middle ones are dropped."""
    sightings.append(sighting)
    sightings.sort(key=lambda known: known.at)
    if len(sightings) > MAX_SIGHTINGS:
        del sightings[MAX_SIGHTINGS // 2]


def _merge_end(tries: Tries, record: Record, at: int, began: int | None, worker: str | None) -> bool:
    """Note an end; return whether it counts. See `end_attempt` in tasks.lua for what is one end told twice."""
    end, error = record.end or 0, text(record.error, ERROR_LENGTH)
    new = Ended(at, began, end, bool(record.counted), bool(record.last), error, worker)
    anywhere = end == End.REVOKED
    alike = [known for known in tries.ended if known.end == end and (anywhere or known.worker == worker)]
    named = sum(known.started is not None for known in alike)
    unnamed = any(known.started is None for known in alike)
    for place, known in enumerate(tries.ended):
        same_run = (known.started, known.worker) == (began, worker)
        if same_run and (began is not None or known.end == end):
            tries.ended[place] = known._replace(
                at=min(at, known.at) if began is None else known.at,
                counted=known.counted or new.counted,
                last=known.last or new.last,
                error=known.error or error,
            )
            return False
    _insert(tries.ended, new)
    return named >= unnamed if began is not None else not alike


def refresh(chord: Merged) -> None:
    """Work out the chord's state anew."""
    chord.facts.state = work_out(chord.facts, active=chord.active)[0]
    if chord.facts.state > State.OPEN:
        chord.facts.signature = None
