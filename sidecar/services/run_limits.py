"""How long an attempt may take: its stage, its kind, and what a delegated task has left."""

from __future__ import annotations

from datetime import datetime

from sidecar.domain.run import Origin, RunRequest
from sidecar.services.context import Context
from sidecar.services.run_requests import limit_seconds
from sidecar.services.task_queue import Task, TaskQueue


def attempt_limit(context: Context, request: RunRequest, begun: datetime | None = None) -> float:
    """Seconds that an attempt of this run, begun at that instant, may take from now on.

    All attempts at a delegated task share its budget. At least one second is left.
    """
    scheduled = request.priority == "schedule"
    limits = [
        float(request.limit_seconds),
        float(limit_seconds(context.settings, request.mode, scheduled=scheduled)),
    ]
    task = delegated(context, request)
    if task is not None:
        now = context.clock()
        since = begun or task.claimed_at or now
        limits.append(task.budget_seconds - (now - since).total_seconds())
        if task.deadline is not None:
            limits.append((task.deadline - now).total_seconds())
    return max(1.0, min(limits))


def delegated(context: Context, request: RunRequest) -> Task | None:
    """The delegated task that a run works on, None where it is another kind of run."""
    if request.origin is not Origin.TASK:
        return None
    with context.workspace.store.transaction() as records:
        return TaskQueue(records, context.clock(), keep=False).tasks.get(request.subject)
