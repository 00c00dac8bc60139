from __future__ import annotations

import re
from types import SimpleNamespace
from typing import get_args

import click
import pytest

from chordwatch.cli import session
from chordwatch.cli.detail import chord_detail
from chordwatch.evidence.facts import Place, PlaceKind
from chordwatch.model import Callback, Errback, MissingPart
from chordwatch.watch.words import moment, place_words
from tests.unit.cli.rendered import NAMES, hostile, sighting, text_of, verdict, with_verdicts
from tests.unit.seen import NOW, header_task


def test_all_that_is_known_is_shown() -> None:
    callback = Callback(task_id="body", name="zoo.collect", state="published")
    seen = sighting(
        health="hung",
        callback=callback,
        errbacks=(Errback(task_id="e", name="zoo.alarm"),),
        evidence_expires_at=NOW + 60,
    )

    text = text_of(chord_detail(with_verdicts(seen, verdict()), NOW))

    for line in (
        r"Chord +group$",
        r"Health +hung$",
        r"State +open$",
        r"Counted +1 of 2, missing index 1$",
        r"Callback +zoo\.collect body$",
        r"Errback +zoo\.alarm e$",
        r"Last part .* \(1 min ago\)$",
        r"Evidence +expires .* \(in 1 min\)$",
        r"HUNG +1 task of the header waits",
        r"Cause +queue_unconsumed \(not certain\), see docs/causes\.md#queue_unconsumed$",
        r"Evidence +zoo\.add \(index 1\) h1 is in queue nobody\.$",
        r"Question +Does a busy worker read it\?$",
        r"Since .* \(1 min 30 s ago\)$",
        r"Remedy +Start a worker\.$",
        r"1 +h1 +zoo\.add +unknown, not counted +in queue nobody$",
        r"0 +h0 +zoo\.add +succeeded$",
    ):
        assert re.search(line, re.sub(r" +$", "", text, flags=re.MULTILINE), re.MULTILINE), line


COMMAND = "celery -A proj chords results 11feb7e5-0e8d-4b35-9fb1-7c3ab8ec2b8e --format json"
LONG = f"Mend the broker, then look at what is there ({COMMAND}); {'then wait, ' * 30}and send it again."


@pytest.mark.parametrize("terminal", [True, False])
def test_what_is_pasted_is_never_broken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, terminal: bool
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    if terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
    ctx = click.Context(click.Command("show"), obj=SimpleNamespace(no_color=True))
    seen = with_verdicts(sighting(), verdict(remedy=LONG, question=f"What does {COMMAND} say? {LONG}"))

    session.print_table(ctx, chord_detail(seen, NOW))

    lines = re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out).splitlines()
    assert f"Remedy    {LONG}" in lines
    assert f"Question  What does {COMMAND} say? {LONG}" in lines
    rest = [line for line in lines if not line.startswith(("Remedy", "Question"))]
    assert max(map(len, rest)) <= (80 if terminal else 200)


def test_prose_is_folded_below_itself() -> None:
    remedy = f"Mend the broker, {'then wait, ' * 10}and send it again to celery."
    seen = with_verdicts(sighting(), verdict(remedy=remedy, question=None))

    lines = text_of(chord_detail(seen, NOW), width=80).splitlines()

    at = next(number for number, line in enumerate(lines) if line.startswith("Remedy"))
    assert len(lines[at].rstrip()) <= 80
    assert re.match(r" {10}\S", lines[at + 1])


def test_evidence_that_several_verdicts_rest_on_is_shown_once() -> None:
    first, other = verdict(cause="worker_lost"), verdict(cause="no_workers", evidence=("Nobody answered.",))
    again = verdict(cause="header_ignored")

    text = text_of(chord_detail(with_verdicts(sighting(), first, again, other, first), NOW))

    assert re.findall(r"Evidence +(\S.*\S) *$", text, re.MULTILINE) == [
        first.evidence[0],
        "As above.",
        "Nobody answered.",
        first.evidence[0],
    ]


def test_a_certain_verdict_does_not_hedge() -> None:
    text = text_of(chord_detail(with_verdicts(sighting(), verdict(certain=True, question=None)), NOW))

    assert "not certain" not in text
    assert "Decides" not in text


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_foreign_names_are_literal_and_short(name: str) -> None:
    text = text_of(chord_detail(hostile(name), NOW), width=1000)

    assert text.encode()
    assert len(text) < 9000
    assert max(len(line.rstrip()) for line in text.splitlines()) < 500
    assert text.count(name[:30].splitlines()[0]) == 13
    assert "\x1b" not in text
    assert "\u202e" not in text


@pytest.mark.parametrize(
    ("missing", "shown"),
    [
        ((), "1 of 2"),
        ((MissingPart(index=3), MissingPart(index=7)), "1 of 2, missing indexes 3, 7"),
        ((MissingPart(index=None),) * 4, "1 of 2, 4 missing"),
        ((MissingPart(index=3), *(MissingPart(index=None),) * 30), "1 of 2, missing index 3 and 30 more"),
        (tuple(MissingPart(index=n) for n in range(25)), ", 18, 19 and 5 more"),
        (tuple(MissingPart(index=n) for n in range(20)), ", 18, 19"),
    ],
)
def test_missing_indexes_are_named_and_the_rest_is_counted(
    missing: tuple[MissingPart, ...], shown: str
) -> None:
    text = text_of(chord_detail(sighting(missing=missing), NOW))

    counted = next(line for line in text.splitlines() if line.startswith("Counted"))
    assert counted.rstrip().endswith(shown)


def test_what_is_not_counted_comes_first_and_a_large_header_is_cut() -> None:
    header = tuple(header_task(number, counted=number != 70) for number in range(100))

    text = text_of(chord_detail(sighting(header=header), NOW))

    assert text.index(" h70 ") < text.index(" h0 ")
    assert " h39 " not in text
    assert "… and 60 more; --format json has all." in text


def test_a_chord_without_any_known_task_says_so() -> None:
    nothing = sighting(header=(), missing=())

    assert "No header task is known" in text_of(chord_detail(nothing, NOW))


def test_a_part_of_unknown_id_has_a_row_of_its_own() -> None:
    lost = sighting(header=(), missing=(MissingPart(index=7),))

    assert re.search(
        r"^7 +id not known +not counted +not located", text_of(chord_detail(lost, NOW)), re.MULTILINE
    )


@pytest.mark.parametrize("kind", get_args(PlaceKind))
def test_every_place_has_words(kind: PlaceKind) -> None:
    assert place_words(Place(kind=kind, name="celery"))


def test_no_place_has_none() -> None:
    assert place_words(None) == ""


def test_a_task_that_is_held_back_tells_until_when() -> None:
    words = place_words(Place(kind="scheduled", name="w1@zoo", eta=NOW))

    assert words == f"held back by w1@zoo until {moment(NOW)}"


def test_a_time_that_is_not_known_is_said() -> None:
    assert moment(None) == "not known"
