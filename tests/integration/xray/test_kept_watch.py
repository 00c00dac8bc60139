"""A Watch that is kept, as the monitor keeps one: it asks the workers once a minute, and must not cry wolf."""

from __future__ import annotations

import time

from celery import chord

from chordwatch.watch import Watch
from chordwatch.watch.absences import APART
from tests.integration.xray.stranger import FOR_EVER, Stranger, causes, group_id
from tests.support.polling import wait_until
from tests.support.servers import RedisServer


def test_a_worker_that_started_after_the_others_were_asked_is_no_reason_to_call_its_queue_unread(
    stranger: Stranger, redis: RedisServer
) -> None:
    watch = Watch(stranger.app)
    try:
        assert watch.list() == []
        stranger.worker("late", "--prefetch-multiplier", "1", queues="late", concurrency=1)
        stranger.ready("late")
        stranger.tasks.nap.s(FOR_EVER).set(queue="late").apply_async()
        parts = [stranger.tasks.add.s(1, 1).set(queue="late") for _ in range(4)]
        result = chord(parts, stranger.tasks.collect.s()).apply_async()
        wait_until(lambda: redis.broker.llen("late"), "messages wait behind the busy worker")

        chords = {seen.chord_id: seen for seen in watch.list(health="open")}
        seen = chords[group_id(result)]
    finally:
        watch.close()

    assert seen.health == "waiting"
    assert causes(seen) == ["queued"]
    assert "have yet to be asked" in seen.verdicts[0].summary


def test_a_queue_that_nobody_reads_is_named_once_the_workers_were_asked_again(stranger: Stranger) -> None:
    watch = Watch(stranger.app, ask_workers_every=1.0)
    try:
        assert watch.list() == []
        parts = [stranger.tasks.add.s(1, 1).set(queue="nobody"), stranger.tasks.add.s(2, 2)]
        result = chord(parts, stranger.tasks.collect.s()).apply_async()

        def hung() -> bool:
            seen = watch.get(group_id(result))
            return seen is not None and causes(seen) == ["queue_unconsumed"]

        wait_until(hung, "the queue is named")
    finally:
        watch.close()


def test_a_lost_message_is_named_by_the_second_look(stranger: Stranger, redis: RedisServer) -> None:
    parts = [stranger.tasks.add.s(1, 1).set(queue="nobody"), stranger.tasks.add.s(2, 2)]
    result = chord(parts, stranger.tasks.collect.s()).apply_async()
    wait_until(lambda: stranger.counted(group_id(result)) == 1, "the other part is counted")
    redis.broker.delete("nobody")
    watch = Watch(stranger.app)
    try:
        (first,) = watch.look(health="open").chords
        time.sleep(APART)
        (second,) = watch.look(health="open").chords
    finally:
        watch.close()

    assert (first.health, second.health) == ("ok", "hung")
