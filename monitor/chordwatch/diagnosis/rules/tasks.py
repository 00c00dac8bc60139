"""Tasks that ended so that the chord was never told, and chords that wait for something before or inside them. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from chordwatch.diagnosis.case import Case
from chordwatch.diagnosis.parts import FAILED, gone, last_end, located, settled
from chordwatch.diagnosis.verdicts import verdict
from chordwatch.diagnosis.wording import NAMED, clock, name_words, rest, sentence, the_callback
from chordwatch.model import FINISHED, Attempt, Chord, HeaderTask, Verdict
from chordwatch.text import plain

#: How `Task.replace` ends the task that it replaces; the recording keeps it.
REPLACED = "Ignore: Replaced by new task"
#: How a task ends that raises `Reject(requeue=False)` before Celery 5.7; the recording keeps it.
REJECTED_FOR_GOOD = "Reject: for good"


def header_ignored(case: Case) -> Iterator[Verdict]:
    """The task raised Ignore(), or rejected its message for good before Celery 5.7: it is never counted."""
    ignored = [
        task
        for task in gone(case, "ignored", "rejected")
        if (end := last_end(task)) and _is_ignored(end)
        # What replaced it may be a chord, which ends with it.
        if task.task_id not in case.related
    ]
    if ignored:
        tasks = "1 task of the header" if len(ignored) == 1 else f"{len(ignored):,} tasks of the header"
        rejected = all(task.state == "rejected" for task in ignored)
        why = (
            "raised Reject(requeue=False): before 5.7 Celery does not count a task that rejects its message."
            if rejected
            else "raised Ignore(): Celery does not count a task that is ignored."
        )
        yield verdict(
            case,
            "header_ignored",
            tasks=[task.task_id or "" for task in ignored],
            summary=f"{tasks} {why}",
            evidence=[
                sentence(
                    f"{case.described(task.task_id or '')} ended as {task.state} on {plain(task.worker or '?')} "
                    f"at {clock(task.finished_at)}."
                )
                for task in ignored[:NAMED]
            ]
            + rest(len(ignored)),
            since=min((task.finished_at for task in ignored if task.finished_at), default=case.since),
        )


def _is_ignored(end: Attempt) -> bool:
    return end.error == REJECTED_FOR_GOOD or (end.state == "ignored" and end.error != REPLACED)


def nested_chord_failed(case: Case) -> Iterator[Verdict]:
    """A part is the callback of an inner chord that got a ChordError: the outer chord is never told."""
    for task in gone(case):
        task_id = task.task_id or ""
        inner, meta = case.related.get(task_id), case.metas.get(task_id)
        told = meta is not None and meta.state == "failed" and meta.error_type == "ChordError"
        if told and meta and meta.group_id and not settled(case, task_id, meta.finished_at):
            continue  # raised by a task, which is about to be counted
        if not told and not (inner and _failed_inside(inner) and case.lost(task_id)):
            continue
        culprit = next((part for part in inner.header if part.state in FAILED), None) if inner else None
        yield verdict(
            case,
            "nested_chord_failed",
            tasks=[task_id],
            summary=f"{_inner_words(inner)} inside the header failed; Celery tells its callback, "
            "but not this chord, which waits for it.",
            evidence=list(_inner_lines(case, task_id, culprit)),
            since=(meta.finished_at if meta else None) or case.since,
        )


def _failed_inside(inner: Chord) -> bool:
    return inner.state == "failed" and any(part.state in FAILED for part in inner.header)


def _inner_words(inner: Chord | None) -> str:
    return f"The chord {plain(inner.chord_id)}" if inner else "A chord"


def _inner_lines(case: Case, task_id: str, culprit: HeaderTask | None) -> Iterator[str]:
    meta = case.metas.get(task_id)
    if meta and meta.error:
        yield sentence(
            f"{case.described(task_id)} has the result {plain(meta.error, 200)}, and is not counted."
        )
    else:
        yield sentence(f"{case.described(task_id)} is the callback of that chord, and is not counted.")
    if culprit:
        yield sentence(
            f"In it {name_words(culprit.name)} {plain(culprit.task_id or '')} ended with "
            f"{plain(culprit.error or culprit.state, 200)}."
        )


def upstream_failed(case: Case) -> Iterator[Verdict]:
    """The chord stands in a chain that failed before it: nothing will ever send it."""
    task = case.upstream
    if case.chord.state != "planned" or task is None:
        return
    yield verdict(
        case,
        "upstream_failed",
        tasks=[task.task_id] if task.task_id else [],
        summary=f"The chain failed before this chord: {name_words(task.name)} ended with "
        f"{plain(task.error or task.state, 120)}; the chord is never sent.",
        evidence=[
            sentence(
                f"{name_words(task.name)} {plain(task.task_id or '')} ended at {clock(task.finished_at)} with "
                f"{plain(task.error or task.state, 200)}."
            )
        ],
        since=task.finished_at,
    )


def blocked_by_chord(case: Case) -> Iterator[Verdict]:
    """A part is the callback of another chord that is open: that chord's cause is this one's."""
    if not case.is_open:
        return
    for task in case.open_parts():
        inner = case.related.get(task.task_id or "")
        if inner and inner.state not in FINISHED and inner.chord_id != case.chord.chord_id:
            complete = inner.size is not None and inner.counted >= inner.size
            if located(case, task.task_id) and (complete or inner.state == "planned"):
                continue  # its callback is on its way, or runs; or what carries the chord is, and that is judged
            yield _blocked(case, task.task_id or "", inner)
    callback = case.chord.callback.task_id or ""
    inner = case.related.get(callback)
    if inner and case.complete and inner.state not in FINISHED and not located(case, callback):
        yield _blocked(case, callback, inner)


def _blocked(case: Case, task_id: str, inner: Chord) -> Verdict:
    first = inner.verdicts[0] if inner.verdicts else None
    held = first is not None and first.outcome not in ("ok", "waiting")
    size = "?" if inner.size is None else f"{inner.size:,}"
    return verdict(
        case,
        "blocked_by_chord",
        tasks=[task_id],
        summary=f"{case.described(task_id)} is {the_callback(inner)} of the chord {plain(inner.chord_id)}, "
        f"which is {inner.counted:,} of {size}" + (f": {first.summary}" if first else "."),
        evidence=[
            f"The chord {plain(inner.chord_id)} is {inner.state}, {inner.counted:,} of {size} parts are counted.",
            *(first.evidence if first else ()),
        ],
        certain=first.certain if first else True,
        question=first.question if first else None,
        outcome=first.outcome if first and held else "waiting",
        remedy=first.remedy if first and held else None,
        since=first.since if first else inner.progressed_at,
        recovers_at=first.recovers_at if first else None,
    )


#: What goes on inside the header explains all that its tasks show outside.
INNER = (blocked_by_chord,)
RULES = (header_ignored, nested_chord_failed, upstream_failed)
