"""The probe on a healthy installation and on broken ones: at which step it fails, and that nothing of it stays."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chordwatch.doctor.probe import Probe, probe
from tests.integration.xray.stranger import FOR_EVER, Stranger
from tests.support.polling import wait_until
from tests.support.servers import Processes, RedisServer

pytestmark = pytest.mark.faults

SOON = 1.5


@pytest.fixture
def patient(redis: RedisServer, processes: Processes) -> Iterator[Stranger]:
    """A project without a worker."""
    stranger = Stranger(redis, processes)
    yield stranger
    stranger.close()


def failed_at(done: Probe) -> str:
    """Return the step that failed; all before it passed."""
    assert done.finding
    assert done.finding.severity == "error"
    assert [step.passed for step in done.steps] == [True] * (len(done.steps) - 1) + [False]
    return done.steps[-1].what


def left_behind(stranger: Stranger) -> set[bytes]:
    """Return the keys of either database that are no binding of a queue."""
    keys = {*stranger.broker.keys(), *stranger.backend.keys()}
    return {key for key in keys if not key.startswith(b"_kombu.binding")}


@pytest.mark.parametrize(
    "settings", [{}, {"task_ignore_result": True}, {"task_serializer": "msgpack"}], ids=str
)
def test_a_healthy_installation_passes_every_step(
    redis: RedisServer, processes: Processes, settings: dict[str, object]
) -> None:
    stranger = Stranger(redis, processes, **settings, accept_content=["json", "msgpack"])
    stranger.worker("main")
    stranger.ready("main")

    done = probe(stranger.app)

    assert done.finding is None, done
    assert [step.passed for step in done.steps] == [True] * 7
    wait_until(lambda: not left_behind(stranger), "nothing of the probe is left")
    stranger.close()


def test_without_a_worker_nobody_takes_it(patient: Stranger) -> None:
    patient.app.send_task("project.add", (1, 1))

    done = probe(patient.app, patience=SOON)

    assert failed_at(done) == "A worker takes them."
    assert done.finding
    assert "queue celery holds 5 messages" in done.finding.reason
    assert patient.broker.llen("celery") == 1  # the project's own
    assert left_behind(patient) == {b"celery"}


def test_a_queue_that_nobody_reads_is_told_and_removed(patient: Stranger) -> None:
    patient.worker("main")
    patient.ready("main")

    done = probe(patient.app, "nobody", patience=SOON)

    assert failed_at(done) == "A worker takes them."
    assert done.finding
    assert done.finding.where == "queue nobody"
    assert patient.broker.keys("*nobody*") == []
    bindings = [patient.broker.smembers(key) for key in patient.broker.keys("_kombu.binding.*")]
    assert not any(b"nobody" in member for members in bindings for member in members)
    assert left_behind(patient) == set()


def test_a_worker_that_is_busy_is_told_from_one_that_is_not_there(patient: Stranger) -> None:
    patient.worker("main", concurrency=1)
    patient.ready("main")
    busy = patient.app.send_task("project.nap", (FOR_EVER,))
    wait_until(lambda: patient.app.control.inspect().active(), "the worker is busy")

    done = probe(patient.app, patience=SOON)

    assert failed_at(done) == "A worker takes them."
    assert done.finding
    assert "busy" in done.finding.reason
    patient.app.control.revoke(busy.id, terminate=True, signal="SIGKILL")


def test_a_worker_on_another_backend_stores_no_result_here(
    redis: RedisServer, processes: Processes, patient: Stranger
) -> None:
    elsewhere = Stranger(redis, processes, (0, 2))
    elsewhere.worker("astray")
    elsewhere.ready("astray")

    done = probe(patient.app, patience=SOON)

    assert failed_at(done) == f"Their results come to {redis.url(1)}."
    assert done.finding
    assert "Workers took 4 of 4 tasks" in done.finding.reason
    assert left_behind(patient) == set()
    elsewhere.close()


def test_a_worker_with_another_prefix_stores_no_result_here(
    redis: RedisServer, processes: Processes, patient: Stranger
) -> None:
    prefixed = Stranger(redis, processes, result_backend_transport_options={"global_keyprefix": "mine"})
    prefixed.worker("astray")
    prefixed.ready("astray")

    assert failed_at(probe(patient.app, patience=SOON)).startswith("Their results come to")
    prefixed.close()


def test_parts_that_nobody_counts_are_told(
    redis: RedisServer, processes: Processes, patient: Stranger
) -> None:
    unordered = Stranger(redis, processes, result_backend_transport_options={"result_chord_ordered": False})
    unordered.worker("astray")
    unordered.ready("astray")
    # Such a worker pushes to a list, and finds parts in order: it cannot count.
    real = patient.app.backend.set_chord_size

    def spoilt(group_id: str, chord_size: int) -> None:
        patient.backend.zadd(
            patient.app.backend.get_key_for_group(group_id, ".j"), {'[1, "x", "SUCCESS", 1]': 9}
        )
        real(group_id, chord_size)

    patient.app.backend.set_chord_size = spoilt

    done = probe(patient.app, patience=SOON)

    assert failed_at(done) == "All its parts are counted."
    unordered.close()


def test_a_callback_that_nobody_publishes_is_told(patient: Stranger) -> None:
    patient.worker("main")
    patient.ready("main")
    backend = patient.app.backend
    real = backend.set_chord_size

    def claimed(group_id: str, chord_size: int) -> None:
        real(group_id, chord_size)
        # As a worker leaves it that was killed between claiming the callback and publishing it.
        patient.backend.set(backend.get_key_for_group(group_id, ".c"), "dead worker", ex=60)

    backend.set_chord_size = claimed

    done = probe(patient.app, patience=SOON)

    assert failed_at(done) == "Its callback is published."
    assert left_behind(patient) == set()


def test_a_broker_that_refuses_to_write_is_told(redis: RedisServer, patient: Stranger) -> None:
    patient.app.connection_for_write().ensure_connection().release()
    redis.broker.config_set("maxmemory", 1)
    try:
        done = probe(patient.app, patience=SOON)
    finally:
        redis.broker.config_set("maxmemory", 0)

    assert failed_at(done) == "The broker takes messages for queue celery."
    assert done.finding
    assert "OOM" in done.finding.reason or "maxmemory" in done.finding.reason


def test_a_project_that_runs_tasks_itself_sends_no_probe(redis: RedisServer, processes: Processes) -> None:
    stranger = Stranger(redis, processes, task_always_eager=True)

    assert failed_at(probe(stranger.app)) == "This process sends tasks."
    assert left_behind(stranger) == set()
    stranger.close()


@pytest.fixture
def files(processes: Processes, redis: RedisServer) -> Iterator[Stranger]:
    """A project whose messages and results are files: no Redis, and chords that are polled."""
    folders = [processes.folder / name for name in ("messages", "results")]
    for folder in folders:
        folder.mkdir()
    messages, results = map(str, folders)
    options = dict.fromkeys(("data_folder_in", "data_folder_out", "control_folder"), messages)
    stranger = Stranger(redis, processes, broker_transport_options=options)
    stranger._environment |= {"PROJECT_BROKER": "filesystem://", "PROJECT_BACKEND": f"file://{results}"}
    stranger.app.close()
    stranger.tasks = stranger._load()
    yield stranger
    stranger.app.close()
    stranger.broker.close()
    stranger.backend.close()


def test_a_broker_without_redis_is_probed_too(files: Stranger) -> None:
    assert failed_at(probe(files.app, patience=SOON)) == "A worker takes them."

    files.worker("main")
    files.ready("main")

    # Questions and answers are files as well, which are looked for once a second: on a busy machine too seldom.
    wait_until(lambda: probe(files.app).finding is None, "the probe comes back", 60)
    files.app.conf.result_backend = "file:///tmp"
    files.app._local.__dict__.pop("backend", None)
    done = probe(files.app, patience=SOON)
    assert failed_at(done) == "A worker takes them, and their results come to file:///tmp."
