from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from chordwatch.evidence.facts import Consumers, Message, Queue
from chordwatch.model import Callback
from chordwatch.watch.survey import Survey
from chordwatch.watch.unpeeked import counted, look_into, opaque, waiting_of
from tests.unit.seen import W1, consumers, header_task, message, open_chord


def queue(name: str = "celery", length: int = 0, readers: int | None = 1) -> Queue:
    return Queue(name=name, length=length, unacked=0, consumers=readers)


class FakeRabbit:
    """Queues by name, and which were asked for."""

    peeks = False

    def __init__(self, *queues: Queue) -> None:
        self._queues = {queue.name: queue for queue in queues}
        self.asked: list[str] = []

    def queues(self, names: Iterable[str], _: dict[str, int]) -> tuple[Queue, ...]:
        """Return those of the queues that exist."""
        self.asked += names
        return tuple(self._queues[name] for name in self.asked if name in self._queues)


def looked_into(seen: Survey, broker: FakeRabbit, *chords: object) -> None:
    look_into(seen, broker, chords)  # type: ignore[arg-type]  # a fake


@pytest.mark.parametrize(
    ("found", "hides"),
    [
        (queue(), False),
        (queue(length=1), True),
        (queue(readers=2), True),
        (queue(readers=0), False),
        (queue(readers=None), False),
    ],
    ids=["empty and read by who answers", "filled", "a silent consumer", "unread", "not counted"],
)
def test_an_empty_queue_whose_consumers_all_answer_hides_nothing(found: Queue, hides: bool) -> None:
    assert opaque((found,), consumers(W1)) == ({"celery"} if hides else set())


def test_consumers_are_those_that_the_broker_counts() -> None:
    assert counted((queue(readers=2), queue("nobody", readers=0), queue("untold", readers=None))) == {
        "celery": 2,
        "nobody": 0,
    }


def test_queues_that_only_records_name_are_looked_into_once() -> None:
    broker = FakeRabbit(queue("nobody", length=1, readers=0))
    seen = Survey(queues=(queue(),), consumers=consumers(W1, counted={"celery": 1}), everywhere=True)
    parts = [
        header_task(n, queue=name) for n, name in enumerate(("nobody", "celery", "gone", "nobody", None))
    ]
    chord = open_chord(header=tuple(parts))

    looked_into(seen, broker, chord, chord)

    assert broker.asked == ["nobody", "gone"]
    assert [found.name for found in seen.queues] == ["celery", "nobody"]
    assert seen.consumers.counted == {"celery": 1, "nobody": 0}
    assert (seen.opaque, seen.everywhere) == ({"nobody"}, False)


@pytest.mark.parametrize("state", ["succeeded", "planned"])
def test_queues_of_chords_that_wait_for_nothing_are_not_looked_into(state: str) -> None:
    broker = FakeRabbit()

    looked_into(Survey(), broker, open_chord(state=state, header=(header_task(0, queue="nobody"),)))

    assert broker.asked == []


def rabbit(*queues: Queue) -> Survey:
    return Survey(queues=queues, consumers=consumers(W1, counted=counted(queues)))


SENT = header_task(1, state="published", queue="celery", attempt=0)


def test_what_was_sent_and_not_received_is_in_its_queue_if_anything_is() -> None:
    filled, empty = rabbit(queue(length=3)), rabbit(queue(length=0))
    chord = open_chord(header=(SENT,))

    assert waiting_of(chord, filled) == {
        "h1": Message(task_id="h1", name="zoo.add", queue="celery", attempt=0)
    }
    assert waiting_of(chord, empty) == {}


def test_a_callback_that_was_sent_waits_as_well() -> None:
    callback = Callback(task_id="body", name="zoo.collect", state="published", queue="nobody")

    waiting = waiting_of(open_chord(header=(), callback=callback), rabbit(queue("nobody", 1, 0)))

    assert waiting["body"].queue == "nobody"


@pytest.mark.parametrize(
    "task",
    [
        replace(SENT, state="received"),
        replace(SENT, state="started"),
        replace(SENT, state="unknown"),
        replace(SENT, queue=None),
        replace(SENT, queue="other"),
        replace(SENT, counted=True),
    ],
)
def test_what_a_worker_has_received_or_nobody_sent_there_is_not_in_the_queue(task: object) -> None:
    assert waiting_of(open_chord(header=(task,)), rabbit(queue(length=3))) == {}


def test_messages_that_were_seen_go_before_what_is_concluded() -> None:
    seen = rabbit(queue(length=3))
    seen.waiting["h1"] = message(1, unacked=True)

    assert waiting_of(open_chord(header=(SENT,)), seen)["h1"].unacked


def test_where_the_broker_tells_nothing_records_say_what_waits() -> None:
    seen = Survey(consumers=Consumers(inferred=True))
    retried = replace(header_task(2), state="retrying", queue="celery")

    assert set(waiting_of(open_chord(header=(SENT, retried)), seen)) == {"h1"}


def test_where_queues_can_be_looked_into_nothing_is_concluded() -> None:
    seen = Survey(queues=(queue(length=3),), consumers=consumers(W1))

    assert waiting_of(open_chord(header=(SENT,)), seen) is seen.waiting
