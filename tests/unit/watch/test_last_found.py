"""What a look says of chords that it had no time to judge."""

from __future__ import annotations

from typing import Any

from chordwatch.watch import Sighting
from chordwatch.watch.last_found import LastFound
from tests.unit.cli.rendered import verdict
from tests.unit.seen import open_chord

LOST = verdict(cause="worker_lost")
HUNG: dict[str, Any] = {"health": "hung", "verdicts": (LOST,)}


def seen(chord_id: str, **fields: Any) -> Sighting:
    return Sighting(chord=open_chord(chord_id=chord_id, **fields))


def healths(found: tuple[Sighting, ...]) -> dict[str, tuple[str, int]]:
    return {each.chord.chord_id: (each.chord.health, len(each.chord.verdicts)) for each in found}


def test_a_partial_look_keeps_the_verdicts_of_what_did_not_go_on() -> None:
    last_found = LastFound()
    whole = [seen(each, **HUNG) for each in ("same", "moved", "judged", "ended")]
    partial = [
        seen("same"),
        seen("moved", counted=whole[1].chord.counted + 1),
        seen("judged", health="waiting", verdicts=(verdict(cause="queued", outcome="waiting"),)),
        seen("ended", state="succeeded", health="done"),
        seen("new"),
    ]

    assert last_found.completed(whole, partial=False) == tuple(whole)
    kept = {
        "same": ("hung", 1),
        "moved": ("ok", 0),
        "judged": ("waiting", 1),
        "ended": ("done", 0),
        "new": ("ok", 0),
    }
    assert healths(last_found.completed(partial, partial=True)) == kept
    assert healths(last_found.completed(partial, partial=True)) == kept
    assert healths(last_found.completed(partial, partial=False)) == {**kept, "same": ("ok", 0)}
    assert healths(last_found.completed(partial, partial=True))["same"] == ("ok", 0)
