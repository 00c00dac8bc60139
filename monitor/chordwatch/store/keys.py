"""The store's keys: where they are, and how an id is found. `docs/store.md` says what each holds. Pure."""

from __future__ import annotations

import hashlib
import struct
from typing import NamedTuple

LAYOUT = 1
BUCKETS = 256
_HASH_PRIME = 16_777_213
_UUID_BYTES = 16
_OFFSET = 1 << 31
_TIME_BYTES = 6


class Keys:
    """Names of the keys of one namespace. All share a hash tag, so that they lie on one shard of a cluster."""

    def __init__(self, namespace: str) -> None:
        tag = "{" + namespace.replace("}", "_") + "/0}"
        self.prefix = f"chordwatch:{LAYOUT}:{tag}:".encode("utf-8", "surrogatepass")
        self.versions = f"chordwatch:versions:{tag}".encode("utf-8", "surrogatepass")
        self.meta = self("m")

    def __call__(self, name: str | bytes) -> bytes:
        """Return the full key of a name within this namespace."""
        return self.prefix + (name.encode("utf-8", "surrogatepass") if isinstance(name, str) else name)

    def chord(self, packed_id: bytes) -> bytes:
        """Return the key of a chord."""
        return self.prefix + b"c:" + packed_id

    def detail(self, packed_id: bytes) -> bytes:
        """Return the key of what does not fit the chord's own key."""
        return self.prefix + b"d:" + packed_id

    def posted(self, name: str) -> bytes:
        """Return the key of what a process left for others under a name."""
        return self(f"b:{name}")


def listed_id(entry: bytes) -> bytes:
    """Return the packed group id from an entry of a list of finished chords; sweep.lua writes what follows it."""
    segments = entry[-_TIME_BYTES - 1] if len(entry) > _TIME_BYTES else 0
    return entry[: len(entry) - _TIME_BYTES - 1 - 4 * segments]


class Place(NamedTuple):
    """Where an id stands in a segment's index."""

    bucket: int
    fingerprint: int

    def numbers(self, entries: set[bytes]) -> list[int]:
        """Return the numbers of the chords in a bucket that may have the id."""
        found = []
        for entry in entries:
            try:
                fingerprint, number = divmod(int(entry) + _OFFSET, 1 << 16)
            except ValueError:  # not ours
                continue
            if fingerprint == self.fingerprint and number:
                found.append(number)
        return found


def place_of_id(packed_id: bytes) -> Place:
    """Return where the index keeps an id; names.lua computes the same."""
    if len(packed_id) != _UUID_BYTES:
        packed_id = hashlib.sha1(packed_id, usedforsecurity=False).hexdigest()[:_UUID_BYTES].encode()
    w, x, y, z = struct.unpack(">4I", packed_id)
    fingerprint, bucket = divmod((w + x * 3 + y * 5 + z * 7) % _HASH_PRIME, BUCKETS)
    return Place(bucket, fingerprint)
