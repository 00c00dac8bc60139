"""The table of settings, which the code, `chords config` and the docs read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Origin = Literal["argument", "environment", "celery configuration", "default"]
Kind = Literal[
    "seconds",
    "whole number",
    "yes or no",
    "name",
    "choice",
    "URL of Redis",
    "web address",
    "web address of a trace",
    "list of seconds",
    "password",
]
Value = float | str | bool | tuple[float, ...]

_DAY = 86400.0
_TEN_YEARS = 3650 * _DAY
#: Upper bounds of the histograms' buckets in seconds, inclusive; one more bucket stands for everything beyond.
DURATION_BUCKETS = (
    *(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 60.0),
    *(150.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 21600.0, 86400.0),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting; numbers are from `minimum` to `maximum`, both in the unit of its `kind`, a choice of `choices`."""

    name: str
    kind: Kind
    default: Value
    help: str
    minimum: float = 0
    maximum: float = _TEN_YEARS
    choices: tuple[str, ...] = ()

    @property
    def env(self) -> str:
        """The environment variable."""
        return f"CHORDWATCH_{self.name.upper()}"

    @property
    def key(self) -> str:
        """The key in Celery's configuration."""
        return f"chordwatch_{self.name}"

    def where(self, origin: Origin) -> str:
        """Return the name under which a value of this origin was found."""
        return self.env if origin == "environment" else self.key


SETTINGS = (
    Setting(
        name="store_url",
        kind="URL of Redis",
        default="",
        help="Redis that keeps the records. Default: the broker when it is Redis, else the result backend.",
    ),
    Setting(
        name="namespace",
        kind="name",
        default="default",
        help="Name of the installation; keeps apart those that share a store, stands in every chord's JSON.",
    ),
    Setting(
        name="enabled",
        kind="yes or no",
        default=True,
        help="Whether this process records; false makes `instrument` do nothing.",
    ),
    Setting(
        name="flush_interval",
        kind="seconds",
        default=0.05,
        minimum=0.005,
        maximum=60,
        help="Seconds that a record waits for others, so that they are sent together.",
    ),
    Setting(
        name="buffer_size",
        kind="whole number",
        default=100_000,
        minimum=100,
        maximum=10_000_000,
        help="Records that a process keeps while the store does not answer; beyond it they are lost, and counted.",
    ),
    Setting(
        name="heartbeat_interval",
        kind="seconds",
        default=2.0,
        minimum=0.1,
        maximum=60,
        help="Seconds between two heartbeats of a worker.",
    ),
    Setting(
        name="finished_retention",
        kind="seconds",
        default=_DAY,
        minimum=1,
        help="Seconds that a finished chord is kept.",
    ),
    Setting(
        name="open_retention",
        kind="seconds",
        default=7 * _DAY,
        minimum=1,
        help="Seconds that an open chord is kept after its last record, or after its latest ETA.",
    ),
    Setting(
        name="verdict_retention",
        kind="seconds",
        default=7 * _DAY,
        minimum=1,
        help="Seconds that a chord's last verdicts are kept, also when what they were decided from is gone.",
    ),
    Setting(
        name="store_max_mb",
        kind="whole number",
        default=64,
        minimum=1,
        maximum=1_000_000,
        help="Megabytes that the records may take; beyond it the detail of the oldest finished chords goes first.",
    ),
    Setting(
        name="record_errors",
        kind="yes or no",
        default=True,
        help="Whether the type and the first 200 characters of a task's error are kept.",
    ),
    Setting(
        name="keep_callbacks",
        kind="yes or no",
        default=True,
        help="Whether the callback's signature is kept while its chord is open; it is never shown.",
    ),
    Setting(
        name="look_seconds",
        kind="seconds",
        default=3.0,
        minimum=0.1,
        help="Seconds that one look at broker and backend may take; what was not seen by then is said.",
    ),
    Setting(
        name="overdue_floor",
        kind="seconds",
        default=300.0,
        minimum=1,
        help="A task is late only when it runs longer than this, and far longer than finished runs of its kind.",
    ),
    Setting(
        name="monitor_interval",
        kind="seconds",
        default=5.0,
        minimum=0.5,
        help="Seconds between two looks of the monitor.",
    ),
    Setting(
        name="log_format",
        kind="choice",
        default="text",
        choices=("text", "json"),
        help="How the monitor writes its log: text for people, json with one object per line.",
    ),
    Setting(
        name="duration_buckets",
        kind="list of seconds",
        default=DURATION_BUCKETS,
        help="Upper bounds of the histograms' buckets in seconds, separated by commas.",
    ),
    Setting(
        name="collect",
        kind="choice",
        default="all",
        choices=("all", "chords"),
        help="What the monitor's metrics tell: all, or chords, where celery-exporter gives queues and workers already.",
    ),
    Setting(
        name="dashboard_url",
        kind="web address",
        default="",
        help="Where people open the dashboard; alerts and the webhook link to it.",
    ),
    Setting(
        name="flower_url",
        kind="web address",
        default="",
        help="Where people open Flower, with its url_prefix; the dashboard links to its tasks.",
    ),
    Setting(
        name="grafana_url",
        kind="web address",
        default="",
        help="Where people open Grafana; the dashboard links to the charts of a chord's callback.",
    ),
    Setting(
        name="dashboard_password",
        kind="password",
        default="",
        help="What the dashboard asks for before it shows anything; without one it asks nobody.",
    ),
    Setting(
        name="tracing",
        kind="choice",
        default="auto",
        choices=("auto", "on", "off"),
        help="OpenTelemetry spans: auto when an SDK provider or the OTEL_* variables are there; on; off.",
    ),
    Setting(
        name="trace_header_limit",
        kind="whole number",
        default=500,
        minimum=1,
        maximum=1_000_000,
        help="Header tasks that share their chord's trace; in a larger header each has one of its own, linked.",
    ),
    Setting(
        name="trace_url",
        kind="web address of a trace",
        default="",
        help="Where people open a trace, with {trace_id} in its place; the dashboard links to it.",
    ),
)
