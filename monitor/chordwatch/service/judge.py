"""Judges what looks find: the verdicts go to the store, and each change is told once, by one of several monitors.

Runs in the monitor's thread. Keeps a connection of its own, opened when it is first needed.
"""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from chordwatch.diagnosis.causes import REMARKS
from chordwatch.errors import SettingError, UnreachableError
from chordwatch.model import FINISHED, Chord, Outcome, Verdict
from chordwatch.service.changes import Change
from chordwatch.store.judgements import MAX_JUDGEMENTS, causes_of, change, repeats_callback
from chordwatch.store.protocol import Judged, Judgement, Store
from chordwatch.watch import Look
from chordwatch.watch.judged import outlived

logger = logging.getLogger(__name__)

_TOLD: frozenset[Outcome] = frozenset({"hung", "looping", "failed", "late"})
#: Seconds that one look's judgements may take; the rest waits for the next look.
_BUDGET = 2.0
#: Seconds after which new words for what is known are written, and after which what is known is written again.
_REFRESH, _REPEAT = 60.0, 3600.0
#: Seconds after which the store is asked again what other monitors found, or whether it answers.
_LEARN, _RETRY = 60.0, 10.0
#: Seconds. A chord that ended earlier than this before it was first seen is no news.
_OLD_NEWS = 600.0
#: Seconds for which a cause must be missed before that counts as a recovery: where nothing at all is found any more
#: (workers are asked once a minute), and where only others found it (it may take so long to find it anew).
_SILENT, _LEARNT = 60.0, 180.0
_MAX_KNOWN = 2 * MAX_JUDGEMENTS


@dataclass(slots=True)
class _Known:
    """What was last told of a chord: outcome by cause. `chord` is without its lists, `words` stand for its verdicts.

    Moments of the monotonic clock: `written_at`, -inf while the store does not have it; `missed_at`, since when looks
    do not find a cause any more. `learnt`: it was read from the store, and not found by this monitor. `repeated`: the
    verdicts say that the callback ran twice, which the store counts.
    """

    chord: Chord
    causes: dict[str, str]
    words: int = 0
    written_at: float = -math.inf
    missed_at: float | None = None
    learnt: bool = False
    repeated: bool = False


class Judge:
    """Takes looks one after another. `tell` is called with each change and must not wait.

    `open_store` may raise what opening a store raises; without a store the changes are told by this monitor alone.
    `keep` is how many seconds verdicts are kept; `errors` counts judgements that the store could not take.
    """

    def __init__(
        self,
        open_store: Callable[[], Store],
        *,
        keep: float,
        tell: Callable[[Change], None],
        errors: Counter[str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open, self._keep, self._tell, self._errors = open_store, keep, tell, errors
        self._clock = clock
        self._store: Store | None = None
        self._away = ""
        self._again_at = self._learn_at = -math.inf
        self._known: dict[str, _Known] = {}

    def close(self) -> None:
        """Give the connection back."""
        if self._store:
            self._store.close()
            self._store = None

    def judge(self, look: Look) -> None:
        """Write what this look changes, what is new first, then the chords that are open for longest."""
        started = self._clock()
        self._learn(look, started)
        urgent: list[Judgement] = []
        stale: list[Judgement] = []
        for chord in look.chords:
            self._sort(chord, look, urgent, stale)
        for judgement in (*urgent, *stale):
            if self._clock() - started > _BUDGET:
                break
            for told in self._written(judgement):
                self._tell(told)

    def _sort(self, chord: Chord, look: Look, urgent: list[Judgement], stale: list[Judgement]) -> None:
        """Put a chord's judgement where it belongs, if it has one that is to be written."""
        verdicts = tuple(verdict for verdict in chord.verdicts if is_told(verdict))
        known = self._known.get(chord.chord_id)
        if known is None and not verdicts:
            return  # as most of them
        judgement = Judgement(chord=replace(chord, verdicts=verdicts), at=look.taken_at)
        if known is None:
            urgent.append(judgement)
            return
        changed = change(known.causes, causes_of(judgement.chord))
        if changed.gone and not changed.new and _lingers(known, chord, look, self._clock()):
            return
        if not changed.gone:
            known.missed_at = None
        # A header's duplicate is known by the same cause; of a chord that has finished there may be no other look.
        repeated = repeats_callback(judgement.chord) and not known.repeated
        if changed.new or changed.gone or repeated:
            urgent.append(judgement)
        elif self._is_stale(known, judgement.chord):
            stale.append(judgement)

    def _is_stale(self, known: _Known, chord: Chord) -> bool:
        now = self._clock()
        age = now - known.written_at
        if now < self._again_at or age < _REFRESH:
            return False
        again = age >= _REPEAT and (chord.state not in FINISHED or age == math.inf)
        return again or known.words != _words(chord.verdicts)

    def _written(self, judgement: Judgement) -> Iterator[Change]:
        """Write a judgement and yield what it changes, unless this monitor told it before."""
        chord, at = judgement.chord, judgement.at
        known = self._known.pop(chord.chord_id, None)
        before, now = known.causes if known else {}, causes_of(chord)
        answer = self._asked(judgement)
        changed = change(before, now) if answer is None else answer
        if now:
            written_at = -math.inf if answer is None else self._clock()
            self._remember(_known(chord, written_at))
        if known is None and chord.state in FINISHED and (chord.finished_at or at) < at - _OLD_NEWS:
            return
        first = {verdict.cause: verdict for verdict in reversed(chord.verdicts)}
        for cause in changed.new:
            if before.get(cause) != now[cause]:
                yield Change(at=at, chord=chord, cause=cause, verdict=first[cause])
        for cause in changed.gone:
            yield Change(at=at, chord=chord, cause=cause)

    def _asked(self, judgement: Judgement) -> Judged | None:
        """Return what the store says that a judgement changes, None when it cannot say."""
        if self._clock() < self._again_at:
            return None
        try:
            return self._opened().judge(judgement, keep=self._keep)
        except (UnreachableError, SettingError) as exc:
            self._is_away(exc)
        except ValueError:
            logger.exception("The store could not take a judgement.")
            self._errors["judge"] += 1
        return None

    def _learn(self, look: Look, now: float) -> None:
        """Learn which of the chords that are seen have verdicts: of other monitors, or from before this one's start."""
        if now < self._learn_at or now < self._again_at:
            return
        seen = {chord.chord_id for chord in look.chords}
        try:
            store = self._opened()
            judged = [id_ for id_ in store.judged_ids() if id_ in seen and id_ not in self._known]
            for judgement in store.judgements(judged).values():
                self._remember(replace(_known(judgement.chord, now), learnt=True))
        except (UnreachableError, SettingError) as exc:
            self._is_away(exc)
        else:
            self._learn_at = now + _LEARN
            if self._away:
                logger.info("Verdicts are kept again.")
            self._away = ""

    def _opened(self) -> Store:
        self._store = self._store or self._open()
        return self._store

    def _is_away(self, exc: Exception) -> None:
        self.close()
        self._again_at, self._learn_at = self._clock() + _RETRY, -math.inf
        if not self._away:
            logger.error("Verdicts are told, but not kept: %s", exc)
        self._away = str(exc)

    def _remember(self, known: _Known) -> None:
        self._known[known.chord.chord_id] = known
        while len(self._known) > _MAX_KNOWN:
            del self._known[next(iter(self._known))]


def is_told(verdict: Verdict) -> bool:
    """Whether a verdict is kept and told: something is wrong, or it is a remark. What merely waits or runs is not."""
    return verdict.outcome in _TOLD or (verdict.outcome == "ok" and verdict.cause in REMARKS)


def _lingers(known: _Known, chord: Chord, look: Look, now: float) -> bool:
    """Whether a cause that is not found any more is still held to be there, until more speaks for a recovery.

    Progress does, or an end; otherwise looks that see everything and do not find it.
    """
    if chord.state != known.chord.state or chord.counted > known.chord.counted:
        return False
    if outlived(chord, known.chord) or (look.partial and not chord.verdicts):
        return True
    if known.missed_at is None:
        known.missed_at = now
        return True
    patience = _LEARNT if known.learnt else 0.0 if chord.verdicts else _SILENT
    return now - known.missed_at < patience


def _known(chord: Chord, written_at: float) -> _Known:
    return _Known(
        chord=replace(chord, header=(), missing=(), errbacks=(), verdicts=()),
        causes=causes_of(chord),
        words=_words(chord.verdicts),
        written_at=written_at,
        repeated=repeats_callback(chord),
    )


def _words(verdicts: tuple[Verdict, ...]) -> int:
    return hash(verdicts)
