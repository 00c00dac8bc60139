"""Chords inside Flower: a page of its own, and beside each task the chord that it belongs to.

Runs in Flower's process, whose config file calls this (see `dashboards/flowerconfig.py` and `docs/flower.md`). Needs no
task events. Nothing here blocks Flower's loop, changes anything, or fetches from elsewhere.
"""

from __future__ import annotations

from chordwatch.flower.annotated import format_task
from chordwatch.flower.installed import add_chords

__all__ = ["add_chords", "format_task"]
