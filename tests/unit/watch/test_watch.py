from __future__ import annotations

import pytest
from celery import Celery

from chordwatch.evidence.facts import Place, PlaceKind
from chordwatch.model import Callback, Health
from chordwatch.watch import HEALTH_FILTERS, Watch, matches
from chordwatch.watch.look import Look, Sighting
from chordwatch.watch.watch import _order
from tests.unit.recorded import FakeStore
from tests.unit.seen import NOW, open_chord

HUNG = open_chord(health="hung")
DONE = open_chord(state="succeeded", health="done")
FAILED = open_chord(state="failed", health="failed")
FAILING = open_chord(health="failed")


@pytest.mark.parametrize(
    ("health", "shown"),
    [
        ("all", [HUNG, DONE, FAILED, FAILING]),
        ("open", [HUNG, FAILING]),
        ("hung", [HUNG]),
        ("done", [DONE]),
        ("failed", [FAILED, FAILING]),
        ("late", []),
    ],
)
def test_a_filter_shows_the_chords_of_that_health(health: str, shown: list[object]) -> None:
    assert [chord for chord in (HUNG, DONE, FAILED, FAILING) if matches(chord, health, None)] == shown


@pytest.mark.parametrize(
    ("backend", "answered"),
    [("cache+memory://", set()), ("db+sqlite://", {"result backend"})],
)
def test_a_look_tells_which_servers_it_asked(backend: str, answered: set[str]) -> None:
    """A broker in memory is not asked, nor a backend of which only single results can be read."""
    app = Celery("project", broker="memory://", backend=backend, set_as_current=False)
    watch = Watch(app, opened=FakeStore)  # type: ignore[arg-type]  # only reads

    assert watch.look().answered == answered
    watch.close()


def test_a_filter_by_callback_wants_the_whole_name() -> None:
    assert matches(HUNG, "all", "zoo.collect")
    assert not matches(HUNG, "all", "zoo")
    assert not matches(open_chord(callback=Callback()), "all", "zoo.collect")


def test_the_filters_are_those_of_the_contract() -> None:
    assert set(HEALTH_FILTERS) == {
        "ok",
        "waiting",
        "late",
        "looping",
        "hung",
        "failed",
        "done",
        "open",
        "all",
    }


def test_the_oldest_open_comes_first_and_the_newest_finished_after_all_open() -> None:
    chords = {
        "old": open_chord(progressed_at=NOW - 90),
        "published": open_chord(opened_at=NOW - 60, progressed_at=NOW - 60),
        "young": open_chord(progressed_at=NOW - 1),
        "ageless": open_chord(progressed_at=None),
        "just done": open_chord(state="succeeded", finished_at=NOW - 2),
        "long done": open_chord(state="failed", finished_at=NOW - 99),
        "done once": open_chord(state="succeeded", finished_at=None),
    }

    shuffled = list(chords)[::-1]

    assert sorted(shuffled, key=lambda name: _order(chords[name])) == list(chords)


@pytest.mark.parametrize(
    ("health", "place", "looks"),
    [("ok", "nowhere", 3), ("ok", "unknown", 2), ("ok", "queue", 2), ("hung", "nowhere", 2)],
)
def test_what_two_looks_leave_open_is_looked_at_once_more(
    monkeypatch: pytest.MonkeyPatch, health: Health, place: PlaceKind, looks: int
) -> None:
    app = Celery("project", broker="memory://", backend="cache+memory://", set_as_current=False)
    watch = Watch(app, opened=FakeStore)  # type: ignore[arg-type]  # only reads
    seen = Sighting(chord=open_chord(health=health), places={"h1": Place(kind=place)})
    taken: list[str] = []
    monkeypatch.setattr("chordwatch.watch.watch.RECONSIDERED_AFTER", 0.0)
    monkeypatch.setattr(watch, "sight", lambda id_: taken.append(id_) or (seen, ()))
    monkeypatch.setattr(
        watch, "look", lambda **_: taken.append("all") or Look(taken_at=NOW, sightings=(seen,))
    )

    assert watch.explain("group") == seen.chord
    assert taken == ["group"] * looks
    assert watch.explain_open().chords == (seen.chord,)
    assert taken == ["group"] * looks + ["all"] * looks


@pytest.mark.parametrize("health", ["bogus", "", "HUNG"])
def test_a_health_that_there_is_not_is_refused(health: str) -> None:
    app = Celery("project", broker="memory://", backend="cache+memory://", set_as_current=False)
    watch = Watch(app, opened=FakeStore)  # type: ignore[arg-type]  # only reads

    with pytest.raises(ValueError, match=rf"^There is no health '{health}'; use one of ok, .*, open, all\.$"):
        watch.list(health=health)
    watch.close()
