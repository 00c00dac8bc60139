"""Rules of time: each with what makes it speak and the neighbour on which it is silent."""

from __future__ import annotations

from typing import Any

import pytest

from chordwatch.doctor.facts import Observed, Span
from chordwatch.evidence.facts import Limits
from tests.unit.doctor.installation import found, only, process, ran, task, worker

SHORT = Limits(visibility_timeout=600, chord_expires=86_400)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (
            {"tasks": (task(acks_late=True, time_limit=900.0),)},
            "the time limit of zoo.add, acknowledged late, is up to 15 min",
        ),
        ({"tasks": (task(acks_late=True, time_limit=None, soft_time_limit=900.0),)}, "time limit of zoo.add"),
        (
            {"tasks": (task(acks_late=True),), "observed": Observed(runs={"zoo.add": ran(1.0, 700.0)})},
            "zoo.add, acknowledged late, ran for up to 11.7 min",
        ),
        (
            {"observed": Observed(eta=Span(of="zoo.add", seconds=7200.0))},
            "zoo.add was sent with an ETA or countdown of 2 h",
        ),
        ({"tasks": (task(retry_delay=1200.0),)}, "zoo.add waits up to 20 min before a retry"),
    ],
)
def test_a_visibility_timeout_must_outlast(fields: dict[str, Any], reason: str) -> None:
    finding = only("visibility_timeout_short", limits=SHORT, **fields)

    assert finding.severity == "warning"
    assert "within 10 min" in finding.reason
    assert reason in finding.reason
    assert "broker_transport_options.visibility_timeout" in finding.fix


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"tasks": (task(acks_late=True, time_limit=600.0),)},
        {"tasks": (task(time_limit=900.0),)},  # acknowledged before it runs
        {"observed": Observed(runs={"zoo.add": ran(700.0)})},  # likewise
        {"tasks": (task(acks_late=True),), "observed": Observed(runs={"zoo.other": ran(700.0)})},
        {"observed": Observed(eta=Span(of="zoo.add", seconds=599.0))},
        {
            "limits": Limits(),
            "observed": Observed(eta=Span(of="zoo.add", seconds=7200.0)),
        },  # no such thing there
    ],
)
def test_a_visibility_timeout_may_be_long_enough(fields: dict[str, Any]) -> None:
    assert found("visibility_timeout_short", **{"limits": SHORT, **fields}) == []


def test_tasks_without_time_limit_are_counted_and_named() -> None:
    tasks = [task(f"zoo.t{n}", time_limit=None) for n in range(5)]

    finding = only("no_time_limit", tasks=(task(), *tasks))

    assert finding.severity == "warning"
    assert "5 tasks (zoo.t0, zoo.t1, zoo.t2 and 2 more)" in finding.reason


@pytest.mark.parametrize("limits", [{"time_limit": 5.0}, {"time_limit": None, "soft_time_limit": 5.0}])
def test_either_time_limit_will_do(limits: dict[str, Any]) -> None:
    assert found("no_time_limit", tasks=(task(**limits),)) == []


def test_without_the_project_the_workers_time_limit_counts() -> None:
    endless = worker(conf={"task_time_limit": None})

    assert "w1@zoo" in only("no_time_limit", tasks=(), workers=(endless, worker("w2@zoo"))).reason
    assert found("no_time_limit", tasks=(), workers=(worker(),)) == []
    assert (
        found(
            "no_time_limit",
            tasks=(),
            workers=(worker(conf={"task_time_limit": None, "task_soft_time_limit": 9}),),
        )
        == []
    )
    assert (
        found("no_time_limit", tasks=(), workers=(), own=process(task_time_limit=None)) == []
    )  # not the project's


def test_long_tasks_are_better_acknowledged_late() -> None:
    finding = only("early_acks_long_tasks", observed=Observed(runs={"zoo.add": ran(95.0)}))

    assert finding.severity == "warning"
    assert "zoo.add usually runs for up to 95 s" in finding.reason


@pytest.mark.parametrize(
    "fields",
    [
        {"observed": Observed(runs={"zoo.add": ran(59.0, 500.0)})},  # long once is not usual
        {"observed": Observed(runs={"zoo.add": ran(95.0)}), "tasks": (task(acks_late=True),)},
        {"observed": Observed(runs={"zoo.other": ran(95.0)})},
    ],
)
def test_short_or_late_acknowledged_tasks_are_well(fields: dict[str, Any]) -> None:
    assert found("early_acks_long_tasks", **fields) == []


EXPIRING = Limits(visibility_timeout=60, chord_expires=300)


@pytest.mark.parametrize(
    ("observed", "severity", "reason"),
    [
        (
            Observed(gap=Span(of="abc", seconds=400.0)),
            "error",
            "chord abc waited 6.7 min from one part to the next",
        ),
        (Observed(eta=Span(of="zoo.add", seconds=400.0)), "warning", "ETA or countdown of 6.7 min"),
        (Observed(chord=Span(of="zoo.sum", seconds=400.0)), "warning", "header of zoo.sum took 6.7 min"),
    ],
)
def test_a_chord_must_not_expire_before_its_parts_come(
    observed: Observed, severity: str, reason: str
) -> None:
    finding = only("chord_expires_short", limits=EXPIRING, observed=observed)

    assert finding.severity == severity
    assert "live 5 min" in finding.reason
    assert reason in finding.reason


def test_a_chord_must_outlive_a_redelivery() -> None:
    finding = only("chord_expires_short", limits=Limits(visibility_timeout=3600, chord_expires=300))

    assert finding.severity == "warning"
    assert "only after 60 min" in finding.reason


@pytest.mark.parametrize(
    "fields",
    [
        {"observed": Observed(gap=Span(of="abc", seconds=300.0), chord=Span(of="zoo.sum", seconds=299.0))},
        {"observed": Observed(gap=Span(of="abc", seconds=400.0)), "limits": Limits(chord_expires=None)},
        {"observed": Observed(gap=Span(of="abc", seconds=400.0)), "backend_kind": "polling"},
    ],
)
def test_a_chord_may_live_long_enough(fields: dict[str, Any]) -> None:
    assert found("chord_expires_short", **{"limits": EXPIRING, **fields}) == []


SLOW = Observed(runs={"zoo.add": ran(120.0)})


@pytest.mark.parametrize("prefetch", [5, 16, 0])
def test_workers_that_hold_messages_in_advance_are_named(prefetch: int) -> None:
    finding = only("prefetch_hoarding", observed=SLOW, workers=(worker(prefetch=prefetch), worker("w2@zoo")))

    assert finding.severity == "warning"
    assert finding.reason.startswith("More messages than slots are taken by w1@zoo, and zoo.add")


def test_without_workers_the_configuration_tells_of_prefetching() -> None:
    assert "this process" in only("prefetch_hoarding", observed=SLOW, workers=()).reason
    assert (
        found("prefetch_hoarding", observed=SLOW, workers=(), own=process(worker_prefetch_multiplier=1)) == []
    )
    assert (
        found("prefetch_hoarding", observed=SLOW, workers=(), own=process(worker_disable_prefetch=True)) == []
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"workers": (worker(prefetch=16),)},  # short tasks
        {"workers": (worker(prefetch=4),), "observed": SLOW},
        {"workers": (worker(prefetch=None),), "observed": SLOW},
        {"workers": (worker(prefetch=16, concurrency=None),), "observed": SLOW},
    ],
)
def test_prefetching_short_tasks_or_none_is_well(fields: dict[str, Any]) -> None:
    assert found("prefetch_hoarding", **fields) == []
