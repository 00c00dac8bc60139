"""Messages that were lost, refused, or never sent. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from chordwatch.diagnosis.case import Case
from chordwatch.diagnosis.losses import server_lines, state_was_lost
from chordwatch.diagnosis.parts import (
    callback_seen,
    gone,
    held_by_workers,
    last_end,
    located,
    recorded_parts,
)
from chordwatch.diagnosis.taken import last_run
from chordwatch.diagnosis.verdicts import verdict
from chordwatch.diagnosis.wording import (
    NAMED,
    clock,
    either,
    listed,
    name_words,
    rest,
    sentence,
    tasks_that,
)
from chordwatch.evidence.facts import ChordKeys
from chordwatch.model import Callback, HeaderTask, Verdict
from chordwatch.text import plain

#: A header may come from a generator that takes its time: so long (seconds) a producer may be silent and well.
DISPATCH_SILENCE = 120.0
#: On a busy machine the record of what a worker received may take so long (seconds) to reach the store.
RECORDED_AFTER = 2.0
#: A part that `add_to_chord` added is sent by the task that added it; so long (seconds) its message may take.
ADDED_PART_SILENCE = 30.0


def message_lost(case: Case) -> Iterator[Verdict]:
    """Published, received by none of the workers, all of which tell, and nowhere: the broker no longer has it."""
    if not (case.is_open and case.recorded and case.instrumented_only):
        return
    lost = [
        task
        for task in gone(case, "published", "retrying")
        if _missed(case, task) and (run := last_run(task)) and run.state == "published"
    ]
    lines = [_lost_line(case, task.task_id, task.queue, task.published_at) for task in lost[:NAMED]]
    tasks = [task.task_id or "" for task in lost]
    sent = [task.published_at for task in lost if task.published_at]
    callback = case.chord.callback
    if callback.state == "published" and callback.published_at and _missed(case, callback):
        lines.append(_lost_line(case, callback.task_id, callback.queue, callback.published_at))
        tasks.append(callback.task_id or "")
        sent.append(callback.published_at)
    if tasks:
        yield verdict(
            case,
            "message_lost",
            tasks=tasks,
            summary=f"{_messages(len(tasks))} got lost: published, received by no worker, and in no queue.",
            evidence=[
                *lines,
                *rest(len(lost)),
                *server_lines(case.broker, "broker", min(sent, default=None)),
            ],
            since=min(sent, default=case.since),
        )


def _missed(case: Case, task: HeaderTask | Callback) -> bool:
    """Whether the task is lost, and its readers have told so since: one that is stopped may be about to receive it.

    What they received a moment ago may be on its way to the store.
    """
    missed = case.nowhere_since.get(task.task_id or "")
    readers = [
        lives[-1] for lives in case.lives.values() if lives[-1].alive and task.queue in lives[-1].queues
    ]
    return missed is not None and all(life.last_beat_at > missed + RECORDED_AFTER for life in readers)


def _lost_line(case: Case, task_id: str | None, queue: str | None, published_at: float | None) -> str:
    found = clock(case.nowhere_since.get(task_id or ""))
    return sentence(
        f"{case.described(task_id or '')} was published to queue {plain(queue or '?')} at {clock(published_at)}; no "
        f"worker received it, and it has been in no queue and at no worker since {found}."
    )


def header_unregistered(case: Case) -> Iterator[Verdict]:
    """A worker that does not know the task's name throws the message away; the failure is stored, never counted."""
    refused = [task for task in gone(case, "failed") if _is_unregistered(case, task)]
    if refused:
        names = sorted({name_words(task.name) for task in refused})
        thrown = "the message was thrown away and the part is never counted"
        all_thrown = "the messages were thrown away and the parts are never counted"
        yield verdict(
            case,
            "header_unregistered",
            tasks=[task.task_id or "" for task in refused],
            summary=f"{listed(names)} {either(names, 'is', 'are')} not registered on the worker that received "
            f"{either(names, 'it', 'them')}; {either(refused, thrown, all_thrown)}.",
            evidence=[_refused_line(case, task) for task in refused[:NAMED]]
            + rest(len(refused))
            + [_NONE_IN_HEADER for task in refused[:1] if task.name is None],
            since=min((task.finished_at for task in refused if task.finished_at), default=case.since),
        )


_NONE_IN_HEADER = (
    "A task without a name is a None among the header's signatures, as a conditional list leaves one."
)


def _is_unregistered(case: Case, task: HeaderTask) -> bool:
    if not (task.error or "").startswith("NotRegistered"):
        return False
    ours = recorded_parts(case).get(task.task_id or "")
    meta = case.metas.get(task.task_id or "")
    # A task that raises NotRegistered itself is counted; its result names the group.
    return not (ours and ours.counted) and not (meta and meta.group_id)


def _refused_line(case: Case, task: HeaderTask) -> str:
    run = last_end(task)
    worker = f" by {plain(run.worker)}" if run and run.worker else ""
    at = clock((run.finished_at if run else None) or task.finished_at)
    return sentence(
        f"{case.described(task.task_id or '')} was refused{worker} at {at}: {plain(task.error or 'no reason', 200)}."
    )


def header_undecodable(case: Case) -> Iterator[Verdict]:
    """A worker that cannot read the message throws it away; nothing is stored at all."""
    # A task that rejects itself has started.
    refused = [t for t in gone(case, "rejected") if (run := last_end(t)) and run.started_at is None]
    if refused:
        first = plain(refused[0].error or "it could not be read", 120)
        yield verdict(
            case,
            "header_undecodable",
            tasks=[task.task_id or "" for task in refused],
            summary=f"{tasks_that('wait', refused)} for ever: the worker could not read "
            f"{either(refused, 'the message and threw it', 'their messages and threw them')} away ({first}).",
            evidence=[_refused_line(case, task) for task in refused[:NAMED]] + rest(len(refused)),
            since=min((task.finished_at for task in refused if task.finished_at), default=case.since),
        )


def partial_dispatch(case: Case) -> Iterator[Verdict]:
    """The producer failed while it sent the header: what was sent runs, and is never counted to the end."""
    if not case.is_open:
        return
    error = case.recorded.dispatch_error if case.recorded else None
    sent, size = _sent(case), case.recorded.chord.size if case.recorded else None
    if error and not callback_seen(case) and (size is None or sent < size):
        yield verdict(
            case,
            "partial_dispatch",
            tasks=[],
            summary=f"The producer failed after {_messages(sent)} of the header: {plain(error[1], 120)}.",
            evidence=[
                f"The dispatch ended at {clock(error[0])} with {plain(error[1], 200)}.",
                _size_line(sent, size),
            ],
            since=error[0],
        )
    elif never_sized(case):
        yield _producer_silent(case)


def _producer_silent(case: Case) -> Verdict:
    last = _quiet_since(case)
    counted = case.keys.counted if case.keys else 0
    return verdict(
        case,
        "partial_dispatch",
        tasks=[],
        summary=f"Celery was never told how many parts there are; {_messages(counted)} came, the last one "
        f"at {clock(last)}: the producer seems to have died while it sent the header.",
        evidence=[
            f"The chord has no size ({_size_key(case)}), which is written just before the last header message.",
            f"All {counted:,} known parts are counted, and no further message of the chord is anywhere.",
            f"Nothing has come since {clock(last)}.",
        ],
        question=f"Did the process that sent the chord die or raise at about {clock(last)}, or does it still send?",
        since=last,
    )


def never_sized(case: Case) -> bool:
    """Whether the chord looks as if its size was never written, and nobody has worked on it for long.

    A late duplicate after the chord's end leaves the same keys: that one's tasks have results beyond the counted.
    """
    keys = case.keys
    if not (case.is_open and keys and _is_unsized(keys)) or callback_seen(case) or state_was_lost(case):
        return False
    if case.recorded and (case.recorded.applied or case.recorded.chord.size is not None):
        return False
    indexes = {part.index for part in keys.parts}
    counted = {part.task_id for part in keys.parts}
    quiet = _quiet_since(case)
    return (
        indexes == set(range(keys.counted))
        and all(task.task_id in counted for task in case.chord.header)
        and not any(located(case, task_id) for task_id in case.places)
        and (case.recorded is not None or any(id_ in case.metas for id_ in counted))
        and quiet is not None
        and case.now - quiet >= DISPATCH_SILENCE
    )


def _is_unsized(keys: ChordKeys) -> bool:
    return (
        keys.counting == "keys"
        and keys.size is None
        and keys.claim is None
        and keys.counted > 0
        and keys.parts_complete
        and all(part.state == "succeeded" for part in keys.parts)
    )


def _quiet_since(case: Case) -> float | None:
    moments = [case.chord.progressed_at, *(task.published_at for task in case.chord.header)]
    return max((moment for moment in moments if moment is not None), default=None)


def _sent(case: Case) -> int:
    """Return of how many parts a message was seen, at least."""
    if case.recorded is None:
        return case.chord.counted
    chord = case.recorded.chord
    return chord.counted + sum(1 for gap in chord.missing if gap.task_id)


def _messages(number: int) -> str:
    return "1 message" if number == 1 else f"{number:,} messages"


def _size_line(sent: int, size: int | None) -> str:
    if size is None:
        return f"{_messages(sent)} were sent; the size, which is written before the last one, was not."
    return f"{_messages(sent)} of {size:,} were sent."


def _size_key(case: Case) -> str:
    return f"celery-taskset-meta-{plain(case.chord.chord_id)}.s"


def dynamic_member_missing(case: Case) -> Iterator[Verdict]:
    """Parts were added by `add_to_chord`, and Celery waits for more than were ever sent."""
    keys = case.keys
    if not (case.is_open and keys and keys.added and keys.total is not None) or callback_seen(case):
        return
    unsent = keys.total - keys.counted
    if not 0 < unsent <= keys.added or any(case.open_parts()) or not _is_quiet(case):
        return
    sure = case.recorded is not None and case.instrumented_only
    yield verdict(
        case,
        "dynamic_member_missing",
        tasks=[],
        summary=f"{unsent:,} of the {keys.added:,} parts that add_to_chord added were never sent; "
        f"all {keys.counted:,} others are counted.",
        evidence=[
            f"Celery waits for {keys.size:,} parts and {keys.added:,} added ones; {keys.counted:,} are counted.",
            "Every task of the chord that was seen is counted, and no message of it is left.",
        ],
        certain=sure,
        question="Is a task that add_to_chord(…, lazy=True) returned still to be sent, or was it sent and lost?",
        since=case.since,
    )


def _is_quiet(case: Case) -> bool:
    """Whether no added part can be on its way: bare, also no worker may hold a task that is nobody's."""
    if any(located(case, task_id) for task_id in case.places):
        return False
    if case.since is None or case.now - case.since < ADDED_PART_SILENCE:
        return False
    if case.recorded is not None and case.instrumented_only:
        return True
    return case.consumers.asked_at is not None and not held_by_workers(case)


RULES = (
    message_lost,
    header_unregistered,
    header_undecodable,
    partial_dispatch,
    dynamic_member_missing,
)
