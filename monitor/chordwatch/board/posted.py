"""The board as it lies in the store: written by the monitor, read by dashboards, bounded, and foreign to its readers.

It is compressed msgpack, `[version, board]`, in which rows are lists in the order of their fields. It lies there while
it is current, by the store's clock: then nobody needs to compare clocks.
"""

from __future__ import annotations

import zlib
from dataclasses import fields, replace
from typing import Any, TypeVar

import msgpack

from chordwatch.board.rows import Board, ChordRow, QueueRow, WorkerRow

#: The name under which it is posted.
BOARD = "board"
#: Bytes of a packed board: of too many chords some have no row. What unpacks to more than this is not ours.
MAX_PACKED, _MAX_UNPACKED = 1 << 20, 1 << 25
_VERSION = 1

_Row = TypeVar("_Row", ChordRow, QueueRow, WorkerRow)


def current_for(interval: float) -> float:
    """Return for how many seconds a board is current that comes every `interval` seconds."""
    return 6 * interval + 10


def pack_board(board: Board) -> bytes:
    """Return the board as the store keeps it, at most 1 MB; rows of chords are left out from the end for that."""
    packed = _packed(board)
    while len(packed) > MAX_PACKED and board.chords:
        board = replace(board, chords=board.chords[: len(board.chords) * 4 // 5])
        packed = _packed(board)
    return packed


def read_board(packed: bytes) -> Board | None:
    """Return the board that was packed, None where it is not as this version writes it."""
    try:
        unpacked = zlib.decompressobj().decompress(packed, _MAX_UNPACKED)
        version, document = msgpack.unpackb(unpacked, unicode_errors="surrogatepass")
        return _board(document) if version == _VERSION else None
    except (zlib.error, ValueError, TypeError, KeyError, AttributeError, msgpack.UnpackException):
        return None


def _packed(board: Board) -> bytes:
    document = {each.name: getattr(board, each.name) for each in fields(Board)}
    document |= {name: [_listed(row) for row in document[name]] for name in _ROWS}
    document |= {name: document[name] and dict(document[name]) for name in ("counts", "finished")}
    return zlib.compress(msgpack.packb([_VERSION, document], unicode_errors="surrogatepass"), level=1)


def _listed(row: ChordRow | QueueRow | WorkerRow) -> list[Any]:
    return [getattr(row, name) for name in _NAMES[type(row)]]


def _board(document: dict[str, Any]) -> Board:
    rows = {name: tuple(_row(kind, values) for values in document[name]) for name, kind in _ROWS.items()}
    return Board(**{**document, **rows, "notes": tuple(document["notes"])})


def _row(kind: type[_Row], values: list[Any]) -> _Row:
    named: dict[str, Any] = dict(zip(_NAMES[kind], values, strict=True))
    if "queues" in named:
        named["queues"] = tuple(named["queues"])
    return kind(**named)


_ROWS: dict[str, type[Any]] = {"chords": ChordRow, "queues": QueueRow, "workers": WorkerRow}
_NAMES: dict[type, tuple[str, ...]] = {
    kind: tuple(each.name for each in fields(kind)) for kind in _ROWS.values()
}
