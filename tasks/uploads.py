"""A batch of uploads to a storage that is not always there; the summary runs on whatever succeeded."""

from __future__ import annotations

from typing import Any

from celery import Signature, chord

from tasks.celery import app


class StorageError(Exception):
    """The storage did not take the file."""


def store(name: str, *, attempt: int, outages: int) -> str:
    """Pretend to upload: the storage refuses the first `outages` attempts."""
    if attempt < outages:
        raise StorageError(f"{name}: the storage is not available (attempt {attempt + 1})")
    return f"s3://demo/{name}"


@app.task(bind=True, max_retries=3, soft_time_limit=20, time_limit=30)
def upload(self: Any, name: str, outages: int = 0) -> dict[str, Any]:
    """Upload one file. Waits 0.5, 1 and 2 seconds between attempts, then returns the failure.

    Whether retries are used up is asked before `self.retry`: with `exc` given, that raises `exc` at the end
    and never MaxRetriesExceededError, so code that waits for the latter fails the whole chord.
    """
    try:
        url = store(name, attempt=self.request.retries, outages=outages)
    except StorageError as error:
        if self.request.retries >= self.max_retries:
            return {"name": name, "status": "failed", "error": str(error), "retries_used": self.max_retries}
        raise self.retry(exc=error, countdown=0.5 * 2**self.request.retries) from error
    return {"name": name, "status": "uploaded", "url": url, "retries_used": self.request.retries}


@app.task
def summarise(outcomes: list[dict[str, Any]]) -> dict[str, Any]:
    """Say what was uploaded and what was not."""
    return {
        "uploaded": [outcome["name"] for outcome in outcomes if outcome["status"] == "uploaded"],
        "failed": [outcome["name"] for outcome in outcomes if outcome["status"] == "failed"],
    }


def batch(files: dict[str, int]) -> Signature:
    """Return the chord for a batch of files, each with the number of attempts that fail."""
    return chord([upload.s(name, outages) for name, outages in files.items()], summarise.s())
