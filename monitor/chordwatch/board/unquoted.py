"""Sentences of verdicts without the texts of errors: these may hold anything, a card's number or a password. Pure.

A verdict quotes errors of its chord and of others: of inner chords, of a chain's steps before, of results that name no
chord, of a dispatch. One that was stored is all that is left of them. So it is the sentences that are searched, and
what looks like an error in them is cut rather than shown.
"""

from __future__ import annotations

import re

_NAME = r"[^\W\d][\w.]*"
#: What stands before an error in the sentences of `chordwatch.diagnosis.rules`.
_QUOTING = (
    r"\b(?:failed|ended)(?: on .+?)?(?: at .+?)? with "
    r"|\bhas the result "
    r"|\bstored result is (?:a failure: )?"
    r"|\bcalled with the list of results: "
    r"|\bcould not be published: "
    r"|\brefused(?: by .+?)? at .+?: "
    r"|\bof the header: "
    r"|\bdid not take (?:the result|their results): "
    r"|\bstoring the end raised "
    r"|\bthrew (?:it|them) away \("
)
#: Wherever else a type and its text stand. Sentences may begin so, and times end with UTC.
_TYPED = rf"(?<=[\s(:'\"`])(?!UTC: )(?={_NAME}(?:: |\(['\"]))(?=[\w.]*[A-Z])"
#: Here the type is left out, so that all of it is text.
_DIED = r"\bdied \("
_ERROR = re.compile(f"(?P<died>{_DIED})|(?:{_QUOTING}|{_TYPED})")
_TYPE = re.compile(rf"(?P<type>{_NAME})(?=: |\(|…?$)")
#: How sentences go on after an error.
_REST = re.compile(
    r"(?:; the callback (?:will|did) not run|; the chord is never sent|, and is not counted)?\.?$"
)
_OF_THE_DEAD = "WorkerLostError"


def unquoted(sentence: str) -> str:
    """Return a sentence of a verdict with the first error that it quotes as its type, and without what follows.

    Only known words that end such sentences are kept: nobody knows where an error's text ends.
    """
    found = _ERROR.search(sentence)
    if not found:
        return sentence
    before, quoted = sentence[: found.end()], sentence[found.end() :]
    rest = _REST.search(quoted)
    quoted, after = (quoted[: rest.start()], rest[0]) if rest else (quoted, "")
    if before.endswith("("):
        quoted, after = quoted.removesuffix(")"), f"){after}"
    named = _TYPE.match(quoted)
    kind = _OF_THE_DEAD if found["died"] else named["type"] if named else "an error"
    return f"{before}{kind}{after}"
