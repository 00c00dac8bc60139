"""The demo's Prometheus reads the repository's prometheus.yml, with the demo's own addresses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from tasks.demo.services import PORTS


def derive(text: str, addresses: Mapping[str, str]) -> str:
    """Return the configuration `text` with each target `service:port` replaced by `addresses[service]`."""
    usual = {f"{name}:{PORTS[name]}": address for name, address in addresses.items()}
    document: dict[str, Any] = yaml.safe_load(text)
    for job in document["scrape_configs"]:
        for static in job["static_configs"]:
            static["targets"] = [usual.get(target, target) for target in static["targets"]]
    return yaml.safe_dump(document, sort_keys=False)
