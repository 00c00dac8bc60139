"""Prometheus metrics of the monitor. Names and labels are a contract; families are built fresh per scrape."""

from __future__ import annotations

from chordwatch.metrics.collector import ChordCollector
from chordwatch.metrics.labels import CallbackNames

__all__ = ["CallbackNames", "ChordCollector"]
