"""Rules on queues, names, servers and results: each with what makes it speak and what leaves it silent."""

from __future__ import annotations

from typing import Any

import pytest

from chordwatch.doctor.examine import examine
from chordwatch.doctor.facts import Observed
from chordwatch.doctor.project import known_settings
from chordwatch.evidence.facts import Server
from tests.unit.doctor.installation import found, installation, only, process, task, worker

FULL = Server(run_id="r1", maxmemory=1_000_000, maxmemory_policy="allkeys-lru", evicted_keys=0)


def test_an_installation_that_is_well_has_no_finding() -> None:
    assert examine(installation(), known_settings()) == []


def test_errors_come_first() -> None:
    facts = installation(
        tasks=(task(queue="nobody", time_limit=None, ignore_result=True),),
        observed=Observed(header=frozenset({"zoo.add"})),
    )

    assert [finding.severity for finding in examine(facts, known_settings())] == ["error", "warning", "note"]


def test_no_worker_is_said_once() -> None:
    assert only("no_workers", workers=()).severity == "warning"
    assert found("queue_unconsumed", workers=()) == []


@pytest.mark.parametrize(
    "fields", [{}, {"workers": None}, {"workers": (), "beating": {"w1@zoo": frozenset({"celery"})}}]
)
def test_workers_that_answer_or_beat_are_workers(fields: dict[str, Any]) -> None:
    assert found("no_workers", **fields) == []


def test_a_queue_that_tasks_go_to_and_nobody_reads_is_an_error() -> None:
    tasks = (task(), *(task(f"zoo.t{n}", queue="nobody") for n in range(2)))

    finding = only("queue_unconsumed", tasks=tasks, routed={"nobody": "task_routes"})

    assert finding.severity == "error"
    assert finding.where == "queue nobody"
    assert "2 tasks (zoo.t0, zoo.t1) go there" in finding.reason
    assert "-Q nobody" in finding.fix


def test_a_command_to_be_pasted_holds_a_hostile_name_in_quotes() -> None:
    finding = only("queue_unconsumed", tasks=(task(), task("zoo.odd", queue='no"body\\{x}; rm *')))

    assert """-Q 'no"body\\{x}; rm *', or""" in finding.fix


def test_a_queue_that_is_only_named_is_a_warning() -> None:
    finding = only("queue_unconsumed", routed={"parked": "task_queues", "celery": "task_queues"})

    assert finding.severity == "warning"
    assert finding.where == "queue parked"
    assert "task_queues names it" in finding.reason


@pytest.mark.parametrize(
    "fields",
    [
        {"workers": (worker(), worker("w2@zoo", queues=frozenset({"slow"})))},
        {"beating": {"solo@zoo": frozenset({"slow"})}},  # too busy to answer, but it beats
        {"workers": None},
        {"tasks": (task(queue=None),)},
    ],
)
def test_a_queue_that_somebody_reads_or_that_is_not_known_is_well(fields: dict[str, Any]) -> None:
    assert found("queue_unconsumed", **{"tasks": (task(queue="slow"),), **fields}) == []


def test_a_worker_must_know_what_its_queue_brings() -> None:
    new = (task(), task("zoo.new"))

    finding = only(
        "task_unregistered",
        tasks=new,
        workers=(worker(), worker("w2@zoo", registered=frozenset({"zoo.add", "zoo.new"}))),
    )

    assert finding.severity == "error"
    assert finding.where == "worker w1@zoo"
    assert "does not know 1 task that this process sends: zoo.new" in finding.reason


def test_workers_of_the_same_queues_must_know_the_same_tasks() -> None:
    newer = worker("w2@zoo", registered=frozenset({"zoo.add", "zoo.new"}))

    finding = only("task_unregistered", tasks=(), workers=(worker(), newer))

    assert finding.severity == "warning"
    assert "another worker of the same queues knows: zoo.new" in finding.reason


@pytest.mark.parametrize(
    "fields",
    [
        {"tasks": (task(), task("zoo.slow", queue="slow"))},  # its messages never come to w1
        {"workers": (worker(registered=None),)},
        {"workers": (worker(registered=frozenset({"zoo.add", "zoo.old"})),)},
        {
            "workers": (
                worker(),
                worker("w2@zoo", queues=frozenset({"slow"}), registered=frozenset({"zoo.add", "zoo.slow"})),
            )
        },
    ],
)
def test_a_worker_need_not_know_what_does_not_come_to_it(fields: dict[str, Any]) -> None:
    assert found("task_unregistered", **fields) == []


@pytest.mark.parametrize(
    ("role", "policy", "where"),
    [
        ("backend", "allkeys-lru", "the result backend"),
        ("backend", "volatile-ttl", "the result backend"),
        ("broker", "allkeys-random", "the broker"),
        ("store", "volatile-lru", "chordwatch's store"),
    ],
)
def test_a_redis_that_evicts_is_named_by_its_roles(role: str, policy: str, where: str) -> None:
    finding = only("redis_evicts", servers={role: Server(maxmemory=1_000_000, maxmemory_policy=policy)})

    assert finding.severity == "warning"
    assert finding.where == f"maxmemory-policy of {where}"
    assert policy in finding.reason
    assert "1,000,000 bytes" in finding.reason


def test_a_redis_of_two_roles_that_has_evicted_is_one_error() -> None:
    lossy = Server(run_id="r1", maxmemory=1_000_000, maxmemory_policy="allkeys-lru", evicted_keys=1234)

    finding = only("redis_evicts", servers={"broker": lossy, "backend": lossy})

    assert finding.severity == "error"
    assert finding.where == "maxmemory-policy of the broker and the result backend"
    assert "1,234 keys have been evicted" in finding.reason


def test_a_store_that_has_evicted_lost_records_and_no_chord() -> None:
    lossy = Server(run_id="r1", maxmemory=1_000_000, maxmemory_policy="allkeys-lru", evicted_keys=1234)

    assert only("redis_evicts", servers={"store": lossy}).severity == "warning"


@pytest.mark.parametrize(
    "servers",
    [
        {"backend": Server(maxmemory=0, maxmemory_policy="allkeys-lru")},
        {"backend": Server(maxmemory=1_000_000, maxmemory_policy="noeviction")},
        {"backend": Server()},  # INFO refused
        {
            "broker": Server(maxmemory=1_000_000, maxmemory_policy="volatile-lru")
        },  # queues have no time to live
    ],
)
def test_a_redis_that_keeps_what_it_has_is_well(servers: dict[str, Server]) -> None:
    assert found("redis_evicts", servers=servers) == []


@pytest.mark.parametrize("backend", ["rpc://", "disabled", "disabled://"])
def test_a_process_that_cannot_count_chords_is_an_error(backend: str) -> None:
    finding = only("no_chord_backend", workers=(worker(backend=backend),))

    assert finding.severity == "error"
    assert finding.reason.startswith("No result backend that can count a chord's parts in w1@zoo.")
    assert "in this process." in only("no_chord_backend", own=process(backend=backend)).reason


def test_without_the_project_this_process_needs_no_backend() -> None:
    assert found("no_chord_backend") == []
    assert found("no_chord_backend", own=process(backend="disabled"), tasks=(), workers=()) == []


QUIET = task(ignore_result=True)
ELSEWHERE = Observed(header=frozenset({"zoo.other"}))


@pytest.mark.parametrize(
    ("fields", "severity"),
    [
        ({"backend_kind": "polling"}, "error"),  # zoo.add was seen in a header
        ({"backend_kind": "polling", "observed": ELSEWHERE}, "warning"),
        ({"backend_kind": "redis"}, "note"),
        ({"backend_kind": "counting"}, "note"),
    ],
)
def test_header_tasks_should_store_their_results(fields: dict[str, Any], severity: str) -> None:
    finding = only("ignored_results", tasks=(QUIET,), **fields)

    assert finding.severity == severity
    assert finding.reason.startswith("zoo.add ")


@pytest.mark.parametrize(
    "fields",
    [
        {"backend_kind": "polling"},
        {"tasks": (QUIET,), "observed": ELSEWHERE},
        {"tasks": (task("zoo.other", ignore_result=True),)},
    ],
)
def test_tasks_that_store_results_or_are_in_no_header_are_well(fields: dict[str, Any]) -> None:
    assert found("ignored_results", **fields) == []


def test_hostile_names_are_made_plain() -> None:
    name = "zoo\x1b[31m\nadd" + "x" * 500
    facts = installation(
        tasks=(task(name, queue=name, time_limit=None, ignore_result=True),), given=("chord\x1b_propagates",)
    )

    findings = examine(facts, known_settings())

    assert findings
    assert not any("\x1b" in text or "\n" in text for f in findings for text in (f.where, f.reason, f.fix))
    assert max(len(f.reason) for f in findings) < 1000
