"""One cause of the catalogue."""

from __future__ import annotations

from dataclasses import dataclass

from chordwatch.model import Outcome

DOCS = "docs/causes.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One cause. Its id is what scripts, alerts and the docs call it.

    `remedy` stands in verdicts: what to do now, and the setting that prevents it. The other texts are Markdown and
    make its section of `docs/causes.md`: what happens, how to recognise it by hand, how to fix it now, how to prevent
    it, the upstream issues, a command that reproduces it, and what the verdict cannot exclude.
    A cause that `explains` leaves nothing to say about its tasks to the causes after it; a remark does not.
    """

    id: str
    outcome: Outcome
    remedy: str
    what: str = ""
    recognise: str = ""
    fix: str = ""
    prevent: str = ""
    upstream: str = ""
    reproduce: str = ""
    doubt: str = ""
    explains: bool = True

    @property
    def docs(self) -> str:
        """Where the docs describe it."""
        return f"{DOCS}#{self.id}"
