"""What a terminal would show, as plain text, and hostile chords to show."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

from rich.console import Console, RenderableType

from chordwatch.evidence.facts import Place
from chordwatch.model import Callback, Errback, MissingPart, Verdict
from chordwatch.watch import Sighting
from tests.unit.seen import NOW, header_task, open_chord

MARKUP = "[bold red]tasks[/bold red]:smile:"
HUGE = "tasks." + "x" * 10_240
CONTROL = "one\ntwo\x1b[31m\u202ethree\ud800"
NAMES = (MARKUP, HUGE, CONTROL, "größe 🎻 | <b>`*_")


def text_of(renderable: RenderableType, width: int = 200) -> str:
    out = io.StringIO()
    Console(file=out, width=width, highlight=False, color_system=None).print(renderable, crop=False)
    return out.getvalue()


def verdict(**fields: Any) -> Verdict:
    usual: dict[str, Any] = {
        "cause": "queue_unconsumed",
        "outcome": "hung",
        "certain": False,
        "tasks": ("h1",),
        "summary": "1 task of the header waits in queue nobody, which no worker reads.",
        "evidence": ("zoo.add (index 1) h1 is in queue nobody.", "Online: w1@zoo (reads celery)."),
        "remedy": "Start a worker.",
        "question": "Does a busy worker read it?",
        "since": NOW - 90,
        "docs": "docs/causes.md#queue_unconsumed",
    }
    return Verdict(**{**usual, **fields})


def sighting(**fields: Any) -> Sighting:
    return Sighting(chord=open_chord(**fields), places={"h1": Place(kind="queue", name="nobody")})


def hostile(name: str) -> Sighting:
    """Return a chord in which every foreign text is `name`."""
    chord = open_chord(
        chord_id=name,
        callback=Callback(task_id=name, name=name, state="failed", error=name, queue=name),
        header=(
            header_task(0, task_id=name, name=name, error=name, state="failed", counted=True),
            header_task(1, task_id=name + "1", name=name),
        ),
        missing=(MissingPart(index=1, task_id=name + "1", name=name),),
        errbacks=(Errback(task_id=name, name=name),),
        parent_id=name,
    )
    return Sighting(
        chord=chord, places={name + "1": Place(kind="active", name=name), name: Place(kind="nowhere")}
    )


def with_verdicts(seen: Sighting, *verdicts: Verdict) -> Sighting:
    return replace(seen, chord=replace(seen.chord, verdicts=verdicts))
