"""The documented queries, asked by promtool: one monitor or two, the answers are the same."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from chordwatch.metrics.queries import QUERIES, Query
from tests.support.prometheus import promtool_binary

#: Series of one monitor, a value a minute for two hours; a counter that grows by 6 a minute grows by 0.1 a second.
SERIES = {
    'celery_chord_unhealthy{callback="c",health="hung",cause="x"}': "2+0x120",
    'celery_chord_unhealthy{callback="d",health="hung",cause="x"}': "1+0x120",
    'celery_chord_unhealthy{callback="d",health="late",cause="y"}': "9+0x120",
    'celery_chord_open{callback="c"}': "4+0x120",
    'celery_chord_open{callback="d"}': "1+0x120",
    'celery_chord_oldest_open_timestamp_seconds{callback="c"}': "7000+0x120",
    'celery_chord_duration_seconds_bucket{callback="c",le="1"}': "0+0x120",
    'celery_chord_duration_seconds_bucket{callback="c",le="2"}': "0+6x120",
    'celery_chord_duration_seconds_bucket{callback="c",le="+Inf"}': "0+6x120",
    'celery_chord_straggler_seconds_sum{callback="c"}': "0+6x120",
    'celery_chord_barrier_seconds_sum{callback="c"}': "0+24x120",
    'celery_chord_barrier_seconds_count{callback="c"}': "0+6x120",
    'celery_chord_header_tasks_total{callback="c",name="one",event="succeeded"}': "0+36x120",
    'celery_chord_header_tasks_total{callback="c",name="two",event="succeeded"}': "0+24x120",
    'celery_chord_header_tasks_total{callback="c",name="two",event="started"}': "0+99x120",
    'celery_chord_finished_total{callback="c",outcome="succeeded"}': "0+36x120",
    'celery_chord_finished_total{callback="c",outcome="failed"}': "0+6x120",
    'celery_chord_finished_total{callback="c",outcome="aborted"}': "0+6x120",
    'celery_chord_started_total{callback="c"}': "0+6x120",
    'celery_chord_retries_total{callback="c",name="one",role="header"}': "0+12x120",
    'celery_chord_retries_total{callback="c",name="c",role="callback"}': "0+6x120",
    'celery_queue_length{queue_name="q"}': "7+0x120",
    'celery_chord_oldest_queued_timestamp_seconds{queue_name="q"}': "7150+0x120",
}
#: The answer to each query after these two hours: a label and its value besides the job, and the number.
ANSWERS: dict[str, tuple[str, float]] = {
    "How many chords hang": ('cause="x"', 3),
    "How many chords are open": ("", 5),
    "For how many seconds has the oldest open chord": ('callback="c"', 200),
    "How long do chords take": ('callback="c"', 1.95),
    "Which share of the barrier": ('callback="c"', 0.25),
    # 10 tasks to a chord, of which half wait for 1 second, 0.1 times a second.
    "How much worker time": ('callback="c"', 0.5),
    "Which share of the chords fails": ('callback="c"', 0.25),
    "How many retries": ('callback="c"', 3),
    "How many messages wait": ('queue_name="q"', 7),
    "For how many seconds has the oldest message": ('queue_name="q"', 50),
}


def answer_of(query: Query) -> tuple[str, float]:
    [answer] = [answer for begin, answer in ANSWERS.items() if query.question.startswith(begin)]
    return answer


@pytest.mark.parametrize("monitors", [1, 2])
def test_a_query_gives_the_same_answer_whether_one_monitor_is_asked_or_two(
    monitors: int, tmp_path: Path
) -> None:
    """Two installations stay apart, too."""
    series = [
        {"series": name.replace("{", f'{{job="{job}",instance="{instance}",'), "values": values}
        for name, values in SERIES.items()
        for job in ("a", "b")
        for instance in range(monitors)
    ]
    asked = [
        {
            "expr": f"round(({query.promql}), 0.001)",
            "eval_time": "2h",
            "exp_samples": [{"labels": f'{{job="{job}",{label}}}', "value": value} for job in ("a", "b")],
        }
        for query in QUERIES
        for label, value in [answer_of(query)]
    ]
    test = tmp_path / "queries.yml"
    # YAML reads JSON.
    test.write_text(
        json.dumps({"tests": [{"interval": "1m", "input_series": series, "promql_expr_test": asked}]})
    )

    done = subprocess.run(
        [promtool_binary(), "test", "rules", str(test)], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
