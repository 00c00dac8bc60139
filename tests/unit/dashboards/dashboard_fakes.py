"""A hand-written source for the dashboard's tests, and short ways to make boards and chords."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from celery import Celery

from chordwatch.board.examined import Examination
from chordwatch.board.rows import Board, ChordRow, QueueRow, WorkerRow
from chordwatch.errors import ChordwatchError
from chordwatch.evidence.facts import Place, Queue, Worker
from chordwatch.model import OUTCOMES, Callback, Chord, Health, MissingPart, Outcome, Verdict
from chordwatch.settings import Settings, read_settings
from chordwatch.watch.look import Look, Sighting

NOW = 1_790_000_000.0
NOTHING_FOUND = Examination(taken_at=NOW, findings=(), tasks=3, chords=0, workers=1)

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


class FakeSource:
    """Answers like a `Source` with what it was given; what is an exception is raised, or returned as the board.

    `chords` and `explained` are the pages of chords by any id that leads to them. Remembers what it was asked.
    """

    def __init__(self, seen: Board | ChordwatchError | None = None, **answers: Any) -> None:
        self.seen = seen or board()
        self.chords: Mapping[str, Any] | Exception = answers.pop("chords", {})
        self.explained: Mapping[str, Any] | Exception = answers.pop("explained", {})
        self.samples: tuple[Any, ...] | Exception = answers.pop("samples", ())
        self.found: Any = answers.pop("found", NOTHING_FOUND)
        self.settings: Settings = answers.pop("settings", None) or read_settings(Celery().conf)
        self.asked: list[tuple[Any, ...]] = []
        assert not answers, f"Not an answer of a source: {answers}"

    def board(self) -> Board | ChordwatchError:
        """Answer with the board, or with the error."""
        self.asked.append(("board",))
        return self.seen

    def chord(self, id: str) -> Any:  # noqa: A002  # as in Source
        """Answer with the page of the chord."""
        return self._answer("chord", self.chords, id)

    def explain(self, id: str) -> Any:  # noqa: A002  # as in Source
        """Answer with the page after a fresh diagnosis."""
        return self._answer("explain", self.explained, id)

    def history(self, seconds: float) -> tuple[Any, ...]:
        """Answer with the samples."""
        self.asked.append(("history", seconds))
        if isinstance(self.samples, Exception):
            raise self.samples
        return self.samples

    def findings(self, *, anew: bool = False) -> Any:
        """Answer with the doctor's findings."""
        self.asked.append(("findings", anew))
        if isinstance(self.found, Exception):
            raise self.found
        return self.found

    def _answer(self, asked: str, answers: Mapping[str, Any] | Exception, name: str) -> Any:
        self.asked.append((asked, name))
        if isinstance(answers, Exception):
            raise answers
        return answers.get(name)


def row(chord_id: str = "c1", health: Health = "ok", **changes: Any) -> ChordRow:
    stuck: dict[str, Any] = {
        "cause": "queue_unconsumed",
        "why": "2 tasks wait in queue low, which no worker consumes.",
        "remedy": "Start a worker that reads the queue.",
        "waits_for": "2 in queue low",
        "queues": ("low",),
        "since": NOW - 600,
    }
    values: dict[str, Any] = {
        "chord_id": chord_id,
        "callback": "tasks.report",
        "state": "open",
        "health": health,
        "size": 8,
        "counted": 3,
        "opened_at": NOW - 3725,
        "progressed_at": NOW - 65,
        **(stuck if health in ("hung", "looping", "late", "failed") else {}),
    }
    return ChordRow(**{**values, **changes})


def board(*rows: ChordRow, **changes: Any) -> Board:
    """Return a board with these chords, as a monitor of an instrumented installation makes it."""
    values: dict[str, Any] = {
        "taken_at": NOW,
        "looker": "monitor",
        "interval": 5.0,
        "counts": {outcome: sum(row.health == outcome for row in rows) for outcome in OUTCOMES},
        "queues": (QueueRow(name="default", length=3, unacked=1, consumers=2),),
        "workers": (WorkerRow(hostname="w1@host", up=True, last_beat_at=NOW - 1, queues=("default",)),),
        "finished": {"succeeded": 40, "failed": 2},
        "instrumented": True,
    }
    return Board(chords=rows, **{**values, **changes})


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
