from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from chordwatch.evidence.facts import ChordEvidence, Launch, Message, WorkerTask
from chordwatch.model import Chord, MissingPart
from chordwatch.recording.signatures import Body, EmbeddedPart
from chordwatch.watch.assemble import assemble
from tests.unit.seen import (
    BODY,
    NOW,
    active,
    callback_message,
    evidence,
    failed_part,
    keys,
    message,
    meta,
    part,
)

CHORD_ERROR = meta("body", state="failed", error="ChordError: Dependency h1 raised ValueError('header boom')")


@dataclass(frozen=True)
class Expected:
    """What a chord should look like; `missing` are index and task id."""

    state: str
    counted: int
    size: int | None
    missing: list[tuple[int | None, str | None]] = field(default_factory=list)
    callback: str = "unknown"


def carried(task_id: str, index: int, carrier: str) -> EmbeddedPart:
    return EmbeddedPart(
        chord_id="group", task_id=task_id, index=index, name="zoo.step", body=BODY, carrier_id=carrier
    )


CASES: dict[str, tuple[ChordEvidence, Expected]] = {
    "published and nothing counted": (
        evidence(keys(size=2), message(0), message(1)),
        Expected("open", 0, 2, [(0, "h0"), (1, "h1")]),
    ),
    "the last part in a queue": (
        evidence(keys(size=2, parts=(part(0),)), message(1, queue="nobody")),
        Expected("open", 1, 2, [(1, "h1")]),
    ),
    "the last part without a trace": (
        evidence(keys(size=3, parts=(part(0), part(2)))),
        Expected("open", 2, 3, [(1, None)]),
    ),
    "the last part running, its id known from nothing else": (
        evidence(keys(size=2, parts=(part(0),)), held=(active("h1"),)),
        Expected("open", 1, 2, [(1, None)]),
    ),
    "a member of a complex header is missing": (
        evidence(keys(size=3, members=("a", "b", "h1"), parts=(part(0, task_id="a"), part(1, task_id="h1")))),
        Expected("open", 2, 3, [(None, "b")]),
    ),
    "a complex header to which add_to_chord added a task that was never sent": (
        evidence(keys(size=3, added=1, members=("a", "b", "h1"), parts=(part(0, task_id="a"), part(1)))),
        Expected("open", 2, 4, [(None, "b"), (None, None)]),
    ),
    "a complex header whose GroupResult is gone": (
        evidence(keys(size=3, parts=(part(0, task_id="a"), part(0, task_id="b")))),
        Expected("open", 2, 3, [(None, None)]),
    ),
    "add_to_chord whose task was never sent": (
        evidence(keys(size=2, added=1, parts=(part(0), part(1)))),
        Expected("open", 2, 3, [(None, None)]),
    ),
    "add_to_chord whose task waits, with its parent's index": (
        evidence(keys(size=2, added=1, parts=(part(0), part(1))), message(0, task_id="extra")),
        Expected("open", 2, 3, [(0, "extra")]),
    ),
    "a generator that still publishes": (
        evidence(keys(parts=(part(0),)), message(1), message(2)),
        Expected("open", 1, None, [(1, "h1"), (2, "h2")]),
    ),
    "a generator that still publishes, and a part that raised": (
        evidence(keys(parts=(failed_part(0),)), message(1), message(2)),
        Expected("open", 1, None, [(1, "h1"), (2, "h2")]),
    ),
    "a part that raised while another runs, its message acknowledged": (
        evidence(
            keys(parts=(failed_part(0),)),
            held=(active("h1"),),
            metas={"h1": meta("h1", state="started", group_id="group")},
        ),
        Expected("open", 1, None, [(None, "h1")]),
    ),
    "the producer died half way": (
        evidence(keys(parts=(part(0), part(2)))),
        Expected("open", 2, None, [(1, None)]),
    ),
    "all counted, the claim is out": (
        evidence(keys(size=2, claim="claimed", parts=(part(0), part(1)))),
        Expected("open", 2, 2),
    ),
    "the callback waits in its queue": (
        evidence(keys(claim="done"), callback_message(queue="nobody")),
        Expected("open", 0, None, callback="published"),
    ),
    "the callback waits, the header's results are known": (
        evidence(
            keys(claim="done"),
            callback_message(),
            metas={f"h{n}": meta(f"h{n}", group_id="group") for n in range(2)},
        ),
        Expected("open", 2, None, callback="published"),
    ),
    "the callback waits while the last header message is not acknowledged": (
        evidence(keys(claim="done"), callback_message(), message(1, unacked=True)),
        Expected("open", 1, None, callback="published"),
    ),
    "the callback runs": (
        evidence(keys(claim="done"), message(1, unacked=True), held=(active("body"),)),
        Expected("open", 1, None, callback="started"),
    ),
    "succeeded": (
        evidence(
            keys(claim="done"),
            callback_metas=(meta("body", group_id="group", parent_id="h1"),),
            metas={n: meta(n, group_id="group") for n in ("h0", "h1", "body")},
        ),
        Expected("succeeded", 2, None, callback="succeeded"),
    ),
    "an orphan part that came after the success": (
        evidence(
            keys(parts=(part(1),)),
            callback_metas=(meta("body", group_id="group", parent_id="h1"),),
            metas={n: meta(n, group_id="group") for n in ("h0", "h1", "body")},
        ),
        Expected("succeeded", 2, None, callback="succeeded"),
    ),
    "the callback raised": (
        evidence(
            keys(claim="done"),
            callback_metas=(meta("body", state="failed", error="RuntimeError: body boom"),),
        ),
        Expected("failed", 0, None, callback="failed"),
    ),
    "ChordError on 5.7, which deletes the size": (
        evidence(keys(claim="claimed", parts=(part(0), failed_part(1), part(2)))),
        Expected("failed", 3, None),
    ),
    "ChordError up to 5.6, which leaves the size": (
        evidence(keys(size=3, parts=(part(0), failed_part(1), part(2)))),
        Expected("failed", 3, 3),
    ),
    "ChordError, stored for the callback": (
        evidence(keys(parts=(part(0), failed_part(1))), callback_metas=(CHORD_ERROR,)),
        Expected("failed", 2, None, callback="failed"),
    ),
    "a part was revoked and all are counted": (
        evidence(keys(parts=(part(0), part(1, state="revoked")))),
        Expected("failed", 2, None),
    ),
    "a part raised and another is missing": (
        evidence(keys(size=3, parts=(part(0), failed_part(1)))),
        Expected("open", 2, 3, [(2, None)]),
    ),
    "the callback was revoked in its queue": (
        evidence(keys(claim="done"), callback_metas=(meta("body", state="revoked"),)),
        Expected("failed", 0, None, callback="revoked"),
    ),
    "the callback was revoked while the header runs": (
        evidence(keys(size=2, parts=(part(0),)), message(1), callback_metas=(meta("body", state="revoked"),)),
        Expected("open", 1, 2, [(1, "h1")], callback="revoked"),
    ),
    "parts that could not be read": (
        evidence(keys(size=3, counted=2, parts_complete=False)),
        Expected("open", 2, 3),
    ),
    "known from messages alone": (
        evidence(keys(), message(0), message(1)),
        Expected("open", 0, None, [(0, "h0"), (1, "h1")]),
    ),
    "the sender remembers the whole header": (
        evidence(keys(parts=(part(0),)), launch=Launch(group_id="group", task_ids=("h0", "h1", "h2"))),
        Expected("open", 1, 3, [(1, "h1"), (2, "h2")]),
    ),
    "a chain in the header that has not come to its last step": (
        evidence(keys(size=2, parts=(part(0),)), carried={"h1": carried("h1", 1, "first")}),
        Expected("open", 1, 2, [(1, "h1")]),
    ),
    "ignored: finished and never counted": (
        evidence(keys(size=2, parts=(part(0),)), metas={"h1": meta("h1", state="ignored", group_id="group")}),
        Expected("open", 1, 2, [(1, "h1")]),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_chord_is_what_was_seen_of_it(name: str) -> None:
    seen, expected = CASES[name]

    chord = assemble(seen).chord

    assert (
        Expected(
            chord.state,
            chord.counted,
            chord.size,
            [(gap.index, gap.task_id) for gap in chord.missing],
            chord.callback.state,
        )
        == expected
    )


def chord_of(seen: ChordEvidence) -> Chord:
    return assemble(seen).chord


def test_a_part_is_missing_under_the_name_its_message_tells() -> None:
    chord = chord_of(evidence(keys(size=1), message(0)))

    assert chord.missing == (MissingPart(index=0, task_id="h0", name="zoo.add"),)


def test_a_forged_size_is_not_counted_out() -> None:
    chord = chord_of(evidence(keys(size=10**15, added=10**15, parts=(part(0),))))

    assert chord.size == 2 * 10**15
    assert 0 < len(chord.missing) <= 200_000


def test_a_forged_index_is_not_counted_up_to() -> None:
    assert len(chord_of(evidence(keys(parts=(part(10**15),)))).missing) <= 200_000


def test_the_header_stands_in_its_order_and_tells_what_is_counted() -> None:
    seen = evidence(keys(size=3, parts=(part(2), failed_part(0))), message(1))

    header = chord_of(seen).header

    assert [(task.index, task.counted, task.state) for task in header] == [
        (0, True, "failed"),
        (1, False, "published"),
        (2, True, "succeeded"),
    ]
    assert header[0].error == "ValueError: header boom"
    assert header[1].queue == "celery"


def test_the_callback_is_described_by_what_its_messages_embed() -> None:
    body = Body(
        task_id="body", name="zoo.collect", queue="low", task_ids=("body",), errbacks=(("e", "zoo.alarm"),)
    )

    chord = chord_of(evidence(keys(size=1), message(0, body=body)))

    assert (chord.callback.task_id, chord.callback.name, chord.callback.queue) == (
        "body",
        "zoo.collect",
        "low",
    )
    assert [(errback.task_id, errback.name) for errback in chord.errbacks] == [("e", "zoo.alarm")]


def test_the_steps_of_the_callback_are_no_part_of_the_header() -> None:
    body = Body(task_id="b2", name="zoo.first", task_ids=("b1", "b2"))
    metas = {n: meta(n, group_id="group") for n in ("h0", "b2")}

    chord = chord_of(evidence(keys(claim="done"), message(0, body=body, unacked=True), metas=metas))

    assert [task.task_id for task in chord.header] == ["h0"]


def test_a_running_callback_tells_worker_and_start() -> None:
    callback = chord_of(evidence(keys(claim="done"), message(0), held=(active("body"),))).callback

    assert (callback.state, callback.worker, callback.started_at) == ("started", "w1@zoo", NOW - 3)


@pytest.mark.parametrize(
    ("seen", "kind", "name"),
    [
        (evidence(keys(size=1), message(0)), "queue", "celery"),
        (evidence(keys(size=1), message(0, unacked=True, delivered_at=NOW)), "unacked", "celery"),
        (evidence(keys(size=1), message(0, unacked=True), held=(active("h0"),)), "active", "w1@zoo"),
        (
            evidence(keys(size=1), message(0), held=(WorkerTask(task_id="h0", name=None, kind="reserved"),)),
            "reserved",
            "w1@zoo",
        ),
        (
            evidence(keys(size=1), carried={"h0": carried("h0", 0, "f")}, held=(active("f"),)),
            "active",
            "w1@zoo",
        ),
        (evidence(keys(size=1, members=("h0",))), "nowhere", None),
        (evidence(keys(size=1, members=("h0",)), everywhere=False), "unknown", None),
    ],
)
def test_an_uncounted_task_has_a_place(seen: ChordEvidence, kind: str, name: str | None) -> None:
    place = assemble(seen).places["h0"]

    assert (place.kind, place.name) == (kind, name)


INNER = Body(task_id="h1", name="zoo.join", task_ids=("h1",))


def inner_message(number: int = 0, **fields: Any) -> Message:
    """Return a message of the chord `inner` inside the header, whose callback is `h1`."""
    return message(
        number, **{"task_id": f"i{number}", "group_id": "inner", "body": INNER, "queue": "nobody", **fields}
    )


def around(*messages: Message, behind: str | None = None, **fields: Any) -> ChordEvidence:
    """Return the evidence of a chord whose `h1` is carried by the message `i0`."""
    kept = replace(carried("h1", 1, "i0"), behind=behind)
    return evidence(keys(size=2, parts=(part(0),)), *messages, carried={"h1": kept}, **fields)


@pytest.mark.parametrize(
    "seen",
    [
        around(inner_message()),
        around(inner_message(unacked=True), held=(active("i0"),)),
        # The message of a chain inside the inner header names neither that chord nor its callback.
        around(inner_message(group_id=None, body=None), behind="inner"),
    ],
    ids=["waits", "runs", "chain"],
)
def test_the_callback_of_an_inner_chord_is_in_no_queue_until_that_ends(seen: ChordEvidence) -> None:
    outer = assemble(seen)

    place = outer.places["h1"]
    assert (place.kind, place.name, place.carrier_id) == ("unsent", "inner", "i0")
    (waiting,) = (task for task in outer.chord.header if task.task_id == "h1")
    assert (waiting.state, waiting.queue, waiting.worker) == ("unknown", None, None)


def test_the_callback_of_an_inner_chord_that_was_sent_is_where_it_is() -> None:
    late = inner_message(unacked=True)
    published = message(1, queue="low")

    assert (assemble(around(late, published)).places["h1"].kind) == "queue"
    assert assemble(around(late, held=(active("h1"),))).places["h1"].kind == "active"
    assert assemble(around(late, metas={"h1": meta("h1", state="started")})).places["h1"].kind == "nowhere"


def test_a_chord_with_a_failed_part_is_open_while_an_inner_one_is_under_way() -> None:
    kept = {"h1": carried("h1", 1, "i0")}

    seen = evidence(keys(parts=(failed_part(0),)), inner_message(), carried=kept)
    assert assemble(seen).chord.state == "open"


def test_a_forged_part_is_not_behind_its_own_chord() -> None:
    assert assemble(around(inner_message(), behind="group")).places["h1"].kind == "queue"


def test_a_counted_task_has_no_place() -> None:
    assert assemble(
        evidence(keys(size=2, parts=(part(0),)), message(0, unacked=True), message(1))
    ).places.keys() == {"h1"}


def test_a_retry_waits_with_its_attempt_and_time() -> None:
    retry = message(1, unacked=True, attempt=1, eta=NOW + 7200, delivered_at=NOW - 6)
    scheduled = WorkerTask(task_id="h1", name="zoo.retry_far", kind="scheduled", eta=NOW + 7200)

    seen = assemble(evidence(keys(size=2, parts=(part(0),)), retry, held=(scheduled,)))

    assert (seen.places["h1"].kind, seen.places["h1"].eta, seen.places["h1"].attempt) == (
        "scheduled",
        NOW + 7200,
        1,
    )
    assert (seen.chord.header[1].state, seen.chord.header[1].attempt) == ("retrying", 1)


def test_times_come_from_the_keys_and_the_results() -> None:
    published = chord_of(evidence(keys(size=2, touched_at=NOW - 50, expires_at=NOW + 50), message(0)))
    counted = chord_of(evidence(keys(size=2, parts=(part(0),), touched_at=NOW - 20)))
    done = chord_of(evidence(keys(claim="done"), callback_metas=(meta("body"),)))

    assert (published.opened_at, published.progressed_at) == (NOW - 50, NOW - 50)
    assert (published.finished_at, published.evidence_expires_at) == (None, NOW + 50)
    assert (counted.opened_at, counted.progressed_at) == (None, NOW - 20)
    assert done.finished_at == NOW - 5


def test_the_task_that_sent_the_chord_is_its_parent() -> None:
    chord = chord_of(evidence(keys(size=1), message(0, root_id="root", parent_id="sender")))

    assert (chord.root_id, chord.parent_id) == ("root", "sender")


def test_a_retried_task_that_names_itself_is_not_the_parent() -> None:
    assert chord_of(evidence(keys(size=1), message(0, parent_id="h0"))).parent_id is None


def test_the_only_task_without_an_index_has_the_only_index_without_a_task() -> None:
    started = meta("h1", state="started", group_id="group", worker="w1@zoo")
    seen = assemble(evidence(keys(size=3, parts=(part(0), part(2))), metas={"h1": started}))

    assert [(gap.index, gap.task_id) for gap in seen.chord.missing] == [(1, "h1")]
    unsure = assemble(evidence(keys(size=4, parts=(part(0), part(2))), metas={"h1": started}))
    assert (None, "h1") in [(gap.index, gap.task_id) for gap in unsure.chord.missing]
