"""Workers and producers of one test that export to its collector."""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple

from chordwatch.store.protocol import RecordedChord
from chordwatch.store.redis_store import RedisStore
from tests.support.otlp import Collector, Span, tree
from tests.support.servers import Processes, RedisServer, celery, clean_environment, run

TRACED = Path(__file__).with_name("traced")


class Sent(NamedTuple):
    """A workflow that came to its end: the chords that its producer dispatched, the last of them outermost."""

    chords: list[str]
    result: object


class Bench:
    """One Redis, one collector, and the processes between them."""

    def __init__(self, redis: RedisServer, processes: Processes, collector: Collector) -> None:
        self.redis, self.processes, self.collector = redis, processes, collector
        self.store = RedisStore(redis.url(0), client_name="chordwatch:test")

    def environment(self, service: str, **extra: str) -> dict[str, str]:
        """Return the environment of a process that records and exports."""
        own = {"BROKER": self.redis.url(0), "BACKEND": self.redis.url(1), "RECORDS": "1"}
        return clean_environment(**own | self.collector.environment(service) | extra)

    def worker(self, *options: str, name: str = "worker", **extra: str) -> None:
        """Start a worker with two children."""
        command = celery(
            *("-A", "project", "worker", "-c", "2", "-n", f"{name}@here", "-l", "INFO"),
            *("--without-gossip", "--without-mingle", *options),
        )
        self.processes.start(name, *command, cwd=TRACED, env=self.environment("worker", **extra))

    def send(self, case: str, *options: str, **extra: str) -> Sent:
        """Send a workflow from a process of its own, and wait for its end."""
        environment = self.environment("producer", **extra)
        done = run(sys.executable, "send.py", case, *options, cwd=TRACED, env=environment, seconds=270)
        assert done.returncode == 0, done.stderr
        return Sent(**json.loads(done.stdout.splitlines()[-1]))

    def recorded(self, chord_id: str) -> RecordedChord:
        """Return what the store knows of a chord."""
        found = self.store.get(chord_id)
        assert found is not None
        return found

    def close(self) -> None:
        """Give the connection back."""
        self.store.close()


def expect(bench: Bench, drawn: str, *, times: int = 1) -> list[Span]:
    """Wait for as many spans as the drawn tree has, compare, and return them."""
    lines = textwrap.dedent(drawn).strip().splitlines() * times
    spans = bench.collector.wait(lambda got: got if len(got) >= len(lines) else [], "all spans")
    assert tree(spans) == lines
    assert {span.scope for span in spans if span.name != "request"} == {"chordwatch"}
    return spans


def called(spans: list[Span], name: str) -> list[Span]:
    """Return the spans of this name, in order of their beginning."""
    return sorted((span for span in spans if span.name == name), key=lambda span: span.start)


def ids(span: Span) -> tuple[int, int]:
    """Return what identifies a span."""
    return span.trace_id, span.span_id


def linked(span: Span) -> list[tuple[int, int]]:
    """Return the spans that a callback's span names as those of its header, in order."""
    return [(link.trace_id, link.span_id) for link in span.links if "messaging.message.id" in link.attributes]
