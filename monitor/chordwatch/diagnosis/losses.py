"""How Celery's own record of a chord was lost: its size, or parts that it had counted. Pure.

That `.s` is absent and `.j` there has four meanings; only what nothing else explains is called a loss.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from chordwatch.diagnosis.case import Case
from chordwatch.diagnosis.parts import (
    FAILED,
    begun_at,
    callback_seen,
    located,
    recorded_parts,
    uncounted_results,
)
from chordwatch.diagnosis.wording import clock
from chordwatch.evidence.facts import Server, ServerChange
from chordwatch.model import HeaderTask
from chordwatch.text import plain

#: Clocks of this machine and of the servers differ by so many seconds at most, unless somebody says so.
_SLACK = 5.0
#: A chord that ends while it is looked at has come on within so many seconds.
_QUIET_SECONDS = 10.0
_LASTING_POLICY = "noeviction"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """One way in which the state can have been lost; not `certain` where there are others."""

    cause: str
    how: str
    evidence: tuple[str, ...]
    certain: bool
    since: float | None = None
    question: str = ""


def state_was_lost(case: Case) -> bool:
    """Whether it is certain that the chord's state was lost."""
    return any(loss.certain for loss in losses(case))


def losses(case: Case) -> list[Loss]:
    """Return how the chord's state can have been lost, likelier first; empty where nothing says that it was."""
    if not _may_be_lost(case):
        return []
    proven = _is_proven(case)
    if not (proven or _is_suspected(case)):
        return []
    found = [*_expired(case, proven=proven), *_changes(case, proven=proven)]
    if found:
        return found[:1] if found[0].certain else found
    found = list(_counters(case))
    only_size = case.keys is not None and case.keys.size is None
    if len(found) == 1 and proven and only_size:
        return [_sure(found[0])]
    if found or not proven or is_apart(case):
        return found
    return [_unexplained(case)]


def told_uncounted(case: Case) -> list[HeaderTask]:
    """Return the parts that workers said Celery had counted and that its keys do not name."""
    keys = case.keys
    if keys is None or not keys.parts_complete or len(keys.parts) != keys.counted:
        return []
    if case.recorded is None or case.recorded.chord.counted <= keys.counted:
        return []
    counted = {part.task_id for part in keys.parts}
    return [t for id_, t in recorded_parts(case).items() if t.counted and id_ not in counted]


def is_apart(case: Case) -> bool:
    """Whether parts are missing, and only those of workers of which none is counted: they may write elsewhere."""
    if case.keys is None or case.keys.size is None:
        return False
    missing = {task.task_id: task.worker for task in told_uncounted(case)}
    there = {t.worker for id_, t in recorded_parts(case).items() if t.counted and id_ not in missing}
    return bool(missing) and not set(missing.values()) & there


def server_lines(server: Server, what: str, since: float | None) -> list[str]:
    """Return the sentences about what happened to a Redis after `since`."""
    lines = [f"The {what}: {change.text}" for change in server.changes if change.until >= (since or 0.0)]
    if not lines and _restarted(server, since):
        lines = [f"The {what}'s Redis was started at {clock(server.started_at)}, after the chord was sent."]
    return lines


def _may_be_lost(case: Case) -> bool:
    """Whether Celery's keys can be those of a chord that is under way and whose state is not whole."""
    keys = case.keys
    if not (case.is_open and keys and keys.counting == "keys" and keys.claim is None):
        return False
    if any(part.state in FAILED for part in keys.parts) or callback_seen(case):
        return False
    return keys.size is None or bool(told_uncounted(case))


def _is_proven(case: Case) -> bool:
    """Whether records prove that the size was written, or parts counted, and the callback was not sent since."""
    recorded, keys = case.recorded, case.keys
    if recorded is None or keys is None:
        return False
    if keys.size is not None:
        return True
    chord = recorded.chord
    if chord.size is None:
        return False
    if chord.counted >= chord.size:
        return True  # whoever counts the last part sends the callback, and said nothing of it
    # Workers that tell nothing may have run the rest, and sent the callback.
    still_there = any(located(case, gap.task_id) for gap in chord.missing if gap.task_id)
    if not (still_there or case.instrumented_only):
        return False
    # Without any key, the chord may have ended since the record was read, or its keys may be in another database.
    return keys.counted > 0 or (_is_quiet(case) and (bool(case.metas) or _server_speaks(case)))


def _is_suspected(case: Case) -> bool:
    """Whether, without records, results and keys contradict each other; a late duplicate looks alike."""
    keys = case.keys
    if keys is None or keys.size is not None or not keys.counted:
        return False
    return _server_speaks(case)


def _server_speaks(case: Case) -> bool:
    return any(True for _ in (*_expired(case, proven=False), *_changes(case, proven=False), *_counters(case)))


def _is_quiet(case: Case) -> bool:
    return case.since is not None and case.now - case.since >= _QUIET_SECONDS


def _expired(case: Case, *, proven: bool) -> Iterator[Loss]:
    """The keys live for so long after the last part; a longer gap ends them."""
    lifetime = case.limits.chord_expires
    if lifetime is None or (case.keys and case.keys.size is not None):
        return
    begun, gaps = begun_at(case), list(pairwise(_beats_of(case)))
    start, end = max(gaps, key=lambda gap: gap[1] - gap[0], default=(0.0, 0.0))
    if begun is None or end - start < lifetime:
        return
    yield Loss(
        cause="chord_state_expired",
        how=f"its keys live for {lifetime:,.0f} s after each part, and {end - start:,.0f} s passed without one",
        evidence=(
            f"No part was counted between {clock(start)} and {clock(end)}.",
            f"result_chord_expires (or result_expires) is {lifetime:,.0f} s.",
        ),
        certain=proven,
        since=start + lifetime,
        question="Does a shorter result_chord_expires or result_expires hold where the chord was sent, or did the "
        "callback run?",
    )


def _beats_of(case: Case) -> list[float]:
    """Return the moments at which the keys' lifetime began anew, and now, sorted."""
    recorded = recorded_parts(case)
    header = recorded.values() if recorded else case.chord.header
    sent = [run.published_at for task in header for run in task.attempts[:1] if run.published_at]
    first = max(sent, default=case.chord.opened_at)
    ended = [task.finished_at for task in header if task.finished_at and (task.counted or not recorded)]
    ended += [meta.finished_at for _, meta in uncounted_results(case) if meta.finished_at and not recorded]
    begun = [] if first is None else [first]
    waits = bool(case.chord.missing) and not (recorded and all(task.counted for task in header))
    return sorted({*begun, *(m for m in ended if first is None or m > first), *([case.now] if waits else [])})


_CAUSE_OF = {
    "flushed": ("chord_state_flushed", "the result backend was flushed"),
    "restarted": ("chord_state_flushed", "the result backend was restarted"),
    "evicted": ("chord_state_evicted", "the result backend evicted keys"),
    "role_changed": ("chord_state_lost", "the result backend changed its role, as in a failover"),
}


def _changes(case: Case, *, proven: bool) -> Iterator[Loss]:
    """What was seen to happen to the backend while the chord was under way."""
    begun = begun_at(case)
    for change in case.backend.changes:
        if begun is None or change.until < begun or (change.kind == "flushed" and not _parts_lost(case)):
            continue
        cause, how = _CAUSE_OF[change.kind]
        yield Loss(
            cause=cause,
            how=how,
            evidence=(_changed(change),),
            certain=proven,
            since=change.since or change.until,
            question=f"Did the callback run before {clock(change.until)}?",
        )
    if not case.backend.changes and _restarted(case.backend, begun) and case.backend.persistent is not True:
        yield Loss(
            cause="chord_state_flushed",
            how="the result backend was restarted",
            evidence=tuple(server_lines(case.backend, "result backend", begun)),
            certain=proven,
            since=case.backend.started_at,
            question=f"Did the callback run before {clock(case.backend.started_at)}?",
        )


def _changed(change: ServerChange) -> str:
    between = f"between {clock(change.since)} and " if change.since else "by "
    return f"The result backend, {between}{clock(change.until)}: {change.text}"


def _restarted(server: Server, since: float | None) -> bool:
    return server.started_at is not None and since is not None and server.started_at > since + _SLACK


def _parts_lost(case: Case) -> bool:
    """Whether parts are gone as well: who flushes takes all keys."""
    keys = case.keys
    if keys is None or case.recorded is None:
        return keys is not None
    return keys.counted < case.recorded.chord.counted


def _counters(case: Case) -> Iterator[Loss]:
    """What the backend has counted since it was started, without saying when."""
    server, begun = case.backend, begun_at(case)
    when = f"after {clock(begun)}"
    evicts = server.maxmemory_policy not in (None, _LASTING_POLICY)
    if server.evicted_keys and (evicts or not server.flushes):
        yield Loss(
            cause="chord_state_evicted",
            how="the result backend evicts keys",
            evidence=(
                (
                    f"The result backend has evicted {server.evicted_keys:,} keys "
                    f"(maxmemory-policy {plain(server.maxmemory_policy or 'unknown')})."
                ),
            ),
            certain=False,
            question=f"Did evicted_keys of the result backend rise {when}?",
        )
    if server.flushes and _parts_lost(case):
        times = "once" if server.flushes == 1 else f"{server.flushes:,} times"
        yield Loss(
            cause="chord_state_flushed",
            how="the result backend was flushed",
            evidence=(f"FLUSHDB or FLUSHALL ran {times} on the result backend since it was started.",),
            certain=False,
            question=f"Did somebody run FLUSHDB or FLUSHALL on the result backend {when}?",
        )


def _sure(loss: Loss) -> Loss:
    return Loss(cause=loss.cause, how=loss.how, evidence=loss.evidence, certain=True, since=loss.since)


def _unexplained(case: Case) -> Loss:
    """Gone, and the server tells no reason: deleted by hand, lost in a failover, or never in this database."""
    elsewhere = _is_all_there(case)
    return Loss(
        cause="chord_state_lost",
        how="the result backend tells no reason",
        evidence=("The result backend reports no flush, eviction or restart since the chord was sent.",)
        if case.backend.run_id
        else ("The result backend does not tell whether it was flushed, restarted or evicts.",),
        certain=not elsewhere,
        question="Do producer and workers use the same result_backend and key prefix, or did somebody delete the key?",
    )


def _is_all_there(case: Case) -> bool:
    """Whether only the size is missing: it may stand in another database, where the producer wrote it."""
    keys = case.keys
    return bool(keys and keys.size is None and keys.counted) and not _parts_lost(case)
