"""A recording of `/metrics`: what each scrape showed, kept as one line of text for each series."""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

FOLDER = Path(__file__).parents[2] / "alerts" / "tests" / "recorded"
#: What a series shows in a scrape; None where it was absent, or the scrape failed.
Value = float | None
_ABSENT, _TIMES = "_", "*"
_HEADER = (
    "# Scraped from a real monitor by `python -m tests.alerts.record {scene}`; a_number*times, _ is absent.\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One scene. Scrape number n was taken `interval` x n seconds after `started_at` (Unix seconds).

    `moments` are the numbers of the first scrapes after something was done, by what it was. `up` is what Prometheus
    would have written down of each scrape. `series` are the values by the series' name with its labels.
    """

    scene: str
    about: str
    version: str
    interval: float
    started_at: float
    moments: Mapping[str, int]
    up: tuple[Value, ...]
    series: Mapping[str, tuple[Value, ...]]

    def __len__(self) -> int:
        return len(self.up)

    def save(self, folder: Path = FOLDER) -> Path:
        """Write it to `<scene>.yml` in a folder; return the file."""
        document = {
            "scene": self.scene,
            "about": self.about,
            "version": self.version,
            "interval": self.interval,
            "started_at": self.started_at,
            "moments": dict(self.moments),
            "up": _packed(self.up),
            "series": {name: _packed(values) for name, values in sorted(self.series.items())},
        }
        text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=10_000)
        path = folder / f"{self.scene}.yml"
        path.write_text(_HEADER.format(scene=self.scene) + text, encoding="utf-8")
        return path


@functools.cache
def load(scene: str, folder: Path = FOLDER) -> Recording:
    """Read the recording of a scene."""
    document = yaml.safe_load((folder / f"{scene}.yml").read_text(encoding="utf-8"))
    unpacked = {name: _unpacked(text) for name, text in document.pop("series").items()}
    return Recording(**{**document, "up": _unpacked(document["up"]), "series": unpacked})


def series_name(name: str, labels: Mapping[str, str]) -> str:
    """Return a series as PromQL writes it."""
    # JSON's quotes and escapes are those of PromQL's strings.
    pairs = ",".join(f"{label}={json.dumps(value, ensure_ascii=False)}" for label, value in labels.items())
    return f"{name}{{{pairs}}}"


def metric_of(series: str) -> str:
    """Return the name of a series' metric."""
    return series.partition("{")[0]


def _packed(values: Iterable[Value]) -> str:
    words = ((_word(value), len([*run])) for value, run in itertools.groupby(values))
    return " ".join(word if times == 1 else f"{word}{_TIMES}{times}" for word, times in words)


def _unpacked(text: str) -> tuple[Value, ...]:
    values: list[Value] = []
    for run in str(text).split():
        word, _, times = run.partition(_TIMES)
        values += [None if word == _ABSENT else float(word)] * int(times or 1)
    return tuple(values)


def _word(value: Value) -> str:
    if value is None:
        return _ABSENT
    return str(int(value)) if value.is_integer() else repr(round(value, 3))
