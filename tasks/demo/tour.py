"""The tour: plays every scenario and fault and checks what becomes of each. Started by the demo as a process.

The main thread starts the scenarios, so that a SIGTERM reaches a fault that has processes to end; another
thread watches, as any user of chordwatch would: `chordwatch.connect(app)`.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from rich.console import Console

import chordwatch
from chordwatch.errors import ChordwatchError
from chordwatch.model import Chord, to_json
from tasks.celery import app
from tasks.demo.plays import Play, patience_seconds, plays_of
from tasks.demo.table import Screen
from tasks.demo.tour_process import UNFINISHED
from tasks.scenarios import SCENARIOS

LIMIT = 1000
POLL_SECONDS = 1.0


class Tour:
    """All plays, and the chords as they were seen last."""

    def __init__(self, plays: list[Play], screen: Screen) -> None:
        self.plays = plays
        self.chords: tuple[Chord, ...] = ()
        self.settled = threading.Event()
        self._screen = screen
        self._watch = chordwatch.connect(app, ask_workers_every=5.0)
        self._over_at = time.monotonic() + patience_seconds(plays)
        self._left = threading.Event()
        self._watcher = threading.Thread(target=self._keep_watching, name="tour-watch", daemon=True)

    def play(self) -> None:
        """Start all scenarios, one after the other, and watch until they are settled. Main thread."""
        self._watcher.start()
        for play in self.plays:
            play.start()
        self.settled.wait()

    def close(self) -> None:
        """Watch no longer; what is known then stays."""
        self._left.set()
        if self._watcher.is_alive():
            self._watcher.join()
        self._watch.close()

    def _keep_watching(self) -> None:
        while not self._left.wait(POLL_SECONDS):
            try:
                self._look()
            except Exception as error:  # noqa: BLE001  # the next look may succeed; if none does, the plays say so
                self._screen.say(f"One look at the chords failed: {type(error).__name__}: {error}")
            if time.monotonic() > self._over_at or all(play.as_expected() for play in self.plays):
                self.settled.set()

    def _look(self) -> None:
        self.chords = tuple(self._watch.list(limit=LIMIT))
        found = {chord.chord_id: chord for chord in self.chords}
        for play in self.plays:
            play.follow(found, self._watch.get)
        self._screen.show(self.chords, self.plays)

    def report(self) -> int:
        """Say how the scenarios ended; return the exit code."""
        bad = [play for play in self.plays if not play.as_expected()]
        good = len(self.plays) - len(bad)
        self._screen.say(f"{good} of {len(self.plays)} scenarios ended as expected.")
        for play in bad:
            self._screen.say(play.complaint())
        return 1 if bad else 0

    def summary(self, pages: Mapping[str, str]) -> dict[str, Any]:
        """Return the summary of the demo as a JSON-ready dict."""
        played = (play.chord for play in self.plays if play.chord is not None)
        chords = {chord.chord_id: chord for chord in (*self.chords, *played)}
        return {
            "urls": dict(pages),
            "chords": [to_json(chord, header=True) for chord in chords.values()],
            "scenarios": {play.scenario.name: play.summary() for play in self.plays},
        }


def _leave_at_once(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(UNFINISHED)


def _write(path: Path | None, document: dict[str, Any]) -> None:
    if path is not None:
        path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tasks.demo.tour", description="Started by tasks.demo.")
    parser.add_argument("--pages", type=json.loads, default={}, help="addresses for the summary, as JSON")
    parser.add_argument("--until", type=float, default=None, help="Unix time; without it until SIGTERM")
    parser.add_argument("--summary", type=Path, default=None)
    return parser.parse_args()


def main() -> int:
    """Play the tour, then show the chords until the time is up; return the exit code."""
    arguments = _parse()
    signal.signal(signal.SIGTERM, _leave_at_once)
    try:
        with closing(Screen(Console())) as screen:
            return _play(arguments, Tour(plays_of(SCENARIOS.values()), screen))
    except (ChordwatchError, OSError) as error:
        print(f"The tour stopped: {error}", file=sys.stderr)
        return 1


def _play(arguments: argparse.Namespace, tour: Tour) -> int:
    told = threading.Event()
    with closing(tour):
        tour.play()
        signal.signal(signal.SIGTERM, lambda *_: told.set())
        code = tour.report()
        _write(arguments.summary, tour.summary(arguments.pages))
        told.wait(None if arguments.until is None else max(0.0, arguments.until - time.time()))
    _write(arguments.summary, tour.summary(arguments.pages))
    changed = any(not play.as_expected() for play in tour.plays) != bool(code)
    return tour.report() if changed else code


if __name__ == "__main__":
    sys.exit(main())
