"""prometheus.yml and alertmanager.yml, as they are and as the demo writes them for its own addresses."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.demo.prometheus_config import write_configs
from tasks.demo.services import PORTS, Place
from tests.support.prometheus import amtool_binary, promtool_binary
from tests.support.servers import ROOT

MOVED = {name: port + 20_000 for name, port in PORTS.items()}
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))


@pytest.fixture(params=["as it is", "written by the demo"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a folder with both files and what they refer to."""
    if request.param == "as it is":
        return ROOT
    write_configs(moved(tmp_path))
    return tmp_path


def moved(folder: Path) -> Place:
    """Return a place where no service has its usual port."""
    return Place(
        bind="127.0.0.1",
        hosts=dict.fromkeys(PORTS, "127.0.0.1"),
        ports=MOVED,
        data=str(folder),
        prometheus_config=str(folder / "prometheus.yml"),
        prometheus_data=str(folder / "prometheus"),
        alertmanager_config=str(folder / "alertmanager.yml"),
        alertmanager_data=str(folder / "alertmanager"),
    )


def read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document


def targets(jobs: list[dict[str, Any]]) -> set[str]:
    return {target for job in jobs for static in job["static_configs"] for target in static["targets"]}


def checked(*command: str) -> str:
    """Run a check, which must pass; return what it says."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_accepts_the_configuration_and_finds_its_rules(folder: Path) -> None:
    said = checked(promtool_binary(), "check", "config", str(folder / "prometheus.yml"))

    assert "1 rule files found" in said
    assert "alerts/chords.rules.yml" in said


def test_amtool_accepts_the_configuration(folder: Path) -> None:
    said = checked(amtool_binary(), "check-config", str(folder / "alertmanager.yml"))

    assert "SUCCESS" in said


@pytest.mark.parametrize(("severity", "receiver"), [("critical", "pager"), ("warning", "nobody")])
def test_only_critical_alerts_wake_somebody(severity: str, receiver: str) -> None:
    config = f"--config.file={ROOT / 'alertmanager.yml'}"

    said = checked(amtool_binary(), "config", "routes", "test", config, f"severity={severity}")

    assert said.split() == [receiver]


def test_prometheus_finds_the_others_by_their_compose_names() -> None:
    document = read(ROOT / "prometheus.yml")

    assert targets(document["scrape_configs"]) == {"monitor:9809", "flower:5555"}
    assert targets(document["alerting"]["alertmanagers"]) == {"alertmanager:9093"}


def test_in_a_container_the_rules_are_where_the_configuration_expects_them() -> None:
    [rules] = read(ROOT / "prometheus.yml")["rule_files"]
    mounted = dict(volume.split(":")[:2] for volume in COMPOSE["services"]["prometheus"]["volumes"])

    inside = Path(mounted["./prometheus.yml"]).parent / rules
    assert inside.parent == Path(mounted["./alerts"])
    assert (ROOT / rules).is_file()


def test_the_pager_is_a_page_of_the_workflow_api() -> None:
    [hook] = read(ROOT / "alertmanager.yml")["receivers"][1]["webhook_configs"]

    assert hook["url"] == "http://workflow-api:8000/alerts"
    assert hook["send_resolved"] is True


def test_blindness_is_hidden_by_nothing() -> None:
    hidden = [rule["target_matchers"] for rule in read(ROOT / "alertmanager.yml")["inhibit_rules"]]

    assert hidden == [['alertname="CeleryChordLate"']]


def test_the_demo_writes_the_addresses_it_really_uses(tmp_path: Path) -> None:
    write_configs(moved(tmp_path))

    prometheus, alertmanager = (read(tmp_path / name) for name in ("prometheus.yml", "alertmanager.yml"))
    assert targets(prometheus["scrape_configs"]) == {"127.0.0.1:29809", "127.0.0.1:25555"}
    assert targets(prometheus["alerting"]["alertmanagers"]) == {"127.0.0.1:29093"}
    assert alertmanager["receivers"][1]["webhook_configs"][0]["url"] == "http://127.0.0.1:28000/alerts"
    assert "http://127.0.0.1:28501/stuck" in (tmp_path / "alerts" / "chords.rules.yml").read_text()
