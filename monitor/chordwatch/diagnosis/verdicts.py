"""Builds verdicts: the catalogue's words filled with one chord's numbers, names and times. Pure."""

from __future__ import annotations

import re
import shlex

from chordwatch.diagnosis.case import Case
from chordwatch.diagnosis.causes import CAUSES
from chordwatch.diagnosis.wording import NAMED, place_words, rest, sentence
from chordwatch.model import Outcome, Verdict
from chordwatch.text import plain


def verdict(
    case: Case,
    cause: str,
    *,
    tasks: list[str],
    summary: str,
    evidence: list[str],
    certain: bool | None = None,
    question: str | None = None,
    since: float | None = None,
    recovers_at: float | None = None,
    outcome: Outcome | None = None,
    remedy: str | None = None,
) -> Verdict:
    """Build a verdict of a catalogued cause. With a question and nothing said, it is not certain.

    `outcome` and `remedy` are the catalogue's unless given. In a remedy QUEUE, TASK, ID and CALLBACK stand for the
    tasks' queues as `worker -Q` takes them, the first task's id, the chord's id, and its callback's name.
    """
    entry = CAUSES[cause]
    sure = question is None if certain is None else certain
    return Verdict(
        cause=cause,
        outcome=outcome or entry.outcome,
        certain=sure,
        tasks=tuple(tasks),
        summary=sentence(summary),
        evidence=tuple(evidence),
        remedy=_filled(remedy or entry.remedy, case, tasks),
        question=None if sure else question,
        since=since,
        recovers_at=recovers_at,
        docs=entry.docs,
    )


def where(case: Case, tasks: list[str]) -> list[str]:
    """Return a line for each of the first tasks that says where it is, and how many more there are."""
    lines = [f"{case.described(task)} is {place_words(case.places[task])}." for task in tasks[:NAMED]]
    return [sentence(line) for line in lines] + rest(len(tasks))


def _filled(remedy: str, case: Case, tasks: list[str]) -> str:
    words = {
        "QUEUE": _queues(case, tasks) if "QUEUE" in remedy else "",
        "TASK": pasted(tasks[0]) if tasks else "TASK",
    }
    words["ID"] = pasted(case.chord.chord_id)
    words["CALLBACK"] = pasted(case.chord.callback.name) if case.chord.callback.name else "CALLBACK"
    return re.sub(r"\b(QUEUE|TASK|ID|CALLBACK)\b", lambda found: words[found[0]], remedy)


def _queues(case: Case, tasks: list[str]) -> str:
    names = sorted(
        {place.name for task in tasks if (place := case.place(task)).kind == "queue" and place.name}
    )
    return shlex.quote(",".join(plain(name) for name in names[:NAMED])) if names else "QUEUE"


def pasted(name: str) -> str:
    """Return a name as it stands in a command that people paste into a shell."""
    return shlex.quote(plain(name))
