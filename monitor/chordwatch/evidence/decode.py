"""Bytes that somebody else wrote, turned into plain data without trusting them.

JSON and msgpack are read, compressed payloads up to a bound; pickle is recognised and never loaded.
"""

from __future__ import annotations

import base64
import binascii
import bz2
import json
import lzma
import zlib
from collections.abc import Callable
from typing import Any, Protocol

import msgpack

from chordwatch.foreign import as_dict

#: A payload beyond this is not fetched, and not decompressed further.
MAX_BYTES = 4 * 1024 * 1024

#: celery.backends.base.COMPRESSED_PAYLOAD_MAGIC, Celery 5.7: magic, content type, NUL, payload.
_COMPRESSED = b"\x00celery-compressed\x00"
_PICKLE_PROTOCOLS = range(2, 6)


class UndecodableError(Exception):
    """The payload cannot be read; the text says what it is, in the singular."""


class _Decompressor(Protocol):
    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


#: kombu.compression's content types that the standard library can undo step by step. kombu calls zlib gzip.
_DECOMPRESSORS: dict[str, Callable[[], _Decompressor]] = {
    "application/x-gzip": zlib.decompressobj,
    "application/zlib": zlib.decompressobj,
    "application/x-bz2": bz2.BZ2Decompressor,
    # The limit is for a forged dictionary size; the highest preset takes 65 MiB.
    "application/x-lzma": lambda: lzma.LZMADecompressor(memlimit=128 * 1024 * 1024),
}


def decompress(data: bytes, content_type: str) -> bytes:
    """Return `data` decompressed, at most `MAX_BYTES`.

    Raises:
        UndecodableError: unknown method, damaged data, or more than `MAX_BYTES`.
    """
    try:
        plain = _DECOMPRESSORS[content_type]().decompress(data, MAX_BYTES + 1)
    except KeyError:
        raise UndecodableError("payload with an unknown compression") from None
    except (zlib.error, OSError, lzma.LZMAError, EOFError):
        raise UndecodableError("damaged compressed payload") from None
    if len(plain) > MAX_BYTES:
        raise UndecodableError("oversized payload")
    return plain


def load(data: bytes) -> Any:
    """Return what Celery's result backend or a message body holds, as plain data.

    Raises:
        UndecodableError: pickled, damaged, compressed in an unknown way, or no known format.
    """
    if data.startswith(_COMPRESSED):
        content_type, _, packed = data[len(_COMPRESSED) :].partition(b"\x00")
        data = decompress(packed, content_type.decode("ascii", "replace"))
    if data[:1] == b"\x80" and len(data) > 1 and data[1] in _PICKLE_PROTOCOLS:
        raise UndecodableError("pickled payload")
    if data[:1] in (b"{", b"["):
        return load_json(data)
    try:
        # A forged length allocates nothing: msgpack takes none beyond that of `data`.
        return msgpack.unpackb(data, strict_map_key=False)
    except Exception:  # noqa: BLE001  # msgpack raises half a dozen kinds, and all mean the same here
        raise UndecodableError("payload in an unknown format") from None


def load_json(data: bytes | str) -> Any:
    """Return parsed JSON.

    Raises:
        UndecodableError: not JSON, or nested so deep that Python gives up.
    """
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise UndecodableError("damaged payload") from None


def load_body(message: dict[str, Any]) -> Any:
    """Return the body of a kombu message that the virtual transports wrote.

    Raises:
        UndecodableError: pickled, damaged or in an unknown serialisation.
    """
    body = message.get("body")
    if not isinstance(body, str):
        raise UndecodableError("damaged message")
    properties, headers = as_dict(message.get("properties")), as_dict(message.get("headers"))
    if "pickle" in str(message.get("content-type")) or "python-serialize" in str(message.get("content-type")):
        raise UndecodableError("pickled message body")
    try:
        data = base64.b64decode(body) if properties.get("body_encoding") == "base64" else body.encode()
    except (binascii.Error, ValueError):
        raise UndecodableError("damaged message") from None
    if headers.get("compression"):
        data = decompress(data, str(headers["compression"]))
    return load(data)


def as_bytes(value: Any) -> bytes:
    """Return what a client with or without `decode_responses` gave, as bytes."""
    return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else bytes(value)


def decoded(value: bytes) -> str:
    """Return bytes as text that encodes back to the same bytes."""
    return value.decode("utf-8", "surrogateescape")


def number(value: object) -> int | None:
    """Return a stored integer, None for nothing and for anything else."""
    try:
        return int(as_bytes(value)) if isinstance(value, bytes | str) and value else None
    except ValueError:
        return None
