"""What the Grafana dashboards ask Prometheus: known names, and the same answer from two monitors as from one."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from chordwatch.metrics.catalogue import METRICS, Metric
from tests.support.grafana import QUERIES, Query
from tests.support.prometheus import promtool_binary
from tests.support.servers import ROOT

RULES = ROOT / "alerts" / "chords.rules.yml"
#: One installation is watched by one monitor, the other by two that see the same.
INSTALLATIONS = {"one": ("a",), "two": ("a", "b")}
STEP = "30s"
SELECTOR = re.compile(r"([a-z_:]+)\{([^}]*)\}")
LABELS = re.compile(r"\bby \(([^)]*)\)")
MATCHER = re.compile(r'(\w+)=~?"([^"]*)"')

each_query = pytest.mark.parametrize("query", QUERIES, ids=str)


@cache
def recorded() -> set[str]:
    """Return the names of the recording rules."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return {rule["record"] for group in groups for rule in group["rules"] if "record" in rule}


def metric_of(name: str) -> Metric | None:
    """Return the metric of a series' name, None of a recording rule."""
    if name in recorded():
        return None
    stem = re.sub(r"_(bucket|sum|count)$", "", name)
    return METRICS[name] if name in METRICS else METRICS[stem]


@each_query
def test_names_labels_and_values_are_those_of_the_catalogue(query: Query) -> None:
    known = {"job", "le"}
    for name, matchers in SELECTOR.findall(query.text):
        metric = metric_of(name)
        found = dict(MATCHER.findall(matchers))
        assert found["job"] == "$job"
        if metric is None:
            known |= set(found)
            continue
        known |= set(metric.labels)
        assert set(found) <= {"job", *metric.labels}
        assert found.get("callback") == ("$callback" if "callback" in metric.labels else None)
        for label in set(found) - {"job", "callback"}:
            assert found[label] in metric.values[label]
    grouped = {label.strip() for labels in LABELS.findall(query.text) for label in labels.split(",")}

    assert SELECTOR.search(query.text)
    assert grouped <= known


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([promtool_binary(), *arguments], capture_output=True, text=True, check=False)


def series(metric: Metric) -> Iterator[tuple[str, str]]:
    """Yield series and values of a metric that has grown for half an hour, or has been the same."""
    labels = [[(label, value) for value in _values(metric, label)] for label in metric.labels]
    for job, instances in INSTALLATIONS.items():
        for instance, chosen in product(instances, product(*labels)):
            pairs = dict(chosen) | {"job": job, "instance": instance}
            if metric.kind == "histogram":
                for bound in ("1.0", "5.0", "+Inf"):
                    yield _series(f"{metric.name}_bucket", pairs | {"le": bound}), "0+1x60"
                for end in ("sum", "count"):
                    yield _series(f"{metric.name}_{end}", pairs), "0+1x60"
            else:
                yield _series(metric.name, pairs), "0+1x60" if metric.kind == "counter" else "1x60"


def _values(metric: Metric, label: str) -> tuple[str, ...]:
    """Return all values of a label that has few, and two of one that may have any."""
    values = metric.values.get(label, ("x", "y"))
    return values if len(values) < 10 else values[:2]


def _series(name: str, labels: dict[str, str]) -> str:
    pairs = ", ".join(f'{label}="{value}"' for label, value in labels.items())
    return f"{name}{{{pairs}}}"


def compare(queries: Iterable[Query], folder: Path) -> subprocess.CompletedProcess[str]:
    """Let promtool ask each query of both installations; it fails where an answer is empty, or differs."""
    tests: list[dict[str, Any]] = []
    for query in queries:
        one, two = (f'label_replace({query.concrete(job=job)}, "job", "", "", "")' for job in INSTALLATIONS)
        differences = f"count({one}) - count({one} == {two}) + abs(count({two}) - count({one}))"
        tests.append({"expr": differences, "eval_time": "30m", "exp_samples": [{"labels": "{}", "value": 0}]})
    return check([pair for metric in METRICS.values() for pair in series(metric)], tests, folder)


def check(
    inputs: Iterable[tuple[str, str]], tests: Iterable[dict[str, Any]], folder: Path
) -> subprocess.CompletedProcess[str]:
    """Let promtool ask what these series answer."""
    case = {
        "interval": STEP,
        "input_series": [{"series": name, "values": values} for name, values in inputs],
        "promql_expr_test": list(tests),
    }
    document = {"rule_files": [str(RULES)], "evaluation_interval": STEP, "tests": [case]}
    path = folder / "queries.test.yml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return promtool("test", "rules", str(path))


def test_two_monitors_of_an_installation_show_the_same_as_one(tmp_path: Path) -> None:
    done = compare(QUERIES, tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "text",
    [
        'sum(celery_chord_open{job=~"$job"})',
        'sum by (callback) (rate(celery_chord_started_total{job=~"$job"}[$__rate_interval]))',
        'celery_no_such_metric{job=~"$job"}',
    ],
)
def test_a_query_that_doubles_or_shows_nothing_is_found(text: str, tmp_path: Path) -> None:
    done = compare([Query("none", "none", text, instant=True)], tmp_path)

    assert done.returncode != 0
    assert text.partition("{")[0] in done.stdout + done.stderr


def test_no_chord_is_stuck_only_while_somebody_looks(tmp_path: Path) -> None:
    """A monitor that sees nothing must not look like an installation where all is well."""
    numbers = [query for query in QUERIES if query.panel in {"Hung", "Looping", "Late", "Open", "Stuck"}]
    inputs = [('chordwatch_broker_up{job="sees", instance="a"}', "1x60")]
    inputs += [('chordwatch_broker_up{job="blind", instance="a"}', "0x60")]
    expected: dict[str, list[dict[str, Any]]] = {"sees": [{"labels": "{}", "value": 0}], "blind": []}
    tests = [
        {"expr": query.concrete(job=job), "eval_time": "30m", "exp_samples": samples}
        for query in numbers
        for job, samples in expected.items()
    ]

    done = check(inputs, tests, tmp_path)

    assert len(numbers) == 6
    assert done.returncode == 0, done.stdout + done.stderr
