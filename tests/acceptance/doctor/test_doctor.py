"""`chords doctor` as its users call it: tables, JSON alone on stdout, exit codes, --scan, --probe, no project."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.doctor.patient import call
from tests.integration.xray.stranger import Stranger, chords
from tests.support.servers import Processes, RedisServer, celery, clean_environment, run

WELL = {"task_time_limit": 300}


@pytest.fixture
def patient(redis: RedisServer, processes: Processes) -> Iterator[Stranger]:
    """A project that is well, without a worker yet."""
    stranger = Stranger(redis, processes, **WELL)
    yield stranger
    stranger.close()


def test_a_probe_of_what_is_well_says_so_step_by_step(patient: Stranger) -> None:
    patient.worker("main")
    patient.ready("main")

    table = call(patient, "--probe")
    document = json.loads(call(patient, "--probe", "--format", "json").stdout)

    assert table.returncode == 0, table.stderr
    assert table.stdout.splitlines()[:2] == ["Probe", "ok       The broker takes messages for queue celery."]
    assert table.stdout.count("\nok ") == 7
    assert "No hazard found." in table.stdout
    assert document["findings"] == []
    assert document["probe"]["passed"] is True
    assert len(document["probe"]["steps"]) == 7


@pytest.mark.faults
def test_a_probe_without_a_worker_says_at_which_step_it_fails(patient: Stranger) -> None:
    done = call(patient, "--probe", "-Q", "reports")

    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("error    probe  queue reports\n")
    assert "fails    A worker takes them." in done.stdout
    assert "1 error, 1 warning." in done.stdout
    assert "0 workers answered" in done.stdout


def test_without_the_project_workers_and_servers_are_judged(patient: Stranger, redis: RedisServer) -> None:
    other = Stranger(redis, patient.processes, (0, 2))
    for name, stranger in (("one", patient), ("two", other)):
        stranger.worker(name)
        stranger.ready(name)

    done = chords(patient.broker_url, patient.backend_url, "doctor", "--format", "json")

    found = {finding["rule"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert done.returncode == 1, done.stderr
    assert found.keys() == {"backend_differs", "no_time_limit"}
    assert "this process" not in found["backend_differs"]["reason"]
    assert "two@here" in found["no_time_limit"]["reason"]
    other.close()


def test_source_code_is_scanned_and_not_run(patient: Stranger, tmp_path: Path) -> None:
    source = "from celery import chord\nraise SystemExit\nchord(header)(callback).apply_async()\n"
    (tmp_path / "views.py").write_text(source)

    plain, scanned = (
        json.loads(call(patient, "--format", "json", *options).stdout)["findings"]
        for options in ((), ("--scan", str(tmp_path)))
    )

    (added,) = [finding for finding in scanned if finding not in plain]
    assert added["where"].endswith("views.py:3")


def test_what_a_project_prints_at_its_import_is_not_in_the_document(
    patient: Stranger, tmp_path: Path
) -> None:
    (tmp_path / "loud_tasks.py").write_text("print('{not json')\n")
    env = patient.environment() | {"PYTHONPATH": str(tmp_path)}
    env["PROJECT_SETTINGS"] = json.dumps({**WELL, "include": ["loud_tasks"]})

    done = call(patient, "--format", "json", **env)

    assert json.loads(done.stdout)["version"] == 1
    assert "{not json" in done.stderr


def test_a_module_that_cannot_be_imported_is_said(patient: Stranger) -> None:
    done = call(patient, PROJECT_SETTINGS=json.dumps({**WELL, "include": ["no_such_module"]}))

    assert "Not all modules with tasks could be imported (ModuleNotFoundError" in done.stderr
    assert "Traceback" not in done.stderr


def test_hostile_names_stay_on_their_line(patient: Stranger) -> None:
    hostile = "evil\x1b[31m\nqueue[bold]"
    routes = {"project.nap": {"queue": hostile}}
    patient.worker("main")
    patient.ready("main")

    done = call(patient, PROJECT_SETTINGS=json.dumps({**WELL, "task_routes": routes}))

    assert "\x1b" not in done.stdout
    assert "queue evil\\x1b[31m\\nqueue[bold]" in done.stdout


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("-Q", "celery"), "give --probe too"),
        (("--scan", "/no/such/folder"), "does not exist"),
        (("--format", "xml"), "xml"),
    ],
)
def test_wrong_usage_is_exit_2(options: tuple[str, ...], sentence: str) -> None:
    done = run(*celery("chords", "doctor", *options), env=clean_environment())

    assert done.returncode == 2
    assert sentence in done.stderr
    assert done.stdout == ""
