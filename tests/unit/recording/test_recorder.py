from __future__ import annotations

import logging
import os
import sys
import threading
import types
from pathlib import Path
from typing import Any

import msgpack
import pytest

from chordwatch.errors import UnreachableError
from chordwatch.recording.notes import Run
from chordwatch.recording.recorder import Recorder
from chordwatch.recording.records import Kind, Record
from tests.support.polling import wait_until


class Sink:
    """Keeps batches; `down` makes it unreachable, `refuses` makes it fail otherwise."""

    def __init__(self) -> None:
        self.batches: list[list[Any]] = []
        self.down = self.refuses = self.closed = False
        self.threads: set[int] = set()
        self.attempts: list[bytes] = []

    def apply(self, batch: bytes) -> None:
        """Keep a batch."""
        self.threads.add(threading.get_ident())
        self.attempts.append(batch)
        if self.down:
            raise UnreachableError("The store does not answer.")
        if self.refuses:
            raise RuntimeError("no")
        self.batches.append(msgpack.unpackb(batch, strict_map_key=False))

    def close(self) -> None:
        """Note it."""
        self.closed = True

    def records(self) -> list[Record]:
        """Return all records that came."""
        return [Record(*record) for batch in self.batches for chord in batch[6] for record in chord[2]]

    def dropped(self, reason: str) -> int:
        """Return how many were told to be lost."""
        return sum(batch[4].get(reason, 0) for batch in self.batches)


def recorder(sink: Sink, **options: Any) -> Recorder:
    defaults = {"node": "celery@one", "flush_interval": 0.02, "buffer_size": 1000, "keep_callbacks": False}
    return Recorder(lambda _boot: sink, **{**defaults, **options})


def entry(number: int = 0) -> tuple[Any, ...]:
    return ("chord", None, 1, 0, f"t{number}", number, 0, 0, 1.0, "shop.price", "celery")


def threads_now() -> set[str]:
    """Ids of all threads of this process, native ones too, which `threading` does not know."""
    return {task.name for task in Path("/proc/self/task").iterdir()}


def run_of(at: float) -> Run:
    return Run(at, [(("chord", None), (0, "t1", 0, 0, 0), False)], "shop.price", "celery")


def test_entries_are_sent_together_by_another_thread() -> None:
    sink = Sink()
    one = recorder(sink)

    for number in range(50):
        one.add(entry(number))

    wait_until(lambda: len(sink.records()) == 50, "all records are sent", seconds=5)
    assert threading.get_ident() not in sink.threads
    assert len(sink.batches) < 10
    one.close()
    assert sink.closed


def test_without_entries_nothing_is_started_and_closing_is_free() -> None:
    sink = Sink()
    threads = threads_now()

    one = recorder(sink)
    one.close()

    assert threads_now() <= threads  # one of an earlier test may have ended
    assert not sink.batches


def test_closing_sends_what_is_left_at_once() -> None:
    sink = Sink()
    one = recorder(sink, flush_interval=30)
    one.add(entry())

    one.close(seconds=5)

    assert len(sink.records()) == 1


def test_entries_after_a_close_are_sent_as_before() -> None:
    sink = Sink()
    one = recorder(sink)
    one.add(entry(1))
    one.close()

    one.add(entry(2))
    one.close()

    assert [record.task_id for record in sink.records()] == ["~t1", "~t2"]


def test_a_store_that_is_away_is_said_once_and_gets_everything_on_its_return(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sink = Sink()
    sink.down = True
    one = recorder(sink)
    with caplog.at_level(logging.INFO, "chordwatch"):
        one.add(entry(1))
        wait_until(lambda: len(sink.threads) > 0 and one._pause > 0.02, "the first attempt failed", seconds=5)
        one.add(entry(2))
        wait_until(lambda: len(one._pending) == 2, "two batches wait", seconds=5)
        sink.down = False
        wait_until(lambda: len(sink.records()) == 2, "both are sent", seconds=5)
        wait_until(lambda: "records again" in caplog.text, "the return is said", seconds=5)
    one.close()

    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]
    assert [batch[2] for batch in sink.batches] == [1, 2]


def test_more_than_the_buffer_holds_is_dropped_and_counted() -> None:
    sink = Sink()
    sink.down = True
    one = recorder(sink, buffer_size=100)

    for number in range(250):
        one.add(entry(number))
    sink.down = False

    wait_until(lambda: sink.dropped("overflow") == 150, "the loss is told", seconds=5)
    assert len(sink.records()) == 100
    one.close()


def test_a_refused_batch_is_dropped_counted_and_blocks_nothing() -> None:
    sink = Sink()
    sink.refuses = True
    one = recorder(sink)
    one.add(entry(1))
    wait_until(lambda: one._dropped["refused"] == 1, "the batch is refused", seconds=5)
    sink.refuses = False

    wait_until(lambda: sink.dropped("refused") == 1, "the refusal is told", seconds=5)
    assert not sink.records()
    one.close()


def test_a_run_is_announced_once_it_outlasts_a_flush() -> None:
    sink = Sink()
    one = recorder(sink)

    one.begin(1, run_of(at=0.0))

    wait_until(
        lambda: [record.kind for record in sink.records()] == [Kind.STARTED],
        "the run is announced",
        seconds=5,
    )
    wait_until(lambda: not one._awake, "the thread rests", seconds=5)
    one.close()
    assert len(sink.records()) == 1


def test_starts_of_one_task_in_two_threads_are_told_apart_by_the_millisecond() -> None:
    one = recorder(Sink())
    now = 1_795_320_406.1126

    for key, at in enumerate((now, now + 0.0004, now - 0.0001, now + 1.0)):
        one.begin(key, run_of(at=at))
    starts = [round(run.at * 1000) for run in one.runs.values()]
    one.runs.clear()
    one.close()

    assert len(set(starts)) == 4
    assert starts[0] == round(now * 1000)
    assert starts[3] == round((now + 1.0) * 1000)


def test_a_run_that_ended_in_time_is_not_announced() -> None:
    sink = Sink()
    one = recorder(sink)

    one.begin(1, run_of(at=2.0**40))
    one.runs.pop(1)
    one.add(entry())

    wait_until(lambda: len(sink.records()) == 1, "the record is sent", seconds=5)
    one.close()
    assert [record.kind for record in sink.records()] == [Kind.PUBLISHED]


def test_a_forked_child_sends_its_own_records_only_and_under_its_own_name() -> None:
    sink = Sink()
    sink.down = True
    one = recorder(sink)
    one.add(entry(1))
    wait_until(lambda: len(one._pending) == 1, "a batch waits", seconds=5)
    boot = one.boot
    reader, writer = os.pipe()

    child = os.fork()
    if child == 0:
        sink.down, sink.batches = False, []
        one.add(entry(2))
        one.close(seconds=5)
        told = f"{one.boot != boot} {sink.batches[0][1] == one.boot} {[r.task_id for r in sink.records()]}"
        os.write(writer, told.encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 1000) == b"True True ['~t2']"

    sink.down = False
    wait_until(
        lambda: [record.task_id for record in sink.records()] == ["~t1"],
        "the parent sends its own",
        seconds=5,
    )
    one.close()
    os.close(reader)
    os.close(writer)


@pytest.fixture
def threadless_uwsgi(monkeypatch: pytest.MonkeyPatch) -> None:
    uwsgi = types.ModuleType("uwsgi")
    uwsgi.opt = {"http": b":8000"}  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "uwsgi", uwsgi)


@pytest.mark.usefixtures("threadless_uwsgi")
def test_in_uwsgi_without_threads_a_dispatch_is_sent_within_the_call() -> None:
    sink = Sink()
    threads = threads_now()
    one = recorder(sink, flush_interval=30)

    for number in range(3):
        one.add(entry(number))
    one.dispatched()

    assert len(sink.records()) == 3
    assert sink.threads == {threading.get_ident()}
    assert threads_now() <= threads  # one of an earlier test may have ended


@pytest.mark.usefixtures("threadless_uwsgi")
def test_in_uwsgi_without_threads_a_store_that_is_away_is_asked_seldom_and_the_rest_sent_at_the_end() -> None:
    sink = Sink()
    sink.down = True
    one = recorder(sink, flush_interval=30)
    one.add(entry(1))
    asked = len(sink.attempts)

    one.add(entry(2))

    assert len(sink.attempts) == asked
    sink.down = False
    one.close()
    assert len(sink.records()) == 2


def test_what_is_lost_at_the_end_is_said(caplog: pytest.LogCaptureFixture) -> None:
    sink = Sink()
    sink.down = True
    one = recorder(sink)
    one.add(entry(1))
    one.add(entry(2))

    with caplog.at_level(logging.WARNING, "chordwatch"):
        one.close(seconds=5)

    assert "2 records could not be sent" in caplog.text


def test_a_store_that_cannot_even_be_opened_is_said_without_its_address(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def connect(_boot: str) -> Sink:
        raise ValueError("redis://:secret@host")  # as a library may put it

    one = Recorder(connect, node="n", flush_interval=0.02, buffer_size=100, keep_callbacks=False)
    with caplog.at_level(logging.ERROR, "chordwatch"):
        one.add(entry(1))
        wait_until(lambda: "cannot be opened" in caplog.text, "the failure is said", seconds=5)
    one.close()

    assert "secret" not in caplog.text
