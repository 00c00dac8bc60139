"""`python -m benchmarks`: measures what chordwatch costs, beside its peers in the same run, and prints one table."""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.connections import measure_connections
from benchmarks.dashboard import measure_dashboard
from benchmarks.figures import Figure
from benchmarks.hook_cost import measure_hook_cost
from benchmarks.killed import measure_killed
from benchmarks.stored import measure_store
from benchmarks.table import document, show
from benchmarks.variants import PEERS, otel_is_installed
from benchmarks.whole_worker import measure_whole_worker


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How often each thing is measured."""

    hooks: int
    worker: int
    store: int
    kills: int
    pages: int


FULL = Effort(hooks=8, worker=10, store=10, kills=10, pages=9)
QUICK = Effort(hooks=3, worker=0, store=3, kills=2, pages=0)


def main() -> int:
    """Measure, print, write; return 1 when `--check` finds a figure beyond its target."""
    options = _options()
    effort = QUICK if options.quick else FULL
    peers = () if options.without_peers else PEERS
    if peers and not otel_is_installed():
        sys.exit("OpenTelemetry's instrumentation is not installed: use make bench, or --without-peers.")
    parts: dict[str, Callable[[], list[Figure]]] = {
        "hooks": lambda: measure_hook_cost(effort.hooks, peers),
        "worker": lambda: measure_whole_worker(effort.worker, peers) if effort.worker else [],
        "store": lambda: measure_store(effort.store),
        "killed": lambda: measure_killed(effort.kills),
        "connections": measure_connections,
        "dashboard": lambda: measure_dashboard(effort.pages) if effort.pages else [],
    }
    figures, failed = _measure(parts, options.only or list(parts))
    show(figures)
    if options.json:
        options.json.write_text(json.dumps(document(figures), indent=2) + "\n")
    missed = [f"{figure.group}: {figure.what}" for figure in figures if figure.missed]
    if options.check and missed:
        print("Beyond what is to be reached, and not by noise:", *missed, sep="\n  ", file=sys.stderr)
    return 1 if failed or (options.check and missed) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="fewer rounds, without whole workers and dashboard; under two minutes",
    )
    parser.add_argument("--check", action="store_true", help="exit with 1 when a figure is beyond its target")
    parser.add_argument("--without-peers", action="store_true", help="measure chordwatch alone")
    parser.add_argument(
        "--only",
        action="append",
        metavar="PART",
        help="hooks, worker, store, killed, connections or dashboard",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to a file")
    return parser.parse_args()


def _measure(
    parts: Mapping[str, Callable[[], list[Figure]]], wanted: Sequence[str]
) -> tuple[list[Figure], list[str]]:
    """Return the figures of the parts, and the parts that failed; one that fails does not take the others along."""
    figures: list[Figure] = []
    failed: list[str] = []
    for name in wanted:
        began = time.monotonic()
        try:
            figures += parts[name]()
        except Exception:  # noqa: BLE001  # whatever it is, it is printed
            failed.append(name)
            traceback.print_exc()
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    return figures, failed


if __name__ == "__main__":
    sys.exit(main())
