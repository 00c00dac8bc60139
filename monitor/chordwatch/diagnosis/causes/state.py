"""What is wrong with the state that Celery keeps of a chord in the result backend."""

from __future__ import annotations

from chordwatch.diagnosis.causes.cause import Cause

#: Celery compares the number of parts with the size only when a part comes.
_SENDS_NOTHING = (
    "Without the size nothing compares the parts that come with it: they are recorded, without a log line, and the "
    "callback is never sent."
)
_BY_HAND = (
    "`celery-taskset-meta-<group id>.s` does not exist, `.c` is not `done`, no entry of `.j` is a `FAILURE`, "
    "and the callback has no result."
)
_FIX = (
    "When all header tasks have ended, call the callback by hand: `celery -A proj chords results <id>` lists what "
    "they returned. Otherwise send the chord again."
)
_REMEDY = (
    "When all header tasks have ended, call the callback with what is stored: celery -A proj call CALLBACK --args "
    "\"$(celery -A proj chords results ID --format json | jq -c '[[.[].result]]')\"; or send the chord again. "
)

CAUSES = (
    Cause(
        id="chord_state_expired",
        outcome="hung",
        remedy=_REMEDY
        + "Set result_chord_expires (Celery 5.7) or result_expires to more than the longest wait "
        "between two parts.",
        what="Celery's keys of the chord live for `result_chord_expires` (or `result_expires`, one day) after each "
        f"part; the next part took longer.\n{_SENDS_NOTHING}",
        recognise=f"{_BY_HAND} Between two parts more time passed than the setting allows. It can be seen coming: "
        "`redis-cli TTL celery-taskset-meta-<group id>.s`.",
        fix=_FIX,
        prevent="`result_chord_expires` longer than the longest header task, its retries and its wait in the queue.",
        upstream="celery/celery#3573, #5237.",
        doubt="The setting is read from the configuration of the process that looks; where that of the producer "
        "differs, the verdict may be wrong.",
    ),
    Cause(
        id="chord_state_flushed",
        outcome="hung",
        remedy=_REMEDY
        + "Give the result backend a Redis (or at least a database) of its own, and persistence "
        "(appendonly yes).",
        what="The result backend was emptied while the chord was under way: FLUSHDB or FLUSHALL, or a restart without "
        f"persistence.\n{_SENDS_NOTHING}",
        recognise=f"{_BY_HAND} `.j` holds only later parts. `redis-cli INFO commandstats` counts `flushdb` or "
        "`flushall`, or `INFO server` shows a short uptime.",
        fix=_FIX,
        prevent="No FLUSHDB on a Redis that Celery uses; the cache elsewhere; `appendonly yes`.",
        upstream="celery/celery#1789.",
        doubt="Certain when the monitor saw it happen, or records prove the loss and nothing else can have caused it. "
        "Without records, the chord may have ended before, and a late duplicate of a task left the keys.",
    ),
    Cause(
        id="chord_state_evicted",
        outcome="hung",
        remedy=_REMEDY
        + "Set maxmemory-policy noeviction on the Redis that Celery uses (redis-cli CONFIG SET "
        "maxmemory-policy noeviction), and keep caches elsewhere.",
        what="The result backend had no memory left and evicted keys of the chord, as `maxmemory-policy` tells it "
        f"to.\n{_SENDS_NOTHING}",
        recognise=f"{_BY_HAND} `redis-cli INFO stats` shows `evicted_keys` above 0.",
        fix=_FIX,
        prevent="`noeviction` on the Redis that Celery uses, a separate one for caches, and an alert on its memory.",
        upstream="celery/kombu#113; celery/celery#7801.",
        doubt="`evicted_keys` does not say which keys went. Certain when the monitor saw it rise, or records prove "
        "the loss and nothing else can have caused it.",
    ),
    Cause(
        id="chord_state_lost",
        outcome="hung",
        remedy=_REMEDY
        + "Find out who deleted the keys, or whether the result backend failed over and lost the last "
        "writes (min-replicas-to-write).",
        what="Celery's keys of the chord are gone, and the result backend reports no flush, no eviction and no "
        "restart: a failover that lost the last writes, or somebody deleted keys.\n"
        f"{_SENDS_NOTHING}",
        recognise=f"{_BY_HAND} With Sentinel or a cluster, the log of the replicas tells of a failover.",
        fix=_FIX,
        prevent="`min-replicas-to-write` on a replicated Redis; no deleting by pattern in a database that Celery uses.",
        reproduce="python -m tasks.run size_key_deleted",
        doubt="Not certain where only the size is missing and all parts are there: the producer may have written it "
        "to another database.",
    ),
    Cause(
        id="backend_mismatch",
        outcome="hung",
        remedy="Give producer and workers one result_backend and one key prefix (compare celery -A proj inspect conf), "
        "then send the chord again.",
        what="The producer wrote the chord's size to one result backend, and the workers record their parts in "
        "another: another database, another `global_keyprefix`, or none at all (`DisabledBackend`).\n"
        "Each is well by itself, and no number is ever reached.",
        recognise="All header tasks succeeded by the workers' logs. `.s` exists, and neither `.j` nor results of the "
        "header tasks do; or they do in another database or under another prefix.",
        fix="Align the settings, restart, and send the chord again.",
        prevent="One configuration for producers and workers. `celery -A proj chords doctor` compares them.",
        upstream="celery/celery#3350.",
        doubt="Certain where workers said that they counted parts and the backend that has the size has none of "
        "theirs, and evicted nothing. Otherwise the verdict asks.",
    ),
    Cause(
        id="backend_write_failed",
        outcome="hung",
        remedy="Mend the result backend (memory, connection, role), set result_backend_always_retry = True, and send "
        "the chord again.",
        what="The task ran to its end, and the result backend refused the result or did not answer: out of memory, "
        "connection refused, a replica that only reads.\n"
        "By default Celery does not try again. The message is acknowledged, nothing is stored and nothing counted.",
        recognise='The worker\'s log says "Exception raised outside body" and "Pool callback raised exception". '
        "The result stays `STARTED` or missing.",
        fix="Mend the backend and send the chord again.",
        prevent="`result_backend_always_retry = True`; memory to spare and `noeviction` on the backend's Redis.",
        upstream="celery/celery#5716, #8588, #3363.",
        doubt="Certain where the worker is instrumented; otherwise one of several candidates.",
    ),
    Cause(
        id="result_uncounted",
        outcome="hung",
        remedy="Send the chord again, or call the callback with all stored results. task_acks_late = True lets the "
        "part be delivered again.",
        what="The task ended and its result is stored, but the process died before it counted the part.\n"
        'The worker finds the result of the lost process, takes all for well ("succeeded before the worker was '
        'lost"), and counts nothing either. A worker with `worker_deduplicate_successful_tasks` skips a second '
        "delivery in the same way.",
        recognise="The task's result is final and names the `group_id`; the task is not in `.d`, and `.s` exists.",
        fix="Send the chord again.",
        prevent="Memory limits that leave pool processes alive; see [worker_child_lost](#worker_child_lost).",
    ),
    Cause(
        id="callback_claim_lost",
        outcome="hung",
        remedy="Call the callback with the stored results: celery -A proj call CALLBACK --args "
        "\"$(celery -A proj chords results ID --format json | jq -c '[[.[].result]]')\". With task_acks_late = True "
        "the last part is delivered again, and sends the callback.",
        what="All parts are counted. The process that counted the last one claimed the callback, and died before it "
        "published it.\n"
        "The number is compared only when a part comes, and none comes any more.",
        recognise="`.j` has as many entries as `.s` says, `.c` is not `done`, and the callback has neither a message "
        "nor a result.",
        fix="Call the callback by hand with the results: `celery -A proj chords results <id>`.",
        prevent="`task_acks_late = True`; memory limits that leave pool processes alive.",
    ),
    Cause(
        id="counter_overrun",
        outcome="hung",
        remedy="Call the callback with the results of the header tasks. Keep parts from running twice: a "
        "visibility_timeout longer than the longest task, no task_acks_late without idempotence.",
        what="django-celery-results counts down a row (`ChordCounter`) with every part that ends. A part that was "
        "delivered twice counts twice, so the counter is used up while a part is missing.\n"
        "The row is then deleted, the results are not complete, and the callback is never sent.\n"
        "The same happens where a header task stores no result (`ignore_result=True`): it is counted, and not found.",
        recognise="The table `django_celery_results_chordcounter` has no row of the group, and the callback has no "
        'result. When the last part ends, the log says "Can\'t find ChordCounter".',
        fix="Call the callback by hand with the results of the header tasks.",
        prevent="A Redis result backend; or tasks that are delivered once, and no `ignore_result` in a header.",
        upstream="celery/django-celery-results#397, celery/django-celery-results#511.",
    ),
)
