"""docker-compose.yml and `make demo` start the same services by the same commands. No Docker needed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml

from tasks.demo.services import PORTS, Place, Service, services

ROOT = Path(__file__).parents[3]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
IN_COMPOSE = Place(
    bind="0.0.0.0",
    hosts={name: name for name in PORTS},
    ports=PORTS,
    data="/data",
    prometheus_config="/etc/prometheus/prometheus.yml",
    prometheus_data="/prometheus",
    alertmanager_config="/etc/alertmanager/alertmanager.yml",
    alertmanager_data="/alertmanager",
)
SERVICES = services(IN_COMPOSE)
KNOWN_KEYS = {
    *("build", "command", "depends_on", "entrypoint", "environment", "healthcheck", "image", "init", "ports"),
    *("restart", "stop_grace_period", "volumes"),
}
KNOWN_HEALTHCHECK_KEYS = {"test", "interval", "timeout", "retries", "start_period"}

by_name = pytest.mark.parametrize("name", COMPOSE["services"])


def command_of(name: str) -> tuple[str, ...]:
    command = COMPOSE["services"][name]["command"]
    return tuple(shlex.split(command) if isinstance(command, str) else command)


def test_compose_has_exactly_the_services_of_the_demo() -> None:
    assert set(COMPOSE["services"]) == {service.name for service in SERVICES}


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_compose_starts_a_service_as_the_demo_does(service: Service) -> None:
    assert command_of(service.name) == service.argv


@by_name
def test_python_services_find_the_others_by_the_same_variables(name: str) -> None:
    environment = COMPOSE["services"][name].get("environment")

    assert environment == (None if name in {"redis", "alertmanager", "prometheus"} else IN_COMPOSE.env)


@by_name
def test_a_published_port_is_the_usual_one_and_local(name: str) -> None:
    published = COMPOSE["services"][name].get("ports", [])

    assert published == ([f"127.0.0.1:{PORTS[name]}:{PORTS[name]}"] if name in PORTS else [])


@by_name
def test_whatever_answers_has_a_healthcheck(name: str) -> None:
    check = COMPOSE["services"][name].get("healthcheck")

    assert name == "beat" or check["test"][0] in {"CMD", "CMD-SHELL"}
    assert set(check or ()) <= KNOWN_HEALTHCHECK_KEYS


@by_name
def test_a_healthcheck_asks_the_address_that_the_demo_asks(name: str) -> None:
    service = next(service for service in SERVICES if service.name == name)
    test = " ".join(COMPOSE["services"][name].get("healthcheck", {}).get("test", []))

    if service.health is not None:
        assert service.health.replace(f"//{name}:", "//127.0.0.1:") in test
    if service.node is not None:
        assert f"ping -t 5 -d {service.node}@" in test


@by_name
def test_what_is_waited_for_exists_and_can_become_healthy(name: str) -> None:
    for other, condition in COMPOSE["services"][name].get("depends_on", {}).items():
        assert condition == {"condition": "service_healthy"}
        assert "healthcheck" in COMPOSE["services"][other]


@by_name
def test_compose_uses_only_keys_of_the_compose_specification(name: str) -> None:
    service = COMPOSE["services"][name]

    assert set(service) <= KNOWN_KEYS
    assert re.fullmatch(r"[a-z0-9][a-z0-9_./-]*(:[A-Za-z0-9_.-]+)?", service["image"])


@by_name
def test_named_volumes_are_declared(name: str) -> None:
    named = {volume.split(":")[0] for volume in COMPOSE["services"][name].get("volumes", [])}

    assert {volume for volume in named if not volume.startswith(".")} <= set(COMPOSE["volumes"])


def test_the_image_has_all_that_the_commands_need() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    copied = [
        word
        for line in dockerfile.splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for word in line.split()[1:-1]
    ]

    assert {"tasks", "dashboards"} <= set(copied)
    assert all((ROOT / path).exists() and f"!{path}" in ignored for path in copied)
    assert re.search(r"^USER (?!root|0)", dockerfile, re.MULTILINE)
