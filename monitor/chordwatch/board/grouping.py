"""Which chords of a board are asked for, and what they have in common: one cause, or one queue. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import inf

from chordwatch.board.rows import ChordRow
from chordwatch.diagnosis.causes import CAUSES
from chordwatch.model import OUTCOMES, Health
from chordwatch.store.labels import UNKNOWN
from chordwatch.text import plain

#: Health of chords that need nobody.
WELL: frozenset[Health] = frozenset({"ok", "waiting"})
#: Health of chords that will not finish by themselves.
STUCK: frozenset[Health] = frozenset({"hung", "looping"})
#: Callbacks that a group names.
_NAMED = 5
#: Characters of a name in the metrics, which an alert's link carries.
_LABEL_LENGTH = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What is asked for; empty means everything.

    `callback`, `cause` and `queue` are names as `label` says them.
    `text` stands anywhere in what is shown of the chord, in upper or lower case. `age` in seconds is the youngest.
    """

    callback: str = ""
    cause: str = ""
    queue: str = ""
    text: str = ""
    age: float = 0.0

    def matches(self, row: ChordRow, now: float) -> bool:
        """Whether the chord is asked for at `now` (Unix seconds). One of unknown age is older than any."""
        return (
            (not self.callback or self.callback == label(row.callback))
            and (not self.cause or self.cause == label(row.cause))
            and (not self.queue or self.queue in map(label, row.queues))
            and (not self.age or now - (row.opened_at or -inf) >= self.age)
            and (not self.text or self.text.casefold() in _said(row))
        )


def troubled(rows: Iterable[ChordRow], wanted: Filter, now: float) -> tuple[ChordRow, ...]:
    """Return the chords asked for that are not well, in their order; with a cause asked for, also those that are."""
    return tuple(row for row in rows if (row.health not in WELL or wanted.cause) and wanted.matches(row, now))


def label(name: str | None) -> str:
    """Return a name as metrics and addresses say it, `unknown` for one that nobody knows."""
    return plain(name or UNKNOWN, _LABEL_LENGTH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Chords with something in common. `name` is the label of their cause or queue; empty where they have none.

    `health` is the worst of them, `opened_at` (Unix seconds) when the first was opened. `callbacks` are the most
    frequent ones, `more_callbacks` how many others there are. `says` is the group in a sentence, `why` what is known of
    its first chord and `remedy` what to do about that; in a group by queue both are the most frequent cause's.
    """

    name: str
    chords: int
    health: Health
    opened_at: float | None
    callbacks: tuple[str, ...]
    more_callbacks: int
    says: str
    why: str
    remedy: str


def by_cause(rows: Iterable[ChordRow]) -> tuple[Group, ...]:
    """Return the chords grouped by cause, the worst health first, then the largest group."""
    return _grouped(rows, lambda row: (label(row.cause) if row.cause else "",), _says_cause)


def by_queue(rows: Iterable[ChordRow]) -> tuple[Group, ...]:
    """Return the chords grouped by the queue that they wait on, in the same order; one that waits on two is in both."""
    return _grouped(rows, lambda row: tuple(map(label, row.queues)) or ("",), _says_queue)


def _grouped(
    rows: Iterable[ChordRow],
    names: Callable[[ChordRow], Iterable[str]],
    says: Callable[[str, int], str],
) -> tuple[Group, ...]:
    members: defaultdict[str, list[ChordRow]] = defaultdict(list)
    for row in rows:
        for name in names(row):
            members[name].append(row)
    groups = [_group(name, chords, says(name, len(chords))) for name, chords in members.items()]
    return tuple(sorted(groups, key=lambda group: (_rank(group.health), -group.chords, group.name)))


def _group(name: str, rows: list[ChordRow], says: str) -> Group:
    callbacks = Counter(label(row.callback) for row in rows).most_common()
    cause = Counter(row.cause for row in rows).most_common(1)[0][0]
    first = min((row for row in rows if row.cause == cause), key=lambda row: row.opened_at or inf)
    return Group(
        name=name,
        chords=len(rows),
        health=min((row.health for row in rows), key=_rank),
        opened_at=min((row.opened_at for row in rows if row.opened_at is not None), default=None),
        callbacks=tuple(callback for callback, _ in callbacks[:_NAMED]),
        more_callbacks=max(0, len(callbacks) - _NAMED),
        says=says,
        why=first.why,
        remedy=first.remedy,
    )


def _says_cause(cause: str, _: int) -> str:
    if not cause:
        return "No cause is known"
    known = CAUSES.get(cause)
    return known.what.partition("\n")[0].replace("`", "") if known else cause


def _says_queue(queue: str, chords: int) -> str:
    number = "1 chord waits" if chords == 1 else f"{chords:,} chords wait"
    return f"{number} on queue {queue}" if queue else f"{number} on no queue"


def _rank(health: Health) -> int:
    return OUTCOMES.index(health) if health in OUTCOMES else len(OUTCOMES)


def _said(row: ChordRow) -> str:
    shown = (row.chord_id, row.callback or "", row.cause or "", row.why, row.waits_for, *row.queues)
    return "\n".join(shown).casefold()
