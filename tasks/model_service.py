"""A stand-in for a model server: `python -m tasks.model_service`, standard library only.

`GET /health` and `POST /v1/predict` with {"stage", "request_id", "text", "scenario"}.
The scenario decides what goes wrong; attempts are counted by request id so that trouble can pass.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import signal
import sys
import threading
import time
from collections import OrderedDict
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, NoReturn

SCENARIOS = ("happy", "flaky", "slow", "down", "partial_fail")
STAGES = ("preprocess", "embed", "classify")
LABELS = ("invoice", "contract", "letter", "other")
#: flaky and slow go wrong so many times for each request id.
BAD_ANSWERS = 2
SLOW_SECONDS = 8.0
BODY_LIMIT = 1_000_000


class Attempts:
    """Counts attempts by request id, for the newest `limit` ids. Used from many threads."""

    def __init__(self, limit: int = 10_000) -> None:
        self._limit = limit
        self._counts: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()

    def count(self, request_id: str) -> int:
        """Count one more attempt and return how many there are now."""
        with self._lock:
            self._counts[request_id] = self._counts.get(request_id, 0) + 1
            self._counts.move_to_end(request_id)
            if len(self._counts) > self._limit:
                self._counts.popitem(last=False)
            return self._counts[request_id]


def trouble(scenario: str, stage: str, attempt: int) -> tuple[HTTPStatus, float]:
    """Return the status to answer with and the seconds to wait before answering."""
    if scenario == "down":
        return HTTPStatus.SERVICE_UNAVAILABLE, 0.0
    if scenario == "partial_fail" and stage == "embed":
        return HTTPStatus.INTERNAL_SERVER_ERROR, 0.0
    if scenario == "flaky" and attempt <= BAD_ANSWERS:
        return HTTPStatus.INTERNAL_SERVER_ERROR, 0.0
    if scenario == "slow" and attempt <= BAD_ANSWERS:
        return HTTPStatus.OK, SLOW_SECONDS
    return HTTPStatus.OK, 0.0


def answer(stage: str, text: str) -> dict[str, Any]:
    """Return what a model would: the same for the same text."""
    digest = hashlib.sha256(text.encode(errors="replace")).digest()
    if stage == "preprocess":
        return {"text": " ".join(text.lower().split())}
    if stage == "embed":
        return {"embedding": [round(byte / 255, 3) for byte in digest[:8]]}
    return {"label": LABELS[digest[0] % len(LABELS)], "score": round(0.5 + digest[1] / 510, 3)}


def read_question(body: bytes) -> dict[str, Any]:
    """Return the question in `body`.

    Raises:
        ValueError: The body is not a question; the text says why.
    """
    question: dict[str, Any] = json.loads(body)
    names = {"stage", "request_id", "text", "scenario"}
    texts = {name for name in names if isinstance(question, dict) and isinstance(question.get(name), str)}
    if texts != names:
        raise ValueError(f"these must be strings in a JSON object: {', '.join(sorted(names - texts))}")
    if question["stage"] not in STAGES:
        raise ValueError(f"unknown stage {question['stage']!r}; there are {', '.join(STAGES)}")
    if question["scenario"] not in SCENARIOS:
        raise ValueError(f"unknown scenario {question['scenario']!r}; there are {', '.join(SCENARIOS)}")
    return question


class Handler(BaseHTTPRequestHandler):
    """Answers one request; each runs in a thread of its own."""

    attempts: ClassVar[Attempts] = Attempts()
    timeout = 30

    def do_GET(self) -> None:
        """Answer the health check."""
        if self.path == "/health":
            self._send(HTTPStatus.OK, {"status": "ok"})
        else:
            self._send(HTTPStatus.NOT_FOUND, {"error": f"there is no {self.path}"})

    def do_POST(self) -> None:
        """Answer a prediction, late or with an error where the scenario wants it."""
        if self.path != "/v1/predict":
            self._send(HTTPStatus.NOT_FOUND, {"error": f"there is no {self.path}"})
            return
        try:
            question = read_question(self._body())
        except (ValueError, RecursionError) as error:
            self._send(HTTPStatus.BAD_REQUEST, {"error": str(error)})
            return
        attempt = self.attempts.count(question["request_id"])
        status, seconds = trouble(question["scenario"], question["stage"], attempt)
        time.sleep(seconds)
        if status is HTTPStatus.OK:
            self._send(status, answer(question["stage"], question["text"]))
        else:
            self._send(status, {"error": f"scenario {question['scenario']}, attempt {attempt}"})

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's name
        """Write one line to standard output."""
        print(format % args, flush=True)

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > BODY_LIMIT:
            raise ValueError(f"Content-Length must be given and at most {BODY_LIMIT}")
        return self.rfile.read(int(length))

    def _send(self, status: HTTPStatus, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except ConnectionError:
            # The caller's timeout is shorter than our slow answers: that is the point of them.
            self.close_connection = True


def main() -> None:
    """Serve until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m tasks.model_service", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000)
    arguments = parser.parse_args()

    def stop(*_: object) -> NoReturn:
        sys.exit(0)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    with ThreadingHTTPServer((arguments.host, arguments.port), Handler) as server:
        server.daemon_threads = True
        print(f"model service on http://{arguments.host}:{server.server_port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
