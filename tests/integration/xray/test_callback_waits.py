"""A chord whose keys are all gone, as five minutes after its callback was published (or at once before Celery 5.7)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from celery import chord, group

from chordwatch.watch import Watch
from tests.integration.xray.stranger import Stranger, group_id
from tests.support.polling import wait_until
from tests.support.servers import RedisServer


@pytest.fixture
def watch(stranger: Stranger) -> Iterator[Watch]:
    watch = Watch(stranger.app)
    yield watch
    watch.close()


def published_callback(stranger: Stranger, redis: RedisServer) -> Any:
    """Return a chord whose callback waits in a queue that nobody reads, and of which no key is left."""
    tasks = stranger.tasks
    result = chord(
        [tasks.add.s(1, 1), tasks.add.s(2, 2)], tasks.collect.s().set(queue="nobody")
    ).apply_async()
    wait_until(lambda: redis.broker.keys("nobody*"), "the callback is published")
    keys = f"celery-taskset-meta-{group_id(result)}*"
    wait_until(lambda: not redis.backend.keys(keys + ".j"), "Celery has deleted the parts")
    for key in redis.backend.keys(keys):
        redis.backend.delete(key)
    return result


def test_a_callback_that_nobody_reads_is_still_found_when_every_key_of_the_chord_is_gone(
    stranger: Stranger, watch: Watch, redis: RedisServer
) -> None:
    result = published_callback(stranger, redis)

    listed = {seen.chord_id: seen for seen in watch.list(health="open")}

    assert listed[group_id(result)].health == "hung"
    assert [verdict.cause for verdict in listed[group_id(result)].verdicts] == ["callback_queue_unconsumed"]
    for wanted in (group_id(result), result.id, result.parent.results[0].id):
        found = watch.get(wanted)
        assert found
        assert (found.chord_id, found.health) == (group_id(result), "hung")


def test_a_plain_group_is_no_chord(stranger: Stranger, watch: Watch) -> None:
    tasks = stranger.tasks
    result = group([tasks.add.s(1, 1).set(queue="nobody"), tasks.add.s(2, 2)]).apply_async()

    assert watch.list() == []
    assert watch.get(result.id) is None


def test_a_group_id_that_a_user_gives_to_a_task_makes_no_chord(stranger: Stranger, watch: Watch) -> None:
    tasks = stranger.tasks
    sender = tasks.add.apply_async((1, 1))
    wait_until(sender.ready, "the task that seems to be the parent has ended")
    tasks.add.apply_async((1, 1), group_id="mine", parent_id=sender.id, queue="nobody")

    assert watch.list() == []


def test_the_members_of_a_group_as_callback_are_not_taken_for_the_header(
    stranger: Stranger, watch: Watch, redis: RedisServer
) -> None:
    tasks = stranger.tasks
    body = group(tasks.collect.s().set(queue="nobody"), tasks.collect.s())
    result = chord([tasks.add.s(1, 1), tasks.add.s(2, 2)], body).apply_async()
    wait_until(lambda: redis.broker.keys("nobody*"), "the callback is published")

    found = watch.get(group_id(result))

    assert found
    assert (found.state, found.health, found.counted) == ("open", "hung", 2)
    assert [verdict.cause for verdict in found.verdicts] == ["callback_queue_unconsumed"]
    assert {task.task_id for task in found.header} == {task.id for task in result.parent.results}


def test_a_group_as_callback_that_has_ended_leaves_a_finished_chord(stranger: Stranger, watch: Watch) -> None:
    tasks = stranger.tasks
    result = chord(
        [tasks.add.s(1, 1), tasks.add.s(2, 2)], group(tasks.collect.s(), tasks.collect.s())
    ).apply_async()
    wait_until(lambda: all(member.ready() for member in result.results), "both members have ended")

    found = watch.get(group_id(result))

    assert found
    assert (found.state, found.health, found.counted) == ("succeeded", "done", 2)
