"""A producer process: publishes the chords it is told to on stdin, and answers with their ids and its CPU time.

A line is `<chords> <size> <task> <header queue> <queue>`.
"""

from __future__ import annotations

import json
import os
import sys
import time

from benchmarks import project
from benchmarks.variants import OTEL, instrument_otel

#: Longer than any variant waits before it flushes in the background.
SETTLE_SECONDS = 0.15


def publish(chords: int, size: int, task: str, header_queue: str, queue: str) -> dict[str, object]:
    """Publish chords; return `[group id, callback id]` of each and the CPU seconds with the background flush."""
    header = getattr(project, task)
    canvases = [
        project.no_op_chord(size, header_queue=header_queue, queue=queue, header=header)
        for _ in range(chords)
    ]
    before = time.process_time()
    results = [canvas.apply_async() for canvas in canvases]
    time.sleep(SETTLE_SECONDS)
    return {"cpu": time.process_time() - before, "chords": [[r.parent.id, r.id] for r in results]}


def main() -> None:
    """Answer one line of JSON for each line of stdin."""
    if project.variant == OTEL:
        instrument_otel(project.app)
    for line in sys.stdin:
        chords, size, task, header_queue, queue = line.split()
        print(json.dumps(publish(int(chords), int(size), task, header_queue, queue)), flush=True)
    os._exit(
        0
    )  # results that the interpreter collects at its end still want to unsubscribe, and say so at length


if __name__ == "__main__":
    main()
