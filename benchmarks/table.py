"""The figures as one table for people, and as one document for machines."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib.metadata import distributions

from rich.console import Console
from rich.table import Table

from benchmarks.figures import Figure, Spread
from tests.support.servers import redis_binary

_WIDE = 180
PACKAGES = (
    "celery",
    "kombu",
    "redis",
    "msgpack",
    "opentelemetry-sdk",
    "opentelemetry-instrumentation-celery",
)


def machine() -> dict[str, object]:
    """Return what kind of machine this is, without its name."""
    return {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "cpus": os.cpu_count(),
        "architecture": platform.machine(),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "load": os.getloadavg()[0],
    }


def versions() -> dict[str, str]:
    """Return the versions that took part."""
    packages = {distribution.name: distribution.version for distribution in distributions()}
    server = subprocess.run([redis_binary(), "--version"], capture_output=True, text=True, check=True).stdout
    return {
        "python": platform.python_version(),
        "redis-server": server.partition("v=")[2].partition(" ")[0],
        **{name: packages.get(name, "not installed") for name in PACKAGES},
    }


def document(figures: Sequence[Figure]) -> dict[str, object]:
    """Return everything a run found, for JSON."""
    return {
        "version": 1,
        "machine": machine(),
        "versions": versions(),
        "figures": [figure.as_json() | {"missed": figure.missed} for figure in figures],
    }


def show(figures: Sequence[Figure]) -> None:
    """Print the table to stdout; brackets are quartiles of the rounds."""
    table = Table(box=None, pad_edge=False)
    for heading in ("what", "variant"):
        table.add_column(heading, no_wrap=True)
    for heading in ("figure", "ratio", "to reach"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    group = ""
    for figure in figures:
        if figure.group != group:
            group = figure.group
            table.add_row()
            table.add_row(f"[bold]{group}[/]")
        ratio = f"{_spread(figure.ratio)} x {figure.control}" if figure.ratio else ""
        table.add_row(
            f"  {figure.what}", figure.variant, _spread(figure.spread), ratio, _target(figure), figure.unit
        )
    # A file or a pipe takes lines of any length.
    Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False).print(table)


def _target(figure: Figure) -> str:
    if figure.target is None:
        return ""
    stretch = f" ({figure.stretch:g})" if figure.stretch is not None else ""
    reached = figure.spread.median <= figure.target
    return f"{'' if reached else '[red]missed[/] '}≤ {figure.target:g}{stretch}"


def _spread(spread: Spread) -> str:
    low, median, high = (_number(value) for value in (spread.low, spread.median, spread.high))
    return median if low == high else f"{median} [{low} - {high}]"


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.2f}"  # noqa: PLR2004
