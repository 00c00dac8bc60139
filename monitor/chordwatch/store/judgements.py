"""What monitors found of chords, as it is kept: bounded, packed as compressed JSON; and its twin in memory.

A judgement outlives the evidence that it was made from: it holds the chord with its verdicts, without any result.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from chordwatch.model import (
    HEALTHS,
    OUTCOMES,
    Attempt,
    Callback,
    Chord,
    Errback,
    HeaderTask,
    MissingPart,
    Verdict,
    to_json,
)
from chordwatch.store.protocol import Judged, Judgement

#: So many judgements are kept; the oldest goes first.
MAX_JUDGEMENTS = 10_000
#: One packed judgement takes at most about so many bytes: of a large header fewer tasks are kept then.
_MAX_BYTES = 1 << 16
_HEADER_LENGTHS = (1000, 100, 0)
_NAME_LENGTH = 200
#: What unpacks to more than this is not ours.
_MAX_UNPACKED = 1 << 24
#: A judgement that is older than the kept one by less than this comes late, by more from a clock that differs. Seconds.
LATE_SECONDS = 60.0
#: The cause that names tasks which were started more than once, the callback among them.
_REPEATED = "duplicate_delivery"


def causes_of(chord: Chord) -> dict[str, str]:
    """Return the outcome of each cause that the verdicts name, in their order; the first of a cause counts."""
    causes: dict[str, str] = {}
    for verdict in chord.verdicts:
        causes.setdefault(verdict.cause, verdict.outcome)
    return causes


def repeats_callback(chord: Chord) -> bool:
    """Whether a verdict says that the callback was started more than once in one attempt."""
    callback_id = chord.callback.task_id
    return any(verdict.cause == _REPEATED and callback_id in verdict.tasks for verdict in chord.verdicts)


def label_text(name: str | None) -> str | None:
    """Return a name as the store keeps names: of bounded length."""
    return name[:_NAME_LENGTH] if name else None


def change(before: Mapping[str, str], now: Mapping[str, str]) -> Judged:
    """Return which causes are new or have another outcome, and which are gone."""
    return Judged(
        new=tuple(cause for cause, outcome in now.items() if before.get(cause) != outcome),
        gone=tuple(sorted(before.keys() - now.keys())),
    )


def pack_judgement(judgement: Judgement) -> bytes:
    """Return what the store keeps of a judgement, at most about 64 KB."""
    packed = b""
    for length in _HEADER_LENGTHS:
        document = {"at": judgement.at, "chord": to_json(bounded(judgement.chord, length), header=True)}
        packed = zlib.compress(json.dumps(document).encode())
        if len(packed) <= _MAX_BYTES:
            break
    return packed


def read_judgement(packed: bytes) -> Judgement | None:
    """Return the judgement that was packed, None where it is not as this version writes it."""
    try:
        document = json.loads(zlib.decompressobj().decompress(packed, _MAX_UNPACKED))
        return Judgement(chord=_chord(document["chord"]), at=float(document["at"]))
    except (zlib.error, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def bounded(chord: Chord, length: int = _HEADER_LENGTHS[0]) -> Chord:
    """Return the chord with at most `length` tasks of the header, missing parts, errbacks and tasks of a verdict.

    What is not counted goes first.
    """
    if len(chord.header) > length:
        waited_for = [task for task in chord.header if not task.counted][:length]
        counted = [task for task in chord.header if task.counted][: length - len(waited_for)]
        kept = {id(task) for task in (*waited_for, *counted)}
        chord = replace(chord, header=tuple(task for task in chord.header if id(task) in kept))
    return replace(
        chord,
        missing=chord.missing[:length],
        errbacks=chord.errbacks[:length],
        verdicts=tuple(replace(verdict, tasks=verdict.tasks[:length]) for verdict in chord.verdicts),
    )


def _chord(document: Mapping[str, Any]) -> Chord:
    parts = {
        "callback": Callback(**document["callback"]),
        "header": tuple(_header_task(task) for task in document["header"]),
        "missing": tuple(MissingPart(**part) for part in document["missing"]),
        "errbacks": tuple(Errback(**errback) for errback in document["errbacks"]),
        "verdicts": tuple(_verdict(verdict) for verdict in document["verdicts"]),
    }
    chord = Chord(**{**document, **parts})
    if chord.health not in HEALTHS or not {verdict.outcome for verdict in chord.verdicts} <= set(OUTCOMES):
        raise ValueError(chord.health)  # of another version, or foreign: nobody could draw it
    return chord


def _header_task(task: Mapping[str, Any]) -> HeaderTask:
    return HeaderTask(**{**task, "attempts": tuple(Attempt(**attempt) for attempt in task["attempts"])})


def _verdict(verdict: Mapping[str, Any]) -> Verdict:
    lists = {name: tuple(map(str, verdict[name])) for name in ("tasks", "evidence")}
    return Verdict(**{**verdict, **lists})


@dataclass(slots=True)
class _Kept:
    """What is kept of one chord: `packed` is empty after its recovery, `had` are all causes it ever had.

    `repeated`: that its callback ran twice was counted.
    """

    at: float
    until: float
    packed: bytes = b""
    causes: dict[str, str] = field(default_factory=dict)
    had: set[str] = field(default_factory=set)
    repeated: bool = False


class JudgementsInMemory:
    """The twin of `judge.lua` and its readers. `count` is called with a counter and its labels but the callback's."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}

    def judge(self, judgement: Judgement, *, keep: float, now: float, count: Callable[..., None]) -> Judged:
        """Keep a judgement for `keep` seconds from `now` on and return what it changes."""
        self._forget(now)
        chord_id, causes = judgement.chord.chord_id, causes_of(judgement.chord)
        kept = self._kept.pop(chord_id, None) or _Kept(judgement.at, now)
        if not causes and not kept.had:
            return Judged()
        self._kept[chord_id] = kept  # the last one written is the last one dropped
        if 0 < kept.at - judgement.at < LATE_SECONDS:
            return Judged()
        changed = change(kept.causes, causes)
        for cause in changed.new:
            if cause not in kept.had:
                count("verdicts", causes[cause], cause)
        if repeats_callback(judgement.chord) and not kept.repeated:
            kept.repeated = True
            count("repeated")
        kept.at, kept.until, kept.causes = judgement.at, now + keep, causes
        kept.had.update(causes)
        kept.packed = pack_judgement(judgement) if causes else b""
        self._drop()
        return changed

    def read(self, chord_ids: Iterable[str], now: float) -> dict[str, Judgement]:
        """Return those of these chords that have verdicts."""
        self._forget(now)
        found = {}
        for chord_id in chord_ids:
            kept = self._kept.get(chord_id)
            judgement = read_judgement(kept.packed) if kept and kept.packed else None
            if judgement:
                found[chord_id] = judgement
        return found

    def ids(self, now: float) -> list[str]:
        """Return the group ids of chords that have verdicts, newest first."""
        self._forget(now)
        newest = sorted(self._kept.items(), key=lambda item: item[1].at, reverse=True)
        return [chord_id for chord_id, kept in newest if kept.packed]

    def _forget(self, now: float) -> None:
        for chord_id in [chord_id for chord_id, kept in self._kept.items() if kept.until < now]:
            del self._kept[chord_id]

    def _drop(self) -> None:
        while len(self._kept) > MAX_JUDGEMENTS:
            oldest = min(self._kept, key=lambda chord_id: self._kept[chord_id].at)
            del self._kept[oldest]
