"""Messages that were lost, refused, or never sent."""

from __future__ import annotations

from chordwatch.diagnosis.causes.cause import Cause

CAUSES = (
    Cause(
        id="message_lost",
        outcome="hung",
        remedy="The message is gone: send the chord again (the parts that exist: celery -A proj chords results ID). "
        "Keep the broker's Redis from evicting and losing data: maxmemory-policy noeviction, appendonly yes.",
        what="The message was published, no worker received it, and the broker does not have it any more.\n"
        "On Redis a worker takes a message with one command and notes it as unacknowledged with another: "
        "one that dies between the two takes the message along.\n"
        "A broker that is flushed, purged (`celery purge`), restarted without persistence, or that evicts keys loses "
        "messages as well.",
        recognise="The task id is in no queue (`redis-cli LRANGE <queue> 0 -1`, also the priority lists), not in the "
        "hash `unacked`, at no worker, and no worker's log names it as received.",
        fix="Send the chord again. What its other parts returned is listed by `celery -A proj chords results <id>`.",
        prevent="Run the broker with `maxmemory-policy noeviction` and with persistence, and end workers with SIGTERM "
        "and enough time.",
        upstream="celery/celery#4354, #7950; celery/kombu#305, celery/kombu#1733.",
        doubt="Certain only where all workers are instrumented. "
        "A worker that dies within a few hundredths of a second after it received a message leaves the same picture, "
        "and so does a message whose body is corrupt: Celery throws that away without a signal.",
    ),
    Cause(
        id="header_unregistered",
        outcome="hung",
        remedy="Deploy the code that has the task to the workers of its queue (imports, autodiscover_tasks; celery -A "
        "proj inspect registered), restart them, then send the chord again.",
        what="A worker received a task whose name it does not know.\n"
        "It throws the message away and stores the failure `NotRegistered`, but does not count the part: "
        "the chord waits for ever.\n"
        "Typical after a deployment in which producers were first, with a task that is defined inside a function, and "
        "with a `None` in the header's list, which is sent as a task without a name.",
        recognise='A worker\'s log says "Received unregistered task of type …". '
        "The task's result is `NotRegistered`, without a `group_id`; the task is not in `.j`.",
        fix="Deploy the task to the workers that read its queue, then send the chord again.",
        prevent="Deploy workers before producers. Compare `celery -A proj inspect registered` with what is sent; "
        "`celery -A proj chords doctor` does.",
        upstream="celery/celery#3350, #6846.",
        doubt="Where the header task is a chain whose first task is unknown, and nobody is instrumented, the failure "
        "stands under another id than the part's; it is then named with a question.",
    ),
    Cause(
        id="header_undecodable",
        outcome="hung",
        remedy="Let the workers accept what the producer sends: accept_content must name its task_serializer. Then "
        "send the chord again; the message is gone.",
        what="A worker could not read the message, so it threw it away: its content type is not in `accept_content`, "
        "or it is no Celery message at all.\n"
        "Nothing is stored and no event is sent.",
        recognise='A worker\'s log says "Received invalid task message" and, for example, "Refusing to deserialize '
        'untrusted content of type pickle". The task has no result and is nowhere.',
        fix="Align `task_serializer` of the producer with `accept_content` of the workers, then send the chord again.",
        prevent="One configuration for producers and workers. Do not pass `serializer=` to single tasks.",
        doubt="Without instrumented workers it looks like a lost worker or `Ignore()`; it is then one of several "
        "candidates, with the question that decides.",
    ),
    Cause(
        id="partial_dispatch",
        outcome="hung",
        remedy="What was sent cannot be completed: mend the producer and send the whole chord again. Where parts must "
        "not run twice, send it from a task, with arguments that are known to serialise.",
        what="The producer failed, or was killed, after it had sent a part of the header: an argument that cannot be "
        "serialised, wrong arguments, a generator that raises, a deployment.\n"
        "The parts that were sent run and are recorded. Celery writes the number it waits for just before the last "
        "message, so that number is missing, or a part is.",
        recognise="The producer's error, if it lived to log one. In the result backend `.j` exists and grows, `.s` "
        "does not exist, and no part of it failed.",
        fix="Mend the producer and send the chord again.",
        prevent="Check arguments before sending. Send the chord from a task, so that a killed producer is retried. "
        "On an error, revoke what was sent: `app.control.revoke([…])`.",
        upstream="celery/celery#1700, #3021.",
        reproduce="python -m tasks.run producer_dies",
        doubt="Certain where the producer is instrumented and lived to say that it failed. "
        "A killed one is told from a slow generator by time alone: nothing is said before two minutes of silence.",
    ),
    Cause(
        id="dynamic_member_missing",
        outcome="hung",
        remedy="Send what add_to_chord(..., lazy=True) returned: call .delay() on it before the task ends, or leave "
        "lazy out. This chord must be sent again.",
        what="A header task called `self.add_to_chord(signature, lazy=True)` and the signature was never sent.\n"
        "Celery counts it as soon as it is added, so the chord waits for a task that does not exist.",
        recognise="`.t` is larger than 0, and `.j` has as many parts as `.s` says, that is fewer than `.s` plus `.t`.",
        fix="Send the chord again.",
        prevent="Use `add_to_chord` without `lazy`, or call `.delay()` on what it returns in the same task.",
        doubt="Where not all workers are instrumented, an added part that runs unseen looks the same; nothing is said "
        "while any worker holds a task.",
    ),
)
