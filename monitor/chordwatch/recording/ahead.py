"""What a message still carries for later: chords ahead in its chain, and later parts of chords already under way.

Such a part is a later step of a chain in a header, or the callback of a chord in another chord's header.

Runs in whichever process publishes or receives such a message; costs nothing worth naming for a plain chain.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from chordwatch.recording.batch import body_facts, known_body_facts
from chordwatch.recording.notes import Entry
from chordwatch.recording.records import Kind, Role
from chordwatch.recording.signatures import embedded_parts, planned_chords


def look_ahead(embed: dict[str, Any], carrier_id: str) -> Iterator[Entry]:
    """Yield facts and expected parts, as far as the message's chain, links and callback hold any."""
    steps = (*(embed.get("chain") or ()), *(embed.get("callbacks") or ()), embed.get("chord"))
    if not any(step is not None and holds_more(step) for step in steps):
        return
    now = time.time()
    for part in embedded_parts(embed, carrier_id):
        yield part.chord_id, known_body_facts(part.body)
        yield _expected(part.chord_id, part.task_id, part.index, part.name, now)
    for chord in planned_chords(embed):
        yield chord.chord_id, {"l": 1, "w": carrier_id, **body_facts(chord.body)}
        for planned in chord.parts:
            yield _expected(chord.chord_id, planned.task_id, planned.index, planned.name, now)


def holds_more(signature: Any) -> bool:
    """Whether a step is more than a plain task: a long chain is walked at each of its steps."""
    return bool(signature.get("subtask_type") or signature["options"].get("chord"))


def _expected(chord_id: str, task_id: str, index: int | None, name: str | None, now: float) -> Entry:
    who = (int(Role.HEADER), task_id, index, 0, 0)
    return (chord_id, None, int(Kind.EXPECTED), *who, now, name, None)
