"""A task that is replaced ends as ignored, too, and goes on as another: the two must be told apart."""

from __future__ import annotations

import pytest

from chordwatch.diagnosis.rules.tasks import REPLACED
from chordwatch.model import HeaderTask
from tests.support.polling import wait_until
from tests.support.workflows.canvases import chord_of, task
from tests.support.workflows.crew import Crew


@pytest.mark.parametrize("by", ["task", "group", "chord"])
def test_what_was_replaced_says_so_and_what_was_ignored_does_not(crew: Crew, by: str) -> None:
    replaced = task(1, do="replace", by=by, then=[task(2), task(3)], body=task(4, "collect"))
    crew.producer("producer").publish(chord_of(task(5, do="ignore"), replaced))
    crew.worker("one", "-P", "solo")
    crew.quiet()

    with crew.recorded() as store:

        def runs() -> list[HeaderTask]:
            headers = [task for known in store.open_chords() for task in known.chord.header]
            return [task for task in headers if task.attempts and task.attempts[0].state == "ignored"]

        wait_until(lambda: len(runs()) == 2, "both runs are recorded", 10.0)
        by_error = {task.attempts[0].error: task for task in runs()}
    assert set(by_error) == {None, REPLACED}
    assert by_error[None].state == "ignored"
    assert by_error[REPLACED].state == "succeeded"
