"""A source's connections: one thread at a time, opened again after a failure, and never an unforeseen exception."""

from __future__ import annotations

import threading

import pytest

from chordwatch.board import connections
from chordwatch.board.connections import SharedStore, Watches
from chordwatch.errors import ChordwatchError, UnreachableError
from tests.support.polling import wait_until
from tests.unit.recorded import FakeStore


class FakeWatch:
    """Remembers whether it was closed."""

    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        """Remember it."""
        self.closed += 1


def test_a_store_that_does_not_answer_is_asked_again_only_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = FakeStore()
    opened = []

    def open_store() -> FakeStore:
        opened.append(1)
        return store

    shared = SharedStore(open_store)  # type: ignore[arg-type]  # only reads
    store.away = True
    for _ in range(5):
        with pytest.raises(UnreachableError):
            shared.read(lambda each: each.counters())
    assert (store.asked, opened, store.closed) == (1, [1], True)

    store.away = False
    monkeypatch.setattr(connections, "_RETRY_AFTER", -1.0)
    shared._again_at = 0.0
    shared.read(lambda each: each.counters())
    shared.read(lambda each: each.counters())
    assert (store.asked, opened) == (3, [1, 1])


def test_only_one_thread_at_a_time_has_the_store() -> None:
    shared, inside, most = SharedStore(FakeStore), [], []  # type: ignore[arg-type]  # only reads

    def read(_: object) -> None:
        inside.append(1)
        most.append(len(inside))
        threading.Event().wait(0.005)
        inside.pop()

    readers = [threading.Thread(target=lambda: shared.read(read)) for _ in range(8)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(10)

    assert most == [1] * 8


def test_watches_are_lent_to_so_many_at_once_and_kept() -> None:
    opened: list[FakeWatch] = []
    release = threading.Event()
    borrowed = []

    def open_watch() -> FakeWatch:
        opened.append(FakeWatch())
        return opened[-1]

    watches = Watches(open_watch, 2)  # type: ignore[arg-type]

    def borrow() -> None:
        with watches.one() as watch:
            borrowed.append(watch)
            release.wait(10)

    threads = [threading.Thread(target=borrow) for _ in range(5)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(borrowed) == 2, "two are lent")
    release.set()
    for thread in threads:
        thread.join(10)

    assert len(borrowed) == 5
    assert len(opened) == 2
    watches.close()
    assert [watch.closed for watch in opened] == [1, 1]


@pytest.mark.parametrize(
    ("problem", "sentence"),
    [
        (UnreachableError("The broker does not answer."), "The broker does not answer."),
        (RuntimeError("redis://:secret@host"), "The look failed with RuntimeError; the log has more."),
    ],
)
def test_what_a_watch_raises_is_a_sentence_and_its_connections_are_given_back(
    problem: Exception, sentence: str, caplog: pytest.LogCaptureFixture
) -> None:
    watch = FakeWatch()
    watches = Watches(lambda: watch, 1)  # type: ignore[arg-type,return-value]

    for _ in range(2):
        with pytest.raises(ChordwatchError) as caught, watches.one():
            raise problem
        assert str(caught.value) == sentence

    assert watch.closed == 2
    assert ("Traceback" in caplog.text) is isinstance(problem, RuntimeError)


def test_a_watch_that_cannot_be_opened_is_tried_again() -> None:
    answers = iter([UnreachableError("Away."), FakeWatch()])

    def open_watch() -> FakeWatch:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    watches = Watches(open_watch, 1)  # type: ignore[arg-type]
    with pytest.raises(UnreachableError), watches.one():
        pass

    with watches.one() as watch:
        assert isinstance(watch, FakeWatch)
