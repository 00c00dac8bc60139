"""Results that chords need. Pure; one function per rule, named as the rule."""

from __future__ import annotations

from collections.abc import Iterator

from chordwatch.doctor.facts import Facts
from chordwatch.doctor.finding import Finding
from chordwatch.doctor.wording import some


def no_chord_backend(facts: Facts) -> Iterator[Finding]:
    """Without a result backend, and on rpc, Celery refuses chords."""
    without = [process.name for process in facts.processes if _refuses(process.backend)]
    if without:
        yield Finding(
            rule="no_chord_backend",
            severity="error",
            where="result_backend",
            reason=f"No result backend that can count a chord's parts in {some(without)}. Celery refuses chords that "
            "are sent there; a worker without one counts nothing, and the chord hangs.",
            fix="Set result_backend to Redis, in producers and workers.",
        )


def _refuses(backend: str | None) -> bool:
    return (backend or "").partition(":")[0] in ("rpc", "disabled")


def ignored_results(facts: Facts) -> Iterator[Finding]:
    """A header task without a result is never ready for who asks for results."""
    ignoring = {task.name for task in facts.tasks if task.ignore_result}
    in_header = ignoring & facts.observed.header
    if facts.backend_kind == "polling" and ignoring:
        yield Finding(
            rule="ignored_results",
            severity="error" if in_header else "warning",
            where="ignore_result",
            reason=f"{some(in_header or ignoring)} stores no result. On this backend celery.chord_unlock asks for the "
            f"results of a chord's header, for ever{'' if in_header else ' where such a task is in it'}.",
            fix="Set ignore_result=False on tasks of chord headers.",
        )
    elif in_header:
        yield Finding(
            rule="ignored_results",
            severity="note",
            where="ignore_result",
            reason=f"{some(in_header)} runs in chord headers and stores no result. In a flat header that works; in one "
            "that holds a group or a chain that ends in one, the last worker waits for the result for ever.",
            fix="Set ignore_result=False on tasks of such headers.",
        )


RULES = (no_chord_backend, ignored_results)
