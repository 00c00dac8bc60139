"""The scenes that are recorded: how each fault is brought about for real while the monitor is scraped.

A scene is a function on an installation; its name is its recording's. Scrapes are `INTERVAL` seconds apart.
The end of a fault is marked before it is brought about, so that the sample before the mark shows the fault.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import uuid4

from tests.alerts.gates import GO_ON, HANG
from tests.alerts.installation import Installation
from tests.faults.bench import Sent
from tests.support.servers import RedisServer, kill

#: So many chords are at fault at once; an alert tells of all of them in one.
CHORDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What is brought about, and the environment of all processes meanwhile."""

    play: Callable[[Installation], None]
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of its recording."""
        return self.play.__name__

    @property
    def about(self) -> str:
        """What happens, in a sentence."""
        return (self.play.__doc__ or "").strip()


SCENES: dict[str, Scene] = {}


def scene(**variables: str) -> Callable[[Callable[[Installation], None]], Callable[[Installation], None]]:
    """Add a scene."""

    def add(play: Callable[[Installation], None]) -> Callable[[Installation], None]:
        SCENES[play.__name__] = Scene(play=play, variables=variables)
        return play

    return add


# Faults of workers, tasks and queues.


@scene()
def worker_killed(it: Installation) -> None:
    """A worker is killed while it runs a part of each of three chords; later it is back, and gets them once more."""
    _, messages = taken_by_a_victim(it, "kill_worker_early")
    it.kill("victim")
    it.mark("killed")
    it.scrapes(8)
    it.mark("sent again")
    it.open("for_ever")
    send_again(it, "victim", messages)
    it.worker("victim", queues="victim", concurrency=CHORDS)
    it.scrapes(5)


@scene(CHORDWATCH_OVERDUE_FLOOR="10")
def task_overdue(it: Installation) -> None:
    """A part of each of three chords runs far longer than its kind did before; later they end."""
    it.worker("main", concurrency=4)
    it.monitor()
    it.open("open")
    with it.traffic("short_running", every=0.2):
        it.scrapes(4)
    for _ in range(CHORDS):
        it.send("long_running")
    it.scrapes(2)
    it.mark("overdue")
    it.scrapes(8)
    it.mark("ended")
    it.open("for_ever")
    it.scrapes(5)


@scene()
def crash_loop(it: Installation) -> None:
    """Parts of two chords kill their process each time they are delivered anew; later they are revoked."""
    it.worker("main", concurrency=3)
    it.monitor()
    it.scrapes(2)
    sent = [it.send("kill_child_requeue_loop") for _ in range(2)]
    for one in sent:
        it.until_started(one.header[1], runs=5)
    it.mark("looping")
    it.scrapes(6)
    it.mark("revoked")
    it.app.control.revoke([one.header[1] for one in sent], reply=True)
    it.scrapes(6)


@scene()
def failing_headers(it: Installation) -> None:
    """Every other chord has a part that raises; later all are well."""
    it.worker("main")
    it.monitor()
    with it.traffic("healthy"):
        it.scrapes(4)
    it.mark("failing")
    with it.traffic("healthy", "header_raises"):
        it.scrapes(14)
    it.mark("well again")
    with it.traffic("healthy"):
        it.scrapes(6)


@scene()
def retries(it: Installation) -> None:
    """A part of every chord retries five times before it succeeds; before, one did, and later none does."""
    it.worker("main")
    it.monitor()
    it.send("try_again")
    with it.traffic("healthy"):
        it.scrapes(4)
    it.mark("retrying")
    with it.traffic("try_again"):
        it.scrapes(14)
    it.mark("well again")
    with it.traffic("healthy"):
        it.scrapes(6)


@scene()
def queue_unread(it: Installation) -> None:
    """A part of each of three chords waits in a queue that nobody reads; later a worker does."""
    it.worker("main")
    it.monitor()
    it.scrapes(2)
    for _ in range(CHORDS):
        it.send("header_queue_unconsumed")
    it.mark("sent")
    it.scrapes(12)
    it.mark("read")
    it.worker("second", queues="nobody")
    it.scrapes(6)


@scene()
def backlog(it: Installation) -> None:
    """Two hundred parts wait behind a long one; later it ends."""
    it.worker("narrow", queues="celery,narrow", concurrency=1)
    it.monitor()
    it.scrapes(2)
    it.send("behind_a_long_task")
    it.mark("sent")
    it.scrapes(10)
    it.mark("ended")
    it.open("behind_a_long_task")
    it.scrapes(5)


@scene()
def callback_twice(it: Installation) -> None:
    """The callback's message is delivered twice to a worker, and so the callback runs twice."""
    it.worker("main")
    it.monitor()
    with it.traffic("healthy"):
        it.scrapes(2)
    it.send("body_queue_unconsumed")
    it.until(lambda: it.broker.llen("nobody_else"), "the callback waits")
    it.mark("delivered twice")
    send_again(it, "nobody_else", [raw.decode() for raw in it.broker.lrange("nobody_else", 0, -1)])
    it.app.control.add_consumer("nobody_else", destination=["main@here"])
    it.scrapes(8)


@scene()
def idle_worker_killed(it: Installation) -> None:
    """A worker is killed while it has nothing to do."""
    it.worker("main")
    it.worker("victim", queues="victim")
    it.monitor()
    with it.traffic("healthy"):
        it.scrapes(3)
        it.kill("victim")
        it.mark("killed")
        it.scrapes(8)


# Faults of what chordwatch itself needs.


@scene(CHORDWATCH_BUFFER_SIZE="100")
def records_dropped(it: Installation) -> None:
    """The store answers nobody for a while, and processes have more to tell than they can keep."""
    it.worker("main")
    it.monitor()
    with it.traffic("healthy", every=0.1):
        it.scrapes(3)
        it.freeze(it.store_server)
        it.mark("frozen")
        it.scrapes(6)
        it.mark("thawed")
        it.thaw(it.store_server)
        it.scrapes(6)


@scene()
def monitor_killed(it: Installation) -> None:
    """The monitor is killed, and started again a minute later."""
    it.worker("main")
    it.monitor()
    with it.traffic("healthy"):
        it.scrapes(4)
        it.kill_monitor()
        it.mark("killed")
        it.scrapes(12)
        it.mark("started again")
        it.monitor()
        it.scrapes(5)


@scene()
def store_killed(it: Installation) -> None:
    """The store is killed, and started again, empty, a minute later."""
    without(it, it.store_server)


@scene()
def broker_killed(it: Installation) -> None:
    """The broker is killed, and started again a minute later."""
    without(it, it.broker_server)


@scene()
def backend_killed(it: Installation) -> None:
    """The result backend is killed, and started again a minute later."""
    without(it, it.backend_server)


@scene()
def look_hangs(it: Installation) -> None:
    """A look of the monitor does not end; later it does."""
    it.worker("main")
    it.monitor("tests.alerts.hanging")
    with it.traffic("healthy"):
        it.scrapes(3)
        it.open(HANG)
        it.mark("hanging")
        it.scrapes(12)
        it.mark("looking again")
        it.open(GO_ON)
        it.scrapes(5)


# What alerts nobody.


@scene()
def healthy(it: Installation) -> None:
    """All is well."""
    it.worker("main")
    it.monitor()
    with it.traffic("healthy", "nap"):
        it.scrapes(16)


@scene()
def scale_in(it: Installation) -> None:
    """One of two workers is ended on purpose while both run parts of chords."""
    it.worker("main")
    it.worker("second")
    it.monitor()
    with it.traffic("nap"):
        it.scrapes(4)
        it.end("second")
        it.mark("ended")
        it.scrapes(10)


@scene()
def rolling_restart(it: Installation) -> None:
    """Each worker is restarted in turn; one of them is the only one that reads a queue."""
    it.worker("main", queues="celery,narrow,nobody")
    it.worker("second")
    it.monitor()
    with it.traffic("nap", "header_queue_unconsumed"):
        it.scrapes(4)
        for name, queues in (("main", "celery,narrow,nobody"), ("second", "celery")):
            it.end(name)
            it.mark(f"{name} ended")
            it.scrapes(2)
            it.mark(f"{name} is back")
            it.worker(name, queues=queues)
            it.scrapes(4)


@scene()
def monitor_restarted(it: Installation) -> None:
    """A monitor restarts while chords hang, because of a worker that was killed."""
    taken_by_a_victim(it, "kill_worker_early")
    it.kill("victim")
    it.mark("killed")
    it.scrapes(6)
    it.kill_monitor()
    it.mark("monitor ended")
    it.scrapes(4)
    it.mark("monitor is back")
    it.monitor()
    it.scrapes(8)


# What several scenes do.


def taken_by_a_victim(it: Installation, name: str) -> tuple[list[Sent], list[str]]:
    """Start a monitor, and a worker that takes a part of each chord; return the chords and the parts' messages."""
    it.worker("main")
    sent = [it.send(name) for _ in range(CHORDS)]
    messages = [raw.decode() for raw in it.broker.lrange("victim", 0, -1)]
    assert len(messages) == CHORDS
    it.worker("victim", queues="victim", concurrency=CHORDS)
    for one in sent:
        it.until_started(one.header[1])
    it.monitor()
    it.scrapes(3)
    return sent, messages


def send_again(it: Installation, queue: str, messages: list[str]) -> None:
    """Put copies of messages into a queue."""
    for raw in messages:
        message = json.loads(raw)
        message["properties"]["delivery_tag"] = str(uuid4())
        it.broker.lpush(queue, json.dumps(message))


def without(it: Installation, server: RedisServer) -> None:
    """Kill a server, and start it again a minute later."""
    it.worker("main")
    it.monitor()
    it.send("healthy")
    it.scrapes(4)
    kill(server.process)
    it.mark("killed")
    it.scrapes(12)
    it.mark("started again")
    server.start()
    it.scrapes(6)
