"""The cases of every alert."""

from __future__ import annotations

from tests.alerts.cases import chords, installation, monitor, quiet, rates

CASES = (*chords.CASES, *rates.CASES, *installation.CASES, *monitor.CASES, *quiet.CASES)
"""In the order of the rules; those of one alert are one file."""
