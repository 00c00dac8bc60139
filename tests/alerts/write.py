"""Writes promtool's tests of the alerts from the recordings and the cases: `python -m tests.alerts.write`.

Needs no servers. What is expected stands in the modules of cases; nothing is taken from what the rules say.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.alerts.case import EVALUATED, Case, Check, Target
from tests.alerts.cases import CASES
from tests.alerts.recording import FOLDER, metric_of
from tests.alerts.scraper import words

TESTS = FOLDER.parent
RULES = TESTS.parent / "chords.rules.yml"
_HEADER = """\
# Made by `python -m tests.alerts.write` from recorded/*.yml and tests/alerts/cases; not to be edited by hand.
# A test's name says which recordings it replays, and where it repeats or takes away samples of theirs.
"""


@functools.cache
def rules() -> list[dict[str, Any]]:
    """Return all rules, of all groups."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alert_names() -> list[str]:
    """Return the alerts' names in the order of the rules."""
    return [*dict.fromkeys(rule["alert"] for rule in rules() if "alert" in rule)]


def files() -> dict[str, str]:
    """Return the text of each test file by its name."""
    owners = dict.fromkeys(case.alert for case in CASES)
    return {f"{name}.test.yml": text([case for case in CASES if case.alert == name]) for name in owners}


def text(cases: Sequence[Case]) -> str:
    """Return the test file of these cases."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    document = {
        "rule_files": ["../chords.rules.yml"],
        "evaluation_interval": f"{EVALUATED:g}s",
        "group_eval_order": [group["name"] for group in groups],
        "tests": [_test(case) for case in cases],
    }
    return _HEADER + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=10_000)


def main(folder: Path = TESTS) -> int:
    """Write the files, and take away those that are none any more."""
    made = files()
    for old in folder.glob("*.test.yml"):
        if old.name not in made:
            old.unlink()
    for name, text in made.items():
        (folder / name).write_text(text, encoding="utf-8")
    return 0


def _test(case: Case) -> dict[str, Any]:
    read = _read({check.name for check in case.checks})
    return {
        "name": case.title(),
        "interval": f"{case.targets[0].timeline.recording.interval:g}s",
        "input_series": [series for target in case.targets for series in _series(target, read)],
        "alert_rule_test": [_check(case, check) for check in case.checks],
    }


def _series(target: Target, read: frozenset[str]) -> Iterator[dict[str, str]]:
    for series, values in target.timeline.series(job=target.job, instance=target.instance):
        if metric_of(series) in read:
            yield {"series": series, "values": values}


def _check(case: Case, check: Check) -> dict[str, Any]:
    seconds = case.targets[0].timeline.seconds(check.moment) + check.after
    expected = [alert.document() for alert in check.alerts]
    return {"eval_time": f"{seconds:g}s", "alertname": check.name, "exp_alerts": expected}


def _read(alerts: set[str]) -> frozenset[str]:
    """Return the names that these alerts' expressions read, also by way of what is recorded for them."""
    recorded = {rule["record"]: words(rule["expr"]) for rule in rules() if "record" in rule}
    fresh = {name for rule in rules() if rule.get("alert") in alerts for name in words(rule["expr"])}
    read: set[str] = set()
    while fresh:
        read |= fresh
        fresh = {name for record in fresh & recorded.keys() for name in recorded[record]} - read
    return frozenset(read)


if __name__ == "__main__":
    sys.exit(main())
