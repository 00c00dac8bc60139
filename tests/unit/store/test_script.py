"""The script is put together from its parts; what it says is tested by tests/contract."""

from __future__ import annotations

import re

from chordwatch.store.script import apply_script, judge_script


def code_of(script: str) -> str:
    """Return a script without comments and strings."""
    return re.sub(r"--[^\n]*|'(?:\\.|[^'\\])*'", "", script)


def test_every_constant_has_its_value() -> None:
    names = set(re.findall(r"\b[A-Z][A-Z_]+\b", code_of(apply_script())))
    assert names - {"KEYS", "ARGV"} == {"EVENTS", "ROW", "ROW_SIZE", "NO_ID"}
    assert set(re.findall(r"\b[A-Z][A-Z_]+\b", code_of(judge_script()))) == {"KEYS", "ARGV"}


def test_redis_lets_a_script_have_so_many_names() -> None:
    for part in re.findall(r"do local part = function\(\.\.\.\)\n(.*?)\nend part", apply_script(), re.DOTALL):
        assert len(re.findall(r"^local ", part, re.MULTILINE)) < 150
