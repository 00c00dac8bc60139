"""What a look met and had no time for is looked at in the next one."""

from __future__ import annotations

from dataclasses import replace

from celery import Celery

from chordwatch.evidence.broker import BrokerReader
from chordwatch.evidence.budget import Budget, Gaps
from chordwatch.evidence.messages import MessageReader
from chordwatch.watch.gather import Gatherer
from tests.acceptance.xray.planted import plant_header
from tests.integration.xray.stranger import close
from tests.support.servers import RedisServer


def test_chords_that_were_met_and_not_read_for_want_of_time_are_read_next(redis: RedisServer) -> None:
    for number in range(3):
        redis.backend.set(f"celery-taskset-meta-chord-{number}.s", 2, ex=86400)
    app = Celery("reader", broker=redis.url(0), backend=redis.url(1), set_as_current=False)
    gatherer = Gatherer(app, seconds=3.0, ask_workers_every=60.0)
    try:
        spent = replace(gatherer.begin(scan=True), budget=Budget(0))
        assert gatherer.all_chords(spent, finished=False) == []

        found = gatherer.all_chords(gatherer.begin(), finished=False)
    finally:
        gatherer.close()
        close(app)

    assert {evidence.keys.chord_id for evidence in found} == {"chord-0", "chord-1", "chord-2"}


def test_of_a_chord_that_was_not_read_for_want_of_time_nobody_says_that_its_keys_are_gone(
    redis: RedisServer,
) -> None:
    plant_header(redis.broker, redis.backend, "waiting", 3, 1)
    app = Celery("reader", broker=redis.url(0), backend=redis.url(1), set_as_current=False)
    gatherer = Gatherer(app, seconds=3.0, ask_workers_every=60.0)
    try:
        spent = replace(gatherer.begin(), budget=Budget(0))
        (unread,) = gatherer.all_chords(spent, finished=False)
        alone = gatherer.one_chord("waiting", replace(gatherer.begin(), budget=Budget(0)))
        (read,) = gatherer.all_chords(gatherer.begin(), finished=False)
    finally:
        gatherer.close()
        close(app)

    assert alone
    assert (unread.keys.counting, alone.keys.counting) == ("unread", "unread")
    assert (read.keys.counting, read.keys.size, read.keys.counted) == ("keys", 3, 1)


def test_until_all_queues_are_found_nothing_is_said_to_be_in_none(redis: RedisServer) -> None:
    redis.broker.execute_command("DEBUG", "POPULATE", 5000, "foreign", 1)
    app = Celery("reader", broker=redis.url(0), backend=redis.url(1), set_as_current=False)
    broker, first, last = BrokerReader(app), Gaps(), Gaps()
    try:
        names = broker.queue_names((), Budget(0))
        list(broker.messages(names, MessageReader(first), Budget(9), first))
        names = broker.queue_names((), Budget(9))
        list(broker.messages(names, MessageReader(last), Budget(9), last))
    finally:
        broker.close()
        close(app)

    assert first.partial
    assert first.lines() == ("Time ran out before all queues of the broker were found.",)
    assert not last.partial
