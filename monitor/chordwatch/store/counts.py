"""Reads and writes the names of counters: one field of a hash is the msgpack of a kind and its labels. Pure."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgpack

from chordwatch.recording.records import pack_id, unpack_id
from chordwatch.store.facts import ChordFacts
from chordwatch.store.protocol import Counters, Exemplar, Histogram

#: Kinds and how many labels each has: `counts.lua`, `sweep.lua` and `judge.lua` write the same.
_KINDS = {b"s": 1, b"f": 2, b"h": 3, b"c": 2, b"r": 3, b"x": 1, b"e": 1, b"v": 3, b"t": 1, b"l": 1}
_BUCKET, _MILLISECONDS, _EXEMPLAR = b"b", b"m", b"g"
#: An exemplar's labels have at most 128 characters: with a trace id, 80 are left for the chord's.
_MAX_EXEMPLAR_ID = 81
_HISTOGRAMS = ("duration", "barrier", "callback_wait", "straggler")


@dataclass(slots=True)
class Observed:
    """Observations as they are kept: how many under each upper bound in seconds (inf: beyond all), and their sum.

    Each was counted under a bound of the process that observed it, and bounds are a setting.
    `latest` has the last one under each bound whose chord is traced.
    """

    under: Counter[float] = field(default_factory=Counter)
    milliseconds: int = 0
    latest: dict[float, Exemplar] = field(default_factory=dict)

    def add(self, milliseconds: float, bounds: tuple[float, ...], *, chord: ChordFacts, at: float) -> None:
        """Count one span, as `observe` of sweep.lua does it; `at` is the time when it is counted."""
        whole = math.floor(max(milliseconds, 0))
        upper = next((bound for bound in bounds if milliseconds <= bound * 1000), math.inf)
        self.under[upper] += 1
        self.milliseconds += whole
        if chord.trace and chord.trace.sampled and len(pack_id(chord.chord_id)) <= _MAX_EXEMPLAR_ID:
            self.latest[upper] = Exemplar(chord.chord_id, chord.trace.trace_id, whole / 1000, at)

    def histogram(self, bounds: tuple[float, ...]) -> Histogram:
        """Return the histogram with these bounds: what is known to be at most each of them, and no more."""
        counts = [0] * (len(bounds) + 1)
        for upper, number in self.under.items():
            counts[bisect_left(bounds, upper)] += number
        oldest_first = sorted(self.latest.items(), key=lambda item: item[1].at)
        exemplars = {bisect_left(bounds, upper): exemplar for upper, exemplar in oldest_first}
        return Histogram(
            bounds=bounds, counts=tuple(counts), sum=self.milliseconds / 1000, exemplars=exemplars
        )


Histograms = Mapping[str, dict[str, Observed]]


def no_histograms() -> Histograms:
    """Return a place for each histogram's observations, by callback."""
    return {name: {} for name in _HISTOGRAMS}


def read_counters(fields: Iterable[tuple[bytes, bytes]], bounds: tuple[float, ...]) -> tuple[Counters, int]:
    """Return the counters, the histograms with these bounds, and how many fields could not be read."""
    plain: dict[bytes, dict[Any, int]] = {kind: {} for kind in _KINDS}
    histograms = no_histograms()
    unreadable = sum(not _read(name, value, plain, histograms) for name, value in fields)
    return _counters(plain, histograms, bounds), unreadable


def _read(name: bytes, value: bytes, plain: dict[bytes, dict[Any, int]], histograms: Histograms) -> bool:
    try:
        kind, *labels = msgpack.unpackb(name, raw=True)
        if kind in (_BUCKET, _MILLISECONDS, _EXEMPLAR):
            _observe(histograms, kind, labels, value)
        elif len(labels) == _KINDS[kind]:
            key = tuple(label.decode("utf-8", "replace") for label in labels)
            plain[kind][key if len(key) > 1 else key[0]] = int(value)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, msgpack.UnpackException):
        return False
    return True


def _observe(histograms: Histograms, kind: bytes, labels: list[Any], value: bytes) -> None:
    """Put the count of what is under a bound, its latest exemplar, or the sum in milliseconds, where it belongs."""
    of_name = histograms[labels[0].decode()]
    observed = of_name.setdefault(labels[1].decode("utf-8", "replace"), Observed())
    if kind == _BUCKET:
        observed.under[float(labels[2])] += int(value)
    elif kind == _EXEMPLAR:
        observed.latest[float(labels[2])] = _exemplar(*msgpack.unpackb(value, raw=True))
    else:
        observed.milliseconds += int(value)


def _exemplar(packed_id: bytes, trace_id: bytes, milliseconds: int, at: int) -> Exemplar:
    return Exemplar(unpack_id(packed_id), int.from_bytes(trace_id, "big"), milliseconds / 1000, at / 1000)


def _counters(
    plain: Mapping[bytes, dict[Any, int]], histograms: Histograms, bounds: tuple[float, ...]
) -> Counters:
    return Counters(
        started=plain[b"s"],
        finished=plain[b"f"],
        header_tasks=plain[b"h"],
        callbacks=plain[b"c"],
        retries=plain[b"r"],
        dropped=plain[b"x"],
        evicted=plain[b"e"],
        capped=plain[b"l"],
        verdicts=plain[b"v"],
        repeated=plain[b"t"],
        histograms=with_bounds(histograms, bounds),
        bounds=bounds,
    )


def with_bounds(histograms: Histograms, bounds: tuple[float, ...]) -> dict[str, dict[str, Histogram]]:
    """Return the histograms by name and callback."""
    return {
        name: {callback: observed.histogram(bounds) for callback, observed in of_name.items()}
        for name, of_name in histograms.items()
    }
