"""A chain that leads through a chord and goes on: what waits behind the chord is not the chord's."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from tests.integration.recorded.conftest import HERE, Installation
from tests.support.polling import wait_until
from tests.support.servers import run

SEND = """
import project
from celery import chain, chord
work = lambda: project.work.si(0.01)
then = lambda: chord([work(), work()], project.total.si([]))
print(chain(work(), then(), work().set(queue="nobody"), then()).apply_async().id)
"""


@pytest.mark.faults
def test_a_chord_whose_callback_has_ended_does_not_wait_for_the_step_after_it(
    installation: Installation,
) -> None:
    installation.worker(concurrency=2)
    done = run(sys.executable, "-c", SEND, cwd=HERE, env=installation.environment)
    assert done.returncode == 0, done.stderr
    ahead = done.stdout.strip()

    def through() -> Any:
        if installation.redis.broker.llen("nobody") == 0:
            return None
        return [chord for chord in installation.chords("list") if chord["callback"]["task_id"] != ahead]

    (chord,) = wait_until(through, "the step after the chord waits")
    assert (chord["state"], chord["health"], chord["verdicts"]) == ("succeeded", "done", [])
