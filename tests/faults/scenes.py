"""The cases: how each fault is brought about for real, and what must be said of it in both modes.

A case is a function that brings its fault about on a bench and returns the chord; its name is the chord's in `chords`.
Cases of one scene share an installation and are brought about at the same time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from redis import Redis

from tests.faults.bench import GROUP, Bench, Sent

#: With Celery's defaults nothing tells these apart: the part is not counted, and is nowhere.
UNSEEN = frozenset(
    {
        "worker_lost",
        "worker_frozen",
        "header_ignored",
        "header_undecodable",
        "backend_write_failed",
        "message_lost",
    }
)
#: Nor these, of which looks see that a task is begun anew; between two runs it waits for a slot.
LOOPS = frozenset({"worker_lost_loop", "requeue_loop", "header_running", "queued"})
#: So long after its last heartbeat is a worker silent for good; so long is a message on its way, or a result stored
#: and not counted, at the most. Seconds.
SILENT, ON_ITS_WAY = 11.0, 6.0
#: So long may a producer, or a task that adds parts, be silent and well. Seconds.
QUIET = 125.0
#: So long may a worker take for a restart before its queue is called unread. Seconds.
RESTARTED = 31.0
#: Failures that nothing but their time ties to a chord are so far apart. Seconds.
APART = 14.0


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One installation; `workers` by name with the options of `Bench.worker`, `settle` seconds after all faults.

    `asked`: how often a user asks about a chord that is not explained by anything worse than running.
    """

    workers: dict[str, dict[str, Any]] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    settle: float = ON_ITS_WAY
    asked: int = 1


@dataclass(frozen=True, kw_only=True)
class Case:
    """A fault and what must be said of it.

    `instrumented`: the cause that comes first, for certain; None where nothing may be said. `bare`: a cause that must
    be named; `beside`: those that may be named with it, because the evidence does not exclude them; no other may be.
    `culprit`: the index of the part that the instrumented verdict is about, `callback`, or None where it is no task's.
    `state` is that of the chord, in the contract's words. Not `certain`: even records cannot tell for sure.
    """

    name: str
    scene: str
    bring_about: Callable[[Bench], Sent]
    instrumented: str | None
    bare: str | None
    beside: frozenset[str] = frozenset()
    culprit: int | str | None = 1
    state: str = "open"
    certain: bool = True


SCENES = {
    "main": Scene(workers={"main": {"concurrency": 5}}),
    "busy": Scene(workers={"main": {"concurrency": 5}}),
    "dead": Scene(
        workers={"main": {}, "victim": {"queues": "victim", "concurrency": 3}},
        settle=SILENT,
    ),
    "reborn": Scene(
        workers={"main": {}, "reborn": {"queues": "reborn", "concurrency": 1}},
        settle=SILENT,
    ),
    "stopped": Scene(
        workers={"main": {}, "cold": {"queues": "cold"}, "frozen": {"queues": "frozen"}},
        settle=SILENT,
    ),
    # Not among cases that kill a child of the pool: it may be the one that has not yet told how this ended.
    "ignored": Scene(workers={"main": {}}),
    # Some failures are stored without a group, so that they could be any chord's.
    "failing": Scene(workers={"main": {"concurrency": 3}}),
    "unregistered": Scene(workers={"main": {}}),
    "nested": Scene(workers={"main": {}}),
    "small": Scene(
        settle=SILENT,
        workers={
            "small": {"queues": "small", "concurrency": 1},
            "hoarder": {"queues": "hoard", "concurrency": 1},
        },
    ),
    # Who asks once sees a task run; who asks again sees that it was begun anew.
    "loops": Scene(workers={"main": {}}, asked=4),
    "no_worker": Scene(workers={"main": {}}, settle=RESTARTED),
    "cancelled": Scene(workers={"main": {}}, settle=RESTARTED),
    "expiring": Scene(workers={"main": {}}, settings={"result_expires": 2}),
    # Of a chord whose keys have all expired there is no sign: a user has to look while the last part's are there.
    "expiring_chords": Scene(workers={"main": {}}, settings={"result_chord_expires": 5}, settle=0.0),
    "flushed": Scene(workers={"main": {}}),
    "evicting": Scene(workers={"main": {}}),
    "full": Scene(workers={"main": {}}),
    "two_backends": Scene(settle=65.0),
    "silent": Scene(workers={"main": {"concurrency": 4}}, settle=QUIET),
}
CASES: list[Case] = []


def case(
    scene: str, cause: str | None, **more: Any
) -> Callable[[Callable[[Bench], Sent]], Callable[[Bench], Sent]]:
    """Add a case; `cause` is that of both modes unless `bare` is given."""

    def add(bring_about: Callable[[Bench], Sent]) -> Callable[[Bench], Sent]:
        expected = {"instrumented": cause, "bare": cause, **more}
        CASES.append(Case(name=bring_about.__name__, scene=scene, bring_about=bring_about, **expected))
        return bring_about

    return add


# Workers that are no more.


def ended(bench: Bench, name: str) -> Sent:
    """Publish a chord whose callback is to have a result."""
    sent = bench.send(name)
    bench.until_stored(sent.callback_id)
    return sent


def counted(bench: Bench, name: str, parts: int = 1) -> Sent:
    """Publish a chord of which so many parts are to be counted."""
    sent = bench.send(name)
    bench.until_counted(sent.chord_id, parts)
    return sent


def outlived(bench: Bench, name: str) -> Sent:
    """Let a part end when the chord's keys have gone."""
    sent = counted(bench, name)
    bench.until(lambda: not bench.backend.exists(f"{GROUP}{sent.chord_id}.s"), "the size has expired")
    bench.open(name)
    # Whoever looks later finds nothing of a result that expires too.
    bench.until(lambda: f"{sent.header[1]}] succeeded" in bench.log("main"), "the last part has ended")
    return sent


def counted_anew(bench: Bench, sent: Sent) -> Sent:
    """Let the last part end; it is counted in a set that knows of no other."""
    bench.until(lambda: not bench.backend.exists(f"{GROUP}{sent.chord_id}.s"), "the size is gone")
    for gate in ("backend_flushed", "size_key_evicted"):
        bench.open(gate)
    bench.until_stored(sent.header[1], "SUCCESS")
    return sent


def limit(redis: Redis, policy: str, maxmemory: int) -> None:
    """Let a Redis have so many bytes."""
    redis.config_set("maxmemory-policy", policy)
    redis.config_set("maxmemory", maxmemory)


def deliver_again(bench: Bench, task_id: str) -> None:
    """Restore a message that is not acknowledged, as a worker does when the visibility timeout is over."""

    def tags() -> list[str]:
        return [
            tag.decode() for tag, raw in bench.broker.hgetall("unacked").items() if task_id.encode() in raw
        ]

    bench.until(tags, "the message is not acknowledged")
    with bench.app.connection_for_write() as connection:
        connection.default_channel.qos.restore_by_tag(tags()[0])
