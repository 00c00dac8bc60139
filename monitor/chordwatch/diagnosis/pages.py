"""The page of the docs about causes, made from the catalogue: `make docs` writes it. Pure but for its command."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from chordwatch.diagnosis.causes import CAUSES
from chordwatch.diagnosis.causes.cause import Cause

_INTRODUCTION = """\
# Why a chord does not finish: causes

Each section is one cause as the `cause` field of a verdict names it.
Measured on Celery 5.7 with Redis as broker and result backend.
What the evidence cannot decide is not called certain: the verdict names the likeliest causes, each with the question \
that would decide.
This page is made from the catalogue that the verdicts come from (`make docs`).

A chord is N header tasks in parallel and one callback (body) that runs when all N are counted.
Celery counts in the result backend: `celery-taskset-meta-<group id>.s` is the number it waits for, \
`.j` holds the parts that came.
"""


def causes_page() -> str:
    """Return `docs/causes.md`: one section a cause, in the order of the catalogue."""
    return "\n".join([_INTRODUCTION, *("\n".join(_section(cause)) for cause in CAUSES.values())])


def _section(cause: Cause) -> Iterator[str]:
    yield f"## {cause.id}"
    yield ""
    for title, text in _paragraphs(cause):
        if text:
            yield f"**{title}** {text}"
            yield ""


def _paragraphs(cause: Cause) -> tuple[tuple[str, str], ...]:
    return (
        ("What happens.", cause.what),
        ("Recognise it by hand.", cause.recognise),
        ("Fix it now.", cause.fix),
        ("Prevent it.", cause.prevent),
        ("Upstream.", cause.upstream),
        ("Try it.", f"`{cause.reproduce}`." if cause.reproduce else ""),
        ("Certain?", cause.doubt),
    )


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(causes_page(), encoding="utf-8")
