"""Projects with settings of their own: what they write is read all the same, without knowing the settings."""

from __future__ import annotations

import pickle
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import chord

from chordwatch.watch import Look, Sighting, Watch
from tests.integration.xray.stranger import (
    GROUP,
    META,
    Stranger,
    causes,
    close,
    document,
    group_id,
    header_ids,
    look_for,
)
from tests.support.polling import wait_until
from tests.support.servers import Processes, RedisServer

PREFIX = {"global_keyprefix": "stage:"}
PICKLE = {"accept_content": ["pickle", "json"], "result_accept_content": ["pickle", "json"]}
MSGPACK = {"accept_content": ["json", "msgpack"], "result_accept_content": ["json", "msgpack"]}
STEPS = {"priority_steps": list(range(10)), "queue_order_strategy": "priority"}
#: By name, the settings of a project. Results live 10 minutes in all of them, which the outsider does not know.
PROJECTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "list": {"result_backend_transport_options": {"result_chord_ordered": False}},
    "gzip": {"task_compression": "gzip", "result_compression": "gzip"},
    "msgpack": {"task_serializer": "msgpack", "result_serializer": "msgpack", **MSGPACK},
    "prefix": {"broker_transport_options": PREFIX, "result_backend_transport_options": PREFIX},
    "steps": {"broker_transport_options": STEPS},
    "pickle": {"task_serializer": "pickle", "result_serializer": "pickle", **PICKLE},
}
LIFETIME = 600


class Project:
    """A project with a chord of which the first part is counted and the second waits where nobody reads."""

    def __init__(self, stranger: Stranger) -> None:
        self.stranger = stranger
        self.id = ""
        self.result: Any = None
        self.counted_at = 0.0

    def publish(self) -> None:
        """Send the chord."""
        t = self.stranger.tasks
        t.app.set_current()
        header = [t.add.s(1, 1), t.add.s(2, 2).set(queue="nobody", priority=7)]
        self.result = chord(header, t.collect.s()).apply_async()
        self.id = group_id(self.result)

    def progress(self) -> None:
        """Wait until the first part is counted."""
        # As the project's own backend names it: Celery 5.4 joins a prefix in another way, and has no `.d`.
        key = self.stranger.app.backend.get_key_for_group(self.id, ".j")
        wait_until(lambda: self.stranger.backend.exists(key), f"a part is counted under {key}")
        self.counted_at = time.time()


@pytest.fixture(scope="session")
def projects(lasting_processes: Processes) -> Iterator[dict[str, Project]]:
    redis = RedisServer(lasting_processes, "--databases", "32")
    found = {}
    for number, (name, settings) in enumerate(PROJECTS.items()):
        databases = (2 * number, 2 * number + 1)
        found[name] = Project(
            Stranger(redis, lasting_processes, databases, result_expires=LIFETIME, **settings)
        )
        found[name].stranger.worker(name, concurrency=1)
        found[name].publish()
        found[name].progress()
    yield found
    for project in found.values():
        project.stranger.close()
    redis.close()


def assert_half_done(sighting: Sighting | None, project: Project) -> None:
    ids = header_ids(project.result)
    seen = document(sighting)

    assert (seen["state"], seen["health"], seen["size"], seen["counted"]) == ("open", "hung", 2, 1)
    assert seen["missing"] == [{"index": 1, "task_id": ids[1], "name": "project.add"}]
    assert sighting
    assert (sighting.places[ids[1]].kind, sighting.places[ids[1]].name) == ("queue", "nobody")
    assert [(part["index"], part["task_id"], part["counted"]) for part in seen["header"]] == [
        (0, ids[0], True),
        (1, ids[1], False),
    ]
    assert causes(sighting.chord) == ["queue_unconsumed"]


@pytest.mark.parametrize("name", ["plain", "list", "gzip", "msgpack", "steps"])
def test_a_half_done_chord_is_read_without_the_projects_settings(
    projects: dict[str, Project], name: str
) -> None:
    project = projects[name]
    sighting = project.stranger.sight(project.id)

    assert_half_done(sighting, project)
    assert sighting
    assert sighting.chord.callback.name == "project.collect"
    assert sighting.chord.callback.task_id == project.result.id
    assert sighting.chord.header[0].state == "succeeded"


def test_key_prefixes_of_broker_and_backend_are_taken_from_the_project(projects: dict[str, Project]) -> None:
    project = projects["prefix"]

    assert_half_done(look_for(project.id, project.stranger.app), project)
    assert project.stranger.sight(project.id) is None  # the outsider looks at keys without the prefix


def test_last_progress_is_right_although_the_command_does_not_know_how_long_results_live(
    projects: dict[str, Project],
) -> None:
    project = projects["plain"]
    sighting = project.stranger.sight(project.id)

    assert sighting
    assert abs((sighting.chord.progressed_at or 0) - project.counted_at) < 3
    assert abs((sighting.chord.evidence_expires_at or 0) - project.counted_at - LIFETIME) < 5


def test_the_age_of_a_chord_without_a_counted_part_is_right_as_well(projects: dict[str, Project]) -> None:
    stranger = projects["plain"].stranger
    t = stranger.tasks
    t.app.set_current()
    result = chord([t.add.s(1, 1).set(queue="nobody")] * 2, t.collect.s()).apply_async()
    published_at = time.time()
    sighting = stranger.sight(group_id(result))

    assert sighting
    assert sighting.chord.counted == 0
    assert abs((sighting.chord.opened_at or 0) - published_at) < 3


def bomb(path: Path, protocol: int = 4) -> bytes:
    """Return a pickle that creates `path` when it is loaded."""

    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return open, (str(path), "w")

    return pickle.dumps(Trap(), protocol)


def test_the_bomb_would_go_off(tmp_path: Path) -> None:
    pickle.loads(bomb(tmp_path / "here")).close()

    assert (tmp_path / "here").exists()


def test_pickled_messages_and_results_are_counted_and_never_loaded(
    projects: dict[str, Project], tmp_path: Path
) -> None:
    project, crater = projects["pickle"], tmp_path / "crater"
    backend, broker = project.stranger.backend, project.stranger.broker
    for protocol in range(6):
        backend.set(f"{META}planted-{protocol}", bomb(crater, protocol))
        backend.zadd(f"{GROUP}planted.j", {bomb(crater, protocol): protocol})
    backend.set(f"{GROUP}planted.s", 9)
    broker.lpush("nobody", bomb(crater))
    looks = everything(project)

    assert_pickles_counted(looks.gaps)
    half_done = next(s for s in looks.sightings if s.chord.chord_id == project.id)
    assert half_done.chord.size == 2
    assert half_done.chord.callback.name is None
    assert [gap.task_id for gap in half_done.chord.missing] == header_ids(project.result)[1:]
    assert not crater.exists()


def test_workers_that_answer_in_pickle_are_not_read_even_for_a_project_that_allows_it(
    projects: dict[str, Project],
) -> None:
    watch = Watch(projects["pickle"].stranger.app)
    try:
        look = watch.look()
    finally:
        watch.close()

    assert look.workers == ()
    assert any("workers could not be asked" in gap for gap in look.gaps), look.gaps


def everything(project: Project) -> Look:
    """Take every kind of look at a project: the whole, one chord by each kind of id, results."""
    app = project.stranger.outsider()
    watch = Watch(app)
    try:
        for wanted in (project.id, project.result.id, *header_ids(project.result), "planted-2", "planted"):
            watch.sight(wanted)
            watch.result(wanted)
        watch.results(project.id)
        return watch.look()
    finally:
        watch.close()
        close(app)


def assert_pickles_counted(gaps: tuple[str, ...]) -> None:
    skipped = [gap for gap in gaps if gap.startswith("Skipped")]

    assert any("pickled message body" in gap for gap in skipped), gaps
    assert any("pickled result" in gap for gap in skipped), gaps
    assert any("pickled payload among the counted parts" in gap for gap in skipped), gaps
