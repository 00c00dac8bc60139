from __future__ import annotations

from typing import Any

import msgpack
import pytest

from chordwatch.recording.batch import BatchWriter, body_facts, error_text
from chordwatch.recording.records import VERSION, End, Kind, Record, Role, pack_id

BODY = {"task": "shop.total", "args": [], "kwargs": {}, "options": {"task_id": "cb"}, "subtask_type": None}
NOW = 1763600000.25


def entry(task_id: Any = "t1", chord_id: Any = "chord", body: Any = BODY, **fields: Any) -> tuple[Any, ...]:
    record = {"name": "shop.price", "queue": "celery", **fields}
    name, queue = record.pop("name"), record.pop("queue")
    return (chord_id, body, Kind.PUBLISHED, Role.HEADER, task_id, 0, 0, 0, NOW, name, queue, *record.values())


def writer(**options: Any) -> BatchWriter:
    return BatchWriter(**{"boot": "b1", "node": "celery@one", "keep_callbacks": False, **options})


def read(batch: bytes) -> list[Any]:
    """Return the document, its keys as text."""
    document: list[Any] = msgpack.unpackb(batch, strict_map_key=False, raw=True)
    version, boot, sequence, node, lost, strings, chords = document
    return [
        version,
        boot.decode(),
        sequence,
        node.decode(),
        {reason.decode(): count for reason, count in lost.items()},
        strings,
        [
            (chord_id, {key.decode(): value for key, value in facts.items()}, records)
            for chord_id, facts, records in chords
        ],
    ]


def test_a_batch_names_its_process_counts_itself_and_tells_what_was_lost() -> None:
    one = writer()

    first, second = read(one.pack([entry()], {})), read(one.pack([], {"overflow": 3}))

    assert first[:5] == [VERSION, "b1", 1, "celery@one", {}]
    assert second[2:5] == [2, "celery@one", {"overflow": 3}]


def test_records_of_one_chord_stand_together_and_share_their_names() -> None:
    document = read(writer().pack([entry("t1"), entry("x", "other"), entry("t2")], {}))

    strings, chords = document[5], document[6]
    assert strings == [b"shop.price", b"celery"]
    assert [(chord[0], len(chord[2])) for chord in chords] == [(pack_id("chord"), 2), (pack_id("other"), 1)]
    record = Record(*chords[0][2][1])
    assert (record.kind, record.role, record.task_id) == (Kind.PUBLISHED, Role.HEADER, pack_id("t2"))
    assert (strings[record.name or 0], record.at) == (b"shop.price", NOW)


def test_a_process_tells_the_callback_of_a_chord_once() -> None:
    one = writer()

    first, second = read(one.pack([entry()], {})), read(one.pack([entry("t2")], {}))

    assert first[6][0][1] == {"c": [pack_id("cb"), b"shop.total", None, 1]}
    assert second[6][0][1] == {}


def test_the_signature_is_sent_only_where_callbacks_are_kept_and_it_is_not_gigantic() -> None:
    kept = read(writer(keep_callbacks=True).pack([entry()], {}))[6][0][1]
    huge = {**BODY, "args": ["x" * 100_000]}
    refused = read(writer(keep_callbacks=True).pack([entry(body=huge)], {}))[6][0][1]

    assert b'"task": "shop.total"' in kept["s"]
    assert "s" not in refused


def test_a_group_that_may_be_no_chord_says_so_until_something_certain_comes() -> None:
    unsure = read(writer().pack([entry(body=False)], {}))[6][0][1]
    sure = read(writer().pack([entry(body=False), entry("t2")], {}))[6][0][1]

    assert unsure == {"u": 1}
    assert "u" not in sure


def test_two_dispatches_of_one_chord_are_told_as_two() -> None:
    chords = read(writer().pack([("chord", {"n": 2}), ("chord", {"a": 1.0}), ("chord", {"a": 2.0})], {}))[6]

    assert [facts for _, facts, _ in chords] == [{"n": 2, "a": 1.0}, {"a": 2.0}]


@pytest.mark.parametrize(
    "broken",
    [
        entry(task_id=17),
        entry(chord_id=None),
        entry(body={"options": 3}),
        entry(name=b"\xff" * 300, queue=4),
        (1,),
    ],
)
def test_what_cannot_be_packed_is_counted_and_takes_nothing_along(broken: tuple[Any, ...]) -> None:
    one = writer()

    document = read(one.pack([broken, entry()], {}))

    assert document[4] == {"unreadable": 1}
    assert [len(chord[2]) for chord in document[6] if chord[0] == pack_id("chord")] == [1]


def test_hostile_names_are_cut_and_kept_as_they_are() -> None:
    document = read(writer().pack([entry(name="\udcff\0🎼" * 5000)], {}))

    assert document[5][0].decode("utf-8", "surrogatepass") == ("\udcff\0🎼" * 5000)[:200]


def test_a_group_as_callback_ends_with_all_its_members_and_errbacks_are_named() -> None:
    members = [
        {"task": f"shop.m{n}", "options": {"task_id": f"m{n}"}, "subtask_type": None} for n in range(3)
    ]
    errback = {"task": "shop.alarm", "options": {"task_id": "e1"}, "subtask_type": None}
    group = {
        "task": "celery.group",
        "kwargs": {"tasks": members},
        "options": {"task_id": "cb", "link_error": [errback]},
        "subtask_type": "group",
    }

    facts = body_facts(group)

    assert facts["c"] == [pack_id("cb"), "shop.m0", None, 3]
    assert facts["e"] == [[pack_id("e1"), "shop.alarm"]]


def test_an_error_is_its_type_and_the_beginning_of_its_text() -> None:
    class Hostile(Exception):  # noqa: N818  # its name is not the point
        def __str__(self) -> str:
            raise RuntimeError

    assert error_text(ValueError("no")) == "ValueError: no"
    assert error_text(ValueError("x" * 1000)) == "ValueError: " + "x" * 200
    assert error_text(Hostile()) == "Hostile"


def test_ends_are_numbers_that_the_store_knows() -> None:
    assert [int(end) for end in End] == [1, 2, 3, 4, 5, 6]
