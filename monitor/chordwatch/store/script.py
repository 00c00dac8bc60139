"""The Lua scripts that write, as they stand beside this module."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

_APPLY = ("codec", "names", "counts", "rows", "tasks", "chords", "index", "sweep", "apply")


@cache
def apply_script() -> str:
    """Return the script that applies a batch."""
    folder = files(__package__) / "lua"
    return "\n".join((folder / f"{part}.lua").read_text(encoding="utf-8") for part in _APPLY)


@cache
def beat_script() -> str:
    """Return the script that notes a heartbeat."""
    return (files(__package__) / "lua" / "beat.lua").read_text(encoding="utf-8")
