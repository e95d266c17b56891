"""Leaves a run for an agent that works where people do: as a task that it claims."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from sidecar.domain.errors import SidecarError
from sidecar.engine.runner import Event, Outcome, RunSpec
from sidecar.engine.runners.hosts import Host, subject
from sidecar.services.delegation import MAX_DESCRIPTION
from sidecar.services.schedule_runs import SCHEDULE_KEY
from sidecar.services.task_queue import Priority, Task, TaskQueue

RUN_KEY = "run_id"


@dataclass(frozen=True)
class HandoffRunner:
    """Puts a run into the queue of tasks, once; whoever claims and completes the task ends it."""

    host: Host

    def run(self, spec: RunSpec, stop: threading.Event, tell: Callable[[Event], None]) -> Outcome:
        """Make the task, or find the one that an earlier try has made."""
        if stop.is_set():
            return Outcome("cancelled", "It was told to stop before it began.")
        context = self.host.context(spec)
        try:
            with context.workspace.store.transaction() as records:
                queue = TaskQueue(records, context.clock())
                waiting = (t for t in queue.open() if t.context.get(RUN_KEY) == spec.run_id)
                task = next(waiting, None) or queue.add(_task(queue, spec, context.clock()))
        except SidecarError as error:
            return Outcome("failed", str(error))
        told = f"It waits as task `{task.id}` for an agent that claims it by delegate_task."
        tell(Event("text", told, {"task_id": task.id}))
        return Outcome("handed-off", told, facts={"task_id": task.id})


def _task(queue: TaskQueue, spec: RunSpec, now: object) -> Task:
    about = subject(spec)
    context = {RUN_KEY: spec.run_id, **({SCHEDULE_KEY: about} if about else {})}
    priority: Priority = spec.options.get("priority", "schedule")
    return Task.model_validate({
        "id": queue.new_id(),
        "description": spec.prompt[:MAX_DESCRIPTION],
        "mode": spec.mode,
        "priority": priority,
        "context": context,
        "budget_seconds": max(1, int(spec.limit_seconds)),
        "created_at": now,
        "updated_at": now,
    })  # fmt: skip
