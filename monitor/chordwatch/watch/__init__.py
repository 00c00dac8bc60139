"""What `chordwatch.connect` returns: looks at an installation and finds chords in it."""

from __future__ import annotations

from chordwatch.watch.look import Look, Sighting
from chordwatch.watch.watch import DEFAULT_LIMIT, HEALTH_FILTERS, Watch, matches

__all__ = ["DEFAULT_LIMIT", "HEALTH_FILTERS", "Look", "Sighting", "Watch", "matches"]
