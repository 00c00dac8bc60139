"""Runs `benchmarks.direct` in a process of its own, and turns what it prints into figures."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence

from benchmarks.figures import Figure, Spread, ratio
from benchmarks.scene import scene
from benchmarks.variants import BARE, CHORDWATCH, CONTROL, OTEL, TRACED
from tests.support.servers import ROOT

MICRO = 1e6
#: What a header task costs in the worker is the sum of what its two processes do.
PLACES = {"worker": ("received", "ran"), "producer": ("published",)}
SHAPES = {
    "chord": "header task, 1,000 a second",
    "burst": "header task, as fast as it goes",
    "group": "task of a plain group",
    "plain": "plain task",
}
#: (target, stretch) in µs. What is no chord must cost next to nothing: of the 10, Celery's three signals take half.
TARGETS: Mapping[tuple[str, str], tuple[float, float | None]] = {
    ("worker", "chord"): (15.0, 8.0),
    ("producer", "chord"): (6.0, 2.0),
    ("worker", "burst"): (15.0, 8.0),
    ("producer", "burst"): (6.0, 2.0),
    ("worker", "group"): (10.0, None),
    ("producer", "group"): (3.0, None),
    ("worker", "plain"): (10.0, None),
    ("producer", "plain"): (3.0, None),
}

Rounds = Mapping[str, list[float]]


def measure_hook_cost(rounds: int, peers: Sequence[str]) -> list[Figure]:
    """Return the direct cost per task in worker and producer, for chords, groups and plain tasks."""
    variants = [CHORDWATCH, TRACED, *(peer for peer in peers if peer == OTEL)]
    with scene() as opened:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.direct", str(rounds), *variants],
            cwd=ROOT,
            env=opened.environment(BARE),
            stdout=subprocess.PIPE,
            check=True,
        )
    found: Rounds = json.loads(done.stdout)
    return [
        _figure(found, place, shape, variant, variants)
        for shape in SHAPES
        for place in PLACES
        for variant in (CONTROL, *variants)
    ] + (
        [figure for shape in SHAPES for figure in _against_contrib(found, shape)] if OTEL in variants else []
    )


def _figure(found: Rounds, place: str, shape: str, variant: str, variants: Sequence[str]) -> Figure:
    off = _per_task(found, place, shape, BARE)
    on = _per_task(found, place, shape, variant)
    compared = variant in (CHORDWATCH, TRACED) and OTEL in variants
    own = _minus(on, off)
    target, stretch = TARGETS[place, shape]
    return Figure(
        group="direct hook cost",
        what=f"{place}, {SHAPES[shape]}",
        variant=variant,
        unit="µs CPU added per task",
        spread=Spread.of(own),
        ratio=ratio(own, _minus(_per_task(found, place, shape, OTEL), off)) if compared else None,
        control=OTEL if compared else "",
        target=target if variant == CHORDWATCH else None,
        stretch=stretch if variant == CHORDWATCH else None,
    )


def _against_contrib(found: Rounds, shape: str) -> Iterator[Figure]:
    """Yield what traces cost in worker and producer by what contrib costs there: with recording, and alone."""

    def both(variant: str) -> list[float]:
        places = [_per_task(found, place, shape, variant) for place in PLACES]
        return [sum(values) for values in zip(*places, strict=True)]

    contrib = _minus(both(OTEL), both(BARE))
    for what, without in (("recording and traces", BARE), ("traces alone", CHORDWATCH)):
        yield Figure(
            group="traces against OTel contrib, worker and producer",
            what=f"{what}, {SHAPES[shape]}",
            variant=TRACED,
            unit="x OTel contrib",
            spread=ratio(_minus(both(TRACED), both(without)), contrib),
            target=1.0,
            stretch=0.5,
        )


def _per_task(found: Rounds, place: str, shape: str, variant: str) -> list[float]:
    """Return the µs per task of each round, summed over the processes of this place."""
    legs = [found[f"{leg} / {shape} / {variant}"] for leg in PLACES[place]]
    return [sum(values) * MICRO for values in zip(*legs, strict=True)]


def _minus(on: Sequence[float], off: Sequence[float]) -> list[float]:
    return [with_hooks - without for with_hooks, without in zip(on, off, strict=True)]
