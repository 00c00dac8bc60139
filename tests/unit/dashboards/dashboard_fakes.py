"""A hand-written watch for the dashboard's tests, and short ways to make chords."""

from __future__ import annotations

from typing import Any

from chordwatch.evidence.facts import Place, Queue, Worker
from chordwatch.model import Callback, Chord, MissingPart, Outcome, Verdict
from chordwatch.watch.look import Look, Sighting

NOW = 1_790_000_000.0

#: Names that would do something where they were parsed as HTML, Markdown, LaTeX or directives.
HOSTILE = (
    "<script>document.title='owned'</script>",
    "<img src=x onerror=alert(1)>",
    "**bold** _italic_ ~~gone~~",
    "[click](javascript:alert(1))",
    "![pixel](http://203.0.113.1/pixel.png)",
    "https://203.0.113.1/autolink",
    r"$\frac{1}{2}$ and $$x^2$$",
    ":red[danger] :blue-background[x]",
    ":smile: :+1: :material/delete: :streamlit:",
    "# heading",
    "| a | b |\n|---|---|\n| c | d |",
    "new\nline\ttab\r\x00nul\x1b[31mred",
    "right\u202eto left \u200bzero width",
    "&lt;b&gt; &amp; &#x41;",
    "`code` ```fence```",
    "=HYPERLINK(1)",
    "lone \udc80 surrogate",
    "x" * 10_240,
)


class FakeWatch:
    """Answers with the look it was given, or raises the error it was given. Remembers the questions."""

    def __init__(self, answer: Look | Exception) -> None:
        self.answer = answer
        self.asked: list[dict[str, Any]] = []

    def look(self, **question: Any) -> Look:
        """Answer like a Watch."""
        self.asked.append(question)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def verdict(outcome: Outcome = "hung", **changes: Any) -> Verdict:
    values: dict[str, Any] = {
        "cause": "queue_unconsumed",
        "outcome": outcome,
        "certain": True,
        "tasks": (),
        "summary": "2 tasks wait in queue low, which no worker consumes.",
        "evidence": (),
        "remedy": "",
        "docs": "",
    }
    return Verdict(**{**values, **changes})


def chord(chord_id: str = "c1", health: str = "ok", **changes: Any) -> Chord:
    values: dict[str, Any] = {
        "chord_id": chord_id,
        "state": "open",
        "health": health,
        "size": 8,
        "counted": 3,
        "missing": tuple(MissingPart(index=index, task_id=f"t{index}") for index in range(5)),
        "callback": Callback(task_id="body", name="tasks.report"),
        "header": (),
        "opened_at": NOW - 3725,
        "progressed_at": NOW - 65,
    }
    return Chord(**{**values, **changes})


def sighting(
    chord_id: str = "c1", health: str = "ok", places: dict[str, Place] | None = None, **changes: Any
) -> Sighting:
    return Sighting(chord=chord(chord_id, health, **changes), places=places or {})


def look(*sightings: Sighting, **changes: Any) -> Look:
    values: dict[str, Any] = {
        "taken_at": NOW,
        "queues": (Queue(name="default", length=3, unacked=1, consumers=2),),
        "workers": (Worker(hostname="w1@host", queues=("default",)),),
    }
    return Look(sightings=sightings, **{**values, **changes})
