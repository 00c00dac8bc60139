"""Rules on processes that differ: each with what makes it speak and the neighbour on which it is silent."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.doctor.installation import found, only, process, task, worker


@pytest.mark.parametrize(
    "other",
    [
        "redis://db:6379/2",
        "redis://db:6379",
        "rpc://",
        "disabled",
        "db+sqlite:///results.db",
        "redis://elsewhere/0",
    ],
)
def test_another_result_backend_is_an_error(other: str) -> None:
    finding = only("backend_differs", workers=(worker(backend=other),))

    assert finding.severity == "error"
    assert "this process: redis://db:6379/1" in finding.reason
    assert f"w1@zoo: {other}" in finding.reason


def test_another_name_of_the_server_may_be_the_same_one() -> None:
    assert only("backend_differs", workers=(worker(backend="redis://10.0.0.7:6379/1"),)).severity == "warning"


@pytest.mark.parametrize(
    "same", ["redis://db:6379/1", "redis://db/1", "redis://:**@db/1", "redis://db:6379/1/", None]
)
def test_the_same_backend_may_be_written_in_many_ways(same: str | None) -> None:
    assert found("backend_differs", workers=(worker(backend=same),)) == []


def test_this_machine_has_many_names() -> None:
    local = ("redis://localhost", "redis://127.0.0.1:6379/0", "redis://")

    assert (
        found("backend_differs", own=process(backend=local[0]), workers=[worker(backend=b) for b in local])
        == []
    )


def test_workers_may_differ_among_themselves() -> None:
    two = (worker("w1@zoo"), worker("w2@zoo", backend="redis://db:6379/9"))

    finding = only("backend_differs", tasks=(), own=process(backend="disabled"), workers=two)

    assert "this process" not in finding.reason
    assert "w2@zoo: redis://db:6379/9" in finding.reason


@pytest.mark.parametrize(
    ("option", "value"), [("global_keyprefix", "********"), ("result_chord_ordered", False)]
)
def test_the_backends_options_must_agree(option: str, value: object) -> None:
    other = worker(conf={"result_backend_transport_options": {option: value}})

    finding = only("backend_options_differ", workers=(other,))

    assert finding.severity == "error"
    assert finding.where == f"result_backend_transport_options.{option}"
    assert f"w1@zoo: {value}" in finding.reason


@pytest.mark.parametrize(
    ("own", "theirs"),
    [
        ({"global_keyprefix": "********"}, {"global_keyprefix": "********"}),
        ({}, {"result_chord_ordered": True}),
        ({}, {"socket_timeout": 3}),
    ],
)
def test_options_that_mean_the_same_agree(own: dict[str, Any], theirs: dict[str, Any]) -> None:
    key = "result_backend_transport_options"

    assert (
        found("backend_options_differ", own=process(**{key: own}), workers=(worker(conf={key: theirs}),))
        == []
    )


@pytest.mark.parametrize(
    ("option", "value"),
    [("priority_steps", [0, 5]), ("sep", ":"), ("global_keyprefix", "********"), ("visibility_timeout", 60)],
)
def test_the_brokers_options_must_agree(option: str, value: object) -> None:
    finding = only(
        "transport_options_differ", workers=(worker(conf={"broker_transport_options": {option: value}}),)
    )

    assert finding.severity == "warning"
    assert finding.where == f"broker_transport_options.{option}"


def test_options_at_their_usual_values_agree() -> None:
    usual = {
        "priority_steps": [0, 3, 6, 9],
        "sep": "\x06\x16",
        "visibility_timeout": 3600.0,
        "socket_timeout": 3,
    }

    assert (
        found("transport_options_differ", workers=(worker(conf={"broker_transport_options": usual}),)) == []
    )


def test_a_worker_that_does_not_tell_its_configuration_differs_from_nobody() -> None:
    silent = worker(process=process("w1@zoo").__class__(name="w1@zoo"))

    assert found("transport_options_differ", workers=(silent,)) == []
    assert found("backend_differs", workers=(silent,)) == []


@pytest.mark.parametrize("accepted", [["pickle"], ["application/x-python-serialize", "yaml"]])
def test_content_that_a_worker_refuses_is_an_error(accepted: list[str]) -> None:
    finding = only("serializer_refused", workers=(worker(conf={"accept_content": accepted}),))

    assert finding.severity == "error"
    assert "w1@zoo refuses messages in json" in finding.reason


@pytest.mark.parametrize(
    "fields",
    [
        {"workers": (worker(conf={"accept_content": ["pickle", "json"]}),)},
        {"workers": (worker(conf={"accept_content": ["application/json"]}),)},
        {
            "own": process(task_serializer="msgpack"),
            "workers": (worker(conf={"accept_content": ["application/x-msgpack"]}),),
        },
        {
            "tasks": (),
            "workers": (worker(conf={"accept_content": ["pickle"]}),),
        },  # this process sends nothing
    ],
)
def test_content_that_a_worker_takes_is_well(fields: dict[str, Any]) -> None:
    assert found("serializer_refused", **fields) == []


def test_a_worker_that_beats_and_does_not_answer_here_is_named() -> None:
    beating = {"w1@zoo": frozenset({"celery"}), "w2@zoo": frozenset({"celery"})}

    finding = only("worker_on_other_broker", beating=beating)

    assert finding.severity == "warning"
    assert finding.reason.startswith("w2@zoo sends heartbeats")


def test_workers_that_answer_or_were_not_asked_are_on_no_other_broker() -> None:
    assert found("worker_on_other_broker", beating={"w1@zoo": frozenset({"celery"})}) == []
    assert found("worker_on_other_broker", beating={"w2@zoo": frozenset({"celery"})}, workers=None) == []


def test_an_installation_that_is_well_has_no_finding() -> None:
    assert found("backend_differs", tasks=(task(),)) == []
