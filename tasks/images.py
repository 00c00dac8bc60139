"""A batch of image files: resized and watermarked in parallel, then reported on."""

from __future__ import annotations

import shutil
import time
import uuid
from pathlib import Path
from typing import Any

from celery import Signature, chord
from PIL import Image, ImageDraw

from tasks.celery import app
from tasks.config import DATA_DIR

KEPT_SECONDS = 3600.0
SIZE = (160, 120)


def make_batch(count: int, *, broken: int = 0) -> list[str]:
    """Generate `count` image files, the last `broken` of them cut off, and return their paths."""
    root = DATA_DIR / "images"
    _remove_old(root)
    folder = root / uuid.uuid4().hex
    folder.mkdir(parents=True)
    paths = [folder / f"photo-{number}.png" for number in range(count)]
    for number, path in enumerate(paths):
        colour = (40 * number % 256, 90, 160)
        Image.new("RGB", (640, 480), colour).save(path)
    for path in paths[count - broken :]:
        path.write_bytes(path.read_bytes()[:100])
    return [str(path) for path in paths]


def _remove_old(root: Path) -> None:
    """Delete the batches of more than an hour ago."""
    limit = time.time() - KEPT_SECONDS
    for folder in root.glob("*"):
        if folder.stat().st_mtime < limit:
            shutil.rmtree(folder, ignore_errors=True)


# A picture is written over by the same picture, so a second run after a lost worker does no harm.
@app.task(bind=True, max_retries=2, default_retry_delay=1, acks_late=True, soft_time_limit=20, time_limit=30)
def process(self: Any, path: str, text: str) -> dict[str, Any]:
    """Resize and watermark one file. Returns a failure instead of raising it, so the report always runs."""
    try:
        target = watermark(Path(path), text)
    except OSError as error:
        if self.request.retries >= self.max_retries:
            return {"path": path, "error": str(error), "retries_used": self.request.retries}
        raise self.retry(exc=error) from error
    return {"path": path, "result": str(target), "retries_used": self.request.retries}


def watermark(path: Path, text: str) -> Path:
    """Write a small copy of the picture with `text` on it, and return where."""
    target = path.with_name(f"{path.stem}-small{path.suffix}")
    with Image.open(path) as picture:
        small = picture.resize(SIZE)
    ImageDraw.Draw(small).text((5, SIZE[1] - 15), text, fill="white")
    small.save(target)
    return target


@app.task
def report(outcomes: list[dict[str, Any]], title: str) -> dict[str, Any]:
    """Say which files of the batch succeeded. `title` is an argument besides the header's results."""
    return {
        "title": title,
        "succeeded": [outcome["result"] for outcome in outcomes if "result" in outcome],
        "failed": {outcome["path"]: outcome["error"] for outcome in outcomes if "error" in outcome},
    }


def batch(count: int, *, broken: int, title: str) -> Signature:
    """Return the chord for a batch of new files."""
    header = [process.s(path, "chordwatch demo") for path in make_batch(count, broken=broken)]
    return chord(header, report.s(title))
