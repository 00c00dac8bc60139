"""Brokers that count messages and do not show them (RabbitMQ), or tell nothing: what records say of their queues.

A task that was published to a queue and that no worker has received is in that queue, if anything is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from chordwatch.evidence.facts import Consumers, Message, Queue
from chordwatch.evidence.readers import Broker
from chordwatch.model import FINISHED, Callback, Chord, HeaderTask

if TYPE_CHECKING:
    from chordwatch.watch.survey import Survey

#: So many queues that only records name are asked for in one look: each is a question to the broker.
MAX_QUEUES = 200
#: The states of a task whose message waits, or is on its way.
_SENT = frozenset({"published", "retrying"})


def opaque(queues: tuple[Queue, ...], consumers: Consumers) -> frozenset[str]:
    """Return the queues that can hide a task: messages wait, or a consumer is no worker that told what it holds."""
    return frozenset(
        queue.name
        for queue in queues
        if queue.length or (queue.consumers or 0) > len(consumers.of(queue.name))
    )


def counted(queues: tuple[Queue, ...]) -> Mapping[str, int]:
    """Return how many consumers each queue has by the broker's own count."""
    return {queue.name: queue.consumers for queue in queues if queue.consumers is not None}


def look_into(seen: Survey, broker: Broker, chords: Iterable[Chord]) -> None:
    """Ask the broker for the queues of open chords' tasks that it was not asked for, and put them into the survey.

    Raises:
        UnreachableError: the broker does not answer.
    """
    known = {queue.name for queue in seen.queues}
    named = dict.fromkeys(task.queue for chord in chords for task in _waited_for(chord))
    wanted = [queue for queue in named if queue and queue not in known][:MAX_QUEUES]
    more = broker.queues(wanted, {})
    seen.queues += more
    seen.consumers = _with_counts(seen.consumers, more)
    seen.opaque |= opaque(more, seen.consumers)
    seen.everywhere = seen.everywhere and not seen.opaque


def waiting_of(chord: Chord, seen: Survey) -> Mapping[str, Message]:
    """Return the messages that were seen, and those that must be in queues into which nobody can look."""
    if not (seen.consumers.counted or seen.consumers.inferred):
        return seen.waiting
    filled = {queue.name for queue in seen.queues if queue.length and queue.name in seen.consumers.counted}
    sent = [task for task in _waited_for(chord) if task.state in _SENT and task.queue in filled]
    if seen.consumers.inferred:
        sent = [task for task in _waited_for(chord) if task.state == "published" and task.queue]
    return {**{m.task_id: m for m in map(_message, sent)}, **seen.waiting} if sent else seen.waiting


def _message(task: HeaderTask | Callback) -> Message:
    return Message(
        task_id=task.task_id or "", name=task.name, queue=task.queue or "", attempt=task.attempt or 0
    )


def _with_counts(consumers: Consumers, more: tuple[Queue, ...]) -> Consumers:
    return replace(consumers, counted={**consumers.counted, **counted(more)})


def _waited_for(chord: Chord) -> Iterator[HeaderTask | Callback]:
    """Yield the tasks of an open chord that are not counted, and its callback when that is sent."""
    if chord.state in FINISHED or chord.state == "planned":
        return
    yield from (task for task in chord.header if task.task_id and not task.counted)
    if chord.callback.task_id:
        yield chord.callback
