"""The monitor's log: lines for people, or one JSON object per line for programs."""

from __future__ import annotations

import json
import logging
from typing import Any

from chordwatch.service.changes import Change, fields, line

#: Every change of a verdict is one line of this logger.
changes_logger = logging.getLogger("chordwatch.monitor")
_CHANGE = "chordwatch_change"


class JsonLines(logging.Formatter):
    """One object per line: `time` (Unix seconds), `event`, and its fields; `log` is everything but changes."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a line."""
        change = getattr(record, _CHANGE, None)
        told: dict[str, Any] = {"time": record.created}
        if isinstance(change, Change):
            told |= fields(change)
        else:
            told |= {"event": "log", "level": record.levelname, "logger": record.name}
            told["message"] = record.getMessage()
        if record.exc_info:
            told["traceback"] = self.formatException(record.exc_info)
        return json.dumps(told)


def begin_log(format_: str) -> None:
    """Write the log of this process to stderr, as `text` or `json`, and with it the warnings of Python."""
    handler = logging.StreamHandler()
    handler.setFormatter(
        JsonLines() if format_ == "json" else logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    # Else they are lines of their own that are no JSON.
    logging.captureWarnings(capture=True)


def log_change(change: Change) -> None:
    """Write one line."""
    level = logging.WARNING if change.verdict else logging.INFO
    changes_logger.log(level, "%s", line(change), extra={_CHANGE: change})
