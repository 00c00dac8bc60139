"""Brings a scene about once, and keeps what was said of its chords."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from chordwatch.watch import Sighting
from tests.faults.bench import Bench, Mode, Sent
from tests.faults.cases import CASES, SCENES, Case

#: Seconds of settling that make a scene a long one, and how many of those go on at once.
LONG, LONG_AT_ONCE = 60.0, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a case: the chord as it was sent, and what was said of it; or why there is none."""

    sent: Sent | None = None
    sighting: Sighting | None = None
    failure: BaseException | None = None


def bring_about(scene_name: str, mode: Mode, folder: Path) -> dict[str, Outcome]:
    """Bring all cases of a scene about in an installation of its own; return what was said of each, by name."""
    scene = SCENES[scene_name]
    bench = Bench(folder=folder, mode=mode, settings=scene.settings)
    try:
        for name, options in scene.workers.items():
            bench.worker(name, **options)
        cases = [case for case in CASES if case.scene == scene_name]
        with ThreadPoolExecutor(len(cases)) as pool:
            sent = {case.name: pool.submit(case.bring_about, bench) for case in cases}
        time.sleep(scene.settle)
        seen = bench.explain([one.result() for one in sent.values() if not one.exception()], scene.asked)
        return {name: _outcome(one, seen) for name, one in sent.items()}
    finally:
        bench.close()


def _outcome(sent: Future[Sent], seen: dict[str, Sighting | None]) -> Outcome:
    if failure := sent.exception():
        return Outcome(failure=failure)
    return Outcome(sent=sent.result(), sighting=seen[sent.result().chord_id])


class Runs:
    """The scenes that were brought about so far. Those that take minutes, by waiting, go on beside the others."""

    def __init__(self, folder: Callable[[str], Path]) -> None:
        self._folder = folder
        self._beside = ThreadPoolExecutor(LONG_AT_ONCE, "long-scene")
        self._done: dict[tuple[str, Mode], Future[dict[str, Outcome]]] = {}

    def begin(self, cases: Iterable[tuple[Case, Mode]]) -> None:
        """Begin with the scenes of these cases that take minutes."""
        for case, mode in cases:
            if SCENES[case.scene].settle >= LONG and (case.scene, mode) not in self._done:
                folder = self._folder(f"{case.scene}-{mode}")
                self._done[case.scene, mode] = self._beside.submit(bring_about, case.scene, mode, folder)

    def outcome(self, case: Case, mode: Mode) -> Outcome:
        """Return what became of a case, and bring its scene about if that was not begun yet."""
        key = case.scene, mode
        if key not in self._done:
            self._done[key] = done = Future()
            try:
                done.set_result(bring_about(*key, self._folder(f"{case.scene}-{mode}")))
            except Exception as exc:  # noqa: BLE001  # every case of the scene is to say so
                done.set_exception(exc)
        failure = self._done[key].exception()
        return Outcome(failure=failure) if failure else self._done[key].result()[case.name]

    def close(self) -> None:
        """Wait for what still goes on."""
        self._beside.shutdown()
