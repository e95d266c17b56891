"""What may be ordered of a schedule beside changing it: run it now, hold it back, let it go on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sidecar.domain.schedules import Schedule
from sidecar.services import suspensions, trust
from sidecar.services.context import Context
from sidecar.services.run_requests import enqueue_schedule, for_schedule, queue_of

CONSENT = "A person must run `sidecar trust --schedules`; no tool can."


def run_now(context: Context, schedule: Schedule, *, dry_run: bool = False) -> dict[str, Any]:
    """Put a run of the schedule into the queue, whatever its calendar says."""
    queue_of(context)
    runner = for_schedule(context, schedule, slot=None).runner
    nobody = runner == trust.NOBODY
    told: dict[str, Any] = {
        "changed": not dry_run,
        "before": {},
        "after": {},
        "executor": "none" if nobody else runner,
        "problems": [],
    }
    if dry_run:
        reason = trust.may_run(context, schedule)
    else:
        record, reason = enqueue_schedule(context, schedule)
        told["request_id"] = record.run_id
    if reason is not None:
        told["problems"] = [f"It waits as needs-consent, because {reason}. {CONSENT}"]
    elif nobody:
        ready = "No runner is set: once a sidecar that executes has made it ready, delegate_task"
        told["problems"] = [f"{ready} with action claim gives it to one of you."]
    return told


def pause(context: Context, schedule: Schedule, *, dry_run: bool = False) -> dict[str, Any]:
    """Hold the schedule back until somebody resumes it; what runs already runs to its end."""
    before = suspensions.of(context, schedule.id)
    if before is None and not dry_run:
        reason = f"paused by {context.client.name}"
        suspensions.suspend(context, schedule.id, reason, cause="paused")
    paused = {"suspended": before.reason if before else None}
    return {
        "changed": before is None and not dry_run,
        "before": paused if before is None else {},
        "after": {"suspended": "paused"} if before is None else {},
        "problems": [f"It was held back already: {before.reason}."] if before else [],
    }


def resume(context: Context, schedule: Schedule, *, dry_run: bool = False) -> dict[str, Any]:
    """Let a schedule run again that was paused or given up; its failures are counted anew."""
    before = suspensions.of(context, schedule.id)
    if before is not None and not dry_run:
        suspensions.lift(context, schedule.id)
    return {
        "changed": before is not None and not dry_run,
        "before": {"suspended": before.reason} if before else {},
        "after": {"suspended": None} if before else {},
        "problems": [],
    }


Order = Callable[..., dict[str, Any]]
ORDERS: Mapping[str, Order] = {"run_now": run_now, "pause": pause, "resume": resume}
