"""Chords that belong together, as a real producer sends them and a real store keeps them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery

from chordwatch.board.source import Source
from tests.integration.recorded.conftest import HERE, Installation
from tests.integration.xray.stranger import close
from tests.support.polling import wait_until
from tests.support.servers import RedisServer, run

SEND = """
import json, project
from celery import chain, chord
work = lambda: project.work.si(0.01)
nested = chord([work(), chord([work(), work()], project.total.si([]))], project.total.s()).apply_async()
then = lambda: chord([work(), work()], project.total.si([]))
in_row = chain(work(), then(), then()).apply_async()
print(json.dumps([nested.id, in_row.id]))
"""


@pytest.fixture
def source(redis: RedisServer) -> Iterator[Source]:
    """Return what a dashboard reads."""
    app = Celery("reader", broker=redis.url(0), backend=redis.url(1), set_as_current=False)
    source = Source(app)
    yield source
    source.close()
    close(app)


def related(source: Source, wanted: str) -> list[tuple[str, str]]:
    page = source.chord(wanted)
    assert page is not None
    return [(row.relation, row.health) for row in page.related]


@pytest.mark.faults
def test_chords_inside_and_around_and_before_are_found(installation: Installation, source: Source) -> None:
    done = run(sys.executable, "-c", SEND, cwd=HERE, env=installation.environment)
    assert done.returncode == 0, done.stderr
    outer, in_row = json.loads(done.stdout)

    page: Any = source.chord(outer)
    (inner,) = page.related
    assert inner.relation == "ends one of this chord's parts"
    assert "subgraph" in page.expanded
    assert related(source, inner.chord_id) == [("this chord ends one of its parts", "ok")]
    assert related(source, in_row) == [("in the same chain", "planned")]
    installation.worker(concurrency=2)
    wait_until(lambda: before(source, in_row), "the chain goes on, and its first chord is the one before")


def before(source: Source, wanted: str) -> bool:
    return ("before this one in its chain", "done") in related(source, wanted)
