"""What is said of several tasks, workers or queues agrees with their number, as what is said of one does."""

from __future__ import annotations

from typing import Any

import pytest

from chordwatch.diagnosis import Case, diagnose
from chordwatch.evidence.facts import Limits, Place, Server, WorkerTask
from chordwatch.model import Attempt, HeaderTask, Verdict
from tests.unit.judged import NOWHERE, alive, case, dead, life, received, running, started, told, unacked
from tests.unit.seen import NOW, active, consumers, header_task, in_queue, keys, meta, open_chord, part

HOUR = Limits(visibility_timeout=3600.0)
LATER = Place(kind="unacked", name="celery", eta=NOW + 60, since=NOW - 6)
LOST = {"h1": NOW - 5, "h2": NOW - 5}


def of_two(place: Place, **fields: Any) -> Case:
    """Return the case of a chord whose `h1` and `h2` are both in such a place."""
    header = tuple(header_task(number, counted=not number) for number in range(3))
    chord = fields.pop("chord", None) or open_chord(size=3, header=header)
    return case({"h1": place, "h2": place}, **{"chord": chord, **fields})


def told_two(first: HeaderTask, second: HeaderTask, place: Place = NOWHERE, **fields: Any) -> Case:
    """Return the case of a recorded chord whose `h1` and `h2` are both in such a place."""
    return told({"h1": place, "h2": place}, first, second, **fields)


def ended(number: int, state: Any, error: str, name: str = "zoo.add", **run: Any) -> HeaderTask:
    """Return a part that ended on a worker without being counted."""
    usual = {"attempt": 0, "state": state, "worker": "w1@zoo", "finished_at": NOW - 50, "error": error}
    attempt = Attempt(**{**usual, **run})
    known = {"worker": "w1@zoo", "error": error, "finished_at": NOW - 50, "attempts": (attempt,)}
    return header_task(number, state=state, name=name, **known)


def hoarding() -> Case:
    ahead = WorkerTask(task_id="long", name="zoo.nap", kind="active", started_at=NOW - 60)
    kept = [WorkerTask(task_id=f"h{n}", name="zoo.add", kind="reserved", queue="celery") for n in (1, 2)]
    busy = alive(concurrency=1, tasks=(ahead, *kept))
    return of_two(
        Place(kind="reserved", name="w1@zoo"), who=consumers(busy, alive("w2@zoo"), alive("w3@zoo"))
    )


def joining() -> Case:
    header = tuple(header_task(number, counted=True, state="succeeded") for number in (0, 1))
    chord = open_chord(header=header, counted=2, missing=(), progressed_at=NOW - 47)
    workers = (alive(tasks=(active("h0"),)), alive("w2@zoo", tasks=(active("h1"),)))
    return case({}, consumers(*workers), chord=chord, keys=keys(size=2, counted=2, members=("h0", "h1")))


def twice(number: int) -> HeaderTask:
    runs = tuple(Attempt(attempt=0, state="succeeded", started_at=NOW - at) for at in (60, 50))
    return header_task(number, counted=True, state="succeeded", attempts=runs)


UNKNOWN = "NotRegistered: 'x'"
REFUSED = "OutOfMemoryError: full"
DEAD = {"lives": {"w1@zoo": (dead(),)}, "limits": HOUR, "who": consumers(alive("w2@zoo"))}
BARE = {"who": consumers(alive("w2@zoo")), "nowhere_since": LOST, "keys": keys(size=3, parts=(part(0),))}
STARTED = {
    f"h{number}": meta(f"h{number}", state="started", worker="w1@zoo", finished_at=None) for number in (1, 2)
}


@pytest.mark.parametrize(
    ("found", "cause", "said"),
    [
        (
            of_two(unacked(), who=consumers(alive())),
            "redelivery_pending",
            "no worker says that it holds them",
        ),
        (
            of_two(unacked(), who=consumers(alive())),
            "redelivery_pending",
            "Does the worker live that took them, and",
        ),
        (
            told_two(received(1), received(2), unacked(), **DEAD),
            "redelivery_pending",
            "a worker that is no more; they are delivered again after",
        ),
        (hoarding(), "prefetch_hoarded", "while w2@zoo, w3@zoo have nothing to do."),
        (
            of_two(in_queue(), who=consumers(alive(), alive("w2@zoo"))),
            "queued",
            "2 tasks wait in queue celery, which w1@zoo, w2@zoo read.",
        ),
        (
            of_two(LATER, who=consumers(alive())),
            "eta_scheduled",
            "Are the workers alive that took them? They did not name the tasks",
        ),
        (
            told_two(ended(1, "failed", UNKNOWN), ended(2, "failed", UNKNOWN)),
            "header_unregistered",
            "on the worker that received it; the messages were thrown away and the parts are never counted.",
        ),
        (
            told_two(ended(1, "failed", UNKNOWN), ended(2, "failed", UNKNOWN, name="zoo.nap")),
            "header_unregistered",
            "zoo.add, zoo.nap are not registered on the worker that received them; the messages were thrown away",
        ),
        (
            told_two(ended(1, "rejected", "bad"), ended(2, "rejected", "bad")),
            "header_undecodable",
            "2 tasks wait for ever: the worker could not read their messages and threw them away (bad).",
        ),
        (joining(), "join_blocked", "but w1@zoo, w2@zoo still gather their results"),
        (
            told_two(ended(1, "failed", REFUSED, started_at=NOW - 60), ended(2, "failed", REFUSED)),
            "backend_write_failed",
            "2 parts ran to the end, and the result backend did not take their results",
        ),
        (
            told_two(started(1), started(2), Place(kind="unknown"), lives={"w1@zoo": (dead(),)}),
            "worker_lost",
            "a message of them that waits there is not seen",
        ),
        (
            of_two(
                in_queue(), who=consumers(alive(queues=(), tasks=(active("x"),)), alive("w2@zoo", queues=()))
            ),
            "worker_not_consuming",
            "Are w1@zoo, w2@zoo about to shut down, or have they stopped to read celery?",
        ),
        (
            case({"h1": in_queue(), "body": in_queue("low")}, consumers()),
            "no_workers",
            "2 tasks wait in queues celery, low, and no worker is online.",
        ),
        (
            told({}, twice(1), twice(2)),
            "duplicate_delivery",
            "2 tasks were started more than once without a retry: the broker delivered their messages again.",
        ),
        (
            of_two(running(ago=400), usual={"zoo.add": 0.2}),
            "task_overdue",
            "nearly all of their kind took at most",
        ),
        (
            of_two(NOWHERE, **BARE, broker=Server(started_at=NOW - 30)),
            "message_lost",
            "their messages may have been lost on their way to a worker.",
        ),
        (
            of_two(NOWHERE, **BARE),
            "header_undecodable",
            "a worker may have refused their messages as unreadable, or their tasks as unregistered.",
        ),
        (
            of_two(NOWHERE, **{**BARE, "who": consumers(alive())}, metas=STARTED),
            "header_ignored",
            "They were started by w1@zoo, which lives and does not have them.",
        ),
        (
            told_two(started(1), started(2), lives={"w1@zoo": (life(),)}, nowhere_since=LOST),
            "unknown",
            "What do the workers' logs say of them?",
        ),
    ],
)
def test_words_agree_with_the_number_they_speak_of(found: Case, cause: str, said: str) -> None:
    verdict = next(verdict for verdict in diagnose(found) if verdict.cause == cause)

    assert said in _words(verdict)


def _words(verdict: Verdict) -> str:
    return "\n".join((verdict.summary, *verdict.evidence, verdict.question or ""))


def test_a_remedy_names_the_queues_of_all_tasks() -> None:
    places = {"h1": in_queue("low"), "body": in_queue("my queue"), "h2": in_queue("low")}
    (verdict,) = diagnose(case(places, consumers()))

    assert verdict.cause == "no_workers"
    assert verdict.remedy.startswith(
        "Start workers that read queue 'low,my queue' (celery -A proj worker -Q 'low,my queue'): the messages wait"
    )


def test_a_remedy_names_no_more_queues_than_fit_a_line() -> None:
    places = {f"h{number}": in_queue(f"q{number}") for number in range(1000)}
    (verdict,) = diagnose(case(places, consumers()))

    assert len(verdict.remedy) < 300
