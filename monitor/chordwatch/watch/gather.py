"""Gathers the evidence of one look: broker, workers and result backend, within its seconds.

Runs in a reading process. Keeps connections and the cursors of scans that go on in the next look.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from celery import Celery

from chordwatch.evidence.backend import GROUPLESS_CALLBACKS
from chordwatch.evidence.budget import Budget, Gaps
from chordwatch.evidence.facts import ChordEvidence, ChordKeys, Consumers, Message, Server, TaskMeta
from chordwatch.evidence.readers import Backend, Broker, backend_reader, broker_reader
from chordwatch.evidence.workers import TIMEOUT, WorkerReader
from chordwatch.model import FINISHED, Chord, HeaderTask, MissingPart
from chordwatch.recording.signatures import Body
from chordwatch.store.protocol import RecordedChord
from chordwatch.watch import family
from chordwatch.watch.assemble import find_body
from chordwatch.watch.servers import ServerMemory
from chordwatch.watch.survey import ConsumerMemory, Survey, survey
from chordwatch.watch.unpeeked import look_into, waiting_of

#: So many results, saved groups, and chords not yet read are kept from look to look at the most.
_MAX_KEPT = 200_000
#: The stored results of so many tasks that were not located are read in one look, and so many between two glances at
#: the clock.
MAX_RESULTS, _AT_ONCE = 20_000, 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one look has read of broker and workers, and what it may still spend.

    `running` are the stored results of tasks that workers run, by group id; `strangers` the ids of tasks at workers of
    which nobody can say whether they belong to a chord. `broker` and `backend`: what their INFO says.
    """

    budget: Budget
    gaps: Gaps
    survey: Survey
    running: Mapping[str, Mapping[str, TaskMeta]]
    taken_at: float
    strangers: frozenset[str] = frozenset()
    broker: Server = field(default_factory=Server)
    backend: Server = field(default_factory=Server)


@dataclass(frozen=True, slots=True)
class Results:
    """Stored results with what they tell of chords: those of each group id, and those of each callback."""

    groups: Mapping[str, Mapping[str, TaskMeta]]
    callbacks: Mapping[str, tuple[TaskMeta, ...]]


class Gatherer:
    """Reads one installation. Its methods raise `UnreachableError` when broker or backend do not answer."""

    def __init__(self, app: Celery, seconds: float, ask_workers_every: float) -> None:
        self._app = app
        self._seconds = seconds
        self.backend: Backend = backend_reader(app)
        self._broker: Broker | None = None
        self._workers = WorkerReader(app, ask_workers_every)
        self._memory = ConsumerMemory()
        self._servers = ServerMemory()
        self._chord_cursor = 0
        self._chord_ids: set[str] = set()
        self._group_ids: set[str] = set()
        self._meta_cursor = 0
        self._metas: dict[str, TaskMeta] = {}

    def close(self) -> None:
        """Give the broker's connection back."""
        if self._broker:
            self._broker.close()
            self._broker = None

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Ask the workers in each look of this block, however short ago they were asked."""
        with self._workers.always():
            yield

    def rate_limits(self, this: Round) -> Mapping[str, str] | None:
        """Return the rate limits of the workers' tasks by name; None where nobody could be asked."""
        return self._workers.rate_limits(this.gaps)

    def begin(self, *, scan: bool = False, ask: bool = True) -> Round:
        """Read broker and workers; meanwhile, with `scan`, meet the group ids in the backend.

        The workers are asked only where `ask` says that there is something to learn from them.
        """
        budget, gaps, now = Budget(self._seconds), Gaps(), time.time()
        self.backend.ping()
        broker = self._connected_broker(gaps)
        with ThreadPoolExecutor(1, "chordwatch-workers") as pool:
            asking = pool.submit(self._workers.ask, gaps, needed=ask)
            if scan:
                self._scan_chords(budget.share(0.5), gaps)
            waited = time.monotonic()
            workers, asked_at = asking.result()
            # A broker that does not let itself be asked is no reason to read less of the backend.
            budget.extend(max(0.0, time.monotonic() - waited - TIMEOUT))
        missing = self._memory.update(workers, asked_at) if asked_at else {}
        silent = self._memory.silent(workers, asked_at) if asked_at else frozenset()
        consumers = Consumers(asked_at=asked_at, workers=workers, missing_since=missing, silent=silent)
        # Without a scan there is one chord to read afterwards, and its messages are the larger part.
        seen = survey(broker, consumers, budget.share(0.6 if scan else 0.9), gaps, begun_at=now)
        unasked = self._memory.unasked(seen.queues, asked_at, now)
        seen.consumers = replace(seen.consumers, unasked=unasked)
        self.backend.told(seen.unlocks, gaps)
        if GROUPLESS_CALLBACKS:
            self._adopt(seen, gaps)
        running, strangers = self._running(seen, gaps)
        return Round(
            budget=budget,
            gaps=gaps,
            survey=seen,
            running=running,
            taken_at=now,
            strangers=strangers,
            broker=self._servers.update("broker", broker.info(gaps) if broker else Server(), now),
            backend=self._servers.update("backend", self.backend.info(gaps), now),
        )

    def met(self, this: Round) -> set[str]:
        """Return the group ids that backend, messages and callbacks of this look name."""
        return self._chord_ids | self._named(this)

    def all_chords(
        self, this: Round, *, finished: bool, recorded: Mapping[str, RecordedChord] | None = None
    ) -> list[ChordEvidence]:
        """Return the evidence of every chord that was met or is recorded as open.

        With `finished` also of those without any key left, for which all stored results are looked through.
        """
        recorded = recorded or {}
        self._look_into(recorded.values(), this)
        named = self._named(this) | {id_ for id_, known in recorded.items() if known.chord.state == "open"}
        over = {id_ for id_, known in recorded.items() if known.chord.state in FINISHED}
        oldest_first = [id_ for id_ in recorded if id_ in named]
        wanted = dict.fromkeys([*oldest_first, *(self._chord_ids | named)])
        keys = self.backend.read_chords((id_ for id_ in wanted if id_ not in over), this.budget, this.gaps)
        keys = self._without_leftovers(keys, named, this)
        unread = self._chord_ids & this.gaps.unread
        self._chord_ids = keys.keys() | (unread if len(unread) < _MAX_KEPT else set())
        asking = any(
            chord.claim == "done" or self._unnamed(chord, this)
            for id_, chord in keys.items()
            if id_ not in recorded
        )
        results = self._results(this, wanted=finished or asking)
        bodies = {id_ for chord_id in named if (body := this.survey.body_of(chord_id)) for id_ in body.ids}
        # The size goes when the callback is sent: only then can that have a result.
        bodies |= _callback_ids(recorded[id_] for id_ in recorded.keys() - over if not _sized(keys.get(id_)))
        known = self.backend.read_metas(bodies - self._metas.keys(), this.gaps)
        ids = dict.fromkeys((*keys, *(named - over), *(results.callbacks if finished else ())))
        return [
            self._evidence(
                keys.get(chord_id) or self._without_keys(chord_id, this),
                {},
                known,
                results,
                this,
                recorded=recorded.get(chord_id),
            )
            for chord_id in ids
        ]

    def results(self, task_ids: Sequence[str], this: Round) -> dict[str, TaskMeta]:
        """Return the stored results of as many of these tasks, the first ones, as there is time for."""
        found: dict[str, TaskMeta] = {}
        for start in range(0, len(task_ids), _AT_ONCE):
            # However little time there is, a look gets on with some.
            if start >= MAX_RESULTS or (start and this.budget.spent):
                this.gaps.note("Not all results of tasks that were not located could be read in time.")
                break
            found |= self.backend.read_metas(task_ids[start : start + _AT_ONCE], this.gaps)
        return found

    def one_chord(
        self, chord_id: str, this: Round, recorded: RecordedChord | None = None
    ) -> ChordEvidence | None:
        """Return all that can be learned of one chord; None when there is no sign that it is one."""
        self._look_into([recorded] if recorded else [], this)
        keys = self.backend.read_chords([chord_id], this.budget, this.gaps).get(chord_id)
        # Without a size the chord is over, or never had one: its callback may have a result. A part that nobody
        # names may have one too.
        unnamed = not _sized(keys) or self._unnamed(keys, this)
        results = self._results(this, wanted=recorded is None and unnamed)
        body = this.survey.body_of(chord_id)
        if recorded is None and keys is None and body is None and chord_id not in results.callbacks:
            callers = this.survey.callers()
            if not self._calling({chord_id: callers[chord_id]} if chord_id in callers else {}, this):
                return None
        keys = keys or self._without_keys(chord_id, this)
        ids = {part.task_id for part in keys.parts} | {*keys.members, *this.survey.carried.get(chord_id, {})}
        ids |= {message.task_id for message in this.survey.messages.get(chord_id, ())}
        ids |= set(body.ids) if body else set()
        if recorded:
            ids = (ids | _callback_ids([recorded])) - _ended(recorded.chord) | _unended(recorded.chord)
        metas = self.backend.read_metas(ids, this.gaps)
        evidence = self._evidence(keys, metas, metas, results, this, recorded=recorded)
        return evidence if recorded and recorded.chord.header else self._with_launch(evidence, this)

    def _unnamed(self, keys: ChordKeys | None, this: Round) -> bool:
        """Whether the chord waits for parts of which neither its keys nor messages tell the ids."""
        if keys is None or keys.total is None or keys.members or keys.header:
            return False
        carried = this.survey.carried.get(keys.chord_id, {})
        waiting = {message.task_id for message in this.survey.messages.get(keys.chord_id, ())}
        return keys.counted + len(waiting | carried.keys()) < keys.total

    def _without_keys(self, chord_id: str, this: Round) -> ChordKeys:
        """Return what the backend says of a chord of which it told nothing: nothing, where it was not asked in time."""
        if chord_id in this.gaps.unread:
            return ChordKeys(chord_id=chord_id, counting="unread")
        return self.backend.absent(chord_id)

    def strays(self) -> tuple[TaskMeta, ...]:
        """Return the failed results that were met, name no group, and may be a chord's; the newest, oldest first."""
        return family.strays(self._metas.values())

    def _named(self, this: Round) -> set[str]:
        calling = self._calling(this.survey.callers(), this)
        return {*this.survey.carried, *this.survey.embedding(), *this.survey.unlocks, *calling}

    def _connected_broker(self, gaps: Gaps) -> Broker | None:
        self._broker = self._broker or broker_reader(self._app)
        if self._broker is None:
            gaps.note("The broker is neither Redis nor RabbitMQ, so its queues were not read.")
        return self._broker

    def _look_into(self, recorded: Iterable[RecordedChord], this: Round) -> None:
        """Look at the queues that only records name, where the broker does not list its own."""
        if self._broker and not self._broker.peeks:
            look_into(this.survey, self._broker, [known.chord for known in recorded])

    def _adopt(self, seen: Survey, gaps: Gaps) -> None:
        """Give waiting callbacks without a group id that of their parent, the header task that finished last."""
        parents = self.backend.read_metas({m.parent_id for m in seen.groupless if m.parent_id}, gaps)
        for message in seen.groupless:
            parent = parents.get(message.parent_id or "")
            if parent and parent.group_id and message.task_id not in parent.children:
                adopted = replace(message, group_id=parent.group_id)
                seen.messages[parent.group_id].append(adopted)
                seen.waiting[message.task_id] = adopted

    def _calling(self, callers: Mapping[str, Message], this: Round) -> set[str]:
        """Return the group ids of those of `callers` that are chords' callbacks, whatever keys are left.

        A callback's parent is a header task of the chord; a user may give a group id to any task.
        """
        parents = self.backend.read_metas({m.parent_id for m in callers.values() if m.parent_id}, this.gaps)
        return {
            chord_id
            for chord_id, message in callers.items()
            if (parent := parents.get(message.parent_id or "")) and parent.group_id == chord_id
        }

    def _running(
        self, seen: Survey, gaps: Gaps
    ) -> tuple[Mapping[str, Mapping[str, TaskMeta]], frozenset[str]]:
        """Return what `task_track_started` stored of tasks at workers, by group id, and the ids of the other ones."""
        metas = self.backend.read_metas(seen.carriers, gaps)
        return family.by_group(metas.values()), seen.carriers - metas.keys()

    def _scan_chords(self, budget: Budget, gaps: Gaps) -> None:
        if not self._chord_cursor:
            self._group_ids = set()
        met = self.backend.scan_chords(self._chord_cursor, budget)
        self._chord_cursor = met.cursor
        self._chord_ids |= met.chord_ids
        if len(self._group_ids) < _MAX_KEPT:
            self._group_ids |= met.group_ids
        if self._chord_cursor:
            gaps.note(
                "Time ran out before all keys of the result backend were looked at "
                f"({len(self._chord_ids):,} chords met so far); give more with CHORDWATCH_LOOK_SECONDS.",
                partial=True,
            )

    def _without_leftovers(
        self, keys: dict[str, ChordKeys], named: set[str], this: Round
    ) -> dict[str, ChordKeys]:
        """Leave out the sizes that Celery sets for groups inside complex headers: nothing is counted there."""
        empty = {
            chord_id for chord_id, chord in keys.items() if not chord.counted and not chord.claim
        } - named
        if not empty:
            return keys
        inner = self.backend.inner_groups(self._group_ids, this.budget, this.gaps)
        return {chord_id: chord for chord_id, chord in keys.items() if chord_id not in empty & inner}

    def _results(self, this: Round, *, wanted: bool) -> Results:
        """Scan the stored results, if `wanted`: finished chords leave nothing else."""
        if not wanted:
            return Results({}, {})
        if not self._meta_cursor or len(self._metas) > _MAX_KEPT:
            self._metas, self._meta_cursor = {}, 0
        metas, self._meta_cursor = self.backend.scan_metas(self._meta_cursor, this.budget, this.gaps)
        self._metas |= {meta.task_id: meta for meta in metas}
        if self._meta_cursor:
            this.gaps.note(
                f"Time ran out after {len(self._metas):,} stored results; finished chords may be missing.",
                partial=True,
            )
        return Results(
            family.by_group(self._metas.values()),
            family.callbacks(self._metas, groupless=GROUPLESS_CALLBACKS),
        )

    def _evidence(
        self,
        keys: ChordKeys,
        metas: Mapping[str, TaskMeta],
        known: Mapping[str, TaskMeta],
        results: Results,
        this: Round,
        *,
        recorded: RecordedChord | None = None,
    ) -> ChordEvidence:
        evidence = ChordEvidence(
            keys=keys,
            messages=tuple(this.survey.messages.get(keys.chord_id, ())),
            carried=this.survey.carried.get(keys.chord_id, {}),
            metas={
                **results.groups.get(keys.chord_id, {}),
                **this.running.get(keys.chord_id, {}),
                **metas,
            },
            waiting=waiting_of(recorded.chord, this.survey) if recorded else this.survey.waiting,
            held=this.survey.held,
            header=_header_of(recorded.chord) if recorded else (),
            body=_body_of(recorded.chord) if recorded else None,
            everywhere=this.survey.everywhere,
        )
        body = find_body(evidence)
        stored = (known.get(id_) or self._metas.get(id_) for id_ in (body.ids if body else ()))
        embedded = tuple(meta for meta in stored if meta)
        # Descent tells a callback only where the keys do not say that parts are outstanding.
        descended = results.callbacks.get(keys.chord_id, ()) if keys.size is None else ()
        return replace(evidence, callback_metas=embedded or descended)

    def _with_launch(self, evidence: ChordEvidence, this: Round) -> ChordEvidence:
        """Add what the task that sent the chord remembers of it, and the results of the tasks it names."""
        parents: Iterable[str | None] = (
            *(message.parent_id for message in evidence.messages),
            *(meta.parent_id for meta in evidence.metas.values()),
        )
        senders = {parent for parent in parents if parent} - evidence.metas.keys()
        for meta in self.backend.read_metas(senders, this.gaps).values():
            for launch in meta.launches:
                if launch.group_id == evidence.keys.chord_id:
                    more = self.backend.read_metas(set(launch.task_ids) - evidence.metas.keys(), this.gaps)
                    return replace(evidence, launch=launch, metas={**evidence.metas, **more})
        return evidence


def _sized(keys: ChordKeys | None) -> bool:
    return keys is not None and keys.size is not None


def _callback_ids(recorded: Iterable[RecordedChord]) -> set[str]:
    return {known.chord.callback.task_id for known in recorded if known.chord.callback.task_id}


def _ended(chord: Chord) -> set[str]:
    """Return the header tasks whose results would tell nothing new."""
    return {task.task_id for task in chord.header if task.task_id and task.counted}


def _unended(chord: Chord) -> set[str]:
    tasks = () if chord.state in FINISHED else chord.header
    return {task.task_id for task in tasks if task.task_id and not task.counted}


def _header_of(chord: Chord) -> tuple[tuple[str, int | None, str | None], ...]:
    """Return the tasks that are known by id; of a large header a list has those alone that are missing."""
    tasks: tuple[HeaderTask | MissingPart, ...] = (*chord.header, *chord.missing)
    return tuple((task.task_id, task.index, task.name) for task in tasks if task.task_id)


def _body_of(chord: Chord) -> Body | None:
    callback = chord.callback
    if callback.task_id is None:
        return None
    return Body(
        task_id=callback.task_id, name=callback.name, queue=callback.queue, task_ids=(callback.task_id,)
    )
