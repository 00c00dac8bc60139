"""One model out of the store and the X-ray: a real Redis with planted chords, and a store of ready-made ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import Celery

from chordwatch.evidence.facts import Place
from chordwatch.model import Callback, Chord, HeaderTask
from chordwatch.store.protocol import RecordedChord
from chordwatch.watch import Watch
from tests.acceptance.xray.planted import plant_header
from tests.integration.xray.stranger import GROUP, META, close
from tests.support.servers import RedisServer
from tests.unit.recorded import AWAY, FakeStore, beat
from tests.unit.seen import NOW

Looking = Callable[..., Watch]


@pytest.fixture
def looking(redis: RedisServer) -> Iterator[Looking]:
    """Return a way to open a Watch on the Redis, with a store."""
    app = Celery("reader", broker=redis.url(0), backend=redis.url(1), set_as_current=False)
    watches: list[Watch] = []

    def open_watch(store: FakeStore) -> Watch:
        watches.append(Watch(app, opened=lambda: store))
        return watches[-1]

    yield open_watch
    for watch in watches:
        watch.close()
    close(app)


def planted(chord_id: str = "planted", size: int = 5, **fields: Any) -> RecordedChord:
    """Return the record of a chord as `plant_header` makes them: one part counted, the next one runs."""
    header = (
        HeaderTask(index=0, task_id="task-000000", name="project.add", state="succeeded", counted=True),
        *(
            HeaderTask(index=n, task_id=f"task-{n:06}", name="project.add", state="published")
            for n in range(1, size)
        ),
    )
    usual: dict[str, Any] = {
        "chord_id": chord_id,
        "state": "open",
        "health": "ok",
        "size": size,
        "counted": 1,
        "missing": (),
        "callback": Callback(task_id=f"{chord_id}-callback", name="project.collect"),
        "header": header,
        "opened_at": NOW - 60,
        "instrumented": True,
    }
    return RecordedChord(chord=Chord(**{**usual, **fields}))


def done(chord_id: str = "done", **fields: Any) -> RecordedChord:
    header = (HeaderTask(index=0, task_id=f"{chord_id}-part", state="succeeded", counted=True),)
    usual = {"state": "succeeded", "header": header, "size": 1, "finished_at": NOW}
    return planted(chord_id, **{**usual, **fields})


def started(number: int) -> HeaderTask:
    return HeaderTask(
        index=number,
        task_id=f"task-{number:06}",
        state="started",
        worker="w1@zoo",
        started_at=NOW - 5,
        attempt=0,
    )


def ids(watch: Watch, **filters: Any) -> list[str]:
    return [chord.chord_id for chord in watch.list(**filters)]


def test_a_chord_is_found_under_each_id_that_was_recorded(looking: Looking) -> None:
    watch = looking(FakeStore(planted(), done()))

    for wanted in ("planted", "planted-callback", "task-000003"):
        found = watch.get(wanted)
        assert found
        assert found.chord_id == "planted"
        assert found.instrumented
    assert watch.get("nothing") is None


def test_what_celery_counts_goes_before_what_was_recorded(redis: RedisServer, looking: Looking) -> None:
    plant_header(redis.broker, redis.backend, "planted", size=5, counted=3)

    found = looking(FakeStore(planted())).get("planted")

    assert found
    assert (found.size, found.counted) == (5, 3)
    assert [task.counted for task in found.header] == [True] * 3 + [False] * 2
    assert [gap.task_id for gap in found.missing] == ["task-000003", "task-000004"]
    assert found.opened_at is not None
    assert found.opened_at <= NOW - 60


def test_a_record_without_anything_left_of_the_chord_is_the_chord(looking: Looking) -> None:
    found = looking(FakeStore(planted())).get("planted")

    assert found
    assert (found.state, found.size, found.counted, len(found.missing)) == ("open", 5, 1, 4)


def test_tasks_that_only_the_store_names_are_looked_for_in_the_queues(
    redis: RedisServer, looking: Looking
) -> None:
    plant_header(redis.broker, redis.backend, "planted", size=3, counted=0)
    redis.backend.delete(f"{GROUP}planted.s")
    waiting = tuple(HeaderTask(index=n, task_id=f"task-{n:06}", state="published") for n in range(3))
    record = planted(size=4, header=(*waiting, started(3)), counted=0)

    seen, _ = looking(FakeStore(record, workers=(beat(),))).sight("planted")

    assert seen
    assert {task_id: place.kind for task_id, place in seen.places.items()} == {
        "task-000000": "queue",
        "task-000001": "queue",
        "task-000002": "queue",
        "task-000003": "active",
    }
    assert seen.places["task-000003"] == Place(kind="active", name="w1@zoo", since=NOW - 5, attempt=0)
    assert "header_running" in [verdict.cause for verdict in seen.chord.verdicts]


def test_a_list_has_recorded_chords_and_those_that_nobody_recorded(
    redis: RedisServer, looking: Looking
) -> None:
    plant_header(redis.broker, redis.backend, "planted", size=5, counted=1)
    plant_header(redis.broker, redis.backend, "foreign", size=5, counted=2)
    watch = looking(FakeStore(planted(), done("done-1"), done("done-2", finished_at=NOW - 9)))

    assert set(ids(watch, health="open")) == {"planted", "foreign"}
    assert ids(watch)[2:] == ["done-1", "done-2"]
    assert ids(watch, health="done") == ["done-1", "done-2"]
    assert ids(watch, health="done", limit=1) == ["done-1"]
    assert {chord.chord_id for chord in watch.list() if chord.instrumented} == {"planted", "done-1", "done-2"}


def test_a_finished_chord_whose_keys_are_left_is_finished_in_every_list(
    redis: RedisServer, looking: Looking
) -> None:
    plant_header(redis.broker, redis.backend, "done", size=5, counted=5)
    watch = looking(FakeStore(done()))

    assert ids(watch, health="open") == []
    assert ids(watch, health="all") == ["done"]


def test_a_planned_chord_is_listed_and_is_not_begun(looking: Looking) -> None:
    record = planted(state="planned", counted=0, header=(), opened_at=None)

    chord = looking(FakeStore(record)).list(health="open")[0]

    assert (chord.state, chord.health, chord.verdicts) == ("planned", "ok", ())


def test_a_chord_of_workers_that_record_nothing_is_finished_by_its_callbacks_result(
    redis: RedisServer, looking: Looking
) -> None:
    result = '{"status": "SUCCESS", "result": 1, "task_id": "planted-callback", "date_done": "2026-11-21T00:00:00"}'
    redis.backend.set(f"{META}planted-callback", result, ex=86400)
    watch = looking(FakeStore(planted()))
    listed, found = watch.list(), watch.get("planted")

    assert found
    assert [chord.state for chord in (*listed, found)] == ["succeeded", "succeeded"]
    assert (found.size, found.counted, found.missing) == (5, 5, ())


@pytest.mark.parametrize("away", [True, False])
def test_without_its_store_everything_goes_on(redis: RedisServer, looking: Looking, away: bool) -> None:
    plant_header(redis.broker, redis.backend, "planted", size=5, counted=3)
    store = FakeStore()
    store.away = away

    look = looking(store).look()
    seen, gaps = looking(store).sight("task-000001")

    assert [(chord.chord_id, chord.counted) for chord in look.chords] == [("planted", 3)]
    assert seen
    assert not seen.chord.instrumented
    said = f"Nothing that was recorded is shown: t{AWAY[1:]}"
    assert (said in look.gaps, said in gaps) == (away, away)


def test_five_thousand_recorded_chords_are_listed_in_time(redis: RedisServer, looking: Looking) -> None:
    for number in range(5000):
        redis.backend.set(f"{GROUP}many-{number}.s", 20, ex=86400)
    records = [
        planted(
            f"many-{n}",
            size=20,
            header=tuple(HeaderTask(index=i, task_id=f"{n}-{i}", state="published") for i in range(20)),
            counted=0,
        )
        for n in range(5000)
    ]

    look = looking(FakeStore(*records)).look(limit=None)

    assert len(look.sightings) == 5000
    assert all(chord.instrumented and chord.size == 20 for chord in look.chords)
