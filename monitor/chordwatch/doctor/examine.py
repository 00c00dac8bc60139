"""All rules, in the order of docs/doctor.md. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from chordwatch.doctor import (
    rules_processes,
    rules_results,
    rules_routing,
    rules_servers,
    rules_settings,
    rules_timing,
)
from chordwatch.doctor.facts import Facts
from chordwatch.doctor.finding import Finding, Severity

RULES = (
    *rules_results.RULES,
    *rules_processes.RULES,
    *rules_routing.RULES,
    *rules_servers.RULES,
    *rules_settings.RULES,
    *rules_timing.RULES,
)
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


def examine(facts: Facts, known_settings: frozenset[str]) -> list[Finding]:
    """Return what the rules find. `known_settings` are the names that Celery and chordwatch know, in lower case."""
    found: Iterator[Finding] = chain.from_iterable(rule(facts) for rule in RULES)
    return worst_first([*found, *rules_settings.unknown_setting(facts, known_settings)])


def worst_first(findings: list[Finding]) -> list[Finding]:
    """Return the findings, errors first, otherwise in their order."""
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))
