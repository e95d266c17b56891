"""Runs of schedules that are due and wait for an agent beside a person, who is told of them."""

from __future__ import annotations

from dataclasses import dataclass

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.services.calling import called
from sidecar.services.context import Context
from sidecar.services.delegation import delegate_task
from sidecar.services.schedule_runs import SCHEDULE_KEY
from sidecar.services.task_queue import State, TaskQueue
from sidecar.services.task_runs import RUN_KEY


@dataclass(frozen=True, slots=True)
class Offer:
    """A run that nobody has claimed: its schedule, and the task that stands for it."""

    schedule_id: str
    task_id: str
    since: str

    @property
    def claim(self) -> str:
        """The call by which an agent takes it."""
        return f'delegate_task {{"action": "claim", "task_id": "{self.task_id}"}}'


def offers(context: Context) -> list[Offer]:
    """The runs that an agent may claim now, the longest waiting first."""
    with context.workspace.store.transaction() as records:
        tasks = TaskQueue(records, context.clock(), keep=False).tasks.values()
    waiting = (t for t in tasks if t.state is State.QUEUED and t.executor is None)
    return [
        Offer(str(task.context[SCHEDULE_KEY]), task.id, f"{task.created_at:%Y-%m-%d %H:%M} UTC")
        for task in sorted(waiting, key=lambda task: task.created_at)
        if SCHEDULE_KEY in task.context and RUN_KEY in task.context
    ]


def skip(context: Context, task_id: str) -> None:
    """End a run that waits, with its task; raises SidecarError, also where an agent has it now."""
    if all(each.task_id != task_id for each in offers(context)):
        raise SidecarError(ErrorCode.CONFLICT, "It waits no longer.")
    reason = f"skipped by a person in {context.client.name}"
    called(delegate_task, context, {"action": "cancel", "task_id": task_id, "result": reason})
