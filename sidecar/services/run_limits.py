"""How long a run may take: by its stage, its kind, and what a delegated task has left."""

from __future__ import annotations

from sidecar.domain.modes_catalog import family
from sidecar.domain.run import Origin, RunRequest
from sidecar.services.context import Context
from sidecar.services.task_queue import Task, TaskQueue
from sidecar.settings import Settings


def stage_limit(settings: Settings, mode: str | None, priority: str) -> int:
    """Seconds that one attempt in a mode may take; implementation has its priority's limit."""
    by_stage = {
        "planning": settings.planning_limit_seconds,
        "validation": settings.validation_limit_seconds,
        "quality": settings.quality_limit_seconds,
    }
    scheduled = priority == "schedule"
    kind = settings.schedule_limit_seconds if scheduled else settings.todo_limit_seconds
    return by_stage.get(family(mode or "") or "", kind)


def attempt_limit(context: Context, request: RunRequest) -> float:
    """Seconds that an attempt of this run may take from now on, at least one."""
    limits = [
        float(request.limit_seconds),
        float(stage_limit(context.settings, request.mode, request.priority)),
    ]
    task = delegated(context, request)
    if task is not None:
        now = context.clock()
        begun = task.claimed_at or now
        limits.append(task.budget_seconds - (now - begun).total_seconds())
        if task.deadline is not None:
            limits.append((task.deadline - now).total_seconds())
    return max(1.0, min(limits))


def delegated(context: Context, request: RunRequest) -> Task | None:
    """The delegated task that a run works on, None where it is another kind of run."""
    if request.origin is not Origin.TASK:
        return None
    with context.workspace.store.transaction() as records:
        return TaskQueue(records, context.clock(), keep=False).tasks.get(request.subject)
