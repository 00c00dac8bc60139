"""Prometheus and Alertmanager read the repository's files, with the demo's own addresses."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from chordwatch.metrics.alerts import rules_text
from tasks.demo.services import PORTS, Place

ROOT = Path(__file__).parents[2]


def derive(text: str, addresses: Mapping[str, str]) -> str:
    """Return the configuration `text` with each `service:port` replaced by `addresses[service]`."""
    for name, address in addresses.items():
        text = text.replace(f"{name}:{PORTS[name]}", address)
    return text


def write_configs(place: Place) -> None:
    """Write what Prometheus and Alertmanager read where `place` says; alerts lead to the demo's dashboard."""
    addresses = {name: place.address(name) for name in PORTS}
    for path in map(Path, (place.prometheus_config, place.alertmanager_config)):
        path.write_text(derive((ROOT / path.name).read_text(encoding="utf-8"), addresses), encoding="utf-8")
    rules = Path(place.prometheus_config).with_name("alerts") / "chords.rules.yml"
    rules.parent.mkdir(exist_ok=True)
    rules.write_text(rules_text(dashboard_url=f"http://{addresses['dashboard']}"), encoding="utf-8")
