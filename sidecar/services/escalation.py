"""What a person has to look at: a durable record, and an entry in the memory."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from sidecar.domain.errors import SidecarError
from sidecar.services.context import Context
from sidecar.services.memory_log import append_memory
from sidecar.services.task_queue import Task

COLLECTION = "escalations"
SECTION = "system_updates"
# Characters of a reason in an editor's message; the record has all of it.
_SHOWN = 200


class Escalation(BaseModel):
    """One record: what could not be done, after how many tries, and why."""

    id: str
    subject: str
    attempts: int
    reason: str
    at: str
    noted: bool = False
    resumed_by: str | None = None
    resumed_at: str | None = None


def escalate(
    context: Context,
    subject: str,
    *,
    attempts: int,
    reason: str,
    record_id: str | None = None,
    mode: str = "",
) -> Escalation:
    """Write the record, then the memory entry, and show it in every connected editor.

    The record tells whether the memory entry is there.

    With a ``record_id`` of its own a repeated call finds what it wrote. ``mode`` is the one that
    failed, for the entry's heading.
    """
    now = context.clock()
    known = _find(context, record_id) if record_id else None
    if known is not None and known.noted:
        return known
    record = known or Escalation(
        id=record_id or f"esc-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(4)}",
        subject=subject,
        attempts=attempts,
        reason=reason,
        at=now.isoformat(timespec="seconds"),
    )
    _store(context, record)
    noted = record.model_copy(update={"noted": _note(context, record, mode)})
    _store(context, noted)
    if context.editors is not None:
        context.editors.notify(_sentence(noted, noted.reason[:_SHOWN]))
    return noted


def escalate_tasks(context: Context, tasks: Iterable[Task]) -> None:
    """Tell a person of each task that failed too often."""
    for task in tasks:
        subject = f"Task {task.id} ({' '.join(task.description.split())[:80]})"
        escalate(context, subject, attempts=task.attempts, reason=task.error or "no reason given")


def resumed(context: Context, record_id: str) -> None:
    """Note in a record who let its subject go on, and when."""
    with context.workspace.store.transaction() as transaction:
        value = transaction.get(COLLECTION, record_id)
        if value is not None:
            at = context.clock().isoformat(timespec="seconds")
            who = f"{context.client.name}/{context.client.session}"
            transaction.put(COLLECTION, record_id, value | {"resumed_by": who, "resumed_at": at})


def escalations(context: Context) -> list[Escalation]:
    """All records, the oldest first."""
    with context.workspace.store.transaction() as transaction:
        records: list[tuple[str, dict[str, Any]]] = transaction.items(COLLECTION)
    return [Escalation.model_validate(value) for _, value in records]


def _find(context: Context, record_id: str) -> Escalation | None:
    with context.workspace.store.transaction() as transaction:
        value = transaction.get(COLLECTION, record_id)
    return Escalation.model_validate(value) if value else None


def _store(context: Context, record: Escalation) -> None:
    with context.workspace.store.transaction() as transaction:
        transaction.put(COLLECTION, record.id, record.model_dump(mode="json"))


def _note(context: Context, record: Escalation, mode: str) -> bool:
    try:
        append_memory(
            context,
            SECTION,
            _sentence(record, record.reason),
            category="ESCALATION",
            mode=mode,
            entry_id=record.id,
        )
    except SidecarError:
        return False
    return True


def _sentence(record: Escalation, reason: str) -> str:
    return (
        f"{record.subject} failed {record.attempts} times in a row and is stopped: {reason}"
        f" A person decides how it goes on (record {record.id})."
    )
