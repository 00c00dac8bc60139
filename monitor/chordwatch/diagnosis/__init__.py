"""Why a chord is as it is. Pure: chord, places and consumers in, verdicts out; no I/O, no clock."""

from __future__ import annotations

from chordwatch.diagnosis.rules import diagnose

__all__ = ["diagnose"]
