"""What the handlers tell whoever traces; a protocol, so that recording needs to know nothing of OpenTelemetry."""

from __future__ import annotations

from typing import Any, Protocol


class Traced(Protocol):
    """Told by the handlers of a process, in the task's or publisher's own thread. Nothing of it raises."""

    def worker(self) -> None:
        """Prepare in a worker's main process, before it forks."""

    def dispatching(self, header: Any) -> None:
        """Take note that a chord's header is about to be published."""

    def dispatched(self, failure: BaseException | None) -> None:
        """Take note that the innermost dispatch is over; `failure` ended it early."""

    def publishing(self, headers: dict[str, Any], body: Any) -> None:
        """Take note that a message is about to be published; its `headers` may be added to."""

    def published(self, headers: dict[str, Any], body: Any, destination: str | None) -> None:
        """Take note that it was."""

    def started(self, task: Any) -> None:
        """Take note that a task begins to run here."""

    def ended(self, task: Any, state: str | None, result: object) -> None:
        """Take note that it ended, with Celery's state and its result or exception."""
