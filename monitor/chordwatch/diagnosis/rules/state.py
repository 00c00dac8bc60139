"""What is wrong with the state that Celery keeps of a chord in the result backend. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from chordwatch.diagnosis.case import Case
from chordwatch.diagnosis.losses import is_apart, losses, told_uncounted
from chordwatch.diagnosis.parts import (
    COUNTED_AFTER,
    FAILED,
    callback_seen,
    gone,
    held_by_workers,
    last_end,
    recorded_parts,
    settled,
    uncounted_results,
)
from chordwatch.diagnosis.rules.messages import never_sized
from chordwatch.diagnosis.verdicts import verdict
from chordwatch.diagnosis.wording import NAMED, clock, either, listed, rest, sentence
from chordwatch.model import HeaderTask, Verdict
from chordwatch.text import plain

#: A claim lives for 21 s at most with Celery's defaults; who holds it longer has died.
_CLAIM_SECONDS = 30.0


def chord_state_expired(case: Case) -> Iterator[Verdict]:
    """The chord's keys expired between two parts."""
    yield from _lost(case, "chord_state_expired")


def chord_state_flushed(case: Case) -> Iterator[Verdict]:
    """The result backend was flushed, or restarted empty."""
    yield from _lost(case, "chord_state_flushed")


def chord_state_evicted(case: Case) -> Iterator[Verdict]:
    """The result backend evicted the chord's keys."""
    yield from _lost(case, "chord_state_evicted")


def chord_state_lost(case: Case) -> Iterator[Verdict]:
    """The chord's keys are gone for a reason that cannot be told, or by a failover."""
    found = list(_lost(case, "chord_state_lost"))
    yield from found
    if not found and never_sized(case):
        yield verdict(
            case,
            "chord_state_lost",
            tasks=_callback_of(case),
            summary=f"The chord has no size, though {_parts(case.keys.counted if case.keys else 0)} came: "
            "its key may have been lost.",
            evidence=["All known parts are counted, and nobody compares their number with a size any more."],
            question="Did somebody delete keys of the result backend, or did it fail over, while the chord ran?",
            since=case.since,
        )


def _lost(case: Case, cause: str) -> Iterator[Verdict]:
    for loss in losses(case):
        if loss.cause == cause:
            lost = told_uncounted(case)
            yield verdict(
                case,
                cause,
                tasks=[task.task_id or "" for task in lost] or _callback_of(case),
                summary=f"{_what_is_gone(case)}: {loss.how}. Nothing will send the callback.",
                evidence=[*_counts(case), *loss.evidence],
                certain=loss.certain,
                question=loss.question,
                since=loss.since or case.since,
            )


def _what_is_gone(case: Case) -> str:
    return (
        "Parts that were counted are gone"
        if case.keys and case.keys.size is not None
        else "The size of the chord is gone"
    )


def _counts(case: Case) -> list[str]:
    keys, recorded = case.keys, case.recorded
    counted = keys.counted if keys else 0
    if keys and keys.size is not None:
        now = f"The result backend waits for {keys.total:,} parts and has counted {counted:,}"
    else:
        now = f"The result backend holds no size of the chord, and {_parts(counted)}"
    if recorded is None:
        return [f"{now}."]
    chord = recorded.chord
    size = "an unknown number of" if chord.size is None else f"{chord.size:,}"
    return [f"{now}; by what was recorded {chord.counted:,} of {size} were counted."]


def _parts(number: int) -> str:
    return "1 part" if number == 1 else f"{number:,} parts"


def _callback_of(case: Case) -> list[str]:
    return [case.chord.callback.task_id] if case.chord.callback.task_id else []


def backend_mismatch(case: Case) -> Iterator[Verdict]:
    """Workers say that Celery counted parts; the backend that has the size has none of them."""
    keys = case.keys
    if not (case.is_open and keys and keys.counting == "keys" and keys.claim is None) or callback_seen(case):
        return
    if any(loss.certain for loss in losses(case)):
        return
    lost = told_uncounted(case)
    if keys.size is not None and is_apart(case):
        yield _mismatch(case, lost)
    elif keys.size is None and any(loss.cause == "chord_state_lost" for loss in losses(case)):
        yield verdict(
            case,
            "backend_mismatch",
            tasks=_callback_of(case),
            summary="All parts that ended are in this result backend, and the chord's size is not: "
            "the producer may have written it to another.",
            evidence=_counts(case),
            question="Does the producer use the same result_backend and key prefix as the workers?",
            since=case.since,
        )


def _mismatch(case: Case, lost: list[HeaderTask]) -> Verdict:
    workers = listed(sorted({plain(task.worker) for task in lost if task.worker})) or "the workers"
    since = min((task.finished_at for task in lost if task.finished_at), default=case.since)
    return verdict(
        case,
        "backend_mismatch",
        tasks=[task.task_id or "" for task in lost],
        summary=f"{_parts(len(lost))} ended on {workers}, but not in the result backend that has the chord's size.",
        evidence=[*_counts(case), *(_end_line(case, task) for task in lost[:NAMED]), *rest(len(lost))],
        certain=not case.backend.evicted_keys,
        question="Do these workers use the same result_backend and key prefix as the producer, or were keys evicted?",
        since=since,
    )


def _end_line(case: Case, task: HeaderTask) -> str:
    return sentence(
        f"{case.described(task.task_id or '')} ended on {plain(task.worker or '?')} at {clock(task.finished_at)}."
    )


def backend_write_failed(case: Case) -> Iterator[Verdict]:
    """The part ran to its end, and the backend refused the end: nothing is stored, nothing counted."""
    ours = recorded_parts(case) if case.is_open else {}
    refused = []
    for task in gone(case, "failed"):
        known = ours.get(task.task_id or "")
        end = last_end(task)
        if known and not known.counted and end and end.state == "failed" and not _has_own_cause(case, task):
            refused.append(task)
    if refused:
        first = plain(refused[0].error or "an error", 120)
        yield verdict(
            case,
            "backend_write_failed",
            tasks=[task.task_id or "" for task in refused],
            summary=f"{_parts(len(refused))} ran to the end, and the result backend did not take "
            f"{either(refused, 'the result', 'their results')}: {first}.",
            evidence=[_refused_line(case, task) for task in refused[:NAMED]] + rest(len(refused)),
            since=min((task.finished_at for task in refused if task.finished_at), default=case.since),
        )


def _has_own_cause(case: Case, task: HeaderTask) -> bool:
    meta = case.metas.get(task.task_id or "")
    return (task.error or "").startswith(("NotRegistered", "ChordError")) or bool(
        meta and meta.state in FAILED
    )


def _refused_line(case: Case, task: HeaderTask) -> str:
    end = last_end(task)
    worker = plain(end.worker) if end and end.worker else "a worker"
    return sentence(
        f"{case.described(task.task_id or '')} ended on {worker} at {clock(task.finished_at)}; storing the end raised "
        f"{plain(task.error or 'an error', 200)}."
    )


def result_uncounted(case: Case) -> Iterator[Verdict]:
    """The result is stored, and the part was not counted: its process died in between."""
    keys = case.keys
    if keys is None or keys.size is None or callback_seen(case):
        return
    ours = recorded_parts(case)
    found = [
        (task, meta)
        for task, meta in uncounted_results(case)
        if settled(case, meta.task_id, meta.finished_at)
        and meta.error_type != "ChordError"
        and not (meta.task_id in ours and ours[meta.task_id].counted)
    ]
    if found:
        yield verdict(
            case,
            "result_uncounted",
            tasks=[meta.task_id for _, meta in found],
            summary=f"{_parts(len(found))} ended and stored a result, and was never counted."
            if len(found) == 1
            else f"{_parts(len(found))} ended and stored their results, and were never counted.",
            evidence=[
                *(
                    sentence(
                        f"{case.described(meta.task_id)} {meta.state} at {clock(meta.finished_at)}, as its result says."
                    )
                    for _, meta in found[:NAMED]
                ),
                *rest(len(found)),
                f"Celery waits for {keys.total:,} parts and has counted {keys.counted:,}, not these.",
            ],
            since=min((meta.finished_at for _, meta in found if meta.finished_at), default=case.since),
        )


def callback_claim_lost(case: Case) -> Iterator[Verdict]:
    """All parts are counted, one process claimed the callback, and died before it sent it."""
    keys = case.keys
    if not (case.is_open and keys and keys.total is not None and keys.counting == "keys"):
        return
    if keys.counted < keys.total or any(part.state in FAILED for part in keys.parts) or callback_seen(case):
        return
    header = {task.task_id for task in case.chord.header}
    if header & held_by_workers(case):
        return  # who sends the callback is at it, or waits for results
    quiet = keys.touched_at is not None and case.now - keys.touched_at >= _CLAIM_SECONDS
    if not (case.lost(case.chord.callback.task_id) or (quiet and keys.claim is None)):
        return
    claim = "has expired" if keys.claim is None else "is held by nobody that lives"
    yield verdict(
        case,
        "callback_claim_lost",
        tasks=_callback_of(case),
        summary=f"All {keys.total:,} parts are counted, and the callback was never sent: "
        "the process that was to send it died.",
        evidence=[
            f"The result backend waits for {keys.total:,} parts and has counted {keys.counted:,}.",
            f"The claim on sending the callback ({_claim_key(case)}) {claim}.",
            "No worker holds a task of the chord, and no message of it is anywhere.",
        ],
        since=keys.touched_at or case.since,
    )


def _claim_key(case: Case) -> str:
    return f"celery-taskset-meta-{plain(case.chord.chord_id)}.c"


def counter_overrun(case: Case) -> Iterator[Verdict]:
    """A part that ran twice was subtracted twice: the ChordCounter is used up before all parts are done."""
    keys, recorded = case.keys, case.recorded
    if not (case.is_open and keys and keys.counting == "counter") or callback_seen(case):
        return
    if keys.remaining is not None and keys.remaining > 0:
        return
    complete = recorded and recorded.chord.size is not None and recorded.chord.counted >= recorded.chord.size
    outstanding = [task for task in case.chord.header if not _has_ended(task)]
    twice = [task for task in case.chord.header if sum(1 for run in task.attempts if run.finished_at) > 1]
    # A chord that ends while it is looked at has no counter either.
    quiet = case.since is not None and case.now - case.since >= COUNTED_AFTER
    used_up = bool(twice and quiet and recorded) and (
        bool(outstanding) or (complete and case.instrumented_only)
    )
    if not (used_up or (keys.remaining is not None and keys.remaining < 0)):
        return
    count = "is gone" if keys.remaining is None else f"stands at {keys.remaining:,}"
    yield verdict(
        case,
        "counter_overrun",
        tasks=[task.task_id or "" for task in outstanding] or _callback_of(case),
        summary=f"The chord's counter {count}, and the callback was not sent: a part was counted twice.",
        evidence=[
            f"The ChordCounter of the chord {count}.",
            f"{_parts(len(outstanding))} of the header had not ended."
            if outstanding
            else "All parts have ended.",
            *(
                sentence(f"{case.described(task.task_id or '')} ran {len(task.attempts)} times.")
                for task in twice[:NAMED]
            ),
        ],
        since=case.since,
    )


def _has_ended(task: HeaderTask) -> bool:
    return task.state in ("succeeded", "failed", "revoked")


RULES = (
    chord_state_expired,
    chord_state_flushed,
    chord_state_evicted,
    chord_state_lost,
    backend_mismatch,
    backend_write_failed,
    result_uncounted,
    callback_claim_lost,
    counter_overrun,
)
