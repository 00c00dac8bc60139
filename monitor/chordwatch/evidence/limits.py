"""How long things live and wait, as this process's Celery configuration has it; workers may have another one."""

from __future__ import annotations

from datetime import timedelta

from celery import Celery

from chordwatch.evidence.broker import BrokerReader
from chordwatch.evidence.facts import Limits

#: kombu's own (`kombu/transport/redis.py`), in seconds.
_VISIBILITY_TIMEOUT = 3600.0


def limits_of(app: Celery) -> Limits:
    """Return the limits of `app`; None for what has none, and for a broker without visibility timeout.

    `result_chord_expires` is new in Celery 5.7; before, and without it, chords live as long as results.
    """
    conf = app.conf
    visible = None
    if BrokerReader.can_read(app):
        options = conf.broker_transport_options or {}
        visible = _seconds(options.get("visibility_timeout", _VISIBILITY_TIMEOUT))
    results, chords = conf.result_expires, conf.get("result_chord_expires")
    return Limits(
        visibility_timeout=visible,
        chord_expires=_seconds(results if chords is None else chords),
        result_expires=_seconds(results),
        task_time_limit=_seconds(conf.task_time_limit),
    )


def _seconds(value: object) -> float | None:
    """Return a limit in seconds; None for 0, which means no limit, and for what is no number."""
    if isinstance(value, timedelta):
        return value.total_seconds() or None
    try:
        return float(str(value)) or None
    except ValueError:
        return None
