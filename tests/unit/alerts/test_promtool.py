"""promtool runs the recorded cases of every alert."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
import yaml

from tests.alerts.write import RULES, TESTS, alert_names, files
from tests.support.prometheus import promtool_binary

NAMES = sorted(path.name for path in TESTS.glob("*.test.yml"))
each_alert = pytest.mark.parametrize("name", alert_names())


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [promtool_binary(), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def kinds(name: str) -> list[str]:
    document = yaml.safe_load((TESTS / f"{name}.test.yml").read_text(encoding="utf-8"))
    return [test["name"].partition(":")[0] for test in document["tests"]]


def expected(name: str) -> list[list[Any]]:
    document = yaml.safe_load((TESTS / f"{name}.test.yml").read_text(encoding="utf-8"))
    checks = (check for test in document["tests"] for check in test["alert_rule_test"])
    return [check["exp_alerts"] for check in checks if check["alertname"] == name]


def test_promtool_accepts_the_rules() -> None:
    done = run("check", "rules", RULES)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.faults
def test_the_rules_do_what_the_cases_say(name: str) -> None:
    done = run("test", "rules", TESTS / name)

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_files_are_what_the_recordings_and_the_cases_give() -> None:
    """`python -m tests.alerts.write` writes them anew."""
    made = files()

    assert sorted(made) == NAMES
    assert [name for name in NAMES if (TESTS / name).read_text(encoding="utf-8") != made[name]] == []


@each_alert
def test_an_alert_fires_is_silent_and_its_series_vanish(name: str) -> None:
    assert {"fires", "silent", "vanishes", "doubled"} <= set(kinds(name))
    assert any(expected(name))
    assert not all(expected(name))


def test_nothing_alerts_where_all_is_well() -> None:
    document = yaml.safe_load((TESTS / "Quiet.test.yml").read_text(encoding="utf-8"))
    checks = [check for test in document["tests"] for check in test["alert_rule_test"]]

    assert {check["alertname"] for check in checks} == set(alert_names())
    assert all(check["exp_alerts"] == [] for check in checks)
