"""Task messages of Celery's protocol 2 as kombu's virtual transports store them. Pure, never unpickles.

Checked against Celery and kombu 5.4 to 5.7 (`celery/app/amqp.py`, `kombu/transport/virtual/base.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chordwatch.evidence.budget import Gaps
from chordwatch.evidence.decode import MAX_BYTES, UndecodableError, load_body, load_json
from chordwatch.evidence.facts import Message, Unlock
from chordwatch.evidence.unlocks import TASK as UNLOCK
from chordwatch.evidence.unlocks import read_unlock
from chordwatch.foreign import as_dict, as_int, as_list, as_text, as_time
from chordwatch.recording.marks import MARK
from chordwatch.recording.signatures import Body, EmbeddedPart, chain_ids, embedded_parts, read_body


class MessageReader:
    """Turns stored messages into facts. Header tasks of one chord embed the same callback: it is read once.

    `parts` collects what messages still carry for later (steps of header chains, bodies of inner chords), by
    task id; `carriers` the task ids of those messages, and of those that are marked as a callback's.
    `unlocks` are the chords that messages poll, by group id.
    """

    def __init__(self, gaps: Gaps) -> None:
        self._gaps = gaps
        self._bodies: dict[str, Body] = {}
        self.parts: dict[str, EmbeddedPart] = {}
        self.carriers: set[str] = set()
        self.unlocks: dict[str, Unlock] = {}

    def read(
        self, raw: bytes | str, queue: str, *, unacked: bool = False, delivered_at: float | None = None
    ) -> Message | None:
        """Return one queued message; None, counted, when it is not a task message that can be read."""
        if len(raw) > MAX_BYTES:
            self._gaps.skip("oversized message")
            return None
        try:
            message = as_dict(load_json(raw))
        except UndecodableError:
            self._gaps.skip("damaged message")
            return None
        return self._task(message, queue, unacked=unacked, delivered_at=delivered_at)

    def read_unacked(
        self, raw: bytes | str, queue_of: Callable[[str], str], delivered_at: float | None
    ) -> Message | None:
        """Return one delivered message: `[message, exchange, routing key]` in the hash `unacked`."""
        if len(raw) > MAX_BYTES:
            self._gaps.skip("oversized message")
            return None
        try:
            entry = as_list(load_json(raw))
        except UndecodableError:
            entry = []
        if len(entry) != 3:  # noqa: PLR2004  # see above
            self._gaps.skip("damaged message")
            return None
        queue = queue_of(as_text(entry[2]) or as_text(entry[1]) or "")
        return self._task(as_dict(entry[0]), queue, unacked=True, delivered_at=delivered_at)

    def _task(
        self, message: dict[str, Any], queue: str, *, unacked: bool, delivered_at: float | None
    ) -> Message | None:
        headers = as_dict(message.get("headers"))
        task_id, group_id = as_text(headers.get("id")), as_text(headers.get("group"))
        if not task_id:
            self._gaps.skip("message that is no Celery task (protocol 2)")
            return None
        index = as_int(headers.get("group_index"))
        # A callback has its header's group id and no index: only its own body tells that it embeds nothing.
        known = self._bodies.get(group_id) if group_id and index is not None else None
        embed = {} if known else self._embed(message, task_id)
        body = known or read_body((embed or {}).get("chord")) if group_id else None
        if group_id and body:
            self._bodies[group_id] = body
        if MARK in headers:
            self.carriers.add(task_id)
        read = Message(
            task_id=task_id,
            name=as_text(headers.get("task")),
            queue=queue,
            group_id=group_id,
            index=index,
            attempt=as_int(headers.get("retries")) or 0,
            eta=as_time(headers.get("eta")),
            root_id=as_text(headers.get("root_id")),
            parent_id=as_text(headers.get("parent_id")),
            body=body,
            unread=embed is None,
            unacked=unacked,
            delivered_at=delivered_at,
            chain_ids=_ids_ahead(embed or {}),
            redelivered=headers.get("redelivered") is True,
        )
        if read.name == UNLOCK:
            self._unlock(read, message)
        return read

    def _unlock(self, read: Message, message: dict[str, Any]) -> None:
        """Keep which chord a `celery.chord_unlock` polls; of its messages the one that was sent last."""
        try:
            unlock = read_unlock(read, as_list(load_body(message)))
        except UndecodableError:
            return  # counted when what it embeds was read
        known = self.unlocks.get(unlock.chord_id) if unlock else None
        if unlock and (known is None or known.retries <= unlock.retries):
            self.unlocks[unlock.chord_id] = unlock

    def _embed(self, message: dict[str, Any], task_id: str) -> dict[str, Any] | None:
        """Return what the message's body embeds beside its arguments; None when it cannot be read."""
        try:
            body = as_list(load_body(message))
        except UndecodableError as exc:
            self._gaps.skip(str(exc))
            return None
        embed = as_dict(body[2]) if len(body) == 3 else {}  # noqa: PLR2004  # args, kwargs, embed
        for part in embedded_parts(embed, task_id):
            self.parts[part.task_id] = part
            self.carriers.add(task_id)
        return embed


def _ids_ahead(embed: dict[str, Any]) -> tuple[str, ...]:
    """Return the ids of the tasks that follow in the message's chain, and behind the chords that it counts for.

    Celery hangs the steps after a chord on its body, as `chain` among the options.
    """
    counted_for = [embed, *(as_dict(as_dict(step).get("options")) for step in as_list(embed.get("chain")))]
    behind = (as_dict(as_dict(holder.get("chord")).get("options")) for holder in counted_for)
    return tuple(
        dict.fromkeys((*chain_ids(embed), *(id_ for options in behind for id_ in chain_ids(options))))
    )
