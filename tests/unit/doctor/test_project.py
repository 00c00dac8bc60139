"""What the doctor reads from this process's app, without a connection."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from kombu import Queue

from chordwatch.doctor.ask import _worker
from chordwatch.doctor.project import (
    backend_kind,
    given_settings,
    own_process,
    own_tasks,
    routed_queues,
)
from chordwatch.evidence.budget import Gaps


def an_app(**conf: Any) -> Celery:
    app = Celery("zoo", broker="redis://db/0", backend="redis://:hunter2@db:6379/1", set_as_current=False)
    app.conf.update(conf)

    @app.task(name="zoo.add", shared=False)
    def add() -> None: ...

    @app.task(name="zoo.slow", shared=False, queue="slow", time_limit=9, acks_late=True, ignore_result=True)
    def slow() -> None: ...

    return app


def zoo_tasks(app: Celery, gaps: Gaps) -> list[Any]:
    """Return the app's own tasks, without those that other tests of this process share with every app."""
    return [task for task in own_tasks(app, gaps) if task.name.startswith("zoo.")]


def test_tasks_have_the_limits_and_queues_that_are_in_effect() -> None:
    app = an_app(task_time_limit=60, task_routes={"zoo.add": "fast"}, task_reject_on_worker_lost=True)

    add, slow = zoo_tasks(app, Gaps())

    assert (add.name, add.queue, add.time_limit, add.acks_late) == ("zoo.add", "fast", 60, False)
    assert (slow.name, slow.queue, slow.time_limit, slow.acks_late) == ("zoo.slow", "slow", 9, True)
    assert add.reject_on_worker_lost
    assert slow.ignore_result


def test_a_router_that_fails_is_a_gap_and_not_a_traceback() -> None:
    def router(*_: Any, **__: Any) -> None:
        raise LookupError("no tenant")

    gaps = Gaps()
    tasks = zoo_tasks(an_app(task_routes=(router,)), gaps)

    assert [task.queue for task in tasks] == [None, None]
    assert "The route of zoo.add could not be found out (LookupError: no tenant)." in gaps.lines()


def test_without_routes_tasks_go_to_the_default_queue() -> None:
    assert zoo_tasks(an_app(task_default_queue="main"), Gaps())[0].queue == "main"


@pytest.mark.parametrize(
    "routes",
    [
        {"zoo.*": {"queue": "slow"}, "other.*": "fast"},
        [{"zoo.*": {"queue": Queue("slow")}}, {"other.*": "fast"}],
        ([("zoo.*", {"queue": "slow"}), ("other.*", "fast")],),
        [lambda *_, **__: None, {"zoo.*": "slow", "other.*": "fast"}],
    ],
)
def test_queues_are_found_in_routes_of_every_form(routes: Any) -> None:
    named = routed_queues(an_app(task_routes=routes, task_queues=[Queue("parked")]))

    assert named == {"slow": "task_routes", "fast": "task_routes", "parked": "task_queues"}


def test_given_settings_are_those_of_the_project_alone() -> None:
    given = given_settings(an_app(chord_propagates=False))

    assert "chord_propagates" in given
    assert "broker_url" in given
    assert "task_acks_late" not in given


def test_of_a_namespace_only_its_own_names_are_given() -> None:
    app = Celery("django", set_as_current=False)
    django = SimpleNamespace(
        CELERY_BROKER_URL="redis://db", CELERY_CHORD_PROPAGATES=True, CHORD_PROPAGATES=1, DEBUG=True
    )
    app.config_from_object(django, namespace="CELERY")

    assert set(given_settings(app)) - {"deprecated_settings"} == {"BROKER_URL", "CHORD_PROPAGATES"}


def test_modules_and_functions_of_a_settings_module_are_no_settings() -> None:
    app = Celery("module", set_as_current=False)
    app.config_from_object({"broker_url": "redis://db", "pytest": pytest, "an_app": an_app, "Queue": Queue})

    assert set(given_settings(app)) - {"deprecated_settings"} == {"broker_url"}


def test_passwords_are_not_told() -> None:
    process = own_process(an_app())

    assert process.backend == "redis://**@db:6379/1"
    assert "hunter2" not in str(process)


@pytest.mark.parametrize(
    ("backend", "kind"),
    [
        ("redis://db/1", "redis"),
        ("cache+memory://", "counting"),
        ("file:///tmp", "polling"),
        ("rpc://", "none"),
        (None, "none"),
        ("nonsense://", "none"),
    ],
)
def test_backends_count_in_their_ways(backend: str | None, kind: str) -> None:
    app = Celery("kinds", broker="memory://", backend=backend, set_as_current=False)

    assert backend_kind(app, Gaps()) == kind


def test_a_workers_answers_become_facts() -> None:
    told = {
        "active_queues": [{"name": "celery"}, {"name": "slow"}],
        "stats": {"pool": {"max-concurrency": 4}, "prefetch_count": 16},
        "conf": {"result_backend": "redis://conf/0", "task_always_eager": False},
        "registered": ["zoo.add"],
        "report": {"ok": "settings -> transport:redis results:redis://:pw@env:6379/3\n\nbroker_url: 'x'"},
    }

    worker = _worker("w1@zoo", told)

    assert worker.name == "w1@zoo"
    assert worker.queues == {"celery", "slow"}
    assert (worker.concurrency, worker.prefetch) == (4, 16)
    assert worker.registered == {"zoo.add"}
    # The environment goes before the configuration, and only the report knows it.
    assert worker.process.backend == "redis://**@env:6379/3"


@pytest.mark.parametrize("strange", [None, "text", ["list"], {"error": "no"}, {1: 2}])
def test_strange_answers_become_no_facts(strange: Any) -> None:
    names = ("active_queues", "stats", "conf", "registered", "report")

    worker = _worker("w1@zoo", dict.fromkeys(names, strange))

    assert worker.name == "w1@zoo"
    assert worker.queues == frozenset()
    assert worker.prefetch is None
