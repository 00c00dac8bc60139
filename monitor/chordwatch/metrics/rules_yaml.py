"""Writes a document as YAML for people: with comments, and long texts as blocks. Pure.

PyYAML, which is no dependency of a worker, writes neither comments nor blocks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_INDENT = "  "
#: A name or a duration, which needs no quotes; words that YAML reads as something else are none of ours.
_WORD = re.compile(r"[A-Za-z][\w:-]*\w|\d+[a-z]+").fullmatch
#: Lines of printable ASCII that do not begin with a space.
_LINES = re.compile(r"[!-~][ -~]*(\n[ -~]+)*").fullmatch


class Commented(dict[str, Any]):
    """A mapping with a comment above it."""

    def __init__(self, comment: str, content: Mapping[str, Any]) -> None:
        super().__init__(content)
        self.comment = comment


def text(document: Mapping[str, Any]) -> str:
    """Return a document of mappings, lists of mappings, and texts as YAML."""
    return "\n".join([*_comment(document), *_mapping(document)]) + "\n"


def _mapping(mapping: Mapping[str, Any]) -> Iterator[str]:
    for key, value in mapping.items():
        if isinstance(value, str):
            yield from _text(key, value)
            continue
        yield f"{key}:"
        lines = _mapping(value) if isinstance(value, Mapping) else _list(value)
        yield from (_INDENT + line if line else "" for line in lines)


def _list(entries: list[Mapping[str, Any]]) -> Iterator[str]:
    for position, entry in enumerate(entries):
        if position:
            yield ""
        yield from _comment(entry)
        first, *others = _mapping(entry)
        yield f"- {first}"
        yield from (_INDENT + line if line else "" for line in others)


def _text(key: str, value: str) -> Iterator[str]:
    if _WORD(value):
        yield f"{key}: {value}"
    elif _LINES(value) and ("\n" in value or '"' in value):
        yield f"{key}: |-"
        yield from (_INDENT + line for line in value.split("\n"))
    else:
        # Every text in JSON is one in YAML.
        yield f"{key}: {json.dumps(value)}"


def _comment(mapping: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(mapping, Commented):
        yield from (f"# {line}" for line in mapping.comment.splitlines())
