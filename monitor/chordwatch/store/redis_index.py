"""Finds the chords of tasks: the index of each living segment, asked for many tasks at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import redis

from chordwatch.recording.records import pack_id
from chordwatch.store.connect import replies_of
from chordwatch.store.facts import ChordFacts, nearness
from chordwatch.store.keys import Keys, Place, place_of_id

_AT_ONCE = 200


class RedisIndex:
    """The index of one namespace. Raises what redis-py raises.

    `client` returns the store's client, `segments` the numbers of the segments that have chords, and `read` what is
    known of the chords with these packed group ids.
    """

    def __init__(
        self,
        client: Callable[[], redis.Redis],
        keys: Keys,
        *,
        segments: Callable[[], list[int]],
        read: Callable[[list[bytes]], Iterable[ChordFacts]],
    ) -> None:
        self._client, self._keys, self._segments, self._read = client, keys, segments, read

    def nearest(self, task_ids: Iterable[str]) -> dict[str, ChordFacts]:
        """Return for each of these tasks that has a chord what is known of the one that it is nearest to."""
        asked, found = list(dict.fromkeys(task_ids)), {}
        for start in range(0, len(asked), _AT_ONCE):
            candidates = self._candidates(asked[start : start + _AT_ONCE])
            packed_ids = dict.fromkeys(packed_id for some in candidates.values() for packed_id in some)
            chords = {pack_id(facts.chord_id): facts for facts in self._read(list(packed_ids))}
            for task_id, some in candidates.items():
                known = [chords[packed_id] for packed_id in some if packed_id in chords]
                nearest = max(known, key=partial(nearness, task_id=task_id), default=None)
                if nearest and nearness(nearest, task_id):
                    found[task_id] = nearest
        return found

    def _candidates(self, task_ids: list[str]) -> dict[str, list[bytes]]:
        """Return for each task the packed group ids of the chords that may be its own.

        The index knows fingerprints: who reads these chords sees whether they have the task.
        """
        places = {task_id: place_of_id(pack_id(task_id)) for task_id in task_ids}
        numbers = self._numbers(places)
        chords = self._chords(dict.fromkeys(number for found in numbers.values() for number in found))
        return {
            task_id: list(dict.fromkeys(chords[number] for number in found if number in chords))
            for task_id, found in numbers.items()
        }

    def _numbers(self, places: dict[str, Place]) -> dict[str, list[tuple[int, int]]]:
        """Return for each task the segments, and in them the numbers, of the chords that may be its own."""
        segments = self._segments()
        buckets = list(dict.fromkeys(place.bucket for place in places.values()))
        asked = [(segment, bucket) for segment in segments for bucket in buckets]
        pipe = self._client().pipeline(transaction=False)
        for segment, bucket in asked:
            pipe.smembers(self._keys(f"i:{segment}:{bucket}"))
        held: dict[tuple[int, int], Any] = dict(zip(asked, replies_of(pipe), strict=True))
        return {
            task_id: [
                (segment, number)
                for segment in segments
                if isinstance(entries := held[segment, place.bucket], set)
                for number in place.numbers(entries)
            ]
            for task_id, place in places.items()
        }

    def _chords(self, numbers: Iterable[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
        asked = list(numbers)
        pipe = self._client().pipeline(transaction=False)
        for segment, number in asked:
            pipe.lindex(self._keys(f"s:{segment}"), number - 1)
        replies = zip(asked, replies_of(pipe), strict=True)
        return {number: packed_id for number, packed_id in replies if isinstance(packed_id, bytes)}
