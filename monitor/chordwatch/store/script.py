"""The Lua scripts that write, as they stand beside this module."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_ALWAYS = ("codec", "names", "counts", "rows", "chords", "index", "apply")
#: Redis runs a script's definitions at every call, so what few calls need is defined only when it is asked for.
_SELDOM = ("segments", "tasks", "sweep")
_PARTS = """
local lib = {{}}
local function define()
  setmetatable(lib, nil)
{seldom}
end
setmetatable(lib, {{__index = function(_, name)
  define()
  return lib[name]
end}})
{always}
return lib.apply()
"""


@cache
def apply_script() -> str:
    """Return the script that applies a batch. Each part is a function of `lib`, where it finds and leaves names."""
    return _with_constants(_PARTS.format(seldom=_parts(_SELDOM), always=_parts(_ALWAYS)))


@cache
def beat_script() -> str:
    """Return the script that notes a heartbeat."""
    return _source("beat")


@cache
def judge_script() -> str:
    """Return the script that keeps a judgement."""
    return _with_constants(_source("judge"))


def _parts(names: tuple[str, ...]) -> str:
    return "\n".join(f"do local part = function(...)\n{_source(name)}end part(lib) end" for name in names)


def _with_constants(script: str) -> str:
    """Return the script with each constant's value in place of its name."""
    values = dict(re.findall(r"^([A-Z_]+) = (.+)$", _source("constants"), re.MULTILINE))
    return re.sub(r"\b[A-Z][A-Z_]+\b", lambda name: values.get(name[0], name[0]), script)


def _source(name: str) -> str:
    return (files(__package__) / "lua" / f"{name}.lua").read_text(encoding="utf-8")
