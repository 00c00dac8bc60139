"""The rights that docs/recording.md asks of Redis are enough to record, and to read what was recorded."""

from __future__ import annotations

import re
import signal
from pathlib import Path

from celery import Celery, chord

from chordwatch.store.redis_store import RedisStore
from tasks.launch import launch
from tests.support.polling import wait_until
from tests.support.servers import ROOT, Processes, RedisServer, celery, clean_environment


def rights() -> list[str]:
    page = (ROOT / "docs" / "recording.md").read_text()
    (line,) = re.findall(r"^ACL SETUSER \S+ on >\S+ (.*)$", page, re.MULTILINE)
    return str(line).split()


def test_both_pages_name_the_same_rights() -> None:
    page = (ROOT / "docs" / "store.md").read_text()
    assert re.findall(r"^user \S+ on >\S+ (.*)$", page, re.MULTILINE) == [" ".join(rights())]


def test_a_user_with_the_rights_of_the_docs_records_and_reads(processes: Processes) -> None:
    redis = RedisServer(processes)
    redis.broker.execute_command("ACL", "SETUSER", "few", "on", ">open-sesame", *rights())
    store_url = f"redis://few:open-sesame@127.0.0.1:{redis.port}/2"
    worker = processes.start(
        "worker",
        *celery("-A", "living", "worker", "-n", "w1@here", "-c", "2", "-l", "INFO", "--without-mingle"),
        cwd=Path(__file__).parent,
        env=clean_environment(PROJECT_BROKER=redis.url(0), PROJECT_STORE=store_url),
    )
    wait_until(lambda: " ready." in processes.log("worker"), "the worker is ready")
    with Celery("outside", broker=redis.url(0), backend=redis.url(0), set_as_current=False) as app:
        header = [app.signature("parts.nap", args=(0,)) for _ in range(3)]
        started = launch(chord(header, app.signature("parts.collect"), app=app))

    store = RedisStore(store_url, client_name="reader")
    assert started.chord_id
    chord_id = started.chord_id

    def counted() -> int:
        recorded = store.get(chord_id)
        return recorded.chord.counted if recorded and recorded.chord.state == "succeeded" else 0

    wait_until(lambda: counted() == 3, "the chord is recorded")
    assert [seen.heartbeat.node for seen in store.workers()] == ["w1@here"]
    assert store.counters().started == {"parts.collect": 1}
    assert [found.chord.chord_id for found in store.finished_chords()] == [started.chord_id]
    assert (store.open_chords(), store.state().evicts, store.now() > 0) == ([], False, True)
    assert {node for node, _ in store.connections() or ()} >= {"w1@here"}
    store.close()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(90) == 0
    redis.close()
    assert "open-sesame" not in processes.log("worker")
    assert "cannot" not in processes.log("worker")
