"""The rules: what each must have, what they read, and that the file is what the code makes."""

from __future__ import annotations

import re
import subprocess
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from chordwatch.diagnosis.causes import CAUSES
from chordwatch.metrics import promql
from chordwatch.metrics.alerts import RUNBOOK_URL, Thresholds, rules, rules_text
from chordwatch.metrics.catalogue import METRICS
from tests.support.prometheus import promtool_binary
from tests.support.servers import ROOT

CRITICAL = {"CeleryChordHung", "CeleryChordWrongResult", "ChordwatchBlind"}
CONTRACT = CRITICAL | {
    *("CeleryChordLooping", "CeleryChordLate", "CeleryChordFailureRate", "CeleryChordRetryStorm"),
    *("CeleryQueueWithoutConsumer", "CeleryQueueBacklog", "CeleryWorkerDown", "ChordwatchDroppingRecords"),
}
RULES: list[dict[str, Any]] = [rule for group in rules()["groups"] for rule in group["rules"]]
ALERTS = [rule for rule in RULES if "alert" in rule]
RECORDS = [rule["record"] for rule in RULES if "record" in rule]
each_alert = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
#: PromQL's words, without label names in braces or grouping, and without texts.
_WORD = re.compile(r"[a-zA-Z_:][\w:]*")


def metrics_in(expression: str) -> set[str]:
    """Return the metrics and records that an expression reads."""
    bare = re.sub(r"(by|on|without|ignoring) \([^)]*\)|\{[^}]*\}|\"[^\"]*\"|\[[^]]*\]", " ", expression)
    return {
        word for word in _WORD.findall(bare) if ":" in word or word.startswith(("celery_", "chordwatch_"))
    }


def family(name: str) -> str:
    return name if name in METRICS else re.sub(r"_(bucket|sum|count)$", "", name)


def checked(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = folder / "rules.yml"
    path.write_text(text, encoding="utf-8")
    return subprocess.run(
        [promtool_binary(), "check", "rules", str(path)], capture_output=True, text=True, check=False
    )


def test_the_file_is_what_the_code_makes() -> None:
    """`make docs` writes it anew."""
    assert (ROOT / "alerts" / "chords.rules.yml").read_text(encoding="utf-8") == rules_text()


def test_the_text_says_the_same_as_the_document() -> None:
    assert yaml.safe_load(rules_text()) == rules()


def test_the_alerts_are_those_of_the_contract() -> None:
    assert {alert["alert"] for alert in ALERTS} == CONTRACT
    assert {alert["alert"] for alert in ALERTS if alert["labels"]["severity"] == "critical"} == CRITICAL


def test_two_rules_of_one_name_differ_in_their_reason() -> None:
    names = [(alert["alert"], alert["labels"].get("reason")) for alert in ALERTS]

    assert len(set(names)) == len(names)
    assert {reason for _, reason in names} - {None} == {"monitor", "scan", "store", "broker", "backend"}


@each_alert
def test_an_alert_has_what_the_contract_wants(alert: dict[str, Any]) -> None:
    annotations = alert["annotations"]

    assert list(annotations) == ["summary", "description", "runbook_url", "dashboard_url"]
    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert "\n" not in "".join(annotations.values())
    assert annotations["description"].endswith((".", "{{ end }}."))


@each_alert
def test_an_alert_about_callback_or_cause_names_it_and_leads_to_just_these_chords(
    alert: dict[str, Any],
) -> None:
    told = f"{alert['annotations']['summary']} {alert['annotations']['description']}"
    for label in ("callback", "cause", "name", "queue_name", "hostname"):
        grouped = re.search(rf"by \([^)]*\b{label}\b[^)]*\)", alert["expr"])
        if grouped:
            assert f"$labels.{label} }}}}" in told
    if "$labels.cause }}" in told:
        assert alert["annotations"]["dashboard_url"].endswith(
            "/stuck?callback={{ $labels.callback | urlquery }}&cause={{ $labels.cause | urlquery }}"
        )


def test_the_alert_on_a_queue_that_nobody_reads_leads_to_the_chords_that_wait_on_it() -> None:
    alert = next(alert for alert in ALERTS if alert["alert"] == "CeleryQueueWithoutConsumer")

    assert alert["annotations"]["dashboard_url"].endswith("/stuck?queue={{ $labels.queue_name | urlquery }}")


@each_alert
def test_a_runbook_is_a_section_of_the_docs(alert: dict[str, Any]) -> None:
    page, _, section = alert["annotations"]["runbook_url"].partition("#")
    docs = page.rpartition("/")[2]
    headings = re.findall(r"^## (\w+)$", (ROOT / "docs" / docs).read_text(encoding="utf-8"), re.MULTILINE)

    assert page.startswith(RUNBOOK_URL.removesuffix("causes.md"))
    if docs == "causes.md":
        assert section in {*CAUSES, "{{ $labels.cause }}"}
    else:
        assert section == alert["alert"].lower()
        assert section in {heading.lower() for heading in headings}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_reads_metrics_of_the_catalogue_and_records_before_it(rule: dict[str, Any]) -> None:
    before = RECORDS[: RECORDS.index(rule["record"]) + 1] if "record" in rule else RECORDS
    read = metrics_in(rule["expr"])

    assert read
    assert {name for name in read if ":" in name} <= set(before)
    assert {family(name) for name in read if ":" not in name} <= METRICS.keys()


def test_every_record_that_is_no_alerts_is_documented_as_one() -> None:
    used = {name for rule in RULES for name in metrics_in(rule["expr"]) if rule.get("record") != name}

    assert set(RECORDS) - used == {"job:celery_chord_barrier_wasted_seconds:rate"}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_raw_series_is_first_made_one_of_each_job(rule: dict[str, Any]) -> None:
    """Two monitors of one job differ in `instance` alone."""
    kept_apart = re.sub(r"(max|count) by \(job\b[^)]*\) \((?:[^()]|\([^()]*\))*\)", "", rule["expr"])

    assert {name for name in metrics_in(kept_apart) if ":" not in name} == set()


def test_a_name_that_is_not_in_the_catalogue_is_an_error() -> None:
    with pytest.raises(KeyError):
        promql.metric("celery_chord_unheathy")
    with pytest.raises(KeyError):
        promql.metric("celery_chord_open_sum")
    with pytest.raises(ValueError, match="no health=hang"):
        promql.metric("celery_chord_unhealthy", health="hang")
    with pytest.raises(ValueError, match="no callbak"):
        promql.metric("celery_chord_open", callbak="x")
    assert promql.metric("celery_chord_straggler_seconds_sum", callback="x").endswith('{callback="x"}')


@pytest.mark.parametrize("field", fields(Thresholds), ids=lambda field: field.name)
def test_every_threshold_changes_something_and_has_a_sentence(field: Any) -> None:
    assert rules(replace(Thresholds(), **{field.name: 7777.0})) != rules()
    assert field.metadata["meaning"].endswith(".")


@pytest.mark.parametrize(
    ("seconds", "written", "said"),
    [
        (0.5, "500ms", "0.5 seconds"),
        (1, "1s", "1 second"),
        (90, "90s", "90 seconds"),
        (60, "1m", "1 minute"),
        (1800, "30m", "30 minutes"),
        (7200, "2h", "2 hours"),
        (86400, "1d", "1 day"),
    ],
)
def test_a_duration_is_written_for_prometheus_and_for_people(seconds: float, written: str, said: str) -> None:
    assert promql.duration(seconds) == written
    assert promql.words(seconds) == said


def test_promtool_accepts_the_rules(tmp_path: Path) -> None:
    done = checked(rules_text(), tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_accepts_rules_of_other_thresholds_and_addresses(tmp_path: Path) -> None:
    """No address can end a text or begin a template."""
    odd = Thresholds(**{field.name: 0.3 for field in fields(Thresholds)})
    url = "https://x/'\"\\{{ $labels }}%7B&<b>`"
    text = rules_text(odd, dashboard_url=url, runbook_url=url)

    done = checked(text, tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr
    assert yaml.safe_load(text) == rules(odd, dashboard_url=url, runbook_url=url)
    for rule in yaml.safe_load(text)["groups"][0]["rules"]:
        for address in ("runbook_url", "dashboard_url"):
            if "alert" in rule:
                assert rule["annotations"][address].startswith("https://x/'\"\\%7B%7B $labels %7D%7D%7B&<b>`")


def test_a_runbook_of_another_name_has_all_sections_itself() -> None:
    links = {
        rule["alert"]: rule["annotations"]["runbook_url"]
        for group in rules(runbook_url="https://wiki/chords")["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }

    assert links["CeleryChordHung"] == "https://wiki/chords#{{ $labels.cause }}"
    assert links["CeleryQueueWithoutConsumer"] == "https://wiki/chords#queue_unconsumed"
    assert links["ChordwatchBlind"] == "https://wiki/chords#chordwatchblind"
