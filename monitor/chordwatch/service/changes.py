"""A change of a verdict, as the log and the webhook tell it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from chordwatch.board.links import chord_url
from chordwatch.model import FINISHED, Chord, Verdict, to_json
from chordwatch.store.judgements import bounded
from chordwatch.text import plain

_NAME_LENGTH, _SUMMARY_LENGTH = 200, 500
#: So many tasks of a verdict, and missing parts, are sent along.
_SENT = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A cause of a chord was found (`verdict`), or is not found any more (None); `at` in Unix seconds.

    `chord` is as it is now, with the verdicts that are left.
    """

    at: float
    chord: Chord
    cause: str
    verdict: Verdict | None = None

    @property
    def event(self) -> Literal["verdict", "recovered"]:
        """What programs call it."""
        return "verdict" if self.verdict else "recovered"


def summary(change: Change) -> str:
    """Return what changed in one plain sentence."""
    if change.verdict:
        doubt = "" if change.verdict.certain else " (not certain)"
        return plain(change.verdict.summary, _SUMMARY_LENGTH) + doubt
    recovered = f"recovered from {plain(change.cause)}"
    if change.chord.state in FINISHED:
        return f"{recovered}, {change.chord.state}"
    left = change.chord.verdicts[:1]
    return recovered + "".join(f", still {verdict.outcome}: {plain(verdict.cause)}" for verdict in left)


def line(change: Change) -> str:
    """Return the change as one line of a log for people."""
    chord_id, name = plain(change.chord.chord_id, _NAME_LENGTH), change.chord.callback.name
    callback = plain(name, _NAME_LENGTH) if name else "unknown"
    found = f"{change.verdict.outcome}, {plain(change.cause)}: " if change.verdict else ""
    return f"chord {chord_id} (callback {callback}): {found}{summary(change)}"


def fields(change: Change) -> dict[str, Any]:
    """Return the change as the fields of a log for programs."""
    name = change.chord.callback.name
    return {
        "event": change.event,
        "chord_id": plain(change.chord.chord_id, _NAME_LENGTH),
        "callback": plain(name, _NAME_LENGTH) if name else None,
        "cause": plain(change.cause),
        "outcome": change.verdict.outcome if change.verdict else None,
        "summary": summary(change),
        "certain": change.verdict.certain if change.verdict else None,
    }


def document(change: Change, *, dashboard_url: str = "") -> dict[str, Any]:
    """Return the change as the webhook sends it: the chord without its header, the verdict with its evidence.

    Where `dashboard_url` is given, the document links to the chord there.
    """
    chord = to_json(bounded(change.chord, _SENT), header=False)
    verdict = next((v for v in chord["verdicts"] if v["cause"] == change.cause), None)
    sent = {"event": change.event, "at": change.at, "cause": change.cause, "verdict": verdict, "chord": chord}
    return sent | (
        {"dashboard_url": chord_url(dashboard_url, change.chord.chord_id)} if dashboard_url else {}
    )
