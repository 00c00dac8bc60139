from __future__ import annotations

import re
from pathlib import Path

import pytest

from tasks import faults, run
from tasks.celery import app
from tasks.scenarios import SCENARIOS, Scenario

FAULTS = {
    "worker_killed": "open",
    "queue_unconsumed": "hung",
    "callback_queue_unconsumed": "hung",
    "header_ignored": "open",
    "producer_dies": "open",
    "size_key_deleted": "open",
    "retry_in_two_hours": "waiting",
    "nested_failure": "open",
}


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=list(SCENARIOS))
def test_a_scenario_has_a_name_a_sentence_and_a_duration(scenario: Scenario) -> None:
    assert SCENARIOS[scenario.name] is scenario
    assert re.fullmatch(r"[A-Z].+\.", scenario.description)
    assert 0 < scenario.seconds < 60


def test_faults_are_marked_and_say_what_is_to_be_seen() -> None:
    found = {name: scenario.expected for name, scenario in SCENARIOS.items() if scenario.is_fault}

    assert found == FAULTS


def test_the_list_names_every_scenario(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["--list"]) == 0

    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(SCENARIOS)


@pytest.mark.parametrize("arguments", [["nope"], [], ["happy", "-n", "0"], ["happy", "-n", "x"]])
def test_wrong_usage_is_exit_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        run.main(arguments)

    assert exit_.value.code == 2
    assert capsys.readouterr().err


def test_an_unknown_scenario_is_answered_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run.main(["nope"])

    assert f"there are {', '.join(SCENARIOS)}." in capsys.readouterr().err


def test_no_wait_is_longer_than_the_visibility_timeout() -> None:
    visibility_timeout = app.conf.broker_transport_options["visibility_timeout"]

    assert visibility_timeout > faults.TWO_HOURS
    assert visibility_timeout > app.conf.task_time_limit


def test_every_task_ends_by_itself() -> None:
    app.loader.import_default_modules()
    for name, task in app.tasks.items():
        if name.startswith("tasks."):
            soft = task.soft_time_limit or app.conf.task_soft_time_limit
            hard = task.time_limit or app.conf.task_time_limit
            assert 0 < soft < hard <= 120, name


def test_a_worker_without_queues_given_leaves_dead_letter_alone() -> None:
    assert set(app.amqp.queues.consume_from) == {"critical", "default", "low"}


def test_orders_go_to_the_critical_queue_first_in_line() -> None:
    route = app.amqp.router.route({}, "tasks.orders.reserve")

    assert (route["queue"].name, route["priority"]) == ("critical", 0)


def test_the_project_knows_of_chordwatch_in_one_place() -> None:
    sources = Path(run.__file__).parent.glob("*.py")
    lines = [
        (path.name, line)
        for path in sources
        for line in path.read_text().splitlines()
        if re.match(r"[^\"#]*\bchordwatch\.|.*(import|from) chordwatch", line)
    ]

    assert lines == [("celery.py", "import chordwatch"), ("celery.py", "chordwatch.instrument(app)")]
