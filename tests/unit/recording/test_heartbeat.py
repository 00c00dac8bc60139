from __future__ import annotations

import _thread
import logging
import os
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from celery.worker import state

from chordwatch.recording import heartbeat
from chordwatch.recording.heartbeat import Heartbeats, Line, observed
from chordwatch.recording.records import MAX_IDS, Heartbeat
from tests.support.polling import wait_until

INTERVAL = 0.02
Beats = list[tuple[Heartbeat, bool]]


class Pool:
    """A pool of four, as Celery's pools look from outside."""

    num_processes = 4


def consumer(*queues: str) -> Any:
    return SimpleNamespace(
        hostname="w1@here",
        task_consumer=SimpleNamespace(queues=[SimpleNamespace(name=name) for name in queues]),
        pool=Pool(),
        controller=SimpleNamespace(concurrency=2),
    )


class Telephone:
    """A line that keeps what is said, and breaks on demand."""

    def __init__(self) -> None:
        self.said: Beats = []
        self.connected = self.closed = 0
        self.broken = False
        self.silence: threading.Event | None = None

    def connect(self) -> Line:
        """Give the line out."""
        self.connected += 1
        return self

    def beat(self, heartbeat: Heartbeat, *, goodbye: bool = False) -> None:
        """Keep a heartbeat, late or never when told so."""
        if self.silence:
            self.silence.wait(30)
        if self.broken:
            raise ConnectionError("nobody\nhome")
        self.said.append((heartbeat, goodbye))

    def close(self) -> None:
        """Count."""
        self.closed += 1
        if self.broken:
            raise ConnectionError("still nobody")


@pytest.fixture
def telephone() -> Telephone:
    return Telephone()


@pytest.fixture
def heartbeats(telephone: Telephone) -> Iterator[Heartbeats]:
    heartbeats = Heartbeats(telephone.connect, boot=lambda: "b1", interval=INTERVAL)
    yield heartbeats
    assert heartbeats.stop(5)


def native_threads() -> int:
    return _thread._count()


def wait_for_beats(telephone: Telephone, number: int) -> None:
    wait_until(lambda: len(telephone.said) >= number, f"{number} beats")


def test_it_beats_from_start_to_goodbye_and_nothing_runs_before_or_after(telephone: Telephone) -> None:
    before = native_threads()
    heartbeats = Heartbeats(telephone.connect, boot=lambda: "b1", interval=INTERVAL)
    assert (native_threads(), telephone.connected) == (before, 0)

    heartbeats.start(consumer("celery"))
    wait_for_beats(telephone, 3)
    assert native_threads() == before + 1
    assert heartbeats.stop()

    assert [goodbye for _, goodbye in telephone.said][-2:] == [False, True]
    assert (telephone.connected, telephone.closed, heartbeats.errors) == (1, 1, 0)
    wait_until(lambda: native_threads() == before, "the thread has ended")


def test_a_second_start_has_no_effect(telephone: Telephone, heartbeats: Heartbeats) -> None:
    before = native_threads()
    heartbeats.start(consumer("celery"))
    heartbeats.start(consumer("other"))

    wait_for_beats(telephone, 5)
    assert native_threads() == before + 1
    assert {beat.queues for beat, _ in telephone.said} == {("celery",)}


def test_it_can_be_started_again(telephone: Telephone, heartbeats: Heartbeats) -> None:
    heartbeats.start(consumer("first"))
    assert heartbeats.stop(5)
    heartbeats.start(consumer("second"))
    assert heartbeats.stop(5)

    assert [(beat.queues[0], bye) for beat, bye in telephone.said if bye] == [
        ("first", True),
        ("second", True),
    ]


def test_stopping_what_never_started_does_nothing(telephone: Telephone) -> None:
    assert Heartbeats(telephone.connect, boot=lambda: "b1", interval=INTERVAL).stop()
    assert telephone.connected == 0


def test_a_line_that_breaks_is_reported_once_and_taken_up_again(
    telephone: Telephone, heartbeats: Heartbeats, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "chordwatch")
    heartbeats.start(consumer("celery"))
    wait_for_beats(telephone, 1)
    telephone.broken = True
    wait_until(lambda: heartbeats.errors >= 3, "three failures")
    telephone.broken = False
    heard = len(telephone.said)
    wait_for_beats(telephone, heard + 2)

    messages = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert messages == ["chordwatch cannot send heartbeats: nobody\\nhome"]
    assert telephone.connected == heartbeats.errors + 1


def test_a_second_outage_is_reported_too(
    telephone: Telephone, heartbeats: Heartbeats, caplog: pytest.LogCaptureFixture
) -> None:
    heartbeats.start(consumer("celery"))
    for outage in (1, 2):
        heard = len(telephone.said)
        wait_for_beats(telephone, heard + 1)
        telephone.broken = True
        wait_until(lambda n=outage: len(caplog.records) == n, f"report {outage}")
        telephone.broken = False


def test_while_the_line_is_dead_it_is_tried_ever_more_seldom(
    telephone: Telephone, heartbeats: Heartbeats
) -> None:
    telephone.broken = True
    heartbeats.start(consumer("celery"))
    wait_until(lambda: heartbeats.errors >= 3, "three failures")
    started = time.monotonic()
    wait_until(lambda: heartbeats.errors >= 6, "three more failures")

    assert time.monotonic() - started > 5 * INTERVAL


@pytest.mark.parametrize("broken", [True, False])
def test_shutdown_waits_for_a_goodbye_only_so_long(telephone: Telephone, broken: bool) -> None:
    heartbeats = Heartbeats(telephone.connect, boot=lambda: "b1", interval=INTERVAL)
    heartbeats.start(consumer("celery"))
    wait_for_beats(telephone, 1)
    telephone.broken = broken
    telephone.silence = threading.Event()

    started = time.monotonic()
    in_time = heartbeats.stop(0.2)
    spent = time.monotonic() - started
    telephone.silence.set()

    assert not in_time
    assert 0.2 <= spent < 1.0
    wait_until(lambda: telephone.closed, "the thread hangs up in the end")


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_has_no_heartbeat_and_frees_the_line() -> None:
    lines: list[weakref.ref[Telephone]] = []

    def connect() -> Line:
        line = Telephone()
        lines.append(weakref.ref(line))
        return line

    def line() -> Telephone:
        (found,) = [alive for each in lines if (alive := each())]
        return found

    heartbeats = Heartbeats(connect, boot=lambda: "b1", interval=0.2)
    heartbeats.start(consumer("celery"))
    wait_until(lambda: lines and line().said, "a first beat")

    pid = os.fork()
    if pid == 0:
        os._exit(0 if lines[0]() is None and heartbeats.stop() else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    heard = len(line().said)
    wait_until(lambda: len(line().said) > heard, "the parent goes on")
    assert heartbeats.stop(5)


def test_queues_that_it_read_and_reads_no_longer_are_told_with_the_last_moment(
    telephone: Telephone, heartbeats: Heartbeats
) -> None:
    worker = consumer("celery", "low")
    both = worker.task_consumer
    heartbeats.start(worker)
    wait_for_beats(telephone, 1)
    worker.task_consumer = None
    wait_for_beats(telephone, len(telephone.said) + 2)
    first, *_ = gone = [beat for beat, _ in telephone.said if not beat.queues]
    worker.task_consumer = both
    wait_for_beats(telephone, len(telephone.said) + 2)
    back = telephone.said[-1][0]
    worker.task_consumer = consumer("low").task_consumer
    assert heartbeats.stop(5)

    assert (telephone.said[0][0].left, telephone.said[0][0].left_at) == ((), None)
    assert {(beat.left, beat.left_at) for beat in gone} == {(("celery", "low"), first.at)}
    assert (back.queues, back.left, back.left_at) == (("celery", "low"), (), None)
    bye = telephone.said[-1][0]
    assert (bye.queues, bye.left, bye.left_at) == (("low",), ("celery",), bye.at)


def test_of_ever_new_queues_only_those_left_lately_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    worker, clock = consumer("q0"), [1000.0]
    monkeypatch.setattr(heartbeat.time, "time", lambda: clock[0])
    observe = heartbeat._Observer(worker, lambda: "b1")
    observe()
    for number in range(1, MAX_IDS + 50):
        worker.task_consumer = consumer(f"q{number}").task_consumer
        clock[0] += 0.01
        beat = observe()
    assert len(beat.left) == MAX_IDS

    clock[0] += 31
    worker.task_consumer = consumer("last").task_consumer
    beat = observe()
    assert (beat.left, beat.left_at) == ((f"q{MAX_IDS + 49}",), clock[0])


# What a heartbeat says.


class Request:
    """A message that the worker has taken, as Celery keeps it."""

    def __init__(self, id: str, embed: Any = None, **headers: Any) -> None:  # noqa: A002
        self.id, self.request_dict, self._payload = id, headers, ((), {}, embed)


def test_it_says_who_the_worker_is_and_what_it_reads() -> None:
    beat = observed(consumer("low", "celery"), "b1")

    assert (beat.node, beat.boot, beat.pid) == ("w1@here", "b1", os.getpid())
    assert (beat.queues, beat.concurrency) == (("celery", "low"), 4)
    assert (beat.active, beat.reserved) == ((), ())


def test_a_worker_without_a_broker_reads_nothing() -> None:
    lonely = consumer()
    lonely.task_consumer = None

    assert observed(lonely, "b1").queues == ()


def test_a_pool_that_has_ended_does_not_hinder_the_goodbye() -> None:
    ended = consumer("celery")
    ended.pool = type("TaskPool", (), {"num_processes": property(lambda self: self._pool._processes)})()

    assert observed(ended, "b1").concurrency == 2


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("celery.concurrency.prefork", "prefork"),
        ("celery.concurrency.thread", "threads"),
        ("celery.concurrency.gevent", "gevent"),
        ("celery.concurrency.solo", "solo"),
    ],
)
def test_the_pool_is_named_as_on_the_command_line(module: str, name: str) -> None:
    worker = consumer()
    worker.pool = type("TaskPool", (), {"__module__": module, "num_processes": 1})()

    assert observed(worker, "b1").pool == name


@pytest.fixture
def worker_state(monkeypatch: pytest.MonkeyPatch) -> tuple[set[Any], set[Any]]:
    for name in ("active_requests", "reserved_requests"):
        monkeypatch.setattr(state, name, type(getattr(state, name))())
    return state.active_requests, state.reserved_requests


PART = {"chord": {"task": "collect"}, "chain": None}
BEFORE_A_PART = {"chord": None, "chain": [{"task": "last", "options": {"chord": {"task": "collect"}}}]}


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (Request("part", PART, group="g"), True),
        (Request("callback", {}, group="g", chordwatch="g"), True),
        (Request("step", BEFORE_A_PART), True),
        (Request("plain", {"chord": None, "chain": None}), False),
        (Request("member of a group", {"chord": None}, group="g"), False),
        (Request("step of a chain", {"chord": None, "chain": [{"task": "last", "options": {}}]}), False),
        (Request("nothing embedded", None, group="g"), False),
        (Request("damaged", {"chain": ["x", 3, {"options": []}]}), False),
    ],
    ids=lambda value: value.id if isinstance(value, Request) else None,
)
def test_only_tasks_that_a_chord_waits_for_are_told(worker_state: Any, request_: Request, told: bool) -> None:
    worker_state[1].add(request_)

    assert observed(consumer(), "b1").reserved == ((request_.id,) if told else ())


def test_running_tasks_are_not_told_as_waiting_ones(worker_state: Any) -> None:
    running, waiting = Request("running", PART, group="g"), Request("waiting", PART, group="g")
    active, reserved = worker_state
    active.add(running)
    reserved.update({running, waiting})  # as Celery has it: a running one stays reserved

    beat = observed(consumer(), "b1")

    assert (beat.active, beat.reserved) == (("running",), ("waiting",))


def test_no_more_than_the_limit_is_told(worker_state: Any) -> None:
    kept = [Request(str(number), PART, group="g") for number in range(MAX_IDS + 5)]
    worker_state[0].update(kept)

    beat = observed(consumer(), "b1")

    assert (len(beat.active), beat.reserved) == (MAX_IDS, ())


def test_a_worker_that_takes_and_ends_tasks_meanwhile_is_observed_all_the_same(worker_state: Any) -> None:
    _, reserved = worker_state
    kept = [Request(str(number), PART, group="g") for number in range(300)]
    reserved.update(kept)
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            moments = [Request("moment", PART, group="g") for _ in range(50)]
            for moment in moments:
                reserved.add(moment)
            for moment in moments:
                reserved.discard(moment)

    churner = threading.Thread(target=churn)
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    churner.start()
    try:
        for _ in range(300):
            assert set(map(str, range(300))) <= set(observed(consumer(), "b1").reserved)
    finally:
        sys.setswitchinterval(usual)
        stop.set()
        churner.join()
