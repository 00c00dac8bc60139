"""Hazards of an installation before they bite: what its configuration and its servers say, and its source code."""

from __future__ import annotations
