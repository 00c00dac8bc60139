"""One pass over broker and workers: where every chord's tasks are. Runs in the reading process only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from chordwatch.diagnosis.case import RESTART_SECONDS
from chordwatch.evidence import unlocks
from chordwatch.evidence.budget import Budget, Gaps
from chordwatch.evidence.facts import Consumers, Message, Queue, Unlock, Worker, WorkerPlace
from chordwatch.evidence.messages import MessageReader
from chordwatch.evidence.readers import Broker
from chordwatch.recording.signatures import Body, EmbeddedPart
from chordwatch.watch import unpeeked

_MAX_GROUPLESS = 10_000


@dataclass(slots=True, kw_only=True)
class Survey:
    """What broker and workers hold. `messages` and `carried` are by group id, `waiting` and `held` by task id.

    `queues_read`: queues and `unacked` were read to their end; `everywhere`: the workers were asked besides.
    `opaque` are queues that may hold any task, as nobody can look into them. `delivered` are the ids of all
    unacknowledged messages, `carriers` those of tasks at workers whose messages are gone, with all that they carry.
    `groupless` are messages without a group id that another task sent, the first so many. `unlocks` are those of
    `celery.chord_unlock`, by group id.
    """

    messages: dict[str, list[Message]] = field(default_factory=lambda: defaultdict(list))
    carried: dict[str, dict[str, EmbeddedPart]] = field(default_factory=lambda: defaultdict(dict))
    waiting: dict[str, Message] = field(default_factory=dict)
    groupless: list[Message] = field(default_factory=list)
    unlocks: dict[str, Unlock] = field(default_factory=dict)
    held: dict[str, WorkerPlace] = field(default_factory=dict)
    delivered: set[str] = field(default_factory=set)
    carriers: frozenset[str] = frozenset()
    queues: tuple[Queue, ...] = ()
    consumers: Consumers = field(default_factory=Consumers)
    queues_read: bool = False
    opaque: frozenset[str] = frozenset()
    everywhere: bool = False

    def embedding(self) -> set[str]:
        """Return the group ids whose messages embed a callback: chords, not plain groups."""
        return {group for group, messages in self.messages.items() if any(m.body for m in messages)}

    def callers(self) -> dict[str, Message]:
        """Return the messages that look like a chord's callback, by group id."""
        messages = (message for group in self.messages.values() for message in group if message.is_callback)
        return {message.group_id: message for message in messages if message.group_id}

    def children(self) -> dict[str, tuple[Message, ...]]:
        """Return the messages that wait, by the id of the task that sent them.

        A chord's callback is sent by the part that is counted last, which ends and does not wait for it.
        """
        found: dict[str, list[Message]] = defaultdict(list)
        for message in (*self.waiting.values(), *self.groupless):
            if message.parent_id in self.held and not message.is_callback:
                found[message.parent_id or ""].append(message)
        return {parent_id: tuple(messages) for parent_id, messages in found.items()}

    def body_of(self, chord_id: str) -> Body | None:
        """Return the callback of a chord as its messages, or those that carry its parts, embed it."""
        messages = (message.body for message in self.messages.get(chord_id, ()) if message.body)
        carried = (part.body for part in self.carried.get(chord_id, {}).values())
        polled = self.unlocks.get(chord_id)
        return next(messages, None) or next(carried, None) or (polled.body if polled else None)


class ConsumerMemory:
    """Remembers what makes a queue without a consumer no fault, and an answer that does not come: a rolling restart.

    The workers are not asked at every look, and one that has started since may read a queue.
    """

    def __init__(self) -> None:
        self._missing_since: dict[str, float | None] = {}
        self._filled_at: dict[str, float] = {}
        self._answered_at: dict[str, float] = {}

    def unasked(
        self, queues: tuple[Queue, ...], asked_at: float | None, begun_at: float
    ) -> Mapping[str, float]:
        """Return the queues that were found filled only after the workers were asked, with the time of that.

        Nothing is older than an answer of this look, which began at `begun_at` (Unix seconds).
        """
        filled = {queue.name for queue in queues if queue.length}
        self._filled_at = {name: self._filled_at.get(name, begun_at) for name in filled}
        if asked_at is None or asked_at >= begun_at:
            return {}
        return {name: since for name, since in self._filled_at.items() if since > asked_at}

    def silent(self, workers: tuple[Worker, ...], asked_at: float) -> frozenset[str]:
        """Return the workers that told all their tasks a short while ago, or now a part of them."""
        told = {worker.hostname for worker in workers if worker.told_tasks}
        recent = {name: at for name, at in self._answered_at.items() if asked_at - at < RESTART_SECONDS}
        self._answered_at = recent | dict.fromkeys(told, asked_at)
        return frozenset((recent.keys() | {worker.hostname for worker in workers}) - told)

    def update(self, workers: tuple[Worker, ...], asked_at: float) -> Mapping[str, float]:
        """Return the queues that lost their last consumer, with the time (Unix seconds) it was first missed."""
        consumed = {queue for worker in workers for queue in worker.queues}
        for queue in self._missing_since.keys() | consumed:
            if queue in consumed:
                self._missing_since[queue] = None
            elif self._missing_since[queue] is None:
                self._missing_since[queue] = asked_at
        return {queue: since for queue, since in self._missing_since.items() if since is not None}


def survey(
    broker: Broker | None, consumers: Consumers, budget: Budget, gaps: Gaps, *, begun_at: float
) -> Survey:
    """Return what the broker's queues and the workers hold now, in a look that began at `begun_at`.

    Only if the workers were asked in this look may a task be said to be nowhere.
    Queues are read before `unacked`: a message that is delivered meanwhile is seen in one of them.
    """
    seen = Survey(consumers=consumers)
    for worker in consumers.workers:
        for task in worker.tasks:
            seen.held[task.task_id] = WorkerPlace(hostname=worker.hostname, task=task)
    if broker is None:
        seen.consumers = replace(consumers, inferred=True)
        seen.carriers = _carriers(seen)
        return seen
    own = Gaps()  # what else of this look was cut short says nothing about the queues
    reader = MessageReader(own)
    consumed = {queue for worker in consumers.workers for queue in worker.queues}
    names = broker.queue_names(consumed, budget.share(0.25))
    unacked: dict[str, int] = defaultdict(int)
    for message in broker.messages(names, reader, budget.share(0.7), own):
        _keep(seen, message, reader)
    for message in broker.unacked(reader, budget.share(0.7), own):
        unacked[message.queue] += 1
        seen.delivered.add(message.task_id)
        _keep(seen, message, reader)
    seen.carriers = _carriers(seen)
    for part in reader.parts.values():
        seen.carried[part.chord_id][part.task_id] = part
    seen.unlocks = reader.unlocks
    seen.queues = broker.queues(names, unacked)
    asked_now = consumers.asked_at is not None and consumers.asked_at >= begun_at
    gaps.add(own)
    seen.queues_read = not own.partial
    seen.opaque = frozenset() if broker.peeks else unpeeked.opaque(seen.queues, consumers)
    seen.everywhere = asked_now and seen.queues_read and not (seen.opaque or consumers.silent)
    if broker.peeks:
        seen.queues = tuple(
            replace(queue, consumers=None if consumers.asked_at is None else len(consumers.of(queue.name)))
            for queue in seen.queues
        )
    else:
        seen.consumers = replace(consumers, counted=unpeeked.counted(seen.queues))
    return seen


def _carriers(seen: Survey) -> frozenset[str]:
    """Return the tasks at workers that may carry others and whose messages are gone; a poll carries none."""
    held = {id_ for id_, place in seen.held.items() if place.task.name != unlocks.TASK}
    return frozenset(held - seen.waiting.keys() - seen.delivered)


def _keep(seen: Survey, message: Message, reader: MessageReader) -> None:
    """Keep what can belong to a chord; a queue may hold a million messages that do not."""
    if message.group_id:
        seen.messages[message.group_id].append(message)
    if message.group_id or message.chain_ids or message.task_id in reader.carriers:
        seen.waiting[message.task_id] = message
    elif message.parent_id and len(seen.groupless) < _MAX_GROUPLESS:
        seen.groupless.append(message)
