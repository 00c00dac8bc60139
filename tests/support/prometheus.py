"""A real Prometheus and a real Alertmanager on 127.0.0.1, with the repository's own files, and who hears of alerts."""

from __future__ import annotations

import os
import shutil
from typing import Any

import httpx
import pytest
import yaml

from chordwatch.metrics.alerts import Thresholds, rules_text
from tasks.demo.prometheus_config import derive
from tests.support.polling import wait_until
from tests.support.receiver import Receiver
from tests.support.servers import ROOT, Processes, free_port

#: How often Prometheus scrapes and judges, and how long Alertmanager waits for more.
STEP = "1s"
DASHBOARD = "http://dashboard.example"


def _binary(package: str, *names: str) -> str:
    """Return the first of these programs; without one skip, but fail in CI."""
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        missing = f"no {names[0]}: install Debian's package {package}"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    return found


def prometheus_binary() -> str:
    """Return the program that scrapes."""
    return _binary("prometheus", "prometheus")


def promtool_binary() -> str:
    """Return the program that checks what Prometheus reads."""
    return _binary("prometheus", "promtool")


def amtool_binary() -> str:
    """Return the program that checks what Alertmanager reads."""
    return _binary("prometheus-alertmanager", "amtool")


class Alerting:
    """Prometheus with the rules, and Alertmanager, both at test speed; nothing else of their files is changed.

    `monitor` is host:port of the one that is scraped. Start it before: without any, Prometheus calls for one.
    Who is woken and who is not (`pager` and `nobody` in alertmanager.yml) are two paths of one receiver.
    """

    def __init__(self, processes: Processes, monitor: str, thresholds: Thresholds) -> None:
        self._processes = processes
        self._folder = processes.folder / "alerting"
        (self._folder / "alerts").mkdir(parents=True)
        self._receiver = Receiver()
        self._prometheus, self._alertmanager = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        self._write_prometheus(monitor, thresholds)
        self._write_alertmanager()
        self._start_alertmanager()
        self._start_prometheus()

    def _write_prometheus(self, monitor: str, thresholds: Thresholds) -> None:
        # Flower is not there, and nobody is to be woken for that.
        addresses = {
            "monitor": monitor,
            "flower": f"127.0.0.1:{free_port()}",
            "alertmanager": self._alertmanager,
        }
        document = yaml.safe_load(derive((ROOT / "prometheus.yml").read_text(), addresses))
        document["global"] = {"scrape_interval": STEP, "evaluation_interval": STEP}
        [rules] = document["rule_files"]
        (self._folder / "prometheus.yml").write_text(yaml.safe_dump(document))
        (self._folder / rules).write_text(rules_text(thresholds, dashboard_url=DASHBOARD))

    def _write_alertmanager(self) -> None:
        document = yaml.safe_load((ROOT / "alertmanager.yml").read_text())
        document["route"] |= {"group_wait": STEP, "group_interval": STEP}
        for receiver in document["receivers"]:
            url = f"http://{self._receiver.place}/{receiver['name']}"
            receiver["webhook_configs"] = [{"url": url, "send_resolved": True}]
        (self._folder / "alertmanager.yml").write_text(yaml.safe_dump(document))

    def _start_alertmanager(self) -> None:
        self._processes.start(
            "alertmanager",
            _binary("prometheus-alertmanager", "alertmanager", "prometheus-alertmanager"),
            f"--config.file={self._folder / 'alertmanager.yml'}",
            f"--storage.path={self._folder / 'alertmanager'}",
            f"--web.listen-address={self._alertmanager}",
            "--cluster.listen-address=",
        )
        wait_until(lambda: _ready(self._alertmanager), "Alertmanager is ready")

    def _start_prometheus(self) -> None:
        self._processes.start(
            "prometheus",
            prometheus_binary(),
            f"--config.file={self._folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self._folder / 'prometheus'}",
            f"--web.listen-address={self._prometheus}",
        )
        wait_until(lambda: _ready(self._prometheus), "Prometheus is ready")

    def told(self, name: str, status: str, *, to: str = "pager", **labels: str) -> list[dict[str, Any]]:
        """Return the alerts of this name, status and labels that a receiver was told, one by one, in order."""
        return [
            alert
            for path, _, message in list(self._receiver.received)
            for alert in message["alerts"]
            if path == f"/{to}"
            and alert["status"] == status
            and {"alertname": name, **labels}.items() <= alert["labels"].items()
        ]

    def wait_for(
        self, name: str, status: str, seconds: float = 60.0, *, to: str = "pager", **labels: str
    ) -> dict[str, Any]:
        """Wait until a receiver is told of an alert; return the alert as it was told first."""
        what = f"{to} is told that {name} is {status}"
        try:
            return wait_until(lambda: self.told(name, status, to=to, **labels), what, seconds)[0]
        except AssertionError as error:
            raise AssertionError(f"{error}; anybody was told: {sorted(self.summaries())}") from None

    def names(self) -> set[str]:
        """Return the names of all alerts that anybody was told of."""
        return {alert["labels"]["alertname"] for alert in self._all()}

    def summaries(self) -> set[str]:
        """Return what anybody was told, in words."""
        return {f"{alert['labels']['alertname']}: {alert['annotations']['summary']}" for alert in self._all()}

    def _all(self) -> list[dict[str, Any]]:
        return [alert for _, _, message in list(self._receiver.received) for alert in message["alerts"]]

    def ask(self, query: str) -> list[dict[str, Any]]:
        """Return Prometheus' answer to an instant query."""
        answer = httpx.get(f"http://{self._prometheus}/api/v1/query", params={"query": query}).json()
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def unwell(self) -> list[str]:
        """Return what Prometheus says of rules that it could not evaluate."""
        groups = httpx.get(f"http://{self._prometheus}/api/v1/rules").json()["data"]["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        assert rules
        return [f"{rule['name']}: {rule.get('lastError')}" for rule in rules if rule["health"] != "ok"]

    def close(self) -> None:
        """End the receiver; the processes end with the others."""
        self._receiver.close()


def _ready(place: str) -> bool:
    try:
        return httpx.get(f"http://{place}/-/ready", timeout=5).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
