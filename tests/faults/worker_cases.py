"""Faults of workers, and chords that are well."""

from __future__ import annotations

import signal
import time

from tests.faults.bench import TOLD, Bench, Sent
from tests.faults.scenes import (
    LOOPS,
    SCENES,
    UNSEEN,
    case,
    counted,
    ended,
)


@case("dead", "worker_lost", beside=UNSEEN)
def kill_worker_early(bench: Bench) -> Sent:
    """Kill a worker that runs a part that it acknowledged when it began."""
    sent = bench.send("kill_worker_early")
    bench.until_started(sent.header[1])
    bench.until_counted(sent.chord_id, 1)
    kill_victim(bench)
    return sent


@case("reborn", "worker_lost", beside=UNSEEN)
def kill_worker_and_start_it_again(bench: Bench) -> Sent:
    """Kill a worker that runs a part, and start it again at once under the same name, as a supervisor does."""
    sent = bench.send("kill_worker_and_start_it_again")
    bench.until_started(sent.header[1])
    bench.kill("reborn")
    bench.worker("reborn", **SCENES["reborn"].workers["reborn"])
    bench.until_counted(sent.chord_id, 1)
    return sent


@case("dead", "redelivery_pending")
def kill_worker_late(bench: Bench) -> Sent:
    """Kill a worker that runs a part that it acknowledges when it ends."""
    sent = bench.send("kill_worker_late")
    bench.until_started(sent.header[1])
    bench.until_counted(sent.chord_id, 1)
    kill_victim(bench)
    return sent


@case("dead", "worker_lost", bare=None, culprit="callback")
def kill_worker_with_callback(bench: Bench) -> Sent:
    """Kill a worker that runs the callback; bare, it looks like one that stores no result, and has ended well."""
    sent = bench.send("kill_worker_with_callback")
    bench.until_started(sent.callback_id)
    kill_victim(bench)
    return sent


@case("dead", "message_lost", beside=UNSEEN)
def killed_between_brpop_and_unacked(bench: Bench) -> Sent:
    """Kill a worker that has taken a message and not yet written down that it has."""
    sent = bench.send("killed_between_brpop_and_unacked")
    bench.worker("vanishing", queues="vanish")
    bench.wait_for_end("vanishing")
    bench.app.control.add_consumer("vanish", destination=["main@here"])
    bench.until_counted(sent.chord_id, 1)
    return sent


def kill_victim(bench: Bench) -> None:
    """Kill the worker when all that it is to run has begun; another takes its queue over."""
    bench.until(lambda: len([*bench.folder.glob("????????-*")]) >= 3, "all tasks of the victim run")
    time.sleep(TOLD)
    bench.kill("victim")
    bench.app.control.add_consumer("victim", destination=["main@here"])


@case("stopped", "cold_shutdown")
def cold_shutdown(bench: Bench) -> Sent:
    """Tell a worker to stop at once while it runs a part."""
    sent = bench.send("cold_shutdown")
    bench.until_started(sent.header[1])
    bench.signal("cold", signal.SIGQUIT)
    bench.wait_for_end("cold")
    bench.until_counted(sent.chord_id, 1)
    bench.app.control.add_consumer("cold", destination=["main@here"])
    return sent


@case("stopped", "worker_frozen", beside=UNSEEN)
def worker_frozen(bench: Bench) -> Sent:
    """Freeze a worker while it runs a part, as a paused container or virtual machine does."""
    sent = bench.send("worker_frozen")
    bench.until_started(sent.header[1])
    bench.signal("frozen", signal.SIGSTOP, everything=True)
    bench.until_counted(sent.chord_id, 1)
    return sent


@case("no_worker", "no_workers", culprit=0)
def worker_offline(bench: Bench) -> Sent:
    """Publish when the last worker has gone."""
    bench.signal("main", signal.SIGTERM)
    bench.wait_for_end("main")
    return bench.send("worker_offline")


@case("cancelled", "worker_not_consuming", culprit=0)
def consumer_cancelled(bench: Bench) -> Sent:
    """Let the only worker no longer read its queue."""
    bench.app.control.cancel_consumer("celery", reply=True)
    return bench.send("consumer_cancelled")


@case("small", "pool_deadlock", certain=False, beside=frozenset({"header_running"}))
def deadlock_get(bench: Bench) -> Sent:
    """Let the only slot of a pool wait for a task that needs that slot; that it waits, only its code tells."""
    sent = bench.send("deadlock_get")
    bench.until_started(sent.header[1])
    bench.until_counted(sent.chord_id, 1)
    return sent


@case("small", "prefetch_hoarded", culprit=0)
def prefetch_hoarding(bench: Bench) -> Sent:
    """Let a busy worker hold parts that an idle one could run."""
    long = bench.app.send_task("project.held", ("for_ever",), queue="hoard")
    bench.until_started(long.id)
    sent = bench.send("prefetch_hoarding")
    bench.until(lambda: bench.broker.hlen("unacked") >= 2, "both parts are fetched")
    bench.worker("idle", queues="hoard", concurrency=1)
    return sent


# Children of a worker that are no more.


@case("failing", "worker_child_lost", state="failed")
def kill_child_early(bench: Bench) -> Sent:
    """Kill the process that runs a part."""
    return ended(bench, "kill_child_early")


@case("loops", "worker_lost_loop", beside=LOOPS)
def kill_child_requeue_loop(bench: Bench) -> Sent:
    """Let a part kill its process each time it is delivered anew."""
    sent = bench.send("kill_child_requeue_loop")
    bench.until_started(sent.header[1], runs=5)
    return sent


@case("loops", "requeue_loop", beside=LOOPS)
def raise_reject_requeue(bench: Bench) -> Sent:
    """Let a part put itself back each time."""
    sent = bench.send("raise_reject_requeue")
    bench.until_started(sent.header[1], runs=5)
    return sent


@case("main", "result_uncounted")
def killed_between_result_and_count(bench: Bench) -> Sent:
    """Kill the process of a part whose result is stored and not yet counted."""
    sent = counted(bench, "killed_between_result_and_count")
    bench.until_stored(sent.header[1], "SUCCESS")
    return sent


@case("silent", "callback_claim_lost", culprit="callback")
def killed_before_body_publish(bench: Bench) -> Sent:
    """Kill the process that has counted the last part and is about to publish the callback."""
    return counted(bench, "killed_before_body_publish", 2)


# What a part does.


@case("main", None, state="succeeded")
def healthy(bench: Bench) -> Sent:
    """Let all be well."""
    return ended(bench, "healthy")


@case("busy", "header_running", bare=None, beside=frozenset({"header_running"}))
def long_running(bench: Bench) -> Sent:
    """Let a part take its time."""
    return counted(bench, "long_running")


@case("busy", "callback_running", bare=None, beside=frozenset({"callback_running"}), culprit="callback")
def callback_runs(bench: Bench) -> Sent:
    """Let the callback take its time."""
    sent = bench.send("callback_runs")
    bench.until_started(sent.callback_id)
    return sent
