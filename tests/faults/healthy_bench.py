"""An installation in which nothing is wrong, whatever it looks like; and those who look at it all the time."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from celery import Celery
from redis import Redis

from chordwatch.errors import UnreachableError
from chordwatch.model import FINISHED, Chord
from chordwatch.watch import Watch
from tests.faults.bench import Mode
from tests.support.polling import wait_until
from tests.support.servers import Processes, RedisServer, clean_environment, kill

T = TypeVar("T")

HERE = Path(__file__).parent
HEALTHY = frozenset({"ok", "waiting", "done"})
#: A monitor looks every so often here, and asks the workers every so often. Seconds.
LOOK_EVERY, ASK_EVERY = 1.0, 6.0
#: So long does a worker need for the questions that waited for it. Seconds.
ANSWERED = 1.5


class Installation:
    """Two Redis servers, workers with and without a right clock, and a producer."""

    def __init__(self, folder: Path, mode: Mode) -> None:
        self.processes = Processes(folder)
        self.broker_server, self.backend_server = RedisServer(self.processes), RedisServer(self.processes)
        self.broker: Redis = self.broker_server.client(0)
        urls = {
            "HEALTHY_BROKER": self.broker_server.url(0),
            "HEALTHY_BACKEND": self.backend_server.url(0),
        }
        recorded = {"HEALTHY_INSTRUMENTED": "1"} if mode == "instrumented" else {}
        self.instrumented = mode == "instrumented"
        self._environment = clean_environment(**urls, **recorded)
        self._workers: dict[str, subprocess.Popen[bytes]] = {}
        #: The names of what is to be sent; the group ids of the chords that were, by name; and what could not be.
        self.asked: set[str] = set()
        self.sent: dict[str, list[str]] = {}
        self.errors: dict[str, str] = {}
        self._away = 0
        self._lock = threading.Lock()
        self._listeners: list[threading.Thread] = []
        self._producers: dict[str, subprocess.Popen[str]] = {}

    def app(self) -> Celery:
        """Return the app of somebody who looks; for one thread."""
        broker, backend = self.broker_server.url(0), self.backend_server.url(0)
        return Celery("user", broker=broker, backend=backend, set_as_current=False)

    def worker(self, name: str, *options: str, clock: float = 0.0) -> None:
        """Start a prefork worker whose clock is wrong by so many seconds, and wait until it is ready."""
        command = (
            *(sys.executable, "healthy_worker.py", str(clock), "-A", "healthy_project", "worker"),
            *("-n", f"{name}@here", "--without-gossip", "--without-mingle", "-l", "INFO", *options),
        )
        process = self.processes.start(name, *command, cwd=HERE, env=self._environment)
        self._workers[name] = process
        wait_until(lambda: " ready." in self.processes.log(name), f"{name} is ready")

    @property
    def all_there(self) -> bool:
        """Whether every worker runs, and answers."""
        return not self._away

    @contextmanager
    def away(self) -> Iterator[None]:
        """Have a worker away within this block, as far as those can know who look for the first time."""
        self._away += 1
        try:
            yield
            time.sleep(ANSWERED)
        finally:
            self._away -= 1

    def end(self, name: str) -> None:
        """Shut a worker down warmly, and wait until it has ended."""
        self._workers[name].terminate()
        self._workers[name].wait(40)

    def pause(self, seconds: float, *names: str) -> None:
        """Stop workers with their children for a while."""
        with self.away():
            for name in names:
                os.killpg(self._workers[name].pid, signal.SIGSTOP)
            time.sleep(seconds)
            for name in names:
                os.killpg(self._workers[name].pid, signal.SIGCONT)

    def disconnect(self) -> None:
        """Close every connection of every process to both servers."""
        for server in (self.broker_server, self.backend_server):
            client = server.client(0)
            client.execute_command("CLIENT KILL TYPE normal SKIPME yes")
            client.execute_command("CLIENT KILL TYPE pubsub SKIPME yes")
            client.close()

    def send(self, *names: str, producer: str = "producer") -> None:
        """Have chords published, one after the other; they are in `sent` when they are."""
        with self._lock:
            if producer not in self._producers:
                self._producers[producer] = self._start_producer(producer)
            feed = self._producers[producer].stdin
            assert feed
            self.asked.update(names)
            feed.write("".join(f"{name}\n" for name in names))
            feed.flush()

    def until_sent(self, *names: str) -> None:
        """Wait until these chords are published."""
        wait_until(lambda: self.errors or self.sent.keys() >= set(names), f"{names} are sent")

    def until_all_sent(self) -> None:
        """Wait until all is published that the producer was told to."""
        wait_until(lambda: self.errors or self.sent.keys() >= self.asked, "all is sent", 90)

    def fill(self, queue: str, number: int) -> None:
        """Put so many messages into a queue."""
        with self.app() as app:
            app.send_task("healthy_project.noise", queue="sample", ignore_result=True)
        raw: Any = self.broker.rpop("sample")
        message = json.loads(raw)
        old, tag = message["headers"]["id"], message["properties"]["delivery_tag"]
        text = raw.decode().replace('"sample"', f'"{queue}"')
        for start in range(0, number, 5000):
            copies = (
                text.replace(old, str(uuid4())).replace(tag, str(uuid4()))
                for _ in range(start, min(start + 5000, number))
            )
            self.broker.lpush(queue, *copies)

    def close(self) -> None:
        """End everything."""
        for producer in self._producers.values():
            producer.kill()
            producer.wait()
            if producer.stdin:
                producer.stdin.close()
        for listener in self._listeners:
            listener.join(10)
        for worker in self._workers.values():
            if worker.poll() is None:
                kill(worker)
        self.broker.close()
        for server in (self.broker_server, self.backend_server):
            server.close()
        self.processes.stop()

    def _start_producer(self, name: str) -> subprocess.Popen[str]:
        with (self.processes.folder / f"{name}.log").open("wb") as log:
            producer = subprocess.Popen(
                (sys.executable, "healthy_producer.py"),
                cwd=HERE,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self._listeners.append(threading.Thread(target=self._listen, args=(producer,)))
        self._listeners[-1].start()
        return producer

    def _listen(self, producer: subprocess.Popen[str]) -> None:
        assert producer.stdout
        with producer.stdout as answers:
            for line in answers:
                self._note(json.loads(line))

    def _note(self, answer: dict[str, Any]) -> None:
        if "names" in answer:
            self.asked.update(answer["names"])
        elif "error" in answer:
            self.errors[answer["name"]] = answer["error"]
        else:
            self.sent[answer["name"]] = answer["ids"]


def any_certain(chord: Chord) -> bool:
    """Whether something bad is said for certain."""
    return any(verdict.certain and verdict.outcome not in HEALTHY for verdict in chord.verdicts)


class Observers:
    """A monitor that keeps looking, and users who ask for one chord after the other; they write alarms down."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._stopping = threading.Event()
        self._started = time.monotonic()
        self._lock = threading.Lock()
        self.alarms: dict[tuple[str, str, str], list[str]] = {}
        self.causes: dict[str, set[str]] = {}
        self.chords: dict[str, Chord] = {}
        self.looks = self.explained = self.unreachable = 0
        self.errors: list[str] = []
        self._threads = [threading.Thread(target=work) for work in (self._monitor, self._ask, self._ask)]

    def start(self) -> None:
        """Begin to look."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End after the looks that are under way."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(30)

    def unfinished(self, expected: Iterable[str]) -> set[str]:
        """Return the chords that were met or are expected and have not succeeded, as far as the monitor knows."""
        done = {id_ for id_, chord in self.chords.items() if chord.state == "succeeded"}
        return {*expected, *self.chords} - done

    def _monitor(self) -> None:
        watch = Watch(self._installation.app(), ask_workers_every=ASK_EVERY)
        while not self._stopping.wait(LOOK_EVERY):
            for look in self._tried(watch, lambda: watch.look(health="all", limit=None)):
                self.looks += 1
                for chord in look.chords:
                    self.chords[chord.chord_id] = chord
                    self._judge("monitor", chord)
        watch.close()

    def _ask(self) -> None:
        """Explain one chord after the other, each as somebody who looks for the first time.

        Without records nobody can tell at first sight whether a worker that does not answer is stopped for a moment,
        restarts, or is no more; what is said is a guess then, which is not judged while it is neither certain nor
        said of an installation whose workers are all there.
        """
        chance = random.Random(threading.get_ident())
        while not self._stopping.wait(0.2):
            ids = [id_ for ids in self._installation.sent.values() for id_ in ids]
            ids += [id_ for id_, chord in list(self.chords.items()) if chord.state not in FINISHED] * 3
            if not ids:
                continue
            watch, there = Watch(self._installation.app()), self._installation.all_there
            for chord in self._tried(watch, partial(watch.explain, chance.choice(ids))):
                self.explained += 1
                there = there and self._installation.all_there
                if chord and (there or self._installation.instrumented or any_certain(chord)):
                    self._judge("explain", chord)
            watch.close()

    def _tried(self, watch: Watch, look: Callable[[], T]) -> Iterator[T]:
        """Yield what a look returns; one that meets a closed connection is taken again later."""
        try:
            yield look()
        except UnreachableError:
            self.unreachable += 1
            watch.close()
        except Exception as exc:  # noqa: BLE001  # told by the test
            self.errors.append(f"{type(exc).__name__}: {exc}")

    def _judge(self, observer: str, chord: Chord) -> None:
        with self._lock:
            self.causes.setdefault(chord.chord_id, set()).update(v.cause for v in chord.verdicts)
            wrong = [v for v in chord.verdicts if v.outcome not in HEALTHY]
            if wrong or chord.health not in HEALTHY:
                first = wrong[0] if wrong else None
                key = chord.chord_id, observer, first.cause if first else chord.health
                self.alarms.setdefault(key, []).append(self._told(chord))

    def _told(self, chord: Chord) -> str:
        lines = [
            f"after {time.monotonic() - self._started:.1f} s: {chord.state}, {chord.counted}/{chord.size}"
        ]
        for verdict in chord.verdicts:
            lines.append(f"    {verdict.cause} ({verdict.outcome}, {verdict.certain=}): {verdict.summary}")
            lines += [f"        {line}" for line in verdict.evidence]
        return "\n".join(lines)
