"""This process's app: its tasks, where they are routed, and what its configuration says. Opens no connection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

from celery import Celery
from celery.app.defaults import SETTING_KEYS
from celery.backends.base import Backend
from celery.backends.redis import RedisBackend
from celery.exceptions import ImproperlyConfigured
from celery.utils.serialization import jsonify
from kombu.utils.encoding import safe_repr

from chordwatch.doctor.facts import OWN, BackendKind, Process, Task
from chordwatch.evidence.budget import Gaps
from chordwatch.foreign import as_dict
from chordwatch.settings import SETTINGS, shown_url

_BUILT_IN = "celery."
#: Celery reads the one from Django's settings, and keeps the other there itself.
_READ_TOO = ("time_zone", "deprecated_settings")


def known_settings() -> frozenset[str]:
    """Return the names of settings that Celery or chordwatch knows, old ones too, in lower case."""
    from celery.app.defaults import _TO_NEW_KEY  # noqa: PLC0415  # Celery has no public list of old names

    ours = {setting.key for setting in SETTINGS}
    return frozenset(name.lower() for name in (*SETTING_KEYS, *_TO_NEW_KEY, *ours, *_READ_TOO))


def own_process(app: Celery) -> Process:
    """Return this process's configuration, as a worker would tell it."""
    table = app.conf.table(with_defaults=True)
    conf = jsonify(table, keyfilter=lambda key: isinstance(key, str), unknown_type_filter=safe_repr)
    configured = app.conf.result_backend or "disabled"
    backend = shown_url(configured) if isinstance(configured, str) else type(configured).__name__
    return Process(name=OWN, conf=as_dict(conf), backend=backend)


def given_settings(app: Celery) -> tuple[str, ...]:
    """Return the names that are set, as written; of a namespace only its own, without the prefix.

    A module's constants and imports look like settings, so what cannot be a value is left out.
    """
    app.conf.finalize()
    conf, prefix = app.conf.without_defaults(), app.conf.prefix or ""
    names = []
    for key in conf:
        if not isinstance(key, str) or key.startswith("_"):
            continue
        if prefix and not key.startswith(prefix) and key not in app.conf.changes:
            continue
        if isinstance(value := conf.get(key), ModuleType | type) or callable(value):
            continue
        names.append(key.removeprefix(prefix))
    return tuple(dict.fromkeys(names))


def import_tasks(app: Celery, gaps: Gaps) -> None:
    """Import the modules that a worker would, so that their tasks are known."""
    try:
        app.loader.import_default_modules()
        app.finalize()
    except Exception as exc:  # noqa: BLE001  # the project's own code
        gaps.note(f"Not all modules with tasks could be imported ({type(exc).__name__}: {exc}).")


def own_tasks(app: Celery, gaps: Gaps) -> tuple[Task, ...]:
    """Return the app's tasks, Celery's own left out."""
    named = sorted((name, task) for name, task in app.tasks.items() if not name.startswith(_BUILT_IN))
    return tuple(_task(app, name, task, gaps) for name, task in named)


def _task(app: Celery, name: str, task: Any, gaps: Gaps) -> Task:
    return Task(
        name=name,
        queue=_queue_of(app, name, task, gaps),
        time_limit=task.time_limit or app.conf.task_time_limit,
        soft_time_limit=task.soft_time_limit or app.conf.task_soft_time_limit,
        acks_late=bool(task.acks_late),
        reject_on_worker_lost=bool(task.reject_on_worker_lost),
        retry_on_worker_lost=bool(getattr(task, "retry_on_worker_lost", None)),
        ignore_result=bool(task.ignore_result),
        retry_delay=float(task.default_retry_delay or 0),
    )


def _queue_of(app: Celery, name: str, task: Any, gaps: Gaps) -> str | None:
    """Return the queue that the app's routes give a call without arguments, None where an exchange decides."""
    options = {
        key: value for key in ("queue", "exchange", "routing_key") if (value := getattr(task, key, None))
    }
    try:
        route = app.amqp.router.route(options, name, (), {}, task)
    except Exception as exc:  # noqa: BLE001  # a router is the project's own code, and may want arguments
        gaps.note(f"The route of {name} could not be found out ({type(exc).__name__}: {exc}).")
        return None
    return _name(route.get("queue"))


def routed_queues(app: Celery) -> Mapping[str, str]:
    """Return the queues that the configuration names, with the setting that does."""
    named = dict.fromkeys(_routes(app.conf.task_routes), "task_routes")
    configured = app.conf.task_queues or ()
    queues = configured if not isinstance(configured, Mapping) else configured.keys()
    return named | {name: "task_queues" for queue in queues if (name := _name(queue))}


def _routes(routes: Any) -> Iterator[str]:
    """Yield the queues of a mapping, of pairs, or of lists of these; a router that is a function names none."""
    if isinstance(routes, Mapping):
        routes = list(routes.items())
    if not isinstance(routes, list | tuple):
        return
    for route in routes:
        match route:
            case (str(), target):
                name = _name(target.get("queue") if isinstance(target, Mapping) else target)
                if name:
                    yield name
            case _:
                yield from _routes(route)


def _name(queue: Any) -> str | None:
    name = queue if isinstance(queue, str) else getattr(queue, "name", None)
    return name if isinstance(name, str) and name else None


def backend_kind(app: Celery, gaps: Gaps) -> BackendKind:
    """Return how the app's result backend counts the parts of a chord."""
    try:
        backend = app.backend
        backend.ensure_chords_allowed()
    except NotImplementedError:
        return "none"
    except (ImproperlyConfigured, ImportError, ValueError) as exc:
        gaps.note(f"The result backend cannot be loaded ({type(exc).__name__}: {exc}).")
        return "none"
    if isinstance(backend, RedisBackend):
        return "redis"
    counts = (
        getattr(backend, "implements_incr", False) or type(backend).apply_chord is not Backend.apply_chord
    )
    return "counting" if counts else "polling"
