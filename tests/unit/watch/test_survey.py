from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from chordwatch.evidence.budget import Budget, Gaps
from chordwatch.evidence.facts import Consumers, Message, Queue
from chordwatch.evidence.messages import MessageReader
from chordwatch.watch.survey import ConsumerMemory, Survey, survey
from tests.unit.seen import BODY, W1, active, callback_message, message

BEGUN = 1000.0


class FakeBroker:
    """Queues of ready-made messages."""

    peeks = True

    def __init__(self, queued: Iterable[Message], unacked: Iterable[Message] = (), note: str = "") -> None:
        self._queued, self._unacked, self._note = tuple(queued), tuple(unacked), note

    def queue_names(self, consumed: Iterable[str], _: Budget) -> tuple[str, ...]:
        """Return the queues that are consumed or hold a message."""
        return tuple(sorted({*consumed, *(m.queue for m in (*self._queued, *self._unacked))}))

    def messages(self, _: Iterable[str], __: MessageReader, ___: Budget, gaps: Gaps) -> Iterator[Message]:
        """Return what waits, and say what was not seen."""
        if self._note:
            gaps.note(self._note, partial=True)
        return iter(self._queued)

    def unacked(self, _: MessageReader, __: Budget, ___: Gaps) -> Iterator[Message]:
        """Return what is delivered."""
        return iter(self._unacked)

    def queues(self, names: Iterable[str], unacked: dict[str, int]) -> tuple[Queue, ...]:
        """Return the queues, empty."""
        return tuple(Queue(name=name, length=0, unacked=unacked.get(name, 0)) for name in names)


def surveyed(broker: FakeBroker | None, consumers: Consumers, gaps: Gaps | None = None) -> Survey:
    return survey(broker, consumers, Budget(9), gaps or Gaps(), begun_at=BEGUN)  # type: ignore[arg-type]  # a fake


def test_a_queue_that_lost_its_last_consumer_is_remembered_with_the_time() -> None:
    memory = ConsumerMemory()

    assert memory.update((W1,), 100.0) == {}
    assert memory.update((), 110.0) == {"celery": 110.0}
    assert memory.update((), 120.0) == {"celery": 110.0}


def test_a_consumer_that_comes_back_is_not_missed() -> None:
    memory = ConsumerMemory()
    memory.update((W1,), 100.0)
    memory.update((), 110.0)

    assert memory.update((W1,), 120.0) == {}
    assert memory.update((), 130.0) == {"celery": 130.0}


def test_a_queue_that_never_had_a_consumer_is_not_missed() -> None:
    assert ConsumerMemory().update((replace(W1, queues=()),), 100.0) == {}


def test_one_of_two_workers_that_ends_is_not_missed() -> None:
    memory = ConsumerMemory()
    memory.update((W1, replace(W1, hostname="w2@zoo")), 100.0)

    assert memory.update((W1,), 110.0) == {}


def test_a_queue_that_filled_after_the_workers_were_asked_is_not_decided() -> None:
    memory = ConsumerMemory()
    empty, filled = Queue(name="q", length=0, unacked=0), Queue(name="q", length=1, unacked=0)

    assert memory.unasked((empty,), asked_at=100.0, begun_at=99.0) == {}
    assert memory.unasked((filled,), asked_at=100.0, begun_at=120.0) == {"q": 120.0}
    assert memory.unasked((filled,), asked_at=160.0, begun_at=159.0) == {}
    assert memory.unasked((filled,), asked_at=160.0, begun_at=200.0) == {}


def test_a_queue_that_is_empty_for_a_while_begins_anew() -> None:
    memory = ConsumerMemory()
    empty, filled = Queue(name="q", length=0, unacked=0), Queue(name="q", length=1, unacked=0)
    memory.unasked((filled,), asked_at=100.0, begun_at=99.0)
    memory.unasked((empty,), asked_at=100.0, begun_at=110.0)

    assert memory.unasked((filled,), asked_at=100.0, begun_at=120.0) == {"q": 120.0}


def test_messages_are_kept_by_their_chord_and_counted_by_their_queue() -> None:
    broker = FakeBroker([message(0)], [message(1, unacked=True)])

    seen = surveyed(broker, Consumers(asked_at=BEGUN + 1, workers=(W1,)))

    assert [m.task_id for m in seen.messages["group"]] == ["h0", "h1"]
    assert seen.waiting.keys() == {"h0", "h1"}
    assert seen.queues == (Queue(name="celery", length=0, unacked=1, consumers=1),)
    assert seen.everywhere


def test_a_message_that_belongs_to_no_chord_is_not_kept() -> None:
    lone = Message(task_id="lone", name="zoo.add", queue="celery")

    assert surveyed(FakeBroker([lone]), Consumers()).waiting == {}


def test_the_first_step_of_a_chain_is_kept() -> None:
    first = Message(task_id="first", name="zoo.add", queue="celery", chain_ids=("h0",))

    assert surveyed(FakeBroker([first]), Consumers()).waiting.keys() == {"first"}


def test_what_workers_hold_is_known_without_a_broker() -> None:
    seen = surveyed(None, Consumers(asked_at=BEGUN + 1, workers=(replace(W1, tasks=(active("h0"),)),)))

    assert seen.held["h0"].hostname == "w1@zoo"
    assert not seen.everywhere


def test_workers_that_were_not_asked_count_no_consumers() -> None:
    seen = surveyed(FakeBroker([message(0)]), Consumers())

    assert seen.queues[0].consumers is None
    assert not seen.everywhere


def test_an_old_answer_of_the_workers_does_not_prove_that_a_task_is_nowhere() -> None:
    assert not surveyed(FakeBroker([]), Consumers(asked_at=BEGUN - 30, workers=(W1,))).everywhere


def test_a_look_cut_short_does_not_prove_that_a_task_is_nowhere() -> None:
    broker = FakeBroker([], note="Time ran out.")

    assert not surveyed(broker, Consumers(asked_at=BEGUN + 1, workers=(W1,))).everywhere


def test_only_a_group_whose_messages_embed_a_callback_is_a_chord() -> None:
    plain = message(0, group_id="plain", body=None)

    seen = surveyed(FakeBroker([plain, message(1), callback_message()]), Consumers())

    assert seen.embedding() == {"group"}
    assert seen.body_of("group") == BODY
    assert seen.body_of("plain") is None


def test_what_else_was_cut_short_does_not_hide_that_the_queues_were_read() -> None:
    gaps = Gaps()
    gaps.note("Not all keys of the backend were met.", partial=True)
    seen = surveyed(FakeBroker([message(0)]), Consumers(asked_at=BEGUN), gaps)

    assert seen.everywhere

    cut = surveyed(
        FakeBroker([message(0)], note="Not all messages were read."), Consumers(asked_at=BEGUN), gaps
    )
    assert not cut.everywhere
    assert gaps.lines() == ("Not all keys of the backend were met.", "Not all messages were read.")


def test_a_worker_that_answered_a_moment_ago_may_still_hold_anything() -> None:
    memory, other = ConsumerMemory(), replace(W1, hostname="w2@zoo")

    assert memory.silent((W1, other), 100.0) == frozenset()
    assert memory.silent((other,), 105.0) == {"w1@zoo"}
    assert memory.silent((other,), 129.0) == {"w1@zoo"}
    assert memory.silent((other,), 130.0) == frozenset()
    assert memory.silent((W1, other), 131.0) == frozenset()


def test_so_may_one_that_left_a_question_unanswered() -> None:
    memory, busy = ConsumerMemory(), replace(W1, told_tasks=False)

    assert memory.silent((busy,), 100.0) == {"w1@zoo"}
    assert memory.silent((W1,), 105.0) == frozenset()


def test_nothing_is_nowhere_while_a_worker_is_silent() -> None:
    asked = Consumers(asked_at=BEGUN + 1, workers=(W1,))

    assert surveyed(FakeBroker([message(0)]), asked).everywhere
    assert not surveyed(FakeBroker([message(0)]), replace(asked, silent=frozenset({"w2@zoo"}))).everywhere


def test_a_running_part_does_not_wait_for_the_callback_that_it_sent() -> None:
    runs = replace(W1, tasks=(active("h1"),))
    own = message(2, group_id="other", parent_id="h1")
    sent = replace(callback_message(), parent_id="h1")
    seen = surveyed(FakeBroker([own, sent]), Consumers(asked_at=BEGUN, workers=(runs,)))

    assert seen.children() == {"h1": (own,)}
