"""Links for whoever shows chords: to the dashboard for the webhook and Flower, to the docs on a cause. Pure."""

from __future__ import annotations

from urllib.parse import quote

from chordwatch.metrics.alerts import RUNBOOK_URL
from chordwatch.model import Verdict


def chord_url(dashboard_url: str, chord_id: str) -> str:
    """Return the address of a chord's page, where people open the dashboard at `dashboard_url`."""
    return f"{dashboard_url.rstrip('/')}/chord?id={_quoted(chord_id)}"


def cause_url(verdict: Verdict) -> str:
    """Return where a verdict's cause is explained."""
    return f"{RUNBOOK_URL}#{_quoted(verdict.cause)}"


def _quoted(text: str) -> str:
    return quote(text, safe="", errors="replace")
