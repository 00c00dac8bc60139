"""Posts changes of verdicts to a URL, from a thread of its own: whoever announces one never waits."""

from __future__ import annotations

import base64
import json
import logging
import re
import threading
import urllib.request
from collections import Counter, deque
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from chordwatch import __version__
from chordwatch.errors import SettingError
from chordwatch.service.changes import Change, document

logger = logging.getLogger(__name__)

#: Changes that wait to be posted; beyond it the oldest is dropped.
MAX_WAITING = 1000
TIMEOUT_SECONDS = 5.0
#: Seconds between the attempts.
PAUSES = (1.0, 5.0)
#: Seconds that the monitor's end waits for what is still to be posted.
_CLOSING_SECONDS = 2.0
_ERRORS = "webhook"
_URL = re.compile(r"https?://[!-~]+", re.IGNORECASE).fullmatch


class Webhook:
    """Sends each change as one POST of a JSON document, with a few attempts. `errors` counts those that were lost."""

    def __init__(
        self,
        url: str,
        errors: Counter[str],
        *,
        timeout: float = TIMEOUT_SECONDS,
        pauses: tuple[float, ...] = PAUSES,
        limit: int = MAX_WAITING,
        dashboard_url: str = "",
    ) -> None:
        """`timeout` and `pauses` in seconds; there is one attempt more than pauses.

        `dashboard_url`: where the documents' links lead; without it there are none.

        Raises:
            SettingError: the URL cannot be used; it is not shown, because it may hold a secret.
        """
        parts = _parts(url)
        self._url, self._headers = _without_login(parts), _headers(parts)
        self._shown = f"{parts.scheme}://{parts.hostname}"
        self._errors, self._timeout, self._pauses, self._limit = errors, timeout, pauses, limit
        self._dashboard_url = dashboard_url
        self._opener = urllib.request.build_opener(_NoRedirect)
        self._waiting: deque[Change] = deque()
        self._arrived = threading.Condition()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._failing = False
        errors[_ERRORS] += 0

    def send(self, change: Change) -> None:
        """Put a change into the queue."""
        with self._arrived:
            if len(self._waiting) >= self._limit:
                self._waiting.popleft()
                self._errors[_ERRORS] += 1
            self._waiting.append(change)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="chordwatch-webhook", daemon=True)
                self._thread.start()
            self._arrived.notify()

    def close(self) -> None:
        """Post what still waits, as far as that is done within two seconds."""
        self._closing.set()
        with self._arrived:
            self._arrived.notify()
        if self._thread:
            self._thread.join(_CLOSING_SECONDS)

    def _run(self) -> None:
        while change := self._next():
            try:
                self._deliver(json.dumps(document(change, dashboard_url=self._dashboard_url)).encode())
            except Exception:  # noqa: PERF203  # one that cannot be sent does not stop the others
                logger.exception("A change could not be posted.")
                self._errors[_ERRORS] += 1

    def _next(self) -> Change | None:
        with self._arrived:
            while not self._waiting and not self._closing.is_set():
                self._arrived.wait()
            return self._waiting.popleft() if self._waiting else None

    def _deliver(self, body: bytes) -> None:
        problem = self._post(body)
        for pause in self._pauses:
            if problem is None or self._closing.wait(pause):
                break
            problem = self._post(body)
        if problem:
            self._errors[_ERRORS] += 1
        if problem and not self._failing:
            logger.error("The webhook at %s %s; changes are lost.", self._shown, problem)
        elif self._failing and not problem:
            logger.info("The webhook at %s takes changes again.", self._shown)
        self._failing = problem is not None

    def _post(self, body: bytes) -> str | None:
        """Post once; return what is wrong, in words that show nothing of the URL or the answer."""
        request = urllib.request.Request(self._url, body, self._headers, method="POST")  # noqa: S310  # http or https
        try:
            self._opener.open(request, timeout=self._timeout).close()
        except HTTPError as exc:
            exc.close()
            return f"answers {exc.code}"
        except URLError as exc:
            return f"does not answer ({_kind(exc.reason)})"
        except (OSError, HTTPException, ValueError) as exc:
            return f"does not answer ({_kind(exc)})"
        return None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A POST that is redirected would arrive as a GET, and its login elsewhere."""

    def redirect_request(self, *_: Any) -> None:
        """Follow none; the answer counts as an error."""


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url if _URL(url) else "")
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise SettingError("The webhook must be an http:// or https:// URL with a host.")
    return parts


def _without_login(parts: SplitResult) -> str:
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))


def _headers(parts: SplitResult) -> dict[str, str]:
    headers = {"Content-Type": "application/json", "User-Agent": f"chordwatch/{__version__}"}
    if parts.username or parts.password:
        login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
    return headers


def _kind(reason: object) -> str:
    return type(reason).__name__
