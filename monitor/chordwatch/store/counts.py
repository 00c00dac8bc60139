"""Reads and writes the names of counters: one field of a hash is the msgpack of a kind and its labels. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgpack

from chordwatch.store.histograms import BUCKETS
from chordwatch.store.protocol import Counters, Histogram

#: Kinds and how many labels each has: `counts.lua` writes the same.
_KINDS = {b"s": 1, b"f": 2, b"h": 3, b"c": 2, b"r": 3, b"x": 1, b"e": 1}
_BUCKET, _MILLISECONDS = b"b", b"m"
_HISTOGRAMS = ("duration", "barrier", "callback_wait", "straggler")


def read_counters(fields: Iterable[tuple[bytes, bytes]]) -> tuple[Counters, int]:
    """Return the counters, and how many fields could not be read."""
    plain: dict[bytes, dict[Any, int]] = {kind: {} for kind in _KINDS}
    histograms: dict[str, dict[str, list[int]]] = {name: {} for name in _HISTOGRAMS}
    unreadable = sum(not _read(field, value, plain, histograms) for field, value in fields)
    return _counters(plain, histograms), unreadable


def _read(
    field: bytes,
    value: bytes,
    plain: dict[bytes, dict[Any, int]],
    histograms: dict[str, dict[str, list[int]]],
) -> bool:
    try:
        kind, *labels = msgpack.unpackb(field, raw=True)
        if kind in (_BUCKET, _MILLISECONDS):
            _observe(histograms, kind, labels, int(value))
        elif len(labels) == _KINDS[kind]:
            key = tuple(label.decode("utf-8", "replace") for label in labels)
            plain[kind][key if len(key) > 1 else key[0]] = int(value)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, msgpack.UnpackException):
        return False
    return True


def _observe(histograms: dict[str, dict[str, list[int]]], kind: bytes, labels: list[Any], value: int) -> None:
    """Put a bucket's count, or the sum in milliseconds (last), where it belongs."""
    of_name = histograms[labels[0].decode()]
    counts = of_name.setdefault(labels[1].decode("utf-8", "replace"), [0] * (len(BUCKETS) + 2))
    counts[-1 if kind == _MILLISECONDS else range(len(BUCKETS) + 1)[labels[2]]] = value


def _counters(
    plain: Mapping[bytes, dict[Any, int]], histograms: Mapping[str, dict[str, list[int]]]
) -> Counters:
    return Counters(
        started=plain[b"s"],
        finished=plain[b"f"],
        header_tasks=plain[b"h"],
        callbacks=plain[b"c"],
        retries=plain[b"r"],
        dropped=plain[b"x"],
        evicted=plain[b"e"],
        histograms={
            name: {
                callback: Histogram(counts=tuple(counts[:-1]), sum=counts[-1] / 1000)
                for callback, counts in of_name.items()
            }
            for name, of_name in histograms.items()
        },
    )
