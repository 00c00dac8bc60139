"""Values that somebody else wrote, taken only if they have the shape that is expected. Pure, standard library only."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

#: 9999-01-01: what lies beyond, no clock can show.
_LAST_MOMENT = 253_370_764_800.0


def as_dict(value: object) -> dict[str, Any]:
    """Return `value` if it is a dict with text keys, else an empty one."""
    return value if isinstance(value, dict) and all(isinstance(key, str) for key in value) else {}


def as_list(value: object) -> list[Any]:
    """Return `value` if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def as_text(value: object) -> str | None:
    """Return `value` if it is non-empty text, else None."""
    return value if isinstance(value, str) and value else None


def as_int(value: object) -> int | None:
    """Return `value` as an int if it is a whole number, else None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return value if isinstance(value, int) else None


def as_time(value: object) -> float | None:
    """Return the Unix seconds of an ISO time, naive meaning UTC as Celery writes it; None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        return None
    return as_moment((moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp())


def as_moment(value: object) -> float | None:
    """Return `value` if it is a float that can be Unix seconds, else None."""
    return value if isinstance(value, float) and 0 <= value < _LAST_MOMENT else None
