"""Where a dashboard's data comes from: one source per process, shared by all its viewers, be it Streamlit or Flower.

Runs in the dashboard's process, in the threads of its viewers. Thread-safe and bounded; what it raises is a
`ChordwatchError`, whatever happens.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from celery import Celery

from chordwatch.board.chord_page import ChordPage, chord_page_of
from chordwatch.board.connections import SharedStore, Watches
from chordwatch.board.examined import Examination, examination_of
from chordwatch.board.history import Sample, read_history
from chordwatch.board.kept import Recent, Shared
from chordwatch.board.make import board_of
from chordwatch.board.posted import BOARD, read_board
from chordwatch.board.report import report_of
from chordwatch.board.rows import Board
from chordwatch.errors import ChordwatchError, UnreachableError
from chordwatch.evidence.patience import impatient
from chordwatch.model import health_of
from chordwatch.settings import Settings, read_settings
from chordwatch.store import open_store
from chordwatch.store.protocol import Store
from chordwatch.watch import Watch
from chordwatch.watch.absences import SOON
from chordwatch.watch.look import Sighting
from chordwatch.watch.running import stale_after

logger = logging.getLogger(__name__)

#: Seconds. A store that is silent for longer is done without.
_STORE_ANSWERS = 3.0
#: Seconds from one own look to the next, and at least so many times what a look takes, so that watching stays cheap;
#: less where two looks that agree would decide.
INTERVAL, _REST_FACTOR = 5.0, 4.0
#: A posted board is read so often within the monitor's interval, and at most once a second.
_READS, _AT_MOST_EVERY = 2.0, 1.0
#: So many chords are looked at side by side. An explanation takes seconds.
_WATCHES = 3
#: Seconds that a chord's page, a history and the doctor's findings are good for, and how many of each are kept.
_PAGE_SECONDS, _PAGES = 3.0, 32
_HISTORY_SECONDS, _HISTORIES = 15.0, 8
_FINDINGS_SECONDS = 60.0

_Answer = TypeVar("_Answer")


class Source:
    """Everything that a dashboard shows of one app's installation."""

    def __init__(self, app: Celery) -> None:
        """Open nothing yet. Viewers do not wait for a result backend as long as Celery does: see `impatient`.

        Raises:
            SettingError: one of chordwatch's settings cannot be used.
        """
        self.settings: Settings = read_settings(app.conf)
        self._app = impatient(app)
        self._store = SharedStore(self._open_store)
        self._looker = Watches(self._open_watch, 1)
        self._watches = Watches(self._open_watch, _WATCHES)
        self._board: Shared[Board | ChordwatchError] = Shared(self._next_board)
        self._packed: tuple[bytes, Board] | None = None
        self._pages: Recent[str, ChordPage | None] = Recent(_PAGE_SECONDS, _PAGES)
        self._histories: Recent[float, tuple[Sample, ...]] = Recent(_HISTORY_SECONDS, _HISTORIES)
        self._findings: Recent[None, Examination] = Recent(_FINDINGS_SECONDS, 1)

    def board(self) -> Board | ChordwatchError:
        """Return the installation as the monitor saw it last, or where none runs as this process sees it.

        Waits only for the very first. An error where the newest attempt failed, so that nothing stale looks true.
        """
        return self._board.current()

    def chord(self, id: str) -> ChordPage | None:  # noqa: A002  # as everywhere
        """Return the page of the chord with this group id, callback id or header task id; None when none is found.

        Raises:
            ChordwatchError: it could not be looked for.
        """
        return self._pages.get(id, lambda: self._page(lambda watch: self._decided(watch, id)))

    def explain(self, id: str) -> ChordPage | None:  # noqa: A002  # as everywhere
        """Return what `chord` returns with a fresh diagnosis, for which it is looked at twice or three times.

        Raises:
            ChordwatchError: it could not be looked for.
        """
        return self._pages.get(id, lambda: self._page(lambda watch: watch.explained(id)), anew=True)

    def history(self, seconds: float) -> tuple[Sample, ...]:
        """Return the samples of the last `seconds`, oldest first; none where no monitor ran.

        Raises:
            ChordwatchError: the store does not answer, or there is none.
        """
        return self._histories.get(
            seconds, lambda: self.read(lambda store: read_history(store, seconds, _clock_of(store)))
        )

    def findings(self, *, anew: bool = False) -> Examination:
        """Return what the doctor finds, at most a minute old unless it is wanted `anew`; takes a few seconds.

        Raises:
            ChordwatchError: the doctor could not begin.
        """
        return self._findings.get(None, lambda: _foreseen(lambda: examination_of(self._app)), anew=anew)

    def read(self, read: Callable[[Store], _Answer]) -> _Answer:
        """Return what `read` reads from the store, on a connection that all share, so it should be quick.

        Raises:
            ChordwatchError: the store does not answer, or there is none.
        """
        return _foreseen(lambda: self._store.read(read))

    def close(self) -> None:
        """Give the connections back."""
        for part in (self._store, self._looker, self._watches):
            part.close()

    def _next_board(self) -> tuple[Board | ChordwatchError, float]:
        """Return the monitor's board or one of our own, and in how many seconds the next is due."""
        posted = self._posted_board()
        if posted:
            return posted, max(_AT_MOST_EVERY, posted.interval / _READS)
        started = time.monotonic()
        board, due = self._own_board()
        return board, max(due, _REST_FACTOR * (time.monotonic() - started))

    def _posted_board(self) -> Board | None:
        """Return the monitor's board, None where none is current or the store does not answer."""
        try:
            packed = self.read(lambda store: store.posted([BOARD])).get(BOARD)
        except ChordwatchError:
            return None  # what can be seen without a store is looked at, and says that it is without
        if packed is None:
            return None
        if self._packed is None or self._packed[0] != packed:
            board = read_board(packed)
            self._packed = (packed, board) if board else None
        return self._packed[1] if self._packed else None

    def _own_board(self) -> tuple[Board | ChordwatchError, float]:
        try:
            with self._looker.one() as watch:
                look = watch.look(health="open", limit=None)
                totals, due = watch.totals(), SOON if watch.undecided else INTERVAL
                board = board_of(
                    look,
                    totals,
                    looker="dashboard",
                    interval=INTERVAL,
                    stale=stale_after(self.settings.heartbeat_interval),
                )
        except ChordwatchError as error:
            return error, INTERVAL
        return board, due

    def _page(self, look: Callable[[Watch], tuple[Sighting | None, tuple[str, ...]]]) -> ChordPage | None:
        with self._watches.one() as watch:
            sighting, gaps = look(watch)
            if sighting is None:
                return None
            return chord_page_of(
                sighting,
                now=time.time(),
                notes=gaps,
                related=watch.related(sighting),
                report=report_of(sighting, gaps, self._app),
                settings=self.settings,
            )

    def _decided(self, watch: Watch, wanted: str) -> tuple[Sighting | None, tuple[str, ...]]:
        """Look at one chord; where only two looks that agree decide, take the monitor's word, or else look again."""
        sighting, gaps = watch.sight(wanted)
        if sighting is None or not watch.undecided:
            return sighting, gaps
        if judged := self._judged(sighting):
            return judged, gaps
        return watch.sight_again(wanted)

    def _judged(self, sighting: Sighting) -> Sighting | None:
        """Return the chord with the verdicts of a monitor that runs, None without one or where it has gone on since."""
        chord = sighting.chord
        if self._posted_board() is None:
            return None
        try:
            judgement = self.read(lambda store: store.judgements([chord.chord_id])).get(chord.chord_id)
        except ChordwatchError:
            return None
        if judgement is None or (judgement.chord.state, judgement.chord.counted) != (
            chord.state,
            chord.counted,
        ):
            return None
        verdicts = judgement.chord.verdicts
        health = health_of(chord.state, verdicts)
        return replace(sighting, chord=replace(chord, verdicts=verdicts, health=health))

    def _open_watch(self) -> Watch:
        return Watch(self._app, self.settings)

    def _open_store(self) -> Store:
        return open_store(
            self.settings, self._app, client_name="chordwatch:dashboard", timeout=_STORE_ANSWERS
        )


def _clock_of(store: Store) -> float:
    """Return the store's clock; who may only read may not ask for it, and takes this machine's."""
    try:
        return store.now()
    except UnreachableError:
        return time.time()


def _foreseen(read: Callable[[], _Answer]) -> _Answer:
    """Return what `read` returns; what nobody foresaw becomes a sentence, as a traceback may name passwords."""
    try:
        return read()
    except ChordwatchError:
        raise
    except Exception as error:
        logger.exception("A question failed unexpectedly")
        raise ChordwatchError(f"This failed with {type(error).__name__}; the log has more.") from error
