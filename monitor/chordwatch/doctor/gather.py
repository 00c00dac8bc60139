"""Gathers the facts: from this process's app, its workers, the servers and the store. Reads only, each part bounded.

A part that cannot be read is a sentence in `gaps`, or in `unreachable` where a server does not answer; the rest counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from celery import Celery

from chordwatch.doctor.ask import ask_workers
from chordwatch.doctor.facts import Facts, Observed, Process, Worker
from chordwatch.doctor.observed import observed
from chordwatch.doctor.project import (
    backend_kind,
    given_settings,
    import_tasks,
    own_process,
    own_tasks,
    routed_queues,
)
from chordwatch.errors import SettingError, UnreachableError
from chordwatch.evidence.backend import BackendReader
from chordwatch.evidence.broker import BrokerReader, transport_of
from chordwatch.evidence.budget import Gaps
from chordwatch.evidence.facts import Limits, Server
from chordwatch.evidence.limits import limits_of
from chordwatch.evidence.servers import read_server
from chordwatch.foreign import as_dict
from chordwatch.settings import Settings, read_settings, shown_url, store_url_of
from chordwatch.store import open_store
from chordwatch.store.connect import connect, reaching
from chordwatch.store.protocol import Store

_CLIENT = "chordwatch:doctor"
#: So many recorded chords are looked at, the newest finished and the oldest open ones.
_FINISHED, _OPEN = 1000, 500
#: A worker that has been silent for so many of its heartbeats' intervals does not live.
_BEATS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """The facts, what could not be seen, and which servers do not answer (a sentence each)."""

    facts: Facts
    gaps: tuple[str, ...] = ()
    unreachable: tuple[str, ...] = ()


class _Collector:
    """Remembers which servers did not answer."""

    def __init__(self) -> None:
        self.gaps = Gaps()
        self.unreachable: dict[str, None] = {}

    @contextmanager
    def reaching(self) -> Iterator[None]:
        try:
            yield
        except UnreachableError as exc:
            self.unreachable[str(exc)] = None


def gather(app: Celery) -> Gathered:
    """Return what the doctor judges; takes a few seconds, as workers are given time to answer.

    Raises:
        SettingError: one of chordwatch's settings cannot be used.
        UnsupportedError: nothing can be made of the broker's URL for writing.
    """
    settings = read_settings(app.conf)
    transport = transport_of(app, writing=True)
    seen = _Collector()
    # What is set is asked first: finding routes adds queues to the app's own.
    given, routed = given_settings(app), routed_queues(app)
    import_tasks(app, seen.gaps)
    tasks = own_tasks(app, seen.gaps)
    kind = backend_kind(app, seen.gaps)
    servers = dict(_servers(app, kind, settings, seen))
    workers = None if seen.unreachable else ask_workers(app, seen.gaps)
    beating, known = _recorded(app, settings, seen)
    facts = Facts(
        own=own_process(app),
        given=given,
        tasks=tasks,
        routed=routed,
        transport=transport,
        backend_kind=kind,
        workers=workers,
        beating=beating,
        servers=servers,
        limits=limits_of(app) if tasks else _limits_of(workers or ()),
        observed=known,
    )
    return Gathered(facts=facts, gaps=seen.gaps.lines(), unreachable=tuple(seen.unreachable))


def _servers(app: Celery, kind: str, settings: Settings, seen: _Collector) -> Iterator[tuple[str, Server]]:
    """Yield role and INFO of those servers that are Redis; another broker is only reached."""
    with seen.reaching():
        if BrokerReader.can_read(app):
            with closing(BrokerReader(app)) as broker:
                yield "broker", broker.info(seen.gaps)
        else:
            _reach(app)
    if kind == "redis":
        with seen.reaching():
            yield "backend", BackendReader(app).info(seen.gaps)
    try:
        url, options = store_url_of(settings.store_url, app.conf)
    except SettingError as exc:
        seen.gaps.note(f"Nothing that chordwatch recorded was looked at. {exc}")
        return
    with seen.reaching():
        yield "store", _store_server(url, options, seen.gaps)


def _reach(app: Celery) -> None:
    try:
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1)
    except Exception as exc:
        where = app.connection_for_write().as_uri()
        raise UnreachableError(
            f"The broker at {where} does not answer ({type(exc).__name__}); check that it runs there and the URL."
        ) from exc


def _store_server(url: str, options: Mapping[str, Any], gaps: Gaps) -> Server:
    client = connect(url, client_name=_CLIENT, options=options)
    try:
        with reaching(shown_url(url)):
            return read_server(client, "store", shown_url(url), gaps)
    finally:
        client.close()


def _recorded(
    app: Celery, settings: Settings, seen: _Collector
) -> tuple[dict[str, frozenset[str]], Observed]:
    """Return the instrumented workers that live, with their queues, and what recorded chords tell."""
    try:
        store = open_store(settings, app, client_name=_CLIENT)
    except SettingError:
        return {}, Observed()
    with seen.reaching(), closing(store):
        known = observed([*store.finished_chords(limit=_FINISHED), *store.open_chords(limit=_OPEN)])
        if not known.chords:
            seen.gaps.note(
                "No chord is recorded, so nothing is known of how long tasks and chords take here."
            )
        return _beating(store, settings), known
    return {}, Observed()


def _beating(store: Store, settings: Settings) -> dict[str, frozenset[str]]:
    oldest = store.now() - max(_BEATS * settings.heartbeat_interval, 10.0)
    return {
        worker.heartbeat.node: frozenset(worker.heartbeat.queues)
        for worker in store.workers()
        if not worker.gone and worker.last_beat_at >= oldest
    }


def _limits_of(workers: tuple[Worker, ...]) -> Limits:
    """Return the shortest visibility timeout that workers tell; this process's configuration is not the project's."""
    told = [_visibility_timeout(worker.process) for worker in workers if worker.process.conf]
    known = [timeout for timeout in told if timeout is not None]
    return Limits(visibility_timeout=min(known) if known else None)


def _visibility_timeout(process: Process) -> float | None:
    options = as_dict(process.conf.get("broker_transport_options"))
    try:
        return float(options.get("visibility_timeout", 3600))
    except (TypeError, ValueError):
        return None
