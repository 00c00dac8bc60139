from __future__ import annotations

from pathlib import Path

import pytest

from chordwatch.diagnosis.causes import CAUSES
from chordwatch.diagnosis.pages import causes_page
from tasks.scenarios import SCENARIOS

PAGE = Path(__file__).resolve().parents[3] / "docs" / "causes.md"


def test_the_page_of_the_docs_is_that_of_the_catalogue() -> None:
    """`make docs` writes it anew."""
    assert PAGE.read_text(encoding="utf-8") == causes_page()


@pytest.mark.parametrize("cause", CAUSES.values(), ids=str)
def test_every_cause_says_what_happens_how_to_see_it_and_what_to_do(cause: object) -> None:
    missing = [name for name in ("what", "recognise", "fix", "remedy") if not getattr(cause, name)]
    if getattr(cause, "outcome") in ("ok", "waiting"):  # noqa: B009
        missing = [name for name in missing if name in ("what", "remedy")]

    assert missing == []


def test_what_reproduces_a_cause_exists() -> None:
    commands = [cause.reproduce for cause in CAUSES.values() if cause.reproduce]
    names = set(SCENARIOS)

    assert commands
    assert {command.removeprefix("python -m tasks.run ") for command in commands} <= names


def test_a_section_has_only_paragraphs_that_say_something() -> None:
    section = causes_page().split("## chord_reapplied\n")[1].split("\n## ")[0]

    assert section.startswith("\n**What happens.** The same chord was sent twice")
    assert "**Upstream.**" not in section
    assert "\n\n\n" not in causes_page()
