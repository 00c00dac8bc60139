"""Rounds of random workflows, each compared with its oracle: what the acceptance tests and the soak share."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection
from random import Random

from chordwatch.store.protocol import Store
from tests.support.polling import wait_until
from tests.support.servers import Processes
from tests.support.workflows.canvases import Author
from tests.support.workflows.crew import Crew
from tests.support.workflows.oracle import Fate, Oracle
from tests.support.workflows.picture import differences
from tests.support.workflows.tallies import Tallies, tally

#: Workers are started anew after so many rounds, with flush intervals of their own.
ROUNDS_PER_CREW = 13
WORKFLOWS_PER_ROUND = 4
#: So many differences are told.
MOST = 20
#: Seconds after which everything must have been flushed.
SETTLED = 10.0


def play(processes: Processes, seed: int, rounds: int) -> Counter[str]:
    """Play rounds from a seed; fail where a chord's picture stays wrong. Return how the chords ended."""
    print(f"seed {seed}: the same workflows come with CHORDS_SEED={seed}")
    fates: Counter[str] = Counter()
    for first in range(0, rounds, ROUNDS_PER_CREW):
        crew = Crew(processes)
        try:
            fates += _play_with(crew, seed + first, min(ROUNDS_PER_CREW, rounds - first))
        finally:
            crew.close()
            processes.stop()
    return fates


def _play_with(crew: Crew, seed: int, rounds: int) -> Counter[str]:
    random = Random(seed)

    def flush() -> dict[str, str]:
        return {"CHORDWATCH_FLUSH_INTERVAL": f"{random.uniform(0.01, 0.3):.3f}"}

    workers = [
        crew.worker("forks", "-P", "prefork", "-c", "3", "-Q", "celery,limited", **flush()),
        crew.worker("threads", "-P", "threads", "-c", "4", **flush()),
    ]
    producer = crew.producer("producer", **flush())
    with crew.recorded() as store:
        for number in range(seed, seed + rounds):
            author = Author(number)
            producer.publish(*(author.workflow() for _ in range(WORKFLOWS_PER_ROUND)))
            crew.quiet()
            compare(crew, store, f"workflows of seed {number}")
        assert producer.finish() == 0
        crew.quiet()  # a message that a busy worker had just popped was in no queue at the first look
        for worker in workers:
            worker.terminate()
        assert [worker.wait(90) for worker in workers] == [0, 0]
        fates = compare(crew, store, f"after the end of all processes, seeds {seed} to {seed + rounds - 1}")
        compare_counters(store, fates)
    return Counter(fate.state for fate in fates.values())


def fates_of(crew: Crew) -> dict[str, Fate]:
    """Return what became of every chord so far."""

    def state_of(task_id: str) -> str | None:
        stored = crew.redis.backend.get(f"celery-task-meta-{task_id}")
        return json.loads(stored)["status"] if stored else None

    return Oracle(crew.wiretap.messages, crew.wiretap.countings, crew.events(), state_of).fates()


def compare(crew: Crew, store: Store, what: str, unended: Collection[str] = ()) -> dict[str, Fate]:
    """Wait until the store's picture of every chord is right; return what became of them.

    The tasks `unended` were killed, so their journal does not tell how they ended.
    """
    fates: dict[str, Fate] = {}
    wrong: list[str] = []

    def right() -> bool:
        fates.update(fates_of(crew))
        wrong[:] = [sentence for fate in fates.values() for sentence in _wrong(store, fate, unended)]
        return not wrong

    try:
        wait_until(right, what, SETTLED)
    except AssertionError:
        # A revoke stores REVOKED for a message that nobody has taken yet, and no signal tells of that.
        dropped = f"dropped: {dict(store.counters().dropped)}, still under way: {crew.unrest()}"
        story = _story(
            crew, next((fate for fate in fates.values() if wrong[0].startswith(fate.chord_id)), None)
        )
        raise AssertionError("\n".join([what, dropped, *wrong[:MOST], *story])) from None
    return fates


def compare_counters(store: Store, fates: dict[str, Fate]) -> None:
    """Wait until the store's counters are those of these chords."""
    recorded = {chord_id: store.get(chord_id) for chord_id in fates}
    names = {chord_id: found.chord.callback.name or "" for chord_id, found in recorded.items() if found}
    expected = tally(fates.values(), names)
    wrong: list[str] = []

    def right() -> bool:
        wrong[:] = _miscounted(expected, store)
        return not wrong

    try:
        wait_until(right, "counters are right", SETTLED)
    except AssertionError:
        strangers = [found.chord for found in store.open_chords() if found.chord.chord_id not in fates]
        wrong += [f"not foreseen: {chord}" for chord in strangers if chord.state != "planned"]
        raise AssertionError("\n".join(wrong)) from None


def _story(crew: Crew, fate: Fate | None) -> list[str]:
    """Return what the witnesses say of a chord, in order of time."""
    if fate is None:
        return []
    ids = {*fate.header, *fate.steps}
    said = [(message.at, message.told()) for message in crew.wiretap.messages if message.id in ids]
    for event in crew.events():
        if event["id"] in ids:
            run = f"nesting {event['nesting']} retries {event['retries']} on {event['node']} {event['pid']}"
            said.append(
                (event["at"], f"{event['event']} {event.get('end', '')} {event['id']} {event['name']} {run}")
            )
    return [f"story of {fate}", *(f"{at:.4f} {text}" for at, text in sorted(said))]


def _wrong(store: Store, fate: Fate, unended: Collection[str]) -> list[str]:
    recorded = store.get(fate.chord_id)
    wrong = differences(fate, recorded.chord if recorded else None, unended)
    for task_id in fate.header:
        found = store.get(task_id)
        if found is None or not _belongs(task_id, found.chord.callback.task_id, found.chord.header):
            wrong.append(f"{fate.chord_id}: is not found by its header task {task_id}")
    return wrong


def _belongs(task_id: str, callback_id: str | None, header: tuple[object, ...]) -> bool:
    return task_id == callback_id or task_id in {getattr(task, "task_id", None) for task in header}


def _miscounted(expected: Tallies, store: Store) -> list[str]:
    counters = store.counters()
    wrong = [f"dropped {counters.dropped}"] if counters.dropped else []
    # Which steps of a callback of several tasks are the chord's is a matter of words where chords are nested.
    wrong += [
        f"callbacks {key}: {counters.callbacks.get(key, 0)}, not {most}"
        for key, most in expected.callbacks.items()
        if not expected.single[key] <= counters.callbacks.get(key, 0) <= most
    ]
    for name in ("started", "finished", "header_tasks", "retries"):
        wanted = +getattr(expected, name)
        seen = +Counter(getattr(counters, name))
        wrong += [
            f"{name} {key}: {seen[key]}, not {wanted[key]}"
            for key in {*wanted, *seen}
            if not wanted[key] - expected.blurred[key[:2]] <= seen[key] <= wanted[key]
        ]
    return wrong
