"""Processes that are configured differently. Pure; one function per rule, named as the rule.

What `inspect conf` tells is masked: of a key prefix only that there is one. A prefix that differs shows in a probe.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from chordwatch.doctor.facts import Facts, Process
from chordwatch.doctor.finding import Finding
from chordwatch.doctor.wording import some
from chordwatch.foreign import as_dict, as_list
from chordwatch.text import plain

_REDIS_PORT = 6379
_LOCAL = frozenset({"", "localhost", "127.0.0.1", "::1"})
#: Options that producer and workers must agree on, else messages lie where nobody looks.
_AGREED = ("sep", "priority_steps", "global_keyprefix")
#: What kombu and Celery take where nothing is set.
_USUAL = {
    "sep": "\x06\x16",
    "priority_steps": "[0, 3, 6, 9]",
    "visibility_timeout": "3600",
    "result_chord_ordered": "True",
}


def backend_differs(facts: Facts) -> Iterator[Finding]:
    """Parts are counted where the worker stores them; the number to wait for stands where the producer wrote it."""
    kinds = _by(facts.processes, lambda process: _backend(process.backend))
    known = {backend: names for backend, names in kinds.items() if backend is not None}
    if len(known) < 2:  # noqa: PLR2004  # two differ
        return
    shown = "; ".join(f"{some(names)}: {plain(_of(facts, names[0]))}" for names in known.values())
    # One server has many names; but one database of it, and one kind, are not another.
    surely = len({(scheme, path) for scheme, _, path in known}) > 1
    yield Finding(
        rule="backend_differs",
        severity="error" if surely else "warning",
        where="result_backend",
        reason=f"Processes {'use different result backends' if surely else 'name the result backend differently'} "
        f"({shown}). {'Chords' if surely else 'If these are different servers, chords'} sent by one "
        "are not counted by the other, and hang.",
        fix="Give producers and workers the same result_backend, from one place.",
    )


def _of(facts: Facts, name: str) -> str:
    return next((p.backend or "" for p in facts.processes if p.name == name), "")


def _backend(url: str | None) -> tuple[str, str, str] | None:
    """Return kind, server and database of a result backend's URL; None if not known."""
    if not url:
        return None
    if "://" not in url:
        return url.rstrip(":"), "", ""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    scheme = parts.scheme.rpartition("+")[2]
    if scheme in ("redis", "rediss"):
        host = "localhost" if host in _LOCAL else host
        database = parts.path.strip("/") or "0"
        return "redis", f"{host}:{port or _REDIS_PORT}", database
    return scheme, parts.netloc.rpartition("@")[2], parts.path


def backend_options_differ(facts: Facts) -> Iterator[Finding]:
    """Another prefix is another set of keys; ordered and unordered parts are kept in keys of different types."""
    for option, words in (
        ("global_keyprefix", "a prefix before the keys of results"),
        ("result_chord_ordered", "chords' parts kept in order"),
    ):
        have = _by(facts.processes, partial(_option, "result_backend_transport_options", option))
        if len(have) > 1:
            yield Finding(
                rule="backend_options_differ",
                severity="error",
                where=f"result_backend_transport_options.{option}",
                reason=f"Processes do not agree on {words} ({_sides(have)}). "
                "Chords sent by one are not counted by the other, and hang.",
                fix=f"Set {option} alike in producers and workers.",
            )


def transport_options_differ(facts: Facts) -> Iterator[Finding]:
    """Where priorities or names of queues' lists differ, messages lie where nobody looks for them."""
    for option in _AGREED:
        have = _by(facts.processes, partial(_option, "broker_transport_options", option))
        if len(have) > 1:
            yield Finding(
                rule="transport_options_differ",
                severity="warning",
                where=f"broker_transport_options.{option}",
                reason=f"Processes do not agree on it ({_sides(have)}), so one may put messages where the "
                "other does not look.",
                fix=f"Set {option} alike in producers and workers.",
            )
    times = _by(facts.processes, partial(_option, "broker_transport_options", "visibility_timeout"))
    if len(times) > 1:
        yield Finding(
            rule="transport_options_differ",
            severity="warning",
            where="broker_transport_options.visibility_timeout",
            reason=f"Processes do not agree on it ({_sides(times)}). The shortest counts for all: that "
            "worker delivers again what others still hold.",
            fix="Set visibility_timeout alike in every worker.",
        )


def serializer_refused(facts: Facts) -> Iterator[Finding]:
    """A worker drops a message whose content it does not accept; nothing is stored, and the chord hangs."""
    used = facts.own.conf.get("task_serializer")
    if not facts.tasks or not isinstance(used, str):
        return
    refusing = [
        worker.name
        for worker in facts.answered
        if (accepted := as_list(worker.process.conf.get("accept_content"))) and not _accepts(accepted, used)
    ]
    if refusing:
        yield Finding(
            rule="serializer_refused",
            severity="error",
            where="accept_content",
            reason=f"{some(refusing)} refuses messages in {plain(used)}, which this process sends. They are dropped "
            "with no more than a line in the log, and their chords hang.",
            fix=f"Add {plain(used)} to accept_content of the workers, or send what they accept (task_serializer).",
        )


def _accepts(accepted: list[Any], used: str) -> bool:
    """Say whether content is accepted, named short or as `application/json`."""
    return any(name in (used, f"application/{used}", f"application/x-{used}") for name in map(str, accepted))


def worker_on_other_broker(facts: Facts) -> Iterator[Finding]:
    """A worker that lives but cannot be asked here may listen elsewhere."""
    answered = {worker.name for worker in facts.answered}
    silent = facts.beating.keys() - answered
    if facts.workers is not None and silent:
        yield Finding(
            rule="worker_on_other_broker",
            severity="warning",
            where="broker_url",
            reason=f"{some(silent)} sends heartbeats to chordwatch's store but does not answer on this broker. "
            "It listens on another one, is too busy to answer (solo, gevent), is shutting down while its tasks end, or "
            "has remote control switched off.",
            fix="Compare broker_url and broker_transport_options (database, prefix) of its process with this one's.",
        )


def _option(setting: str, option: str, process: Process) -> str | None:
    """Return a transport option as text that compares; None where it is neither set nor has a usual value."""
    value = as_dict(process.conf.get(setting)).get(option)
    return _USUAL.get(option) if value is None else str(value).removesuffix(".0")


def _by(processes: tuple[Process, ...], key: Callable[[Process], Any]) -> Mapping[Any, list[str]]:
    """Return the names of those processes whose configuration is known, by what `key` says of them."""
    groups: dict[Any, list[str]] = defaultdict(list)
    for process in processes:
        if process.conf:
            groups[key(process)].append(process.name)
    return groups


def _sides(groups: Mapping[Any, list[str]]) -> str:
    return "; ".join(
        f"{some(names)}: {'not set' if value is None else plain(str(value))}"
        for value, names in groups.items()
    )


RULES = (
    backend_differs,
    backend_options_differ,
    transport_options_differ,
    serializer_refused,
    worker_on_other_broker,
)
