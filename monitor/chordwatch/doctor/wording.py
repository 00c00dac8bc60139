"""Words that the rules share. Names are hostile, so they pass through here. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from chordwatch.text import plain

_NAMED = 3
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def some(names: Iterable[str], most: int = _NAMED) -> str:
    """Return the first few names, and how many more there are."""
    known = sorted(set(names))
    more = f" and {len(known) - most:,} more" if len(known) > most else ""
    return ", ".join(plain(name) for name in known[:most]) + more


def seconds(value: float) -> str:
    """Return a duration as people say it: exact below two minutes, then in the unit that fits."""
    for unit, length in (("days", _DAY), ("h", _HOUR), ("min", _MINUTE)):
        if value >= 2 * length:
            return f"{value / length:,.1f}".removesuffix(".0") + f" {unit}"
    return f"{value:,.3g} s"


def tasks(count: int) -> str:
    """Return a number of tasks in words."""
    return f"{count:,} task{'' if count == 1 else 's'}"
