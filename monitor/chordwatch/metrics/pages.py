"""The page of the docs about metrics, made from the catalogue: `make docs` writes it. Pure but for its command."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from chordwatch.metrics.catalogue import METRICS, Metric, Section
from chordwatch.metrics.labels import LABEL_LENGTH
from chordwatch.metrics.queries import QUERIES, Query
from chordwatch.store.labels import MAX_CALLBACKS, MAX_PAIRS

_INTRODUCTION = f"""\
# Metrics

`celery -A proj chords monitor` serves them at `/metrics`, to Prometheus also in the OpenMetrics format.
This page is made from the catalogue that the monitor serves them from (`make docs`).

Labels:

- `callback` is the name of the callback's task, `name` that of a task; `queue_name` and `hostname` are as \
celery-exporter names them.
- Chord, group and task ids are never labels.
- At most {MAX_CALLBACKS} callback names are labels, and {MAX_PAIRS:,} pairs of a callback and a task; the rest is \
`other`. Names that were met first stay, so no series changes its name, and two monitors agree.
- The callback of a chord that nobody recorded and whose messages are all consumed is not known to a monitor that \
looks from outside; it is `unknown`.
- Names are shown on one line, with control characters escaped, and at most {LABEL_LENGTH} characters of them.

Beside celery-exporter: `chordwatch_collect = "chords"` leaves out `celery_queue_length`, `celery_queue_unacked`, \
`celery_active_consumer_count`, `celery_worker_up` and `celery_worker_chord_tasks`.
"""

_INTRODUCTIONS: dict[Section, str] = {
    "recorded": """\
## Recorded

What instrumented processes recorded; the store keeps these numbers, so that they survive the monitor and are the same \
for two of them.
Series of a known callback start at 0. They are as old as the last look of the monitor.
""",
    "seen": """\
## Seen

What the last look at broker, result backend and workers found, put together with what was recorded.
""",
    "monitor": """\
## The monitor itself

Whether it sees anything.
""",
}

_REMARKS: dict[Section, str] = {
    "recorded": """\
`cause` is a section of [causes](causes.md).
Nothing is counted under `outcome="aborted"` yet: a chord can only succeed or fail.
`reason` is `overflow` (a process's buffer was full), `refused` (the store refused a batch), `internal` (a defect of \
ours in a process that records), `unreadable` (a message that could not be understood), `corrupt` (a foreign value \
stood in the store) or `version` (a batch of another version of chordwatch).
The buckets of the histograms are a [setting](settings.md), `chordwatch_duration_buckets`.

Where chords are traced, each bucket of a histogram has an exemplar under OpenMetrics: `trace_id` and `chord_id` of \
the chord that it counted last. Prometheus keeps exemplars with `--enable-feature=exemplar-storage`.

A finished chord is counted a second or so after its end, when the records of all processes are in.
While the store cannot be reached, `chordwatch_store_up` is 0 and all of these are absent.
A worker that is gone without a goodbye is remembered for an hour after its last heartbeat.
""",
    "seen": """\
While broker or result backend cannot be reached, these are absent rather than old; also when a look hangs, or the \
last one is too old for `/healthz`.
A chord that is as it should be has no series in `celery_chord_unhealthy`.
A message with an ETA waits in its queue since its ETA, and not before.
Where there are more callbacks than labels, `celery_chord_open{callback="other"}` counts the chords of those that are \
left.
""",
    "monitor": """\
`where` is `look` (a look failed unforeseen), `judge` (a verdict could not be kept), `post` (nothing could be made for \
dashboards), `spans` (the span of a chord could not be written) or `webhook` (a change that the webhook did not take).
After a failed look the server that did not answer is 0, and nothing is said of the other one.
""",
}

_QUERIES = """\
## Queries

Two monitors of one installation serve the same numbers: they are targets of one `job`, which differ in `instance`.
Each query takes the larger one of both (`max by (job, …)`) before it adds up, so that nothing doubles.
"""


def metrics_page() -> str:
    """Return `docs/metrics.md`: the metrics by section, in the order of the catalogue, and queries."""
    sections = (
        part
        for section, introduction in _INTRODUCTIONS.items()
        for part in (introduction, _table(section), _REMARKS[section])
    )
    return "\n".join([_INTRODUCTION, *sections, _QUERIES, *map(_query, QUERIES)])


def _table(section: Section) -> str:
    rows = (_row(metric) for metric in METRICS.values() if metric.section == section)
    return "\n".join(["| metric | type | labels | meaning |", "|---|---|---|---|", *rows, ""])


def _row(metric: Metric) -> str:
    return f"| `{metric.name}` | {metric.kind} | {', '.join(_labels(metric))} | {metric.help} |"


def _labels(metric: Metric) -> Iterator[str]:
    for label in metric.labels:
        values = metric.values.get(label, ())
        yield f"{label} ({', '.join(values)})" if values and label != "cause" else label


def _query(query: Query) -> str:
    lines = [f"### {query.question}", "", *([query.note, ""] if query.note else []), "```promql"]
    return "\n".join([*lines, query.promql, "```", ""])


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(metrics_page(), encoding="utf-8")
