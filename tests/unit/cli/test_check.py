"""What `chords check` can tell where no result backend was named: it is asked by cron, which reads the exit code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from celery import Celery
from click.testing import CliRunner, Result

from chordwatch.cli import UNREACHABLE, chords, session
from chordwatch.store.protocol import Counters
from chordwatch.watch import Look, Sighting
from chordwatch.watch.recorded import Totals
from tests.unit.cli.rendered import sighting, verdict, with_verdicts
from tests.unit.recorded import beat
from tests.unit.seen import NOW

HUNG = with_verdicts(sighting(health="hung"), verdict())
COUNTED = Totals(up=True, counters=Counters(started={"zoo.collect": 1}))
BEATING = Totals(up=True, workers=(beat(),))
NOTHING = (Totals(up=True), Totals(), None)


def checked(
    monkeypatch: pytest.MonkeyPatch,
    *sightings: Sighting,
    totals: Totals | None,
    backend: str | None = None,
    arguments: tuple[str, ...] = (),
    store_away: bool = False,
) -> Result:
    watch = SimpleNamespace(
        explain_open=lambda limit: Look(taken_at=NOW, sightings=sightings),  # noqa: ARG005  # as a Watch has it
        totals=lambda: totals,
        store_away=store_away,
    )

    @contextmanager
    def watching(_: object) -> Iterator[SimpleNamespace]:
        yield watch

    monkeypatch.setattr(session, "watching", watching)
    app = Celery("project", broker="memory://", backend=backend, set_as_current=False)
    return CliRunner().invoke(
        chords,
        ["check", *arguments],
        obj=SimpleNamespace(app=app, no_color=True),
        catch_exceptions=False,
    )


@pytest.mark.parametrize("totals", NOTHING)
@pytest.mark.parametrize("arguments", [(), ("--format", "json")])
def test_without_backend_and_records_nobody_can_tell(
    monkeypatch: pytest.MonkeyPatch, totals: Totals | None, arguments: tuple[str, ...]
) -> None:
    done = checked(monkeypatch, sighting(), totals=totals, arguments=arguments)

    assert (done.exit_code, done.stdout) == (UNREACHABLE, "")
    assert done.stderr.startswith(
        "No result backend is configured; give the workers' one with --result-backend"
    )


@pytest.mark.parametrize("totals", [COUNTED, BEATING])
def test_records_are_enough(monkeypatch: pytest.MonkeyPatch, totals: Totals) -> None:
    done = checked(monkeypatch, totals=totals)

    assert done.exit_code == 0
    assert done.stdout.startswith("No chord is known to be hung or looping; 0 open")


@pytest.mark.parametrize("totals", NOTHING)
def test_a_backend_is_enough(monkeypatch: pytest.MonkeyPatch, totals: Totals | None) -> None:
    assert checked(monkeypatch, totals=totals, backend="cache+memory://").exit_code == 0


def test_without_the_store_it_is_not_certain_that_no_chord_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    done = checked(monkeypatch, totals=Totals(), backend="cache+memory://", store_away=True)

    assert done.exit_code == UNREACHABLE
    assert done.stdout.startswith("No chord is known to be hung or looping")


@pytest.mark.parametrize("totals", [*NOTHING, COUNTED])
def test_a_hung_chord_is_named_in_any_case(monkeypatch: pytest.MonkeyPatch, totals: Totals | None) -> None:
    done = checked(monkeypatch, HUNG, totals=totals, arguments=("--format", "json"))

    assert done.exit_code == 1
    assert [chord["health"] for chord in json.loads(done.stdout)] == ["hung"]
