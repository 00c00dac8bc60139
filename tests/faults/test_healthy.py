"""No false alarm over chords that are odd and healthy; looked at all the time, instrumented and bare."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.bench import Mode
from tests.faults.healthy_bench import Installation, Observers
from tests.faults.healthy_scenes import SCENES, start

pytestmark = pytest.mark.faults

#: The one that still waits at the end, as it should.
WAITING = "far ETA"
#: Without records nothing tells that a callback has ended whose result, or whose parts' results, are not stored.
UNSEEN = ("parts without results", "callback without result")
#: Celery gives a group that follows on a group in a chain another id than the caller holds.
RENAMED = "chain, group, group, task"
#: So long may chords take that have been sent. Seconds.
END = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What was seen of one installation; `left` are the chords that did not succeed, `sent` all by name."""

    observers: Observers
    sent: dict[str, list[str]]
    left: set[str]

    def named(self, chord_id: str) -> str:
        """Return how a chord is called here."""
        return next((name for name, ids in self.sent.items() if chord_id in ids), "one inside another")

    def told(self) -> str:
        """Return all alarms, each once with its number."""
        return "\n".join(
            f"{self.named(chord_id)} {chord_id}, {observer}, {len(times)} times, first {times[0]}\n  last {times[-1]}"
            for (chord_id, observer, _), times in self.observers.alarms.items()
        )


def observed(mode: Mode, folder: Path) -> Observed:
    """Run all that is healthy in one installation, and look at it meanwhile."""
    installation = Installation(folder, mode)
    observers = Observers(installation)
    try:
        start(installation)
        observers.start()
        installation.send("early")
        with ThreadPoolExecutor(len(SCENES)) as pool:
            for scene in [pool.submit(scene, installation) for scene in SCENES]:
                scene.result()
        installation.until_all_sent()
        left = until_done(installation, observers)
    finally:
        observers.stop()
        installation.close()
    assert not installation.errors, installation.errors
    return Observed(observers=observers, sent=installation.sent, left=left)


def until_done(installation: Installation, observers: Observers) -> set[str]:
    """Wait until the monitor has seen every chord succeed; return the group ids of those that did not."""
    sent = installation.sent
    unseen = () if installation.instrumented else UNSEEN
    others = {*sent[WAITING], *sent[RENAMED][:1], *(id_ for name in unseen for id_ in sent[name])}
    expected = {id_ for ids in sent.values() for id_ in ids}

    def left() -> set[str]:
        return observers.unfinished(expected) - others

    deadline = time.monotonic() + END
    while left() and time.monotonic() < deadline:
        time.sleep(0.5)
    return left()


@pytest.fixture(scope="session", params=["instrumented", "bare"])
def seen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Observed:
    """What was seen of all healthy chords in one mode."""
    return observed(request.param, tmp_path_factory.mktemp(f"healthy-{request.param}"))


def test_nothing_is_said_against_a_healthy_chord(seen: Observed) -> None:
    assert not seen.observers.alarms, seen.told()


def test_every_chord_is_seen_to_succeed(seen: Observed) -> None:
    assert not {(seen.named(id_), str(seen.observers.chords.get(id_))) for id_ in seen.left}


def test_they_were_looked_at_all_the_time(seen: Observed) -> None:
    causes = {name: seen.observers.causes.get(ids[0], set()) for name, ids in seen.sent.items() if ids}

    assert not seen.observers.errors
    assert seen.observers.looks > 30
    assert seen.observers.explained > 20
    assert causes["long, acknowledged late"] >= {"header_running"}
    assert causes["far ETA"] >= {"eta_scheduled"}
    assert causes["retries"] >= {"retry_scheduled"}
