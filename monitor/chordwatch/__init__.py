"""Observability for Celery chords. Importing this module imports no Celery and opens no connection."""

from __future__ import annotations

__version__ = "0.1.0"
