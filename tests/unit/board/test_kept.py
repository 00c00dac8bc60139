"""What many viewers share is taken once for all of them."""

from __future__ import annotations

import threading
import traceback

import pytest

from chordwatch.board.kept import Recent, Shared
from chordwatch.errors import ChordwatchError
from tests.support.polling import wait_until

DUE = 5.0


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return what the hand says."""
        return self.now


class Take:
    """Counts how often something was taken; each takes so many seconds."""

    def __init__(self, clock: Clock, seconds: float = 0.0) -> None:
        self.clock, self.seconds, self.times = clock, seconds, 0

    def __call__(self) -> tuple[int, float]:
        """Return the number, and that the next is due in five seconds."""
        self.times += 1
        self.clock.now += self.seconds
        return self.times, DUE


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_many_viewers_cause_one_look(clock: Clock) -> None:
    take = Take(clock)
    shared = Shared(take, clock=clock)

    seen = []
    for _ in range(50):
        seen.append(shared.current())
        clock.now += DUE / 100

    assert seen == [1] * 50


def test_viewers_who_come_at_the_same_moment_share_the_first_look(clock: Clock) -> None:
    release, taken, seen = threading.Event(), [], []

    def take() -> tuple[str, float]:
        release.wait(10)
        taken.append(1)
        return "look", DUE

    shared = Shared(take, clock=clock)
    viewers = [threading.Thread(target=lambda: seen.append(shared.current())) for _ in range(8)]
    for viewer in viewers:
        viewer.start()
    release.set()
    for viewer in viewers:
        viewer.join(10)

    assert seen == ["look"] * 8
    assert taken == [1]


def test_what_is_quick_is_taken_by_whoever_asks_when_it_is_due(clock: Clock) -> None:
    shared = Shared(Take(clock), clock=clock)
    shared.current()
    clock.now += DUE

    assert shared.current() == 2


def test_what_takes_long_is_taken_in_the_background_while_viewers_go_on(clock: Clock) -> None:
    shared = Shared(Take(clock, seconds=1.0), clock=clock)
    shared.current()
    clock.now += DUE

    assert shared.current() == 1
    wait_until(lambda: shared.current() == 2, "the next is taken")


def test_while_one_viewer_takes_it_the_others_go_on_with_the_one_before(clock: Clock) -> None:
    begun, release = threading.Event(), threading.Event()
    first = iter([True])

    def take() -> tuple[str, float]:
        if next(first, False):
            return "old", DUE
        begun.set()
        release.wait(10)
        return "new", DUE

    shared = Shared(take, clock=clock)
    shared.current()
    clock.now += DUE
    taker = threading.Thread(target=shared.current)
    taker.start()
    assert begun.wait(10)

    assert shared.current() == "old"

    release.set()
    taker.join(10)
    assert shared.current() == "new"


def test_after_a_long_pause_a_viewer_waits_instead_of_seeing_the_past(clock: Clock) -> None:
    shared = Shared(Take(clock, seconds=1.0), clock=clock)
    shared.current()
    clock.now += 4 * DUE

    assert shared.current() == 2


def test_what_was_made_of_a_key_is_kept_for_its_seconds(clock: Clock) -> None:
    recent, made = Recent[str, int](3.0, 10, clock=clock), Take(clock)

    def make() -> int:
        return made()[0]

    assert [recent.get("a", make), recent.get("a", make), recent.get("b", make)] == [1, 1, 2]
    clock.now += 3
    assert recent.get("a", make) == 3
    assert recent.get("a", make, anew=True) == 4
    assert recent.get("a", make) == 4


def test_nothing_is_kept_as_well_as_something(clock: Clock) -> None:
    recent, made = Recent[str, None](3.0, 10, clock=clock), []

    for _ in range(3):
        recent.get("unknown", lambda: made.append(1))

    assert made == [1]


def test_an_error_is_kept_too_and_does_not_grow_with_its_viewers(clock: Clock) -> None:
    recent, asked = Recent[str, None](3.0, 10, clock=clock), []

    def fail() -> None:
        asked.append(1)
        raise ChordwatchError("The store is away.")

    lengths = []
    for _ in range(5):
        with pytest.raises(ChordwatchError, match="away") as caught:
            recent.get("a", fail)
        lengths.append(len(traceback.extract_tb(caught.value.__traceback__)))

    assert asked == [1]
    assert len(set(lengths[1:])) == 1


def test_only_so_many_are_kept_those_used_last(clock: Clock) -> None:
    recent, made = Recent[int, int](1000.0, 3, clock=clock), Take(clock)
    for key in (1, 2, 3, 1, 4):
        recent.get(key, lambda: made()[0])

    assert made.times == 4
    assert list(recent._entries) == [3, 1, 4]


def test_several_viewers_of_one_key_wait_for_one_of_them_and_those_of_another_do_not() -> None:
    recent, made, release = Recent[str, int](60.0, 10), [], threading.Event()

    def make() -> int:
        release.wait(10)
        made.append(1)
        return 7

    seen: list[int] = []
    viewers = [threading.Thread(target=lambda: seen.append(recent.get("slow", make))) for _ in range(6)]
    for viewer in viewers:
        viewer.start()

    assert recent.get("quick", lambda: 1) == 1

    release.set()
    for viewer in viewers:
        viewer.join(10)
    assert (seen, made) == ([7] * 6, [1])
