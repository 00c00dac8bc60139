"""How the chords of each callback fared over a range of time: points to draw and totals to read. Pure.

Durations are seconds, shares are from 0 to 1, times are Unix seconds; None where nothing tells.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chordwatch.board.history import CallbackFlow, Flow, Sample, flows


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What happened to one callback's chords from `since` until `at`, of which something happened."""

    callback: str
    since: float
    at: float
    finished: int
    failed: int
    retries: int
    mean_duration: float | None
    p95_duration: float | None
    mean_barrier: float | None
    straggler_share: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """The same over the whole range. Durations are of what the last samples count, where counting began anew."""

    callback: str
    started: int
    finished: int
    failed: int
    retries: int
    mean_duration: float | None = None
    p95_duration: float | None = None
    mean_barrier: float | None = None
    straggler_share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trends:
    """The points in the order of time, and the totals, busiest callback first. `samples`: how many there were."""

    points: tuple[Point, ...] = ()
    totals: tuple[Total, ...] = ()
    samples: int = 0


def trends_of(samples: Sequence[Sample]) -> Trends:
    """Return the trends between samples that are oldest first."""
    steps = flows(samples)
    over_all = flows((samples[0], samples[-1]))[0].callbacks if len(samples) > 1 else {}
    counted: defaultdict[str, list[CallbackFlow]] = defaultdict(list)
    for step in steps:
        for name, flow in step.callbacks.items():
            if _happened(flow):
                counted[name].append(flow)
    nothing = CallbackFlow(started=0, succeeded=0, failed=0, retries=0)
    totals = (_total(name, parts, over_all.get(name, nothing)) for name, parts in counted.items())
    return Trends(
        points=tuple(point for step in steps for point in _points(step)),
        totals=tuple(sorted(totals, key=lambda total: (-total.finished, -total.started, total.callback))),
        samples=len(samples),
    )


def _happened(flow: CallbackFlow) -> bool:
    return bool(flow.started or flow.succeeded or flow.failed or flow.retries)


def _points(step: Flow) -> Iterable[Point]:
    for name, flow in sorted(step.callbacks.items()):
        if _happened(flow):
            yield Point(
                callback=name,
                since=step.at - step.seconds,
                at=step.at,
                finished=flow.succeeded + flow.failed,
                failed=flow.failed,
                retries=flow.retries,
                mean_duration=flow.mean_duration,
                p95_duration=flow.p95_duration,
                mean_barrier=flow.mean_barrier,
                straggler_share=flow.straggler_share,
            )


def _total(name: str, parts: Sequence[CallbackFlow], over_all: CallbackFlow) -> Total:
    failed = sum(part.failed for part in parts)
    return Total(
        callback=name,
        started=sum(part.started for part in parts),
        finished=sum(part.succeeded for part in parts) + failed,
        failed=failed,
        retries=sum(part.retries for part in parts),
        mean_duration=over_all.mean_duration,
        p95_duration=over_all.p95_duration,
        mean_barrier=over_all.mean_barrier,
        straggler_share=over_all.straggler_share,
    )
