"""The doctor on real servers and workers, each installation with one hazard, and one that is well."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from chordwatch.recording.records import Heartbeat
from chordwatch.settings import read_settings
from chordwatch.store import open_store
from chordwatch.store.protocol import Store
from tests.contract.batches import Process, callback, ended, new_id, published
from tests.integration.doctor.patient import call, findings
from tests.integration.xray.stranger import Stranger
from tests.support.servers import Processes, RedisServer

pytestmark = pytest.mark.faults

WELL = {"task_time_limit": 300}


@pytest.fixture
def patient(redis: RedisServer, processes: Processes) -> Iterator[Stranger]:
    """A project that is well, with one worker."""
    stranger = Stranger(redis, processes, **WELL)
    stranger.worker("main")
    stranger.ready("main")
    yield stranger
    stranger.close()


def test_an_installation_that_is_well_has_no_finding(patient: Stranger) -> None:
    assert findings(patient) == {}

    done = call(patient)

    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "No hazard found.",
        "Looked at 9 tasks of this project and 0 recorded chords; 1 worker answered.",
    ]


def test_looking_changes_nothing(patient: Stranger) -> None:
    before = sorted(patient.broker.keys()), patient.backend.dbsize()
    findings(patient)

    assert (sorted(patient.broker.keys()), patient.backend.dbsize()) == before


def test_a_producer_with_another_backend_is_an_error(patient: Stranger, redis: RedisServer) -> None:
    found = findings(patient, PROJECT_BACKEND=redis.url(2))

    assert found.keys() == {"backend_differs"}
    assert found["backend_differs"]["severity"] == "error"
    assert f"main@here: {redis.url(1)}" in found["backend_differs"]["reason"]


def test_a_backend_that_the_environment_names_counts(patient: Stranger, redis: RedisServer) -> None:
    assert findings(patient, PROJECT_BACKEND=redis.url(2), CELERY_RESULT_BACKEND=redis.url(1)) == {}


def test_a_prefix_that_only_the_producer_has_is_an_error(patient: Stranger) -> None:
    prefixed = json.dumps({**WELL, "result_backend_transport_options": {"global_keyprefix": "mine"}})

    found = findings(patient, PROJECT_SETTINGS=prefixed)

    assert found.keys() == {"backend_options_differ"}
    assert found["backend_options_differ"]["severity"] == "error"


@pytest.mark.parametrize(
    ("settings", "severity"),
    [
        ({"task_routes": {"project.nap": {"queue": "nobody"}}}, "error"),
        ({"task_routes": {"other.*": {"queue": "nobody"}}}, "warning"),
    ],
)
def test_a_routed_queue_that_nobody_reads_is_named(
    patient: Stranger, settings: dict[str, Any], severity: str
) -> None:
    found = findings(patient, PROJECT_SETTINGS=json.dumps({**WELL, **settings}))

    assert found.keys() == {"queue_unconsumed"}
    assert found["queue_unconsumed"]["severity"] == severity
    assert found["queue_unconsumed"]["where"] == "queue nobody"


def test_without_workers_that_is_what_is_said(redis: RedisServer, processes: Processes) -> None:
    stranger = Stranger(redis, processes, **WELL, task_routes={"project.nap": {"queue": "nobody"}})

    assert findings(stranger).keys() == {"no_workers"}
    stranger.close()


def test_a_redis_that_evicts_is_named_and_an_error_once_it_did(processes: Processes) -> None:
    small = RedisServer(processes, "--maxmemory", "8mb", "--maxmemory-policy", "allkeys-random")
    stranger = Stranger(small, processes, **WELL)
    filler = small.client(5)

    assert findings(stranger)["redis_evicts"]["severity"] == "warning"
    for number in range(100):
        filler.set(f"filler-{number}", b"x" * 200_000)
    found = findings(stranger)["redis_evicts"]

    assert found["severity"] == "error"
    assert "the broker and the result backend and chordwatch's store" in found["where"]
    assert "keys have been evicted" in found["reason"]
    filler.close()
    stranger.close()
    small.close()


def test_a_setting_that_celery_ignores_is_named(patient: Stranger) -> None:
    found = findings(patient, PROJECT_SETTINGS=json.dumps({**WELL, "chord_propagates": False}))

    assert found["unknown_setting"]["where"] == "chord_propagates"


def test_a_worker_that_refuses_what_is_sent_is_an_error(patient: Stranger) -> None:
    settings = {**WELL, "task_serializer": "yaml", "accept_content": ["yaml", "json"]}

    found = findings(patient, PROJECT_SETTINGS=json.dumps(settings))

    assert found.keys() == {"serializer_refused"}


@pytest.mark.parametrize("down", ["PROJECT_BROKER", "PROJECT_BACKEND", "CHORDWATCH_STORE_URL"])
def test_a_server_that_does_not_answer_is_exit_3_and_the_rest_counts(patient: Stranger, down: str) -> None:
    environment = {down: "redis://:hunter2@127.0.0.1:1/0", "PROJECT_SETTINGS": '{"chord_propagates": false}'}

    done = call(patient, "--probe", "--format", "json", **environment)

    assert done.returncode == 3, done.stderr
    assert "127.0.0.1:1" in done.stderr
    assert "hunter2" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    document = json.loads(done.stdout)
    assert document["probe"] is None
    assert "unknown_setting" in {finding["rule"] for finding in document["findings"]}


def test_a_redis_that_refuses_info_is_a_gap(redis: RedisServer, processes: Processes) -> None:
    redis.broker.acl_setuser(
        "limited", enabled=True, nopass=True, keys=["*"], channels=["*"], commands=["+@all", "-info"]
    )
    stranger = Stranger(redis, processes, **WELL)
    limited = redis.url(0).replace("redis://", "redis://limited:x@")

    done = call(stranger, "--format", "json", PROJECT_BROKER=limited)

    assert done.returncode == 0, done.stderr
    assert "refuses INFO" in done.stderr
    redis.broker.acl_deluser("limited")
    stranger.close()


def test_a_task_that_no_worker_knows_is_an_error(patient: Stranger, tmp_path: Path) -> None:
    (tmp_path / "newer.py").write_text(
        "import celery\n@celery.shared_task(name='newer.task')\ndef task(): ...\n"
    )

    found = findings(
        patient, PYTHONPATH=str(tmp_path), PROJECT_SETTINGS=json.dumps({**WELL, "include": ["newer"]})
    )

    assert found.keys() == {"task_unregistered"}
    assert found["task_unregistered"]["severity"] == "error"
    assert "does not know 1 task that this process sends: newer.task" in found["task_unregistered"]["reason"]


@pytest.fixture
def store(patient: Stranger) -> Iterator[Store]:
    """The store that the project's workers would write to."""
    settings = read_settings(patient.app.conf)
    with closing(open_store(settings, patient.app, client_name="tests")) as store:
        yield store


def test_recorded_durations_and_etas_are_judged(patient: Stranger, store: Store) -> None:
    now = time.time()
    slow, fast, later = new_id(), new_id(), new_id()
    names = {"name": "project.nap"}
    records = [
        *(published(task, now - 900, index=n, **names) for n, task in enumerate((slow, fast))),
        published(later, now - 900, index=2, eta=now + 5000, name="project.add"),
        ended(fast, now - 899, index=1, started=now - 900, counted=True, **names),
        ended(slow, now - 100, index=0, started=now - 895, counted=True, **names),
    ]
    Process(store).send(new_id(), records, c=callback(new_id(), "project.collect"), n=3, a=now - 900)
    settings = {
        **WELL,
        "result_chord_expires": 600,
        "broker_transport_options": {"visibility_timeout": 500},
        "task_acks_late": True,
    }

    done = call(patient, "--format", "json", PROJECT_SETTINGS=json.dumps(settings))

    assert done.returncode == 1, done.stderr
    reasons = [finding["reason"] for finding in json.loads(done.stdout)["findings"]]
    for words in (
        "waited 13.3 min from one part to the next",
        "More messages than slots are taken by main@here, and project.nap usually runs",
        "project.add was sent with an ETA or countdown of 98.3 min",
        "project.nap, acknowledged late, ran for up to 13.2 min",
    ):
        assert any(words in reason for reason in reasons), (words, reasons)


def test_a_worker_that_beats_but_listens_elsewhere_is_named(patient: Stranger, store: Store) -> None:
    def beat(node: str, boot: str, *, goodbye: bool = False) -> None:
        heartbeat = Heartbeat(node=node, boot=boot, pid=1, queues=("celery",), concurrency=2, pool="prefork")
        store.beat(heartbeat, goodbye=goodbye)

    beat("astray@there", "b1")
    beat("main@here", "b2")

    found = findings(patient)

    assert found.keys() == {"worker_on_other_broker"}
    assert found["worker_on_other_broker"]["reason"].startswith("astray@there sends heartbeats")

    beat("astray@there", "b1", goodbye=True)
    assert findings(patient) == {}
