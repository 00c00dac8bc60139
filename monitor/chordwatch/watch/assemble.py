"""One chord out of what was seen of it. Pure: evidence in, chord and places out; verdicts are added by diagnosis.

How Celery counts stands in `celery/backends/redis.py`; checked against 5.4 to 5.7.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from chordwatch.evidence.facts import ChordEvidence, ChordKeys, Message, Part, Place, TaskMeta
from chordwatch.model import (
    FINISHED,
    Callback,
    Chord,
    ChordState,
    Errback,
    HeaderTask,
    MissingPart,
    TaskState,
)
from chordwatch.recording.signatures import Body, EmbeddedPart
from chordwatch.watch.look import Sighting

#: A forged size or index is not counted up to: at most so many parts are named as missing.
MAX_MISSING = 200_000
_SEEN = ("queue", "unacked", "active", "reserved", "scheduled")
_AHEAD = (*_SEEN, "unsent")
_FAILED: frozenset[TaskState] = frozenset({"failed", "revoked"})


@dataclass(slots=True)
class _Known:
    """What is known of one header task: where it stands in the header, and its name."""

    index: int | None = None
    name: str | None = None


def assemble(evidence: ChordEvidence) -> Sighting:
    """Return the chord as far as it was seen, without verdicts, with the places of what is not counted."""
    keys = evidence.keys
    body = find_body(evidence)
    parts = {part.task_id: part for part in keys.parts}
    known = _known_tasks(evidence, body)
    callback, callback_place = _callback(evidence, body)
    state = _state(evidence, callback, known)
    complete = _complete(evidence, callback)
    counted = {**dict.fromkeys(known), **parts} if complete else parts
    outstanding = () if state in FINISHED else (task_id for task_id in known if task_id not in counted)
    places = {task_id: place_of(task_id, evidence) for task_id in outstanding}
    due = complete or (keys.total is not None and keys.counted >= keys.total)
    if (
        callback.task_id
        and callback_place
        and state not in FINISHED
        and (callback_place.kind in _SEEN or due)
    ):
        places[callback.task_id] = callback_place
    header = tuple(_header(evidence, known, counted, places))
    finished = [task.finished_at for task in header if task.finished_at]
    family = _family(evidence, known)
    chord = Chord(
        chord_id=keys.chord_id,
        state=state,
        health="ok",
        size=_size(evidence),
        counted=max(keys.counted, len(known)) if complete else keys.counted,
        missing=() if complete else tuple(sorted(_missing(evidence, known, parts), key=header_order)),
        callback=callback,
        header=header,
        errbacks=tuple(
            Errback(task_id=task_id, name=name) for task_id, name in (body.errbacks if body else ())
        ),
        opened_at=keys.touched_at if keys.size is not None and not keys.counted else None,
        progressed_at=max((*finished, *([keys.touched_at] if keys.touched_at else [])), default=None),
        finished_at=_finished_at(state, evidence, callback),
        evidence_expires_at=keys.expires_at,
        root_id=family.root_id if isinstance(family, Message) else None,
        parent_id=_parent(family),
    )
    return Sighting(chord=chord, places=places, complete=complete)


def find_body(evidence: ChordEvidence) -> Body | None:
    """Return the callback as any message of the chord embeds it, else as the store knows it."""
    bodies = (*(m.body for m in evidence.messages), *(part.body for part in evidence.carried.values()))
    polled = evidence.keys.unlock.body if evidence.keys.unlock else None
    return next((body for body in bodies if body), polled or evidence.body)


def place_of(task_id: str, evidence: ChordEvidence) -> Place:
    """Return where a task is now; a later step of a chain that another task's message carries is where that task is.

    A callback of an inner chord is in the messages of that chord, and sent when it ends: it is in none of their queues.
    """
    there = task_id in evidence.waiting or task_id in evidence.held
    part = None if there else evidence.carried.get(task_id)
    carrier = part.carrier_id if part else task_id
    message, held = evidence.waiting.get(carrier), evidence.held.get(carrier)
    carrier_id = part.carrier_id if part else None
    if part and message and (inner_id := inner_of(part, message)):
        sent = task_id in evidence.metas
        return _absent(evidence) if sent else Place(kind="unsent", name=inner_id, carrier_id=carrier_id)
    behind = None
    if message:
        behind = Place(
            kind="unacked" if message.unacked else "queue",
            name=message.queue,
            since=message.delivered_at,
            eta=message.eta,
            attempt=message.attempt,
            redelivered=message.redelivered,
            carrier_id=carrier_id,
        )
    if held:
        task = held.task
        return Place(
            kind=task.kind,
            name=held.hostname,
            since=task.started_at,
            eta=task.eta,
            attempt=behind.attempt if behind else None,
            redelivered=behind is not None and behind.redelivered,
            delivered_at=behind.since if behind else None,
            carrier_id=carrier_id,
            message=behind,
        )
    return behind or _absent(evidence)


def inner_of(part: EmbeddedPart, carrier: Message | None) -> str | None:
    """Return the group id of the inner chord whose callback a carried part is, None for a step of a chain."""
    inner_id = part.behind
    if inner_id is None and carrier and carrier.body and part.task_id in carrier.body.ids:
        inner_id = carrier.group_id
    return inner_id if inner_id != part.chord_id else None


def _absent(evidence: ChordEvidence) -> Place:
    return Place(kind="nowhere" if evidence.everywhere else "unknown")


def _known_tasks(evidence: ChordEvidence, body: Body | None) -> dict[str, _Known]:
    """Return the header tasks whose ids are known, the counted ones among them, with index and name."""
    not_header = {*(body.task_ids if body else ()), body and body.task_id}
    not_header |= {meta.task_id for meta in evidence.callback_metas}
    not_header |= {message.task_id for message in evidence.messages if message.is_callback}
    known: dict[str, _Known] = {}
    for task_id, index, name in _signs(evidence):
        if task_id not in not_header:
            task = known.setdefault(task_id, _Known())
            task.index = index if task.index is None else task.index
            task.name = task.name or name
    for task_id, task in known.items():
        held, meta = evidence.held.get(task_id), evidence.metas.get(task_id)
        task.name = task.name or (held.task.name if held else None) or (meta.name if meta else None)
    _place_the_last(known, evidence.keys)
    return known


def _place_the_last(known: Mapping[str, _Known], keys: ChordKeys) -> None:
    """Give the only task of a flat header without an index the only index without a task."""
    loose = [task for task in known.values() if task.index is None]
    if len(loose) == 1 and keys.size == len(known) and not keys.added and not keys.members:
        unseen = set(range(keys.size)) - {task.index for task in known.values()}
        loose[0].index = unseen.pop() if len(unseen) == 1 else None


def _signs(evidence: ChordEvidence) -> Iterator[tuple[str, int | None, str | None]]:
    """Yield id, index and name of header tasks as each kind of evidence knows them."""
    for part in evidence.keys.parts:
        yield part.task_id, part.index, None
    for message in evidence.messages:
        if not message.is_callback:
            yield message.task_id, message.index, message.name
    for embedded in evidence.carried.values():
        yield embedded.task_id, embedded.index, embedded.name
    yield from evidence.header
    yield from ((task_id, index, None) for index, task_id in enumerate(evidence.keys.header))
    for task_id in evidence.keys.members:
        yield task_id, None, None  # in a complex header the index restarts in every inner group
    if evidence.launch and not evidence.keys.members:
        yield from ((task_id, index, None) for index, task_id in enumerate(evidence.launch.task_ids))
    for meta in evidence.metas.values():
        if meta.group_id == evidence.keys.chord_id:
            yield meta.task_id, None, meta.name


def _size(evidence: ChordEvidence) -> int | None:
    total = evidence.keys.total
    if total is None and evidence.launch and not evidence.keys.members:
        return len(evidence.launch.task_ids) + evidence.keys.added
    return total


def _state(evidence: ChordEvidence, callback: Callback, known: Mapping[str, _Known]) -> ChordState:
    keys = evidence.keys
    if callback.state == "succeeded":
        return "succeeded"
    if callback.state == "failed" or (callback.state == "revoked" and keys.claim == "done"):
        return "failed"
    if not any(part.state in _FAILED for part in keys.parts):
        return "open"
    # Celery 5.7 deletes the size when it raises ChordError; 5.4 to 5.6 leave it.
    if keys.total is not None:
        return "failed" if keys.counted >= keys.total else "open"
    # A producer that still publishes has not written the size yet.
    counted = {part.task_id for part in keys.parts}
    ahead = (task_id for task_id in known if task_id not in counted)
    return "open" if any(place_of(task_id, evidence).kind in _AHEAD for task_id in ahead) else "failed"


def _complete(evidence: ChordEvidence, callback: Callback) -> bool:
    """Whether every part was counted: Celery published the callback, or it ended otherwise than by a part."""
    if evidence.keys.claim == "done" or any(message.is_callback for message in evidence.messages):
        return True
    return callback.state == "succeeded" or (
        callback.state == "failed" and not (callback.error or "").startswith("ChordError: Dependency")
    )


def _callback(evidence: ChordEvidence, body: Body | None) -> tuple[Callback, Place | None]:
    published = next((m for m in evidence.messages if m.is_callback), None)
    meta = _callback_meta(evidence, body)
    task_id = next((x.task_id for x in (body, published, meta) if x and x.task_id), None)
    name = next((x.name for x in (body, published, meta) if x and x.name), None)
    queue = next((x.queue for x in (published, meta, body) if x and x.queue), None)
    if task_id is None:
        return Callback(name=name, queue=queue), None
    waits_as = published.task_id if published else task_id
    place = place_of(waits_as, evidence)
    held = evidence.held.get(waits_as)
    state = _state_of(meta, place)
    return Callback(
        task_id=task_id,
        name=name or (held.task.name if held else None),
        state=state,
        queue=queue,
        worker=place.name if held else (meta.worker if meta else None),
        attempt=published.attempt if published else (meta.attempt if meta else None),
        started_at=place.since if place.kind == "active" else None,
        finished_at=meta.finished_at if meta else None,
        error=meta.error if meta else None,
    ), place


def _callback_meta(evidence: ChordEvidence, body: Body | None) -> TaskMeta | None:
    """Return the result that decides what became of the callback: a failed one, else the last, when all are there.

    A group as callback has a result of each member, and none under the id that the caller holds.
    """
    metas = evidence.callback_metas
    failed = next((meta for meta in metas if meta.state in _FAILED), None)
    if failed or not metas:
        return failed
    ids = {meta.task_id for meta in metas}
    waiting = any(message.is_callback and message.task_id not in ids for message in evidence.messages)
    if waiting or (body and body.task_id not in ids and not ids.issuperset(body.task_ids)):
        return None
    return max(metas, key=lambda meta: meta.finished_at or 0.0)


def _header(
    evidence: ChordEvidence,
    known: dict[str, _Known],
    counted: Mapping[str, Part | None],
    places: Mapping[str, Place],
) -> Iterator[HeaderTask]:
    order = sorted(known.items(), key=lambda item: (item[1].index is None, item[1].index or 0))
    for task_id, task in order:
        part, meta = counted.get(task_id), evidence.metas.get(task_id)
        place = places.get(task_id, Place(kind="unknown"))
        at_worker = place.kind in ("active", "reserved", "scheduled")
        yield HeaderTask(
            index=task.index,
            task_id=task_id,
            name=task.name,
            state=part.state if part and part.state != "unknown" else _state_of(meta, place),
            queue=place.name if place.kind in ("queue", "unacked") else (meta.queue if meta else None),
            worker=place.name if at_worker else (meta.worker if meta else None),
            attempt=meta.attempt if meta and meta.attempt is not None else place.attempt,
            started_at=place.since if place.kind == "active" else None,
            finished_at=meta.finished_at if meta else None,
            counted=task_id in counted,
            error=(part.error if part else None) or (meta.error if meta else None),
        )


def _state_of(meta: TaskMeta | None, place: Place) -> TaskState:
    """Return a task's state: its final result, else where it is, else what its last result says."""
    if meta and meta.state in ("succeeded", "failed", "revoked", "rejected", "ignored"):
        return meta.state
    if place.kind == "active":
        return "started"
    if place.attempt or (meta and meta.state == "retrying"):
        return "retrying"
    if place.kind in ("reserved", "scheduled", "unacked"):
        return "received"
    if place.kind == "queue":
        return "published"
    return meta.state if meta else "unknown"


def _missing(
    evidence: ChordEvidence, known: dict[str, _Known], parts: dict[str, Part]
) -> Iterator[MissingPart]:
    """Yield what is not counted: known tasks, then indexes nobody was seen for, then parts without any sign."""
    keys = evidence.keys
    if not keys.parts_complete:
        return
    uncounted = {task_id: task for task_id, task in known.items() if task_id not in parts}
    for task_id, task in uncounted.items():
        yield MissingPart(index=task.index, task_id=task_id, name=task.name)
    seen = [task.index for task in known.values() if task.index is not None]
    flat = not keys.members and len(seen) - len(set(seen)) <= keys.added
    end = keys.size if keys.size is not None else max(seen, default=-1) + 1
    unseen = sorted(set(range(min(end, MAX_MISSING))) - set(seen)) if flat else []
    size = _size(evidence)
    rest = len(unseen) if size is None else min(size - keys.counted - len(uncounted), MAX_MISSING)
    for index in unseen[: max(0, rest)]:
        yield MissingPart(index=index)
    for _ in range(rest - len(unseen)):
        yield MissingPart(index=None)


def header_order(part: MissingPart | HeaderTask) -> tuple[bool, int]:
    """Return the key that sorts parts by their index, those without one last."""
    return part.index is None, part.index or 0


def _finished_at(state: ChordState, evidence: ChordEvidence, callback: Callback) -> float | None:
    if state not in FINISHED:
        return None
    return callback.finished_at or evidence.keys.touched_at


def _family(evidence: ChordEvidence, known: dict[str, _Known]) -> Message | TaskMeta | None:
    """Return a header task's message or result: any one knows its root and parent."""
    headers = (message for message in evidence.messages if not message.is_callback)
    return next(headers, next((evidence.metas[t] for t in known if t in evidence.metas), None))


def _parent(family: Message | TaskMeta | None) -> str | None:
    """Return the task that sent the chord; a retried task names itself as its parent."""
    return family.parent_id if family and family.parent_id != family.task_id else None
