"""docs/alerts.md tells of every alert, record and threshold; and whatever names a metric names one that exists."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from chordwatch.metrics.alerts import Thresholds, rules
from chordwatch.metrics.catalogue import METRICS
from chordwatch.metrics.promql import metric
from chordwatch.settings import SETTINGS
from tests.support.servers import ROOT

PAGE = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")
RULES: list[dict[str, Any]] = [rule for group in rules()["groups"] for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
RECORDS = {rule["record"] for rule in RULES if "record" in rule}
#: Whatever tells people or programs of metrics.
TEXTS = sorted(
    path
    for pattern in ("README.md", "docs/**/*.md", "dashboards/grafana/**/*.json", "alerts/*.yml")
    for path in ROOT.glob(pattern)
)
#: A name of a metric, of a record, or of a setting; `celery_chord_*` is a way to speak of several.
NAME = re.compile(
    r"(?<![\w/.])(?:job:)?(?:celery_(?:chord|queue|worker|active)|chordwatch)_\w+(?::\w+)?(?![\w/*…])"
)
OTHERS = {setting.key for setting in SETTINGS}


def known(name: str) -> bool:
    try:
        metric(name)
    except KeyError:
        return name in RECORDS | OTHERS
    return True


def headings(level: str) -> list[str]:
    return re.findall(rf"^{level} (.+)$", PAGE, re.MULTILINE)


def test_every_alert_is_a_section_and_every_section_of_an_alert_is_one() -> None:
    named = [heading for heading in headings("##") if re.fullmatch(r"(Celery|Chordwatch)\w+", heading)]

    assert named == list(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_a_section_says_what_an_alert_means_when_it_fires_and_what_to_do(name: str) -> None:
    section = PAGE.partition(f"## {name}\n")[2].partition("\n## ")[0]

    assert [line.partition("**")[2].partition("**")[0] for line in section.splitlines() if line[:2] == "**"][
        :3
    ] == ["What it means.", "When.", "What to do."]
    row = f"| [`{name}`](#{name.lower()}) | {ALERTS[name]['labels']['severity']} | "
    assert sum(line.startswith(row) for line in PAGE.splitlines()) == 1


@pytest.mark.parametrize("name", [name for name, rule in ALERTS.items() if "for" in rule])
def test_a_section_says_for_how_long_an_alert_waits(name: str) -> None:
    minutes = re.fullmatch(r"(\d+)m", ALERTS[name]["for"])
    section = PAGE.partition(f"## {name}\n")[2].partition("\n## ")[0]

    assert minutes
    assert re.search(rf"\b{minutes[1]} minutes?\b", section.partition("**When.**")[2])


def test_every_reason_to_be_blind_is_told() -> None:
    reasons = {rule["labels"]["reason"] for rule in RULES if rule.get("alert") == "ChordwatchBlind"}

    assert reasons
    assert {reason for reason in reasons if f"`{reason}`" not in PAGE} == set()


def test_the_thresholds_are_those_of_the_code() -> None:
    rows = [
        f"| `{field.name}` | {field.default:g} | {field.metadata['meaning']} |"
        for field in fields(Thresholds)
    ]

    assert [line for line in PAGE.splitlines() if re.match(r"\| `[a-z_]+` \| [\d.]+ \|", line)] == rows


def test_the_records_are_told() -> None:
    held = {name for name in RECORDS if name.endswith(":held")}

    assert {name for name in RECORDS - held if f"`{name}`" not in PAGE} == set()
    assert len(held) == 6
    assert "`job:celery_chord_unhealthy:held`, and five more `job:…:held`" in PAGE


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_metric_that_is_named_exists(path: Path) -> None:
    names = set(NAME.findall(path.read_text(encoding="utf-8")))

    assert {name for name in names if not known(name)} == set()


def test_what_is_named_is_found() -> None:
    """The pattern finds the names in every kind of text, all of them on the page of the metrics, and no others."""
    for kind in (".md", ".json", ".yml"):
        assert any(
            known(name) for path in TEXTS if path.suffix == kind for name in NAME.findall(path.read_text())
        )
    assert METRICS.keys() <= set(NAME.findall((ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")))
    assert NAME.findall("`celery_chord_opens` job:celery_x celery_chord_*") == ["celery_chord_opens"]
    assert not known("celery_chord_opens")
    assert not known("celery_chord_open_sum")
    assert known("celery_chord_duration_seconds_sum")
