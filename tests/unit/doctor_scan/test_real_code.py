"""The rules over code that nobody wrote for them. What they find there was looked at, one by one, and is true."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from chordwatch.doctor.scan import RULES, scan
from tests.support.servers import ROOT


def summary(folder: Path) -> list[tuple[str, str, str]]:
    """Return rule, severity and the line of code of each finding."""
    found = []
    for finding in scan(folder):
        path, _, line = finding.where.rpartition(":")
        code = Path(path).read_text().splitlines()[int(line) - 1].strip()
        found.append((finding.rule, finding.severity, code))
    return found


@pytest.mark.parametrize("package", ["celery", "kombu", "flower", "streamlit"])
def test_there_is_no_false_alarm_in_well_kept_packages(package: str) -> None:
    place = Path(importlib.import_module(package).__file__ or "").parent

    assert (place / "__init__.py").exists()
    assert scan(place) == []


@pytest.mark.parametrize("folder", ["monitor", "benchmarks", "dashboards"])
def test_there_is_no_false_alarm_in_this_repository(folder: str) -> None:
    assert scan(ROOT / folder) == []


def test_in_the_demo_is_found_what_goes_wrong_there_on_purpose() -> None:
    assert summary(ROOT / "tasks") == [
        ("ignore_in_task", "error", "raise Ignore"),
        ("nested_header", "note", "return launch(chord([inner, square.s(2)], total.s()))"),
        ("nested_header", "note", "return chord([inner, square.s(3)], total.s())"),
    ]


def test_every_rule_is_documented_under_its_name() -> None:
    _, _, section = (ROOT / "docs" / "doctor.md").read_text().partition("\n## Scan\n")
    documented = set(re.findall(r"^\*\*(\w+)\.?\*\*", section.partition("\n## ")[0], re.MULTILINE))

    assert documented == {rule.__name__ for rule in RULES} | {"not_scanned"}
