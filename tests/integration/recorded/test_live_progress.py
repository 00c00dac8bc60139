"""A large chord while it runs: what `list` and `show` tell, compared with what the tasks wrote down."""

from __future__ import annotations

import time

import pytest

from tests.integration.recorded.conftest import Installation
from tests.support.noted import NOTED_LATE
from tests.support.pace import within

SIZE = 2000


@pytest.mark.faults
def test_list_shows_a_chord_grow_until_it_is_done(installation: Installation) -> None:
    installation.worker(concurrency=4)
    chord_id, callback_id, header = installation.publish(SIZE, 0.025)
    seen: list[tuple[int, str]] = []
    deadline = time.monotonic() + 270
    while not seen or seen[-1][1] != "done":
        assert time.monotonic() < deadline, seen
        (chord,) = installation.chords("list")
        assert (chord["chord_id"], chord["size"], chord["instrumented"]) == (chord_id, SIZE, True)
        assert chord["callback"]["name"] == "project.total"
        assert len(chord["missing"]) == SIZE - chord["counted"]
        assert chord["health"] in ("ok", "waiting", "done")
        seen.append((chord["counted"], chord["health"]))

    counts = [counted for counted, _ in seen]
    print(seen)
    assert counts == sorted(counts)
    assert len(set(counts)) > 3
    assert counts[-1] == SIZE

    assert_found_by_every_id(installation, chord_id, (callback_id, header[0], header[1234], header[-1]))
    assert_times_agree(installation, chord_id, header)


def assert_found_by_every_id(installation: Installation, chord_id: str, ids: tuple[str, ...]) -> None:
    for number, wanted in enumerate((chord_id, *ids)):
        shown = installation.chords("show", wanted, bare=number % 2 == 1)
        assert (shown["chord_id"], shown["state"], shown["counted"]) == (chord_id, "succeeded", SIZE)


def assert_times_agree(installation: Installation, chord_id: str, header: list[str]) -> None:
    noted = installation.noted()
    shown = installation.chords("show", chord_id)
    tasks = {task["task_id"]: task for task in shown["header"]}

    assert [task["task_id"] for task in shown["header"]] == header
    assert set(noted) == set(header)
    for task_id, (_, _, worker) in noted.items():
        task = tasks[task_id]
        assert (task["worker"], task["state"], task["attempt"]) == (worker, "succeeded", 0)
        assert task["counted"]
        assert task["published_at"] - NOTED_LATE <= task["started_at"] <= task["finished_at"]
        assert len(task["attempts"]) == 1
    close_to([tasks[id_]["started_at"] - started for id_, (started, _, _) in noted.items()])
    # Celery says that a part ended when it is stored and counted; the last one, when the callback is sent too.
    close_to([tasks[id_]["finished_at"] - ended for id_, (_, ended, _) in noted.items()])
    assert shown["opened_at"] <= min(started for started, _, _ in noted.values())
    assert shown["finished_at"] >= max(ended for _, ended, _ in noted.values())


def close_to(differences: list[float]) -> None:
    """Assert that times agree within 0.1 s; a busy machine may hold a process up for longer, now and then."""
    ordered = sorted(abs(difference) for difference in differences)
    print(f"differences: median {ordered[len(ordered) // 2]:.4f} s, largest {ordered[-3:]}")

    assert within(ordered[int(len(ordered) * 0.99)], 0.1)
    assert within(ordered[-1], 2.0)
