"""A Celery project whose tasks do what their plan says, and write down that they did it.

A plan is JSON: `do` names the deed, `label` is unique within a workflow, `copy` asks for a second delivery,
`then` is the plan that replaces the task or joins its chord.
"""

from __future__ import annotations

import functools
import json
import os
import time
from collections.abc import Callable
from typing import Any

from celery import Celery, chord, group
from celery.exceptions import Ignore, Reject, Retry, SoftTimeLimitExceeded

import chordwatch
from tests.support.workflows.journal import note

app = Celery("workflows", broker=os.environ["WORKFLOWS_BROKER"], backend=os.environ["WORKFLOWS_BACKEND"])
app.conf.update(
    broker_connection_retry_on_startup=True,
    task_soft_time_limit=None,
    worker_hijack_root_logger=False,
    **json.loads(os.environ.get("WORKFLOWS_SETTINGS", "{}")),
)
if os.environ.get("WORKFLOWS_STORE"):
    chordwatch.instrument(app, store_url=os.environ["WORKFLOWS_STORE"])

FAR_LONGER_THAN_ITS_LIMIT = 30.0


class BoomError(Exception):
    """What a planned failure raises."""


def succeed(_task: Any, plan: dict[str, Any]) -> None:
    time.sleep(plan.get("seconds", 0.0))


def fail(task: Any, plan: dict[str, Any]) -> None:
    succeed(task, plan)
    raise BoomError(plan["label"])


def retry(task: Any, plan: dict[str, Any]) -> None:
    if task.request.retries < plan["times"]:
        raise task.retry(countdown=0, max_retries=plan["times"])
    if plan["fails"]:
        raise BoomError(plan["label"])


def replace(task: Any, plan: dict[str, Any]) -> None:
    parts = [sign(then) for then in plan["then"]]
    task.replace(
        {
            "task": lambda: parts[0],
            "group": lambda: group(parts),
            "chord": lambda: chord(parts, sign(plan["body"])),
        }[plan["by"]]()
    )


def grow(task: Any, plan: dict[str, Any]) -> None:
    if task.request.chord:
        for then in plan["then"]:
            task.add_to_chord(sign(then))


def ignore(_task: Any, _plan: dict[str, Any]) -> None:
    raise Ignore


def reject(_task: Any, plan: dict[str, Any]) -> None:
    raise Reject(plan["label"], requeue=False)


def overrun(_task: Any, _plan: dict[str, Any]) -> None:
    time.sleep(FAR_LONGER_THAN_ITS_LIMIT)


DEEDS: dict[str, Callable[[Any, dict[str, Any]], None]] = {
    "succeed": succeed,
    "fail": fail,
    "retry": retry,
    "replace": replace,
    "grow": grow,
    "ignore": ignore,
    "reject": reject,
    "overrun": overrun,
}
ENDS = {Ignore: "ignored", Reject: "rejected", Retry: "retried"}


def act(task: Any, *_: Any, plan: dict[str, Any]) -> int:
    """Do what the plan says, between a line that says when it began and one that says how it ended."""
    request = task.request
    write = functools.partial(
        note,
        id=request.id,
        name=task.name,
        retries=request.retries,
        nesting=request.replaced_task_nesting or 0,
        group=request.group,
        part=bool(request.chord),
        node=request.hostname,
        pid=os.getpid(),
    )
    write(event="start", at=time.time())
    end = "failed"
    try:
        DEEDS[plan["do"]](task, plan)
        end = "succeeded"
    except (Ignore, Reject, Retry) as error:
        end = ENDS[type(error)]
        raise
    except SoftTimeLimitExceeded:
        raise
    finally:
        write(event="end", at=time.time(), end=end)
    return int(plan["label"])


NAMES = ("alpha", "beta", "gamma", "collect", "report")
TASKS = {name: app.task(bind=True, name=name)(act) for name in NAMES}


def sign(plan: dict[str, Any]) -> Any:
    """Return the signature of one planned task."""
    return TASKS[plan["name"]].s(plan=plan).set(**plan.get("options", {}))
