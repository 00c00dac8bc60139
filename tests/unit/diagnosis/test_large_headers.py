"""What a header's tasks cost to judge grows with their number and not with its square."""

from __future__ import annotations

import time

import pytest

from chordwatch.diagnosis import Case, diagnose
from chordwatch.evidence.facts import Consumers, Place
from tests.unit.judged import NOWHERE, READ, case, dead, running, started, told, unacked
from tests.unit.seen import NOW, consumers, header_task, in_queue, open_chord

FEW, MANY = 500, 8000
#: Of the ratio between few and many, which is 16; its square is 256.
LINEAR = 4 * MANY / FEW

PLACES = {
    "unread queue": in_queue("nobody"),
    "read queue": in_queue(),
    "delivered": unacked(),
    "running": running(),
    "nowhere": NOWHERE,
}


def many(number: int, place: Place, who: Consumers, *, instrumented: bool) -> Case:
    """Return the case of a header of which this many tasks are at one place."""
    tasks = [started(index) for index in range(1, number + 1)]
    places = {task.task_id or "": place for task in tasks}
    lost = dict.fromkeys(places, NOW - 30) if place is NOWHERE else {}
    if not instrumented:
        header = [header_task(index) for index in range(1, number + 1)]
        chord = open_chord(header=tuple(header), size=number, counted=0)
        return case(places, who, chord=chord, nowhere_since=lost)
    return told(
        places,
        *tasks,
        who=who,
        lives={"w1@zoo": (dead(),)},
        nowhere_since=lost,
        instrumented_only=True,
        usual={"zoo.add": 1.0},
    )


def seconds(case: Case) -> float:
    """Return the CPU time that the rules take, the best of three."""
    taken = []
    for _ in range(3):
        started_at = time.process_time()
        diagnose(case)
        taken.append(time.process_time() - started_at)
    return min(taken)


@pytest.mark.parametrize("instrumented", [True, False], ids=["instrumented", "bare"])
@pytest.mark.parametrize("who", [READ, consumers()], ids=["one worker", "no worker"])
@pytest.mark.parametrize("where", PLACES)
def test_judging_a_large_header_costs_no_square(where: str, who: Consumers, *, instrumented: bool) -> None:
    few, most = (many(number, PLACES[where], who, instrumented=instrumented) for number in (FEW, MANY))

    assert seconds(most) / seconds(few) < LINEAR
