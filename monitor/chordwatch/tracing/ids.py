"""Trace and span ids that any process can name, before the spans are written and without asking anybody. Pure.

They are hashes: the fixed bits of a uuid4 would make sampling by ratio all or nothing. None is ever 0, which
OpenTelemetry takes for no id.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b

_TRACE_BYTES, _SPAN_BYTES = 16, 8


def trace_id_of(group_id: str) -> int:
    """Return the trace of a chord whose caller has none: 128 bits.

    With the id of a header task instead, it is the trace of that task in a chord too large for one trace.
    """
    return _hash(_TRACE_BYTES, b"trace", group_id)


@lru_cache(maxsize=1024)
def chord_span_id(group_id: str) -> int:
    """Return the id of the chord's own span: 64 bits."""
    return _hash(_SPAN_BYTES, b"chord", group_id)


def publish_span_id(task_id: str, retries: int, nesting: int = 0) -> int:
    """Return the id of the span that published an attempt of a task: 64 bits.

    An attempt is Celery's `retries` and, as `replace()` keeps those, `replaced_task_nesting`.
    """
    return _hash(_SPAN_BYTES, b"publish", task_id, retries, nesting)


def process_span_id(task_id: str, retries: int, nesting: int = 0, *, redelivered: bool = False) -> int:
    """Return the id of the span in which an attempt ran: 64 bits; one that was delivered again has another."""
    return _hash(_SPAN_BYTES, b"redelivered" if redelivered else b"process", task_id, retries, nesting)


def _hash(size: int, kind: bytes, name: str, retries: int = 0, nesting: int = 0) -> int:
    """Return a hash as a number; the text of an id comes last, as it alone may hold anything."""
    text = b"%s:%d:%d:%s" % (kind, retries, nesting, name.encode("utf-8", "surrogatepass"))
    return int.from_bytes(blake2b(text, digest_size=size).digest(), "big") or 1
