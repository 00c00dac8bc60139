"""One sample of the history: what was open, queued and counted at one moment, bounded, as the store keeps it. Pure.

What is counted is cumulative, so that two monitors, or a gap between samples, harm nothing: readers take differences.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from heapq import nlargest, nsmallest
from typing import Any

import msgpack

from chordwatch.board.rows import Board
from chordwatch.model import Health
from chordwatch.store.labels import OTHER
from chordwatch.store.protocol import Counters, Histogram

#: The busiest callbacks, the rest being `other`; and the longest queues.
MAX_CALLBACKS, MAX_QUEUES = 50, 100
_VERSION = 1
_MAX_UNPACKED = 1 << 20

#: How many were observed, and the sum of their seconds.
Total = tuple[int, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What was counted of one callback's chords since counting began.

    `duration`, `barrier`, `straggler` and `callback_wait` are numbers of observations with their sum in seconds.
    `buckets` are the observed durations under each of the sample's bounds, not cumulative, and one more beyond all.
    """

    started: int = 0
    succeeded: int = 0
    failed: int = 0
    retries: int = 0
    duration: Total = (0, 0.0)
    barrier: Total = (0, 0.0)
    straggler: Total = (0, 0.0)
    callback_wait: Total = (0, 0.0)
    buckets: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One moment (`at`, Unix seconds of the store's clock).

    `counts`: open chords by health. `queues`: lengths. `callbacks`: tallies by callback's name; where there are too
    many, those left out are summed under `other`. `bounds` of the tallies' buckets, in seconds.
    """

    at: float
    counts: Mapping[Health, int] = field(default_factory=dict)
    queues: Mapping[str, int] = field(default_factory=dict)
    callbacks: Mapping[str, Tally] = field(default_factory=dict)
    bounds: tuple[float, ...] = ()


def sample_of(board: Board, counters: Counters, *, at: float) -> Sample:
    """Return the sample of a board and of what the store counted until then."""
    longest = nsmallest(MAX_QUEUES, board.queues, key=lambda queue: (-queue.length, queue.name))
    return Sample(
        at=at,
        counts=board.counts,
        queues={queue.name: queue.length for queue in longest},
        callbacks=_bounded(_tallies(counters)),
        bounds=counters.bounds,
    )


def pack_sample(sample: Sample) -> bytes:
    """Return the sample as the store keeps it."""
    callbacks = {name: astuple(tally) for name, tally in sample.callbacks.items()}
    document = [sample.at, dict(sample.counts), dict(sample.queues), callbacks, sample.bounds]
    return zlib.compress(msgpack.packb([_VERSION, document], unicode_errors="surrogatepass"))


def read_sample(packed: bytes) -> Sample | None:
    """Return the sample that was packed, None where it is not as this version writes it."""
    try:
        unpacked = zlib.decompressobj().decompress(packed, _MAX_UNPACKED)
        version, document = msgpack.unpackb(unpacked, unicode_errors="surrogatepass", use_list=False)
        if version != _VERSION:
            return None
        at, counts, queues, tallies, bounds = document
        callbacks = {name: _tally(values) for name, values in tallies.items()}
        return Sample(at=float(at), counts=counts, queues=queues, callbacks=callbacks, bounds=bounds)
    except (zlib.error, ValueError, TypeError, AttributeError, msgpack.UnpackException):
        return None


def _tallies(counters: Counters) -> dict[str, Tally]:
    ended = {outcome: Counter[str]() for outcome in ("succeeded", "failed")}
    for (callback, outcome), times in counters.finished.items():
        if outcome in ended:
            ended[outcome][callback] += times
    retries = Counter[str]()
    for (callback, _, _), times in counters.retries.items():
        retries[callback] += times
    durations = counters.histograms.get("duration", {})
    names = {*counters.started, *ended["succeeded"], *ended["failed"], *retries, *durations}
    return {
        name: Tally(
            started=counters.started.get(name, 0),
            succeeded=ended["succeeded"][name],
            failed=ended["failed"][name],
            retries=retries[name],
            duration=_total(counters, "duration", name),
            barrier=_total(counters, "barrier", name),
            straggler=_total(counters, "straggler", name),
            callback_wait=_total(counters, "callback_wait", name),
            buckets=durations[name].counts if name in durations else (0,) * (len(counters.bounds) + 1),
        )
        for name in names
    }


def _total(counters: Counters, histogram: str, name: str) -> Total:
    observed: Histogram | None = counters.histograms.get(histogram, {}).get(name)
    return (sum(observed.counts), observed.sum) if observed else (0, 0.0)


def _bounded(tallies: Mapping[str, Tally]) -> dict[str, Tally]:
    """Keep the busiest callbacks and sum the others."""
    named = [name for name in tallies if name != OTHER]
    kept = set(nlargest(MAX_CALLBACKS, named, key=lambda name: (tallies[name].started, name)))
    rest = [tally for name, tally in tallies.items() if name not in kept]
    shown = {name: tallies[name] for name in sorted(kept)}
    return {**shown, OTHER: _sum(rest)} if rest else shown


def _sum(tallies: Iterable[Tally]) -> Tally:
    """Return the sum of tallies with the same bounds: of numbers, and of tuples number by number."""
    columns = zip(*map(astuple, tallies), strict=True)
    return _tally([_added(column) for column in columns])


def _tally(values: Sequence[Any]) -> Tally:
    return Tally(**dict(zip(Tally.__slots__, values, strict=True)))


def _added(column: Sequence[Any]) -> Any:
    if isinstance(column[0], tuple):
        return tuple(map(sum, zip(*column, strict=True)))
    return sum(column)
