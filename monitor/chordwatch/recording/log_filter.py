"""A logging filter that tells which chord a task's log line belongs to. Works with and without `instrument`."""

from __future__ import annotations

import logging

from celery._state import get_current_task

from chordwatch.recording.marks import read_marks
from chordwatch.recording.notes import parts_of
from chordwatch.recording.records import Role

_ROLES = {int(Role.HEADER): "header", int(Role.CALLBACK): "callback"}
_NONE = ("", "", "")


class ChordLogFilter(logging.Filter):
    """Adds `chord_id`, `chord_role` (header or callback) and `chord_index` to each record; all empty outside chords.

    `chord_index` is the place in the header, an int. The callback of a chord inside another chord's header is told
    as callback. A record that has a `chord_id` keeps it. Never raises; lets every record pass.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the three attributes."""
        if "chord_id" not in record.__dict__:
            record.chord_id, record.chord_role, record.chord_index = _current()
        return True


def _current() -> tuple[str, str, int | str]:
    try:
        task = get_current_task()
        if task is None:
            return _NONE
        running = task.request_stack.top.__dict__
        parts = parts_of(running, running.get("chord"), running.get("chain"))
        if not parts:
            return _NONE
        marks = read_marks(running)
        is_callback = marks and not marks[-1][1]
        # A part of the header comes first, what it is to outer chords next, and whose callback it is itself last.
        (chord_id, _), (role, _id, index, *_), _last = parts[-1] if is_callback else parts[0]
        name = _ROLES[role]
        return str(chord_id), name, index if name == "header" and isinstance(index, int) else ""
    except Exception:  # noqa: BLE001  # a log line of the host must not fail for our sake
        return _NONE
