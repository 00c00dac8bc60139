"""How long a process that only reads waits for a result backend. Not for processes that publish or run tasks."""

from __future__ import annotations

from celery import Celery

#: Seconds. An unreachable server answers within so many seconds or not at all; Celery would wait without end.
CONNECT_SECONDS = 5.0
#: Seconds. The same for one that took the connection (Celery's own default is 120): each question reads little.
ANSWER_SECONDS = 5.0


def impatient(app: Celery) -> Celery:
    """Return the app with bounded waits for a Redis as result backend; called before its backend is used."""
    if app.conf.redis_socket_connect_timeout is None:
        app.conf.redis_socket_connect_timeout = CONNECT_SECONDS
    app.conf.redis_socket_timeout = min(app.conf.redis_socket_timeout or ANSWER_SECONDS, ANSWER_SECONDS)
    return app
