"""A kept judgement is read as it was written, or not at all."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from typing import Any

import pytest

from chordwatch.store.judgements import pack_judgement, read_judgement
from chordwatch.store.protocol import Judgement
from tests.unit.cli.rendered import verdict
from tests.unit.seen import NOW, open_chord

HUNG = Judgement(chord=open_chord(health="hung", verdicts=(verdict(),)), at=NOW)


def packed(**changes: Any) -> bytes:
    """Return what is kept of `HUNG`, with another value of a field of the chord."""
    document = json.loads(zlib.decompress(pack_judgement(HUNG)))
    return zlib.compress(json.dumps({**document, "chord": {**document["chord"], **changes}}).encode())


def test_what_was_packed_is_read_again() -> None:
    assert read_judgement(pack_judgement(HUNG)) == HUNG
    assert read_judgement(packed()) == HUNG


@pytest.mark.parametrize(
    "foreign",
    [
        b"",
        b"nonsense",
        zlib.compress(b"[]"),
        packed(health="sick"),
        packed(health=["hung"]),
        packed(header=7),
        pack_judgement(replace(HUNG, chord=replace(HUNG.chord, verdicts=(verdict(outcome="odd"),)))),
    ],
    ids=["empty", "no zlib", "no chord", "health", "no text", "no header", "outcome"],
)
def test_what_another_version_wrote_is_not_read(foreign: bytes) -> None:
    assert read_judgement(foreign) is None
