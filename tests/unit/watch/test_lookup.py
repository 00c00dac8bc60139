from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from chordwatch.evidence.backend import Met
from chordwatch.evidence.budget import Budget, Gaps
from chordwatch.evidence.facts import ChordKeys, TaskMeta
from chordwatch.recording.signatures import Body, EmbeddedPart
from chordwatch.watch.lookup import find_chord_id
from chordwatch.watch.survey import Survey
from tests.unit.seen import BODY, callback_message, keys, message, meta, part


@dataclass
class FakeBackend:
    """Chord keys and results; SCAN meets one chord in each step."""

    chords: dict[str, ChordKeys] = field(default_factory=dict)
    metas: dict[str, TaskMeta] = field(default_factory=dict)

    def read_chords(self, chord_ids: Iterable[str], _: Budget, __: Gaps) -> dict[str, ChordKeys]:
        """Return those that are there."""
        return {id_: self.chords[id_] for id_ in chord_ids if id_ in self.chords}

    def read_metas(self, task_ids: Iterable[str], _: Gaps) -> dict[str, TaskMeta]:
        """Return those that are there."""
        return {id_: self.metas[id_] for id_ in task_ids if id_ in self.metas}

    def scan_chords(self, cursor: int, _: Budget) -> Met:
        """Meet the next chord."""
        ids = list(self.chords)
        after = cursor + 1 if cursor + 1 < len(ids) else 0
        return Met(chord_ids=set(ids[cursor : cursor + 1]), group_ids=set(), cursor=after)


def found(
    wanted: str,
    backend: FakeBackend | None = None,
    survey: Survey | None = None,
    gaps: Gaps | None = None,
    seconds: float = 9,
) -> str:
    backend, survey = backend or FakeBackend(), survey or Survey()
    return find_chord_id(wanted, backend, survey, Budget(seconds), gaps or Gaps())  # type: ignore[arg-type]  # a fake


def stored(*metas: TaskMeta) -> FakeBackend:
    return FakeBackend(metas={m.task_id: m for m in metas})


def waiting() -> Survey:
    survey = Survey()
    body = Body(task_id="b2", name="zoo.first", task_ids=("b1", "b2"))
    survey.messages["group"].append(message(0, body=body))
    survey.waiting["h0"] = message(0, body=body)
    return survey


def carrying() -> Survey:
    survey = Survey()
    survey.carried["group"]["h1"] = EmbeddedPart(
        chord_id="group", task_id="h1", index=1, name="zoo.step", body=BODY, carrier_id="first"
    )
    return survey


def test_a_header_message_leads_from_every_id_to_its_chord() -> None:
    assert {found(wanted, survey=waiting()) for wanted in ("group", "h0", "b1", "b2")} == {"group"}


def test_a_carried_part_leads_from_every_id_to_its_chord() -> None:
    assert {found(wanted, survey=carrying()) for wanted in ("group", "h1", "body")} == {"group"}


def test_what_follows_a_chord_in_its_chain_leads_to_it() -> None:
    by_header, by_carrier = waiting(), carrying()
    by_header.messages["group"][0] = replace(by_header.messages["group"][0], chain_ids=("held",))
    by_carrier.waiting["first"] = message(0, task_id="first", group_id=None, body=None, chain_ids=("held",))

    assert found("held", survey=by_header) == "group"
    assert found("held", survey=by_carrier) == "group"


def test_a_result_of_its_own_says_more_than_what_a_task_follows() -> None:
    survey = waiting()
    survey.messages["group"][0] = replace(survey.messages["group"][0], chain_ids=("held",))

    assert found("held", stored(meta("held", group_id="another")), survey) == "another"


def test_the_callback_in_its_queue_leads_to_its_chord() -> None:
    survey = Survey()
    survey.messages["group"].append(callback_message())
    survey.waiting["body"] = callback_message()

    assert found("body", survey=survey) == "group"


def test_a_group_id_is_found_by_its_keys() -> None:
    backend = FakeBackend({"group": keys(size=2)}, {"group": meta("group", group_id="another")})

    assert found("group", backend) == "group"


def test_a_header_task_is_found_by_its_result() -> None:
    assert found("h0", stored(meta("h0", group_id="group", parent_id="sender"), meta("sender"))) == "group"


def test_a_finished_callback_is_found_by_its_descent() -> None:
    body = meta("body", group_id="group", parent_id="h1")

    assert found("body", stored(body, meta("h1", group_id="group"))) == "group"


def test_the_callback_of_an_inner_chord_leads_to_the_inner_one() -> None:
    body = meta("inner-body", group_id="outer", parent_id="i0")

    assert found("inner-body", stored(body, meta("i0", group_id="inner"))) == "inner"


def test_a_callback_that_ended_in_chord_error_is_found_by_what_it_quotes() -> None:
    error = "ChordError: Dependency h1 raised ValueError('header boom')"

    assert (
        found("body", stored(meta("body", state="failed", error=error), meta("h1", group_id="group")))
        == "group"
    )


def test_a_task_without_a_result_is_found_among_the_counted_parts() -> None:
    chords = {
        "first": keys(chord_id="first", size=1),
        "group": keys(size=2, parts=(part(0),)),
        "complex": keys(chord_id="complex", size=2, members=("m0", "m1")),
    }

    assert found("h0", FakeBackend(chords)) == "group"
    assert found("m1", FakeBackend(chords)) == "complex"


def test_an_unknown_id_leads_to_itself() -> None:
    gaps = Gaps()

    assert found("unknown", FakeBackend({"group": keys(size=2, parts=(part(0),))}), gaps=gaps) == "unknown"
    assert gaps.lines() == ()


def test_a_search_that_ran_out_of_time_says_so() -> None:
    gaps = Gaps()

    assert found("h0", FakeBackend({"group": keys(size=2, parts=(part(0),))}), gaps=gaps, seconds=0) == "h0"
    assert gaps.partial
    assert gaps.lines() == ("Time ran out before all chords were searched for this id.",)


def test_a_plain_task_with_a_result_leads_to_itself() -> None:
    assert found("alone", stored(meta("alone", parent_id="sender"), meta("sender"))) == "alone"
