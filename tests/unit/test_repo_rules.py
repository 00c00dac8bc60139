"""Rules of the repository that neither ruff, mypy nor import-linter can check."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from celery.bin.celery import celery as celery_command

from chordwatch.cli import chords
from chordwatch.diagnosis.causes import CAUSES
from chordwatch.evidence.facts import Queue
from chordwatch.metrics import ChordCollector
from chordwatch.settings import SETTINGS, Setting
from chordwatch.watch import Look
from chordwatch.watch.recorded import Totals
from tests.support.servers import ROOT, clean_environment

MODULE_LINES = 400
FUNCTION_LINES = 60
#: Path, or path and function, to the reason why it may be longer.
EXCEPTIONS: dict[str, str] = {}

MODULES = sorted(
    path for folder in ("monitor", "tasks", "dashboards") for path in (ROOT / folder).rglob("*.py")
)
COMMANDS = [
    "list",
    "show",
    "explain",
    "check",
    "results",
    "report",
    "watch",
    "monitor",
    "doctor",
    "dashboard",
    "rules",
    "config",
]


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Yield name and length of each function in a module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{named(path)}:{node.name}", (node.end_lineno or 0) - node.lineno + 1


def imported(module: str, *arguments: str, cwd: Path) -> set[str]:
    """Return the modules that a process has imported at its end, which runs `python -m module arguments`."""
    program = (
        "import atexit, runpy, sys; listed = open('imported', 'w');"
        "atexit.register(lambda: listed.write(' '.join(sys.modules)));"
        f"sys.argv[1:] = {list(arguments)!r}; runpy.run_module({module!r}, run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=cwd,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set((cwd / "imported").read_text().split())


def of_chordwatch(modules: set[str]) -> set[str]:
    return {name for name in modules if name.partition(".")[0] == "chordwatch"}


def documented(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


def test_monitor_is_a_folder_and_not_a_package() -> None:
    assert (ROOT / "monitor" / "chordwatch" / "__init__.py").exists()
    assert not (ROOT / "monitor" / "__init__.py").exists()


def test_a_module_is_not_longer_than_its_budget() -> None:
    lengths = {named(path): len(path.read_text().splitlines()) for path in MODULES}

    assert lengths
    assert {n: length for n, length in lengths.items() if length > MODULE_LINES and n not in EXCEPTIONS} == {}


def test_a_function_is_not_longer_than_its_budget() -> None:
    lengths = dict(function for path in MODULES for function in functions(path))

    assert lengths
    assert {
        n: length for n, length in lengths.items() if length > FUNCTION_LINES and n not in EXCEPTIONS
    } == {}


def test_every_exception_still_exists() -> None:
    known = {named(path) for path in MODULES} | {name for path in MODULES for name, _ in functions(path)}

    assert EXCEPTIONS.keys() <= known


def test_importing_chordwatch_imports_nothing_heavy(tmp_path: Path) -> None:
    modules = imported("chordwatch.model", cwd=tmp_path)

    assert of_chordwatch(modules) == {"chordwatch"}
    heavy = {
        "celery",
        "kombu",
        "click",
        "rich",
        "redis",
        "streamlit",
        "fastapi",
        "prometheus_client",
        "opentelemetry",
    }
    assert heavy & modules == set()


@pytest.mark.parametrize("arguments", [["--version"], ["-A", "stranger", "worker", "--help"]], ids=" ".join)
def test_a_celery_command_of_another_kind_loads_no_subcommand(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "stranger.py").write_text("from celery import Celery\napp = Celery('stranger')\n")

    modules = imported("celery", *arguments, cwd=tmp_path)

    assert "celery" in modules
    assert of_chordwatch(modules) == {"chordwatch", "chordwatch.cli"}


def test_celery_knows_the_command_by_its_name() -> None:
    assert celery_command.get_command(click.Context(celery_command), "chords") is chords


def test_the_commands_are_those_of_the_contract() -> None:
    assert chords.list_commands(click.Context(chords)) == COMMANDS
    assert chords.get_command(click.Context(chords), "nonsense") is None


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_exists_and_says_what_it_does(name: str) -> None:
    command = chords.get_command(click.Context(chords), name)

    assert command is not None
    assert command.name == name
    assert command.help
    assert command.help.splitlines()[0].endswith((".", ":"))
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    assert [option.name for option in options if not option.help] == []


def test_every_cause_is_a_section_of_the_docs_and_the_other_way_round() -> None:
    headings = re.findall(r"^## (\w+)$", documented("causes.md"), re.MULTILINE)

    assert sorted(headings) == sorted(CAUSES)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_is_in_the_docs(setting: Setting) -> None:
    page = documented("settings.md")

    assert setting.key in page
    assert setting.env in page


def test_every_metric_is_in_the_docs() -> None:
    look = Look(taken_at=0.0, queues=(Queue(name="q", length=0, unacked=0, consumers=0),))
    collector = ChordCollector(look=look, totals=Totals(up=True), errors={"look": 0})
    names = {
        f"{family.name}_total" if family.type == "counter" else family.name for family in collector.collect()
    }

    assert len(names) > 18
    page = documented("metrics.md")
    assert {name for name in names if f"`{name}`" not in page} == set()
