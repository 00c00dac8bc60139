"""Hostile text made fit to be shown: on one line, literal, of bounded length. Pure."""

from __future__ import annotations

import unicodedata

#: Controls, format characters (bidirectional overrides), surrogates, line and paragraph separators.
_UNSHOWABLE = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def plain(text: str, limit: int = 80) -> str:
    """Return `text` on one line with unshowable characters escaped, at most `limit` characters."""
    if len(text) <= limit and text.isascii() and text.isprintable():
        return text  # nearly all texts, and there are hundreds of thousands
    head = text[: limit + 1]
    shown = "".join(_escaped(char) if unicodedata.category(char) in _UNSHOWABLE else char for char in head)
    return shown if len(shown) <= limit and len(text) <= limit else shown[: limit - 1] + "…"


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
