from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
from flower import options as flower_options
from flower import urls
from flower.views.tasks import visible_task_columns
from tornado.options import OptionParser

from chordwatch.flower import format_task

CONFIG = Path(__file__).parents[3] / "dashboards" / "flowerconfig.py"


def fresh_options() -> OptionParser:
    """Return Flower's options without what this process has set, as its defaults are."""
    parser = OptionParser()
    for option in flower_options.options._options.values():
        if option.name not in parser._options:
            parser.define(option.name, default=option.default, type=option.type, multiple=option.multiple)
    return parser


def configured(*argv: str) -> OptionParser:
    """Return the options as Flower's own start sets them: command line, this file, command line again."""
    parser = fresh_options()
    parser.parse_command_line(["flower", *argv], final=False)
    parser.parse_config_file(str(CONFIG), final=False)
    parser.parse_command_line(["flower", *argv], final=False)
    return parser


def test_flower_takes_every_value_of_the_file() -> None:
    options = configured()

    chosen = {name: options[name] for name in ("address", "read_only", "enable_events", "persistent")}
    assert chosen == {"address": "127.0.0.1", "read_only": True, "enable_events": False, "persistent": False}
    assert (options.max_tasks, options.max_workers, options.purge_offline_workers) == (10_000, 1_000, 3600)
    assert (options.inspect_timeout, options.natural_time) == (2000.0, True)


def test_every_name_in_the_file_is_an_option_and_nothing_else_is_set_by_accident() -> None:
    names = {
        name
        for name in _globals_of_config()
        if not name.startswith("_") and name not in {"os", "annotations"}
    }

    known = {name.replace("-", "_") for name in flower_options.options._options}
    assert names <= known
    assert "os" not in known


def test_flower_gets_the_page_the_column_and_the_formatter() -> None:
    options = configured()

    assert [handler.name for handler in urls.handlers if getattr(handler, "name", None) == "chords"] == [
        "chords"
    ]
    assert options.format_task is format_task
    shown = [label for _, label in visible_task_columns(options.tasks_columns)]
    assert shown == ["Name", "UUID", "Chord", "State", "Received", "Runtime", "Worker"]


def test_columns_of_ones_own_win_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    assert configured("--tasks-columns=name,state").tasks_columns == "name,state"
    monkeypatch.setenv("FLOWER_TASKS_COLUMNS", "name")
    assert "tasks_columns" not in _globals_of_config()


def test_the_command_line_wins_over_the_file() -> None:
    options = configured("--address=0.0.0.0", "--read-only=false", "--max_tasks=5")

    assert (options.address, options.read_only, options.max_tasks) == ("0.0.0.0", False, 5)


def test_flowers_environment_variables_win_over_the_file_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWER_ADDRESS", "0.0.0.0")
    monkeypatch.setenv("FLOWER_READ_ONLY", "false")

    assert "address" not in _globals_of_config()
    assert "read_only" not in _globals_of_config()
    assert _globals_of_config()["enable_events"] is False


def _globals_of_config() -> dict[str, Any]:
    return runpy.run_path(str(CONFIG))
