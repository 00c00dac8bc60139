"""Rules on single settings: each with what makes it speak and the neighbour on which it is silent."""

from __future__ import annotations

from typing import Any

import pytest
from celery.app.defaults import NAMESPACES, flatten

from chordwatch.doctor.project import known_settings
from chordwatch.doctor.rules_settings import GHOSTS
from chordwatch.settings import SETTINGS
from tests.unit.doctor.installation import found, only, process, task, worker


@pytest.mark.parametrize(
    ("given", "fix"),
    [
        ("chord_propagates", "Delete it"),
        ("CELERY_CHORD_PROPAGATES", "Delete it"),
        ("CHORD_PROPAGATES", "Delete it"),  # in a namespace
        ("result_chord_ordered", "result_backend_transport_options"),
        ("visibility_timeout", "broker_transport_options"),
        ("task_ack_late", "task_acks_late"),
        ("TASK_TIMELIMIT", "task_time_limit"),
        ("worker_prefetch_multiplyer", "worker_prefetch_multiplier"),
        ("chordwatch_store_ulr", "chordwatch_store_url"),
        ("CELERY_TASK_ALWAYS_EAGER", "namespace='CELERY'"),  # without a namespace nobody reads it
    ],
)
def test_a_setting_that_does_not_exist_is_named(given: str, fix: str) -> None:
    finding = only("unknown_setting", given=("broker_url", given))

    assert finding.severity == "warning"
    assert finding.where == given
    assert fix in finding.fix


@pytest.mark.parametrize(
    "given",
    [
        (
            "broker_url",
            "task_acks_late",
            "RESULT_EXPIRES",
            "CELERYD_CONCURRENCY",
            "CELERY_TASK_RESULT_EXPIRES",
        ),
        (
            "REDIS_URL",
            "DATA_DIR",
            "PORT",
            "DEBUG",
            "INSTALLED_APPS",
            "DATABASES",
            "LOGGING",
            "TIME_ZONE",
            "redbeat_redis_url",
        ),
        ("chordwatch_store_url", "CHORDWATCH_NAMESPACE"),
        ("broker_url", "CELERY_BROKER_URL"),  # the project's own constant, passed on by hand
    ],
)
def test_known_settings_and_others_own_names_are_left_alone(given: tuple[str, ...]) -> None:
    assert found("unknown_setting", given=given) == []


def test_no_setting_that_exists_is_called_a_ghost_or_a_misspelling() -> None:
    names = tuple(name for name, _ in flatten(NAMESPACES)) + tuple(setting.key for setting in SETTINGS)

    assert known_settings() >= set(names)
    assert GHOSTS.keys() & known_settings() == set()
    assert found("unknown_setting", given=names) == []


def test_eager_processes_are_named() -> None:
    finding = only(
        "always_eager", workers=(worker("w1@zoo", conf={"task_always_eager": True}), worker("w2@zoo"))
    )

    assert finding.reason.startswith("Tasks run at once instead of being sent, in w1@zoo:")
    assert "this process" in only("always_eager", own=process(task_always_eager=True)).reason


def test_an_eager_process_without_the_project_is_nobodys() -> None:
    assert found("always_eager") == []
    assert found("always_eager", own=process(task_always_eager=True), tasks=()) == []


POISON = task(acks_late=True, reject_on_worker_lost=True)


def test_redelivery_after_a_lost_process_has_no_bound() -> None:
    finding = only("unbounded_redelivery", tasks=(POISON, task("zoo.other")))

    assert finding.severity == "warning"
    assert finding.reason.startswith("zoo.add: ")


def test_without_the_project_the_workers_settings_tell_of_redelivery() -> None:
    both = {"task_acks_late": True, "task_reject_on_worker_lost": True}

    assert "w1@zoo" in only("unbounded_redelivery", tasks=(), workers=(worker(conf=both),)).reason
    bounded = worker(conf={**both, "task_retry_on_worker_lost": True})
    assert found("unbounded_redelivery", tasks=(), workers=(bounded,)) == []
    early = worker(conf={"task_reject_on_worker_lost": True})
    assert found("unbounded_redelivery", tasks=(), workers=(early,)) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"tasks": (task(acks_late=True),)},
        {"tasks": (task(reject_on_worker_lost=True),)},  # acknowledged early: nothing is left to reject
        {"tasks": (task(acks_late=True, reject_on_worker_lost=True, retry_on_worker_lost=True),)},
        {"tasks": (POISON,), "transport": "amqp", "own": process(task_default_queue_type="quorum")},
    ],
)
def test_bounded_or_no_redelivery_is_well(fields: dict[str, Any]) -> None:
    assert found("unbounded_redelivery", **fields) == []


def test_redis_has_no_quorum_queues() -> None:
    assert found("unbounded_redelivery", tasks=(POISON,), own=process(task_default_queue_type="quorum"))
