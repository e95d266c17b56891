"""Schedules that are held back: given up after failures, paused by a person, or disputed."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from sidecar.services import escalation, failures
from sidecar.services.context import Context

COLLECTION = "suspensions"
_PREFIX = "schedule:"
Cause = Literal["escalation", "paused", "another-scheduler"]


class Suspension(BaseModel):
    """Why a schedule does not run until somebody lets it; ``record`` names the escalation."""

    schedule_id: str
    cause: Cause
    reason: str
    at: str
    by: str = ""
    record: str | None = None


def operation(schedule_id: str) -> str:
    """The name under which the failures of a schedule's runs are counted."""
    return f"{_PREFIX}{schedule_id}"


def schedule_id(operation: str) -> str:
    """The schedule that an operation's name means, with or without the prefix."""
    return operation.removeprefix(_PREFIX)


def of(context: Context, schedule_id: str) -> Suspension | None:
    """Why a schedule is held back, None where it is not."""
    with context.workspace.store.transaction() as records:
        value = records.get(COLLECTION, schedule_id)
    return Suspension.model_validate(value) if value else None


def everything(context: Context) -> dict[str, Suspension]:
    """All that are held back, by their ids."""
    with context.workspace.store.transaction() as records:
        found = records.items(COLLECTION)
    return {schedule_id: Suspension.model_validate(value) for schedule_id, value in found}


def suspend(
    context: Context, schedule_id: str, reason: str, *, cause: Cause, record: str | None = None
) -> Suspension:
    """Hold a schedule back; the first reason stands until it is lifted."""
    made = Suspension(
        schedule_id=schedule_id,
        cause=cause,
        reason=reason,
        at=context.clock().isoformat(timespec="seconds"),
        by=context.client.name,
        record=record,
    )
    with context.workspace.store.transaction() as records:
        value = records.get(COLLECTION, schedule_id)
        if value is not None:
            return Suspension.model_validate(value)
        records.put(COLLECTION, schedule_id, made.model_dump(exclude_none=True))
    return made


def lift(context: Context, schedule_id: str) -> Suspension | None:
    """Let a schedule run again and count its failures anew; None where nothing held it back."""
    with context.workspace.store.transaction() as records:
        value = records.get(COLLECTION, schedule_id)
        records.delete(COLLECTION, schedule_id)
    failures.forget(context, operation(schedule_id))
    if value is None:
        return None
    lifted = Suspension.model_validate(value)
    if lifted.record:
        escalation.resumed(context, lifted.record)
    return lifted
