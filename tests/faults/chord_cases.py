"""Faults of header tasks, callbacks, producers and the result backend."""

from __future__ import annotations

import time

from tests.faults.bench import GROUP, Bench, Sent
from tests.faults.scenes import (
    APART,
    UNSEEN,
    case,
    counted,
    counted_anew,
    deliver_again,
    ended,
    limit,
    outlived,
)


@case("ignored", "header_ignored", beside=UNSEEN)
def raise_ignore(bench: Bench) -> Sent:
    """Let a part raise Ignore."""
    sent = counted(bench, "raise_ignore")
    bench.until(lambda: f"{sent.header[1]}] ignored" in bench.log("main"), "the part was ignored")
    return sent


@case("failing", "header_failed", state="failed")
def header_raises(bench: Bench) -> Sent:
    """Let a part raise."""
    return ended(bench, "header_raises")


@case("unregistered", "header_unregistered", beside=UNSEEN)
def header_unregistered(bench: Bench) -> Sent:
    """Send a part whose task no worker knows."""
    sent = counted(bench, "header_unregistered")
    bench.until_stored(sent.header[1], "FAILURE")
    return sent


@case("main", "header_undecodable", beside=UNSEEN)
def header_content_disallowed(bench: Bench) -> Sent:
    """Send a part in a format that workers refuse."""
    sent = counted(bench, "header_content_disallowed")
    bench.until(lambda: "Refusing to deserialize" in bench.log("main"), "the worker has refused it")
    return sent


@case("main", "queue_unconsumed")
def header_queue_unconsumed(bench: Bench) -> Sent:
    """Route a part to a queue that nobody reads."""
    return counted(bench, "header_queue_unconsumed")


@case("failing", "header_expired", state="failed")
def header_expired(bench: Bench) -> Sent:
    """Send a part that has expired when it is received."""
    return ended(bench, "header_expired")


@case("failing", "header_revoked", state="failed")
def header_revoked_queued(bench: Bench) -> Sent:
    """Revoke a part that waits in a queue, and let a worker read it."""
    sent = bench.send("header_revoked_queued")
    bench.app.control.revoke(sent.header[1], reply=True)
    bench.app.control.add_consumer("opened_later", destination=["main@here"])
    bench.until_stored(sent.callback_id)
    return sent


@case("main", "retry_scheduled")
def retry_far(bench: Bench) -> Sent:
    """Let a part retry in two hours."""
    sent = counted(bench, "retry_far")
    bench.until_stored(sent.header[1], "RETRY")
    return sent


@case("main", "eta_scheduled")
def eta_far(bench: Bench) -> Sent:
    """Send a part that is to begin in two hours."""
    return counted(bench, "eta_far")


@case("main", "rate_limited", beside=frozenset({"redelivery_pending"}))
def rate_limited(bench: Bench) -> Sent:
    """Let a worker hold a part back because of its rate limit."""
    return counted(bench, "rate_limited")


@case("nested", "nested_chord_failed", beside=UNSEEN)
def nested_chord_inner_header_fails(bench: Bench) -> Sent:
    """Let a part of an inner chord raise."""
    sent = counted(bench, "nested_chord_inner_header_fails")
    bench.until_stored(sent.header[1], "FAILURE")
    return sent


@case("main", "blocked_by_chord", beside=frozenset({"queue_unconsumed"}))
def blocked_by_chord(bench: Bench) -> Sent:
    """Let an inner chord wait for a queue that nobody reads."""
    return counted(bench, "blocked_by_chord")


@case("silent", "dynamic_member_missing", culprit=None)
def add_to_chord_lazy_lost(bench: Bench) -> Sent:
    """Promise one more part, and never send it."""
    return counted(bench, "add_to_chord_lazy_lost", 2)


@case("busy", "join_blocked", culprit=None)
def complex_header_join_timeout(bench: Bench) -> Sent:
    """Let the last part of a complex header wait for results that are never stored."""
    return counted(bench, "complex_header_join_timeout", 3)


@case("main", "upstream_failed", bare=None, culprit=None, state="planned")
def upstream_failed(bench: Bench) -> Sent:
    """Let the task before a chord raise."""
    sent = bench.send("upstream_failed")
    bench.until_stored(sent.callback_id, "FAILURE")
    return sent


# The callback.


@case("failing", "callback_failed", culprit="callback", state="failed")
def body_raises(bench: Bench) -> Sent:
    """Let the callback raise."""
    return ended(bench, "body_raises")


@case("failing", "callback_unregistered", culprit="callback", state="failed")
def body_unregistered(bench: Bench) -> Sent:
    """Name a callback that no worker knows."""
    time.sleep(APART)
    return ended(bench, "body_unregistered")


@case("failing", "callback_signature_mismatch", culprit="callback", state="failed")
def body_args_mismatch(bench: Bench) -> Sent:
    """Name a callback that cannot take the results."""
    return ended(bench, "body_args_mismatch")


@case("main", "callback_publish_refused", culprit="callback", state="failed")
def body_publish_error(bench: Bench) -> Sent:
    """Let the broker refuse the callback."""
    return ended(bench, "body_publish_error")


@case("main", "callback_revoked", beside=frozenset({"eta_scheduled"}), culprit="callback")
def body_revoked(bench: Bench) -> Sent:
    """Revoke the callback while a part of its header is still to come."""
    sent = counted(bench, "body_revoked")
    bench.app.control.revoke(sent.callback_id, reply=True)
    bench.until_stored(sent.callback_id, "REVOKED")
    return sent


@case("main", "callback_queue_unconsumed", culprit="callback")
def body_queue_unconsumed(bench: Bench) -> Sent:
    """Route the callback to a queue that nobody reads."""
    sent = bench.send("body_queue_unconsumed")
    bench.until(lambda: bench.broker.llen("nobody_else"), "the callback waits")
    return sent


# The producer, and who delivers.


@case("silent", "partial_dispatch", culprit=None, certain=False, beside=frozenset({"chord_state_lost"}))
def producer_dies_midway(bench: Bench) -> Sent:
    """Kill a producer after the second of four messages."""
    sent = bench.send("producer_dies_midway", producer="dying")
    bench.until_counted(sent.chord_id, 2)
    return sent


@case("silent", "partial_dispatch", culprit=None, beside=frozenset({"chord_state_lost"}))
def producer_encode_error_midway(bench: Bench) -> Sent:
    """Let the third of four messages be one that cannot be encoded."""
    return counted(bench, "producer_encode_error_midway", 2)


@case("main", "duplicate_delivery", bare=None, state="succeeded")
def duplicate_header_delivery(bench: Bench) -> Sent:
    """Deliver a part a second time while it runs, as a visibility timeout that is too short does."""
    sent = bench.send("duplicate_header_delivery")
    bench.until_started(sent.header[1])
    deliver_again(bench, sent.header[1])
    bench.until_started(sent.header[1], runs=2)
    bench.open("duplicate_header_delivery")
    bench.until_stored(sent.callback_id, "SUCCESS")
    return sent


@case("main", "duplicate_delivery", bare=None, culprit="callback", state="succeeded")
def duplicate_callback_delivery(bench: Bench) -> Sent:
    """Deliver the callback a second time while it runs."""
    sent = bench.send("duplicate_callback_delivery")
    bench.until_started(sent.callback_id)
    deliver_again(bench, sent.callback_id)
    bench.until_started(sent.callback_id, runs=2)
    bench.open("duplicate_callback_delivery")
    bench.until_stored(sent.callback_id, "SUCCESS")
    return sent


@case("main", "chord_reapplied", bare=None, culprit=None, state="succeeded")
def frozen_chord_reapplied(bench: Bench) -> Sent:
    """Apply one frozen chord twice."""
    return ended(bench, "frozen_chord_reapplied")


# The result backend.


@case("expiring", "chord_state_expired", bare=None, culprit=None)
def expires_short(bench: Bench) -> Sent:
    """Let results expire sooner than the parts follow each other."""
    return outlived(bench, "expires_short")


@case("expiring_chords", "chord_state_expired", culprit=None)
def chord_expires_short(bench: Bench) -> Sent:
    """Let the chord's keys expire sooner than the parts follow each other."""
    return outlived(bench, "chord_expires_short")


@case("flushed", "chord_state_flushed", culprit=None)
def backend_flushed(bench: Bench) -> Sent:
    """Flush the backend between two parts."""
    sent = counted(bench, "backend_flushed")
    bench.backend.flushdb()
    return counted_anew(bench, sent)


@case("evicting", "chord_state_evicted", culprit=None)
def size_key_evicted(bench: Bench) -> Sent:
    """Let a Redis without memory evict the chord's size."""
    sent = counted(bench, "size_key_evicted")
    limit(bench.backend, "allkeys-random", bench.backend.info("memory")["used_memory"] + 500_000)
    size, number = f"{GROUP}{sent.chord_id}.s", 0
    while bench.backend.exists(size):
        bench.backend.set(f"filler-{(number := number + 1)}", "x" * 50_000)
    bench.backend.config_set("maxmemory", 0)
    return counted_anew(bench, sent)


@case("full", "backend_write_failed", beside=UNSEEN)
def backend_oom_noeviction(bench: Bench) -> Sent:
    """Let a Redis without memory refuse the result."""
    sent = counted(bench, "backend_oom_noeviction")
    limit(bench.backend, "noeviction", 1)
    bench.open("backend_oom_noeviction")
    bench.until(lambda: "Pool callback raised exception" in bench.log("main"), "the result was refused")
    bench.backend.config_set("maxmemory", 0)
    return sent


@case("two_backends", "backend_mismatch", beside=UNSEEN, culprit=None)
def backend_mismatch(bench: Bench) -> Sent:
    """Let workers use another backend than the producer."""
    bench.worker("main", FAULTS_BACKEND=bench.backend_server.url(1))
    sent = bench.send("backend_mismatch")
    other = bench.backend_server.client(1)
    bench.until(lambda: other.zcard(f"{GROUP}{sent.chord_id}.j") == 2, "both parts are counted elsewhere")
    other.close()
    return sent
