"""Chords inside of other canvases, and headers that are no plain lists of tasks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from celery import chord

from tests.integration.xray.scene import Scene
from tests.integration.xray.stranger import (
    FOR_EVER,
    GROUP,
    Stranger,
    causes,
    document,
    group_id,
    header_ids,
    place_kinds,
)
from tests.support.polling import wait_until
from tests.support.servers import Processes, RedisServer, kill


def test_a_group_that_celery_made_a_chord_is_shown_while_a_part_runs(scene: Scene) -> None:
    result = scene.results["upgraded"]
    started_by = result.parent.parent.id
    sighting = scene.stranger.sight_when(
        result.parent.id,
        lambda seen: seen.chord.counted == 1 and "active" in place_kinds(seen).values(),
        "C is counted and B runs",
    )
    seen = document(sighting)

    assert (seen["state"], seen["health"], seen["size"]) == ("open", "ok", 2)
    assert [gap["index"] for gap in seen["missing"]] == [0]
    assert seen["parent_id"] == started_by
    assert causes(sighting.chord) == ["header_running"]
    assert list(place_kinds(sighting).values()) == ["active"]
    assert seen["header"][0]["name"] == "project.linger"


def test_an_inner_chord_is_one_missing_part_of_the_outer(scene: Scene) -> None:
    inner_id = scene.results["nested"].parent.results[0].id
    sighting = scene.stranger.sight_when(
        scene.id("nested"), lambda seen: seen.chord.counted == 1, "the plain part is counted"
    )

    assert (sighting.chord.state, sighting.chord.size) == ("open", 2)
    assert [(gap.index, gap.task_id) for gap in sighting.chord.missing] == [(0, inner_id)]
    inner_group = scene.results["nested"].parent.results[0].parent.id
    assert place_kinds(sighting) == {inner_id: "unsent"}
    assert sighting.places[inner_id].name == inner_group
    (part,) = (task for task in sighting.chord.header if task.task_id == inner_id)
    assert (part.state, part.queue, part.published_at) == ("unknown", None, None)
    assert causes(sighting.chord) == ["blocked_by_chord"]
    inner = scene.stranger.sight(inner_group)
    assert inner
    assert (inner.chord.chord_id, inner.chord.callback.task_id) == (inner_group, inner_id)
    assert causes(inner.chord) == ["queue_unconsumed"]


def test_a_chain_in_the_header_is_where_its_current_step_is(scene: Scene) -> None:
    last_step = scene.results["chain_in_header"].parent.results[0].id
    sighting = scene.stranger.sight_when(
        scene.id("chain_in_header"), lambda seen: seen.chord.counted == 1, "the plain part is counted"
    )

    assert [(gap.index, gap.task_id, gap.name) for gap in sighting.chord.missing] == [
        (0, last_step, "project.linger")
    ]
    assert sighting.places[last_step].name == "nobody"
    assert causes(sighting.chord) == ["queue_unconsumed"]
    assert sighting.chord.callback.task_id == scene.results["chain_in_header"].id


def test_a_chain_that_ends_in_a_group_counts_the_members(scene: Scene) -> None:
    result = scene.results["complex"]
    sighting = scene.stranger.sight_when(
        scene.id("complex"),
        lambda seen: seen.chord.counted == 2 and "active" in place_kinds(seen).values(),
        "two of three parts are counted and one runs",
    )
    members = [part.id for part in result.parent.results[0].results] + [result.parent.results[1].id]

    assert (sighting.chord.size, sighting.chord.state) == (3, "open")
    assert [gap.task_id for gap in sighting.chord.missing] == [members[0]]
    assert {task.task_id for task in sighting.chord.header} == set(members)
    assert place_kinds(sighting) == {members[0]: "active"}
    assert causes(sighting.chord) == ["header_running"]


def test_a_header_that_grew_waits_for_what_was_added(scene: Scene) -> None:
    sighting = scene.stranger.sight_when(
        scene.id("grown"), lambda seen: seen.chord.counted == 2, "the two first parts are counted"
    )

    assert (sighting.chord.state, sighting.chord.size) == ("open", 3)
    assert len(sighting.chord.missing) == 1
    assert sighting.chord.missing[0].index is None or sighting.chord.missing[0].name == "project.nap"
    assert sighting.chord.health == "ok"


def test_headers_that_store_no_results_are_counted_and_found(scene: Scene) -> None:
    ids = header_ids(scene.results["quiet"])
    sighting = scene.stranger.sight_when(
        scene.id("quiet"), lambda seen: seen.chord.counted == 1, "the first part is counted"
    )

    assert [(gap.index, gap.task_id) for gap in sighting.chord.missing] == [(1, ids[1])]
    assert causes(sighting.chord) == ["queue_unconsumed"]
    by_counted_part = scene.stranger.sight(ids[0])
    assert by_counted_part
    assert by_counted_part.chord.chord_id == scene.id("quiet")


@pytest.fixture
def slow_generator(scene: Scene) -> Iterator[dict[str, Any]]:
    """A producer that publishes its header from a generator that waits."""
    t, go_on, sent = scene.stranger.tasks, threading.Event(), {}

    def header() -> Iterator[Any]:
        yield t.add.s(1, 1)
        yield t.add.s(2, 2)  # Celery publishes one when it has the next
        go_on.wait(60)
        yield t.add.s(3, 3)

    def publish() -> None:
        t.app.set_current()
        sent["result"] = chord(header(), t.collect.s()).apply_async()

    thread = threading.Thread(target=publish)
    before = set(scene.stranger.backend.scan_iter(f"{GROUP}*.j"))
    thread.start()

    def new() -> str | None:
        fresh = set(scene.stranger.backend.scan_iter(f"{GROUP}*.j")) - before
        return next((k.decode()[len(GROUP) : -2] for k in fresh), None)

    try:
        sent["id"] = wait_until(new, "a part of the generator's header is counted")
        yield sent
    finally:
        go_on.set()
        thread.join()


def test_a_header_that_is_still_being_published_has_no_size_and_no_verdict(
    scene: Scene, slow_generator: dict[str, Any]
) -> None:
    sighting = scene.stranger.sight_when(
        slow_generator["id"], lambda seen: seen.chord.counted == 1, "the published part is counted"
    )

    assert (sighting.chord.state, sighting.chord.health, sighting.chord.size) == ("open", "ok", None)
    assert sighting.chord.verdicts == ()
    assert sighting.chord.missing == ()
    assert scene.stranger.backend.exists(f"{GROUP}{slow_generator['id']}.s") == 0


def test_a_killed_worker_leaves_a_missing_index_that_is_nowhere(
    lasting_redis: RedisServer, lasting_processes: Processes
) -> None:
    stranger = Stranger(lasting_redis, lasting_processes, (2, 3), task_track_started=True)
    worker = stranger.worker("doomed")
    stranger.ready("doomed")
    t = stranger.tasks
    t.app.set_current()
    result = chord([t.add.s(1, 1), t.nap.s(FOR_EVER), t.add.s(2, 2)], t.collect.s()).apply_async()
    ids = header_ids(result)
    alive = stranger.sight_when(
        group_id(result),
        lambda seen: causes(seen.chord) == ["header_running"],
        "the middle one runs",
    )
    kill(worker)
    dead = stranger.sight(group_id(result))

    assert alive.chord.verdicts[0].tasks == (ids[1],)
    assert (alive.places[ids[1]].kind, alive.places[ids[1]].name) == ("active", "doomed@here")
    assert dead
    assert (dead.chord.state, dead.chord.health, dead.chord.verdicts) == ("open", "ok", ())
    assert [gap.index for gap in dead.chord.missing] == [1]
    assert "active" not in place_kinds(dead).values()
    assert all(kind == "nowhere" for kind in place_kinds(dead).values())
    stranger.close()
