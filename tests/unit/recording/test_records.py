from __future__ import annotations

import pytest

from chordwatch.recording.records import pack_id, unpack_id

UUID = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"
ONLY_DIGITS = "49588709-3286-4608-8965-140107366196"  # one of some millions has no letter


@pytest.mark.parametrize("task_id", [UUID, ONLY_DIGITS])
def test_a_uuid_as_celery_writes_it_takes_sixteen_bytes(task_id: str) -> None:
    assert len(pack_id(task_id)) == 16
    assert unpack_id(pack_id(task_id)) == task_id


@pytest.mark.parametrize(
    "task_id",
    [
        "order-17",
        "",
        "fifteen-letters",  # with its mark as long as a packed UUID
        "\0\0nul",
        "~" * 15,
        UUID.upper(),
        UUID.replace("-", "_"),
        UUID[:-1] + "g",
        UUID[:-2] + " 1",
        "00000000-0000-0000-0000-000000000000",
        "naïve-🎼",
        "lone-\udcff",
        "x" * 10_000,
    ],
)
def test_any_other_id_comes_back_as_it_was_and_is_mistaken_for_no_uuid(task_id: str) -> None:
    packed = pack_id(task_id)

    assert unpack_id(packed) == task_id
    assert len(packed) != 16


def test_different_ids_stay_different() -> None:
    ids = ["a", "~a", "\0~a", "fifteen-letters", "~fifteen-letter", UUID, UUID.upper()]

    assert len({pack_id(task_id) for task_id in ids}) == len(ids)
