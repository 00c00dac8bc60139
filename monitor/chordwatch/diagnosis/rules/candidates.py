"""Parts that two looks found nowhere and that no rule explains: what can have become of them, likelier first. Pure.

Without records a killed worker, Ignore(), a message that was lost or could not be read, and a refused result all look
the same. What the evidence excludes is not named.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from chordwatch.diagnosis.case import Case
from chordwatch.diagnosis.losses import losses, server_lines
from chordwatch.diagnosis.parts import ENDED, begun_at, callback_seen, gone, held_by_workers, last_end
from chordwatch.diagnosis.rules.messages import never_sized
from chordwatch.diagnosis.taken import SLACK_SECONDS, is_undecided, last_run, taken_by
from chordwatch.diagnosis.verdicts import verdict
from chordwatch.diagnosis.wording import NAMED, clock, listed, name_words, plural, rest, sentence
from chordwatch.evidence.facts import Worker, WorkerPlace
from chordwatch.model import HeaderTask, Verdict
from chordwatch.text import plain

#: At most so many causes are named for one task: with Celery's defaults so many look exactly the same.
MOST = 5
#: A chord of which nothing is known but its size may just run; so long (seconds) nothing has come then.
_QUIET_SECONDS = 60.0
#: What is known of a chord may begin with its first part that ended; messages of the others were taken before. Seconds.
_SENT_WITHIN = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lost:
    """Parts that are lost in the same way; of `nameless` ones the ids are unknown. `worker` took them and lives.

    `told`: the worker is instrumented, and would have said how they ended.
    """

    tasks: tuple[str, ...]
    nameless: int = 0
    first_seen: float | None = None
    since: float | None = None
    worker: str | None = None
    told: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    weight: int
    cause: str
    reason: str
    question: str
    evidence: tuple[str, ...] = ()


def unknown(case: Case) -> Iterator[Verdict]:
    """Name what may have become of the lost parts; without a candidate, that it is not known."""
    if not case.is_open or losses(case) or never_sized(case):
        return
    for lost in _lost(case):
        found = [] if lost.told else _candidates(case, lost)
        for candidate in found[:MOST]:
            yield _named(case, lost, candidate)
        if not found and not _is_silent(case, lost):
            yield _unexplained(case, lost)


def header_running(case: Case) -> Iterator[Verdict]:
    """Parts of which nobody knows the ids, while workers run tasks of which nobody knows the chords."""
    nameless = sum(1 for gap in case.chord.missing if gap.task_id is None)
    if case.found or not case.is_open or not nameless or not case.strangers:
        return
    workers = listed(sorted({plain(stranger.hostname) for stranger in case.strangers}))
    many, one = len(case.strangers), nameless == 1
    yield verdict(
        case,
        "header_running",
        tasks=[],
        summary=f"{plural(nameless, 'part')} not located: {plural(many, 'task')} on {workers} may be "
        f"{'it' if one else 'among them'}; otherwise {'it is' if one else 'they are'} lost, or on the way.",
        evidence=[*map(_stranger_line, case.strangers[:NAMED]), *rest(many)],
        question=f"Does {'that task' if many == 1 else 'one of those tasks'} belong to this chord?",
        remedy="Look at what runs there; with chordwatch.instrument(app) workers tell which chord a task is of.",
    )


def _stranger_line(stranger: WorkerPlace) -> str:
    task = stranger.task
    since = f" since {clock(task.started_at)}" if task.started_at else ""
    return (
        f"{name_words(task.name)} {plain(task.task_id)} is {task.kind} on {plain(stranger.hostname)}{since}."
    )


def _is_silent(case: Case, lost: _Lost) -> bool:
    """Whether the worker that took them has not beaten since they were missed: it may have died, or tell of it yet."""
    lives = case.lives.get(lost.worker or "", ())
    if lives and lives[-1].alive and lives[-1].last_beat_at <= (lost.first_seen or 0.0):
        return True
    tasks = (task for task_id in lost.tasks if (task := case.task(task_id)))
    return any(is_undecided(case, taken) for task in tasks if (taken := taken_by(case, task)))


def _lost(case: Case) -> Iterator[_Lost]:
    """Yield the lost parts that no verdict names yet, grouped by the worker that took them last."""
    named = {task_id for verdict in case.found for task_id in verdict.tasks}
    groups: dict[tuple[str | None, bool], list[HeaderTask]] = {}
    for task in gone(case):
        if case.lost(task.task_id) and task.task_id not in named and not _has_ended(case, task):
            taken, run = taken_by(case, task), last_run(task)
            if run and run.state == "published" and case.instrumented_only:
                continue  # all who could have received it would have told; its message is lost, or about to be received
            told = bool(run and run.worker)
            groups.setdefault((taken.worker if taken else None, told), []).append(task)
    for (worker, told), tasks in groups.items():
        ids = tuple(task.task_id or "" for task in tasks)
        moments = [task.started_at or task.published_at for task in tasks]
        yield _Lost(
            tasks=ids,
            first_seen=min(case.nowhere_since[task_id] for task_id in ids),
            since=min((moment for moment in moments if moment), default=case.since),
            worker=worker,
            told=told,
        )
    nameless = sum(1 for gap in case.chord.missing if gap.task_id is None)
    if nameless and case.nameless_since is not None and not callback_seen(case) and _sent_all(case):
        yield _Lost(tasks=(), nameless=nameless, first_seen=case.nameless_since, since=case.since)


def _sent_all(case: Case) -> bool:
    """Whether the producer has sent the header; `add_to_chord` parts have a cause of their own."""
    keys = case.keys
    return bool(keys and keys.size is not None and keys.counted < keys.size and keys.claim is None)


def _has_ended(case: Case, task: HeaderTask) -> bool:
    meta = case.metas.get(task.task_id or "")
    return last_end(task) is not None or (meta is not None and meta.state in ENDED)


def _candidates(case: Case, lost: _Lost) -> list[_Candidate]:
    """Return what the evidence does not exclude, likelier first."""
    found = [candidate for kind in _KINDS if (candidate := kind(case, lost))]
    return sorted(found, key=lambda candidate: -candidate.weight)


def _worker_lost(case: Case, lost: _Lost) -> _Candidate | None:
    if lost.worker:
        return None  # that one lives, or another rule has said what has become of it
    begun = lost.since or begun_at(case)
    lines = tuple(f"{plain(w.hostname)} was started at {clock(w.started_at)}." for w in _newer(case, begun))
    return _Candidate(
        weight=90 if lines else 50,
        cause="worker_lost",
        reason=f"a worker may have died while it had {_it(lost)}",
        question=f"Did a worker die or restart between {clock(begun)} and {clock(lost.first_seen)}?",
        evidence=lines[:NAMED],
    )


def _newer(case: Case, begun: float | None) -> list[Worker]:
    """Return the workers that were started since."""
    workers = case.consumers.workers
    return [w for w in workers if begun and w.started_at and w.started_at > begun + SLACK_SECONDS]


def _frozen(case: Case, lost: _Lost) -> _Candidate | None:
    """Nobody who is asked hears of a worker that is stopped: it does not answer either."""
    if lost.worker or case.instrumented_only:
        return None
    return _Candidate(
        weight=35,
        cause="worker_frozen",
        reason=f"a worker that does not answer may hold {_it(lost)}",
        question="Is there a worker process that does not answer `celery inspect ping`?",
    )


def _ignored(case: Case, lost: _Lost) -> _Candidate | None:
    if not case.consumers.workers and not case.lives:
        return None
    return _Candidate(
        weight=60 if lost.worker else 40,
        cause="header_ignored",
        reason=f"{'they' if _many(lost) else 'it'} may have ended with Ignore()",
        question='Does the task raise Ignore(), or does a worker\'s log say "ignored" of it?',
    )


def _write_failed(case: Case, lost: _Lost) -> _Candidate | None:
    backend, begun = case.backend, lost.since or begun_at(case)
    refusing = bool(backend.maxmemory) and backend.maxmemory_policy == "noeviction"
    lines = server_lines(backend, "result backend", begun)
    if refusing:
        lines.append(f"The result backend refuses writes beyond {backend.maxmemory:,} bytes (noeviction).")
    if refused := {kind: number for kind, number in (backend.refused or {}).items() if number}:
        counts = listed([f"{plain(kind)} {number:,} ×" for kind, number in refused.items()])
        lines.append(f"Since its start the result backend has refused commands: {counts}.")
    # A server that counts what it refused, and refused nothing, was at most out of reach.
    return _Candidate(
        weight=80 if lines else 25 if backend.refused is None else 10,
        cause="backend_write_failed",
        reason="the result backend may have refused the end",
        question='Does a worker\'s log say "Pool callback raised exception" or "Exception raised outside body"?',
        evidence=tuple(lines),
    )


def _message_lost(case: Case, lost: _Lost) -> _Candidate | None:
    if lost.worker:
        return None
    begun = lost.since or begun_at(case)
    lines = server_lines(case.broker, "broker", begun)
    return _Candidate(
        weight=85 if lines else 45 if _newer(case, begun) else 20,
        cause="message_lost",
        reason="their messages may have been lost on their way to a worker"
        if _many(lost)
        else "the message of it may have been lost on its way to a worker",
        question="Does any worker's log name the task as received?",
        evidence=tuple(lines),
    )


def _undecodable(_case: Case, lost: _Lost) -> _Candidate | None:
    if lost.worker:
        return None
    return _Candidate(
        weight=30,
        cause="header_undecodable",
        reason="a worker may have refused their messages as unreadable, or their tasks as unregistered"
        if _many(lost)
        else "a worker may have refused the message as unreadable, or its task as unregistered",
        question='Does a worker\'s log say "Received invalid task message" or "Received unregistered task"?',
    )


def _mismatch(case: Case, lost: _Lost) -> _Candidate | None:
    """Not one part has come, and nothing is running: the results may be elsewhere."""
    keys = case.keys
    if not lost.nameless or keys is None or keys.counted or case.metas or held_by_workers(case):
        return None
    if not case.consumers.workers or case.since is None or case.now - case.since < _QUIET_SECONDS:
        return None
    return _Candidate(
        weight=95,
        cause="backend_mismatch",
        reason="the workers may use another result backend, so that none of their results is here",
        question="Do `celery -A proj inspect conf` and the producer show the same result_backend and key prefix?",
    )


def _unregistered(case: Case, lost: _Lost) -> _Candidate | None:
    return _stray(
        case,
        lost,
        _Candidate(
            weight=100,
            cause="header_unregistered",
            reason="a worker refused a task that it does not know, and it may have been this one",
            question="Is the refused task a part of this chord?",
        ),
        "NotRegistered",
    )


def _nested(case: Case, lost: _Lost) -> _Candidate | None:
    return _stray(
        case,
        lost,
        _Candidate(
            weight=28,
            cause="nested_chord_failed",
            reason="a chord failed meanwhile, and it may be one inside this header",
            question="Is the callback that got the ChordError a part of this chord?",
        ),
        "ChordError: Dependency",
    )


def _stray(case: Case, lost: _Lost, candidate: _Candidate, error: str) -> _Candidate | None:
    """Return the candidate where such a failure was stored without a group while the chord was under way."""
    begun = begun_at(case) or lost.since
    if lost.worker or not lost.nameless or begun is None:
        return None
    since = begun - _SENT_WITHIN
    strays = [s for s in case.strays if (s.error or "").startswith(error) and (s.finished_at or 0.0) >= since]
    lines = [
        f"{plain(s.task_id)} ended at {clock(s.finished_at)} with {plain(s.error or '', 200)}."
        for s in strays[:NAMED]
    ]
    return replace(candidate, evidence=(*lines, *rest(len(strays)))) if strays else None


_KINDS = (
    _unregistered,
    _mismatch,
    _nested,
    _worker_lost,
    _frozen,
    _ignored,
    _write_failed,
    _message_lost,
    _undecodable,
)


def _many(lost: _Lost) -> bool:
    return max(len(lost.tasks), lost.nameless) > 1


def _it(lost: _Lost) -> str:
    return "them" if _many(lost) else "it"


def _named(case: Case, lost: _Lost, candidate: _Candidate) -> Verdict:
    return verdict(
        case,
        candidate.cause,
        tasks=list(lost.tasks),
        summary=f"{_what(lost)} nowhere and never counted: {candidate.reason}.",
        evidence=[*_lines(case, lost), *candidate.evidence],
        question=candidate.question,
        since=lost.since or lost.first_seen,
    )


def _unexplained(case: Case, lost: _Lost) -> Verdict:
    return verdict(
        case,
        "unknown",
        tasks=list(lost.tasks),
        summary=f"{_what(lost)} nowhere and never counted, and nothing that is known explains it.",
        evidence=_lines(case, lost),
        certain=False,
        question=f"What do the workers' logs say of {_it(lost)}?",
        since=lost.since or lost.first_seen,
    )


def _what(lost: _Lost) -> str:
    number = len(lost.tasks) or lost.nameless
    return "1 part is" if number == 1 else f"{number:,} parts are"


def _lines(case: Case, lost: _Lost) -> list[str]:
    looked = f"in no queue, not unacknowledged, and at no worker since {clock(lost.first_seen)}"
    if lost.tasks:
        lines = [sentence(f"{case.described(task_id)} is {looked}.") for task_id in lost.tasks[:NAMED]]
        lines += rest(len(lost.tasks))
    else:
        indexes = [
            str(gap.index) for gap in case.chord.missing if gap.task_id is None and gap.index is not None
        ]
        which = f" (index {listed(indexes)})" if indexes else ""
        lines = [f"{_what(lost)} missing{which}, {looked}."]
    if lost.worker:
        they_were = "They were" if _many(lost) else "It was"
        lines.append(
            f"{they_were} started by {plain(lost.worker)}, which lives and does not have {_it(lost)}."
        )
    workers = listed([plain(worker.hostname) for worker in case.consumers.workers])
    lines.append(f"Online at {clock(case.consumers.asked_at)}: {workers or 'nobody'}.")
    return [*lines, *(plain(line, 300) for line in case.blind[:NAMED])]


RULES = (unknown, header_running)
