"""The bounded buffer between signal handlers and store, and the thread that empties it.

Runs in every instrumented process. `add` and the marks of running tasks never wait; everything slow happens in a
native thread that starts with the first entry and sleeps while there is none. A forked child starts afresh.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol
from uuid import uuid4

from chordwatch.errors import ChordwatchError, UnreachableError
from chordwatch.recording.batch import BatchWriter
from chordwatch.recording.memory import remember
from chordwatch.recording.native import Flag, start_thread
from chordwatch.recording.notes import Entry, Run
from chordwatch.recording.unobserved import unobserved

logger = logging.getLogger("chordwatch")

#: One call of the script handles so many records: a few milliseconds of the store's Redis.
_BATCH_RECORDS = 1000
_LONGEST_PAUSE = 2.0
#: Seconds that a publisher may lose to us where records are sent within its own call.
INLINE_SECONDS = 0.05
#: Seconds between two starts of one task in threads of this process: the store tells runs apart by milliseconds.
_APART = 0.002
#: Deliveries that start within so many seconds may be too close; a clock that is set back goes further.
_AT_ONCE = 0.1
#: So many starts are compared with: those of the last moment.
_BEGUN = 100
#: Seconds that a process may take to send its last records.
CLOSE_SECONDS = 1.0


class Sink(Protocol):
    """What batches are sent to. `apply` may raise `UnreachableError`: the batch is kept and sent again."""

    def apply(self, batch: bytes) -> None:
        """Apply one batch."""

    def close(self) -> None:
        """Give the connection back."""


class FollowUp(Protocol):
    """What is done in the recorder's thread after a flush; all that is left when `closing`."""

    def __call__(self, sink: Any, /, *, closing: bool) -> bool:
        """Return whether something waits for the next flush."""


class _Packed(NamedTuple):
    """A batch that waits to be sent: how many records it holds, and which losses it tells."""

    batch: bytes
    records: int
    dropped: Counter[str]


class Recorder:
    """Takes entries from signal handlers and sends them in batches, every `flush_interval` seconds while there are any.

    `connect` makes the sink from this process' boot id, in the recorder's thread; `node` names the process.
    At most `buffer_size` entries wait, whether packed or not; what is beyond is dropped and counted.
    """

    def __init__(
        self,
        connect: Callable[[str], Sink],
        *,
        node: str,
        flush_interval: float,
        buffer_size: int,
        keep_callbacks: bool,
    ) -> None:
        self._connect, self.node = connect, node
        self.keep_callbacks = keep_callbacks
        self._interval, self._size = flush_interval, buffer_size
        self.inline = _is_threadless_uwsgi()
        #: Called after a flush, with the sink where there is one; returns whether it wants to be called again.
        self.follow_up: FollowUp | None = None
        self._reset()
        os.register_at_fork(after_in_child=self._start_afresh)

    def _start_afresh(self) -> None:
        """Close and forget what a forked child inherited."""
        self._close_sink()
        self._reset()

    def _reset(self) -> None:
        """Begin with nothing: what a parent has recorded it sends itself, over its own socket."""
        self.boot = uuid4().hex
        self.runs: dict[int, Run] = {}
        self._begun: dict[str, float] = {}
        self._buffer: deque[Entry] = deque()
        self._pending: deque[_Packed] = deque()
        self._pending_records = 0
        self._dropped: Counter[str] = Counter()
        self._writer: BatchWriter | None = None
        self._sink: Sink | None = None
        self._started = self._awake = self._closing = self._complained = False
        self._pause = 0.0
        self._flushed_at = 0.0
        self._wake, self._done = Flag(), Flag()

    def add(self, entry: Entry) -> None:
        """Take an entry; drop it, counted, when the buffer is full."""
        if len(self._buffer) + self._pending_records >= self._size:
            self.drop("overflow")
            return
        self._buffer.append(entry)
        if not self._awake:
            self._rouse()

    def begin(self, key: int, run: Run) -> None:
        """Note that a chord task runs; it is announced to the store only if it outlasts a flush."""
        task_id = run.parts[0][1][1]
        before = self._begun.get(task_id)
        if before is not None and abs(run.at - before) < _AT_ONCE and run.at < before + _APART:
            run.at = before + _APART
        remember(self._begun, task_id, run.at, most=_BEGUN)
        self.runs[key] = run
        if not self._awake:
            self._rouse()

    def wake(self) -> None:
        """See to it that a flush comes, and with it `follow_up`."""
        if not self._awake:
            self._rouse()

    def dispatched(self) -> None:
        """Send what a dispatch noted, where no thread will."""
        if self.inline:
            self._flush_inline()

    def drop(self, reason: str, count: int = 1) -> None:
        """Count lost records."""
        self._dropped[reason] += count

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Send what is left, for at most `seconds`; what comes later is sent as before."""
        self.dispatched()
        if not self._started:
            return
        self._closing = True
        self._wake.raise_()
        if self._done.wait(seconds):
            self._started = False
        if lost := len(self._buffer) + self._pending_records:
            logger.warning("chordwatch: %d records could not be sent before the process ended.", lost)

    def _rouse(self) -> None:
        self._awake = True
        if self.inline:
            if time.monotonic() - self._flushed_at >= self._interval + self._pause:
                self._flush_inline()
        elif self._started:
            self._wake.raise_()
        else:
            self._started, self._closing = True, False
            start_thread(self._loop)

    def _flush_inline(self) -> None:
        """Send within the publisher's call, briefly: uWSGI without threads never runs ours."""
        self._flush()
        self._flushed_at = time.monotonic()
        self._awake = False

    def _loop(self) -> None:
        while not self._closing:
            self._wake.wait(0 if self._awake else -1)
            if not self._closing:
                self._wake.wait(self._pause or self._interval)  # only `close` raises it now
            self._flush()
        self._flush(closing=True)
        self._close_sink()
        self._done.raise_()

    @unobserved
    def _flush(self, *, closing: bool = False) -> None:
        try:
            self._awake = False
            self._announce()
            self._pack()
            self._send()
            waits = self.follow_up is not None and self.follow_up(self._sink, closing=closing)
            if waits or self._has_more():
                self._awake = True
        except Exception:  # a guest's thread must not die, nor shout
            self.drop("internal")
            logger.debug("chordwatch: a flush failed.", exc_info=True)

    def _has_more(self) -> bool:
        if self._buffer or self._pending or self._dropped:
            return True
        return any(not run.announced for run in list(self.runs.values()))

    def _announce(self) -> None:
        """Say which tasks have been running for longer than a flush; shorter ones are said when they end."""
        before = time.time() - self._interval
        for run in list(self.runs.values()):
            if not run.announced and run.at <= before:
                self._buffer.extend(run.announce())

    def _pack(self) -> None:
        if self._writer is None:
            self._writer = BatchWriter(boot=self.boot, node=self.node, keep_callbacks=self.keep_callbacks)
        while self._buffer or (self._dropped and not self._pending):
            entries: list[Entry] = []
            while self._buffer and len(entries) < _BATCH_RECORDS:
                entries.append(self._buffer.popleft())
            dropped, self._dropped = self._dropped, Counter()
            self._pending.append(_Packed(self._writer.pack(entries, dropped), len(entries), dropped))
            self._pending_records += len(entries)

    def _send(self) -> None:
        try:
            until = time.monotonic() + INLINE_SECONDS if self.inline else math.inf
            while self._pending and time.monotonic() < until:
                if self._sink is None:
                    self._sink = self._connected()
                self._apply(self._sink, self._pending[0])
                self._pending_records -= self._pending.popleft().records
        except ChordwatchError as exc:  # it cannot be reached, or a setting has become unusable
            self._pause_longer()
            self._complain(str(exc))
        else:
            self._recovered()

    def _connected(self) -> Sink:
        try:
            return self._connect(self.boot)
        except ChordwatchError:
            raise
        except Exception as exc:  # a URL that nobody foresaw; its text may hold a password
            raise UnreachableError(f"The store cannot be opened ({type(exc).__name__}).") from exc

    def _apply(self, sink: Sink, packed: _Packed) -> None:
        """Send one batch; one that the store refuses is dropped, or it would block all that follow."""
        try:
            sink.apply(packed.batch)
        except UnreachableError:
            raise
        except Exception:  # whatever a server may say to a script
            self._dropped.update(packed.dropped)
            if packed.records:
                self.drop("refused", packed.records)
            self._pause_longer()
            logger.debug("chordwatch: the store refused a batch.", exc_info=True)
        else:
            self._pause = 0.0

    def _pause_longer(self) -> None:
        self._pause = min(max(2 * self._pause, self._interval), _LONGEST_PAUSE)

    def _complain(self, sentence: str) -> None:
        if not self._complained:
            self._complained = True
            logger.error(
                "chordwatch cannot record: %s Tasks go on; records wait in a bounded buffer.", sentence
            )

    def _recovered(self) -> None:
        if self._complained:
            self._complained = False
            logger.info("chordwatch records again.")

    def _close_sink(self) -> None:
        if self._sink is not None:
            try:
                self._sink.close()
            except Exception:  # the process ends
                logger.debug("chordwatch: closing the store failed.", exc_info=True)
            self._sink = None


def _is_threadless_uwsgi() -> bool:
    """Whether this is uWSGI without `enable-threads`, where a thread never gets to run."""
    try:
        import uwsgi  # type: ignore[import-untyped]  # noqa: PLC0415  # only exists inside uWSGI
    except ImportError:
        return False
    return not uwsgi.opt.get("enable-threads") and not int(uwsgi.opt.get("threads") or 0)
