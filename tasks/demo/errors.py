"""What the demo says to a person when it cannot go on: one sentence, never a traceback."""

from __future__ import annotations


class DemoError(Exception):
    """The demo cannot go on; the message is a sentence that says why and what to do."""
