from __future__ import annotations

from pathlib import Path

import pytest

from chordwatch.metrics.catalogue import METRICS, Metric
from chordwatch.metrics.pages import metrics_page

PAGE = Path(__file__).resolve().parents[3] / "docs" / "metrics.md"
every = pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: metric.name)


def test_the_page_of_the_docs_is_that_of_the_catalogue() -> None:
    """`make docs` writes it anew."""
    assert PAGE.read_text(encoding="utf-8") == metrics_page()


@every
def test_a_metric_is_one_row_of_the_page(metric: Metric) -> None:
    rows = [line for line in metrics_page().splitlines() if line.startswith(f"| `{metric.name}` |")]

    assert len(rows) == 1
    assert rows[0].endswith(f"| {metric.help} |")
    assert all(label in rows[0] for label in metric.labels)


@every
def test_a_metric_is_named_as_prometheus_wants_it(metric: Metric) -> None:
    assert metric.name.startswith(("celery_", "chordwatch_"))
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert metric.values.keys() <= set(metric.labels)
    assert not {"id", "chord_id", "task_id", "group_id"} & set(metric.labels)
    assert metric.help.endswith(".")
