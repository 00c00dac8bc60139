"""What a process remembers of its tasks and chords, bounded. Pure."""

from __future__ import annotations

from typing import TypeVar

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")

#: Entries of one memory: some of Celery's signals bring nothing but an id, and not every task is heard of again.
REMEMBERED = 10_000


def remember(memory: dict[_Key, _Value], key: _Key, value: _Value, *, most: int = REMEMBERED) -> None:
    """Put a value into a memory of at most so many; of more the oldest half gives way."""
    if len(memory) >= most:
        for oldest in list(memory)[: most // 2]:
            memory.pop(oldest, None)
    memory[key] = value
