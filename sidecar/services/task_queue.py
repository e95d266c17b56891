"""Durable tasks: queued, claimed under a lease, running, and done, failed or escalated."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, Field

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.domain.suggest import did_you_mean
from sidecar.services.backoff import retry_delay
from sidecar.workspace.store import Transaction

COLLECTION = "tasks"
LEASE = timedelta(minutes=10)
MAX_ATTEMPTS = 3
MAX_OPEN = 5_000
KEEP_FINISHED = 1_000

Priority = Literal["schedule", "todo", "normal"]
_URGENCY: dict[str, int] = {"schedule": 0, "todo": 1, "normal": 2}


class State(StrEnum):
    """Where a task stands."""

    QUEUED = "queued"
    CLAIMED = "claimed"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    ESCALATED = "escalated"


OPEN = frozenset({State.QUEUED, State.CLAIMED, State.RUNNING})
HELD = frozenset({State.CLAIMED, State.RUNNING})


class Task(BaseModel):
    """One delegated task as the store keeps it."""

    id: str
    description: str
    mode: str | None = None
    priority: Priority = "normal"
    context: dict[str, Any] = Field(default_factory=dict)
    requirements: dict[str, Any] = Field(default_factory=dict)
    deadline: datetime | None = None
    budget_seconds: int
    parent: str | None = None
    depth: int = 0
    state: State = State.QUEUED
    created_at: datetime
    updated_at: datetime
    not_before: datetime | None = None
    attempts: int = 0
    # The engine's run: one that works on the task, or one that waits for whoever takes the task.
    run_id: str | None = None
    # The runner that works on it; nobody else may claim it.
    executor: str | None = None
    holder: str | None = None
    claimed_at: datetime | None = None
    lease_token: str | None = None
    lease_expires: datetime | None = None
    result: str | None = None
    error: str | None = None


class TaskQueue:
    """The tasks of a workspace, inside one transaction, at one instant.

    ``moved`` are those that time alone moved on, ``escalated`` those that failed too often;
    without ``keep`` nothing is stored.
    """

    def __init__(self, transaction: Transaction, now: datetime, *, keep: bool = True) -> None:
        self._keep = keep
        self._transaction = transaction
        self.now = now
        loaded = (Task.model_validate(value) for _, value in transaction.items(COLLECTION))
        self.tasks = {task.id: task for task in loaded}
        self.escalated: list[Task] = []
        self.moved = [
            moved
            for task in list(self.tasks.values())
            if (moved := self._overtaken_by_time(task)) is not None
        ]

    def get(self, task_id: str) -> Task:
        """One task, by its own id or by its run's; raises E_NOT_FOUND."""
        task = self.tasks.get(task_id) or self.of_run(task_id)
        if task is None:
            hint = did_you_mean(task_id, self.tasks) or "`action: status` lists the open tasks."
            message = f"There is no task `{task_id}`."
            raise SidecarError(ErrorCode.NOT_FOUND, message, hint=hint)
        return task

    def of_run(self, run_id: str) -> Task | None:
        """The task that a run works on or waits for, None where there is none."""
        return next((task for task in self.tasks.values() if task.run_id == run_id), None)

    def put(self, task: Task) -> Task:
        """Store a task; its time of change is now."""
        task = task.model_copy(update={"updated_at": self.now})
        self.tasks[task.id] = task
        if self._keep:
            value = task.model_dump(mode="json", exclude_none=True)
            self._transaction.put(COLLECTION, task.id, value)
        return task

    def add(self, task: Task) -> Task:
        """Store a new task; raises E_LIMIT when too many are open."""
        if len(self.open()) >= MAX_OPEN:
            message = f"There are {MAX_OPEN} open tasks already."
            raise SidecarError(ErrorCode.LIMIT, message, hint="Complete or cancel some first.")
        finished = [each for each in self.tasks.values() if each.state not in OPEN]
        finished.sort(key=lambda each: each.updated_at)
        for each in finished[: max(0, len(finished) - KEEP_FINISHED)]:
            self._transaction.delete(COLLECTION, each.id)
            del self.tasks[each.id]
        return self.put(task)

    def new_id(self) -> str:
        """An id that sorts by time and is used by no other task."""
        return f"task-{self.now:%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"

    def open(self) -> list[Task]:
        """The tasks that are not finished, the most urgent and oldest first."""
        unfinished = (task for task in self.tasks.values() if task.state in OPEN)
        return sorted(unfinished, key=lambda t: (_URGENCY[t.priority], t.created_at, t.id))

    def waiting(self, mode: str | None = None) -> list[Task]:
        """The tasks that may be claimed now, in the order of the queue."""
        return [
            task
            for task in self.open()
            if task.state is State.QUEUED
            and task.executor is None
            and (mode is None or task.mode == mode)
            and (task.not_before is None or task.not_before <= self.now)
        ]

    def children(self, task_id: str) -> list[Task]:
        """The open tasks that a task delegated."""
        return [task for task in self.open() if task.parent == task_id]

    def ancestors(self, task_id: str | None) -> list[Task]:
        """A task and those above it, the nearest first."""
        chain: list[Task] = []
        while task_id is not None and task_id in self.tasks and len(chain) <= len(self.tasks):
            chain.append(self.tasks[task_id])
            task_id = chain[-1].parent
        return chain

    def claim(self, task: Task, holder: str) -> Task:
        """Give a queued task to one worker, for as long as its lease holds."""
        if task.executor is not None:
            message = f"Task `{task.id}` is worked on by the runner `{task.executor}`."
            raise SidecarError(ErrorCode.CONFLICT, message, hint="Claim another, or cancel it.")
        if task.state is not State.QUEUED:
            told = f"Task `{task.id}` is {task.state}" + (
                f", held by {task.holder} until {task.lease_expires:%Y-%m-%dT%H:%M:%SZ}."
                if task.state in HELD and task.lease_expires
                else "."
            )
            raise SidecarError(ErrorCode.CONFLICT, told, hint="Claim another, or wait.")
        return self.put(
            task.model_copy(
                update={
                    "state": State.CLAIMED,
                    "holder": holder,
                    "claimed_at": self.now,
                    "lease_token": secrets.token_hex(12),
                    "lease_expires": self.now + LEASE,
                }
            )
        )

    def held(self, task_id: str, lease_token: str | None) -> Task:
        """The task if that lease still holds it; raises E_CONFLICT."""
        task = self.get(task_id)
        if task.state not in HELD:
            message = f"Task `{task_id}` is {task.state}; nobody holds it."
            raise SidecarError(ErrorCode.CONFLICT, message, hint="Claim it first.")
        if lease_token != task.lease_token:
            message = f"Task `{task_id}` is held under another lease."
            hint = "Send the lease_token that your claim returned; a lost lease cannot be renewed."
            raise SidecarError(ErrorCode.CONFLICT, message, hint=hint)
        return task

    def renew(self, task: Task) -> Task:
        """Prolong a lease; its holder is at work, so the task is running."""
        expires = self.now + LEASE
        return self.put(task.model_copy(update={"state": State.RUNNING, "lease_expires": expires}))

    def finish(self, task: Task, state: State, **told: str | None) -> Task:
        """Close a task for good."""
        closed = {"state": state, "lease_token": None, "lease_expires": None, **told}
        return self.put(task.model_copy(update=closed))

    def attempt_failed(self, task: Task, error: str) -> Task:
        """Queue a failed task again after a while; the third failure escalates it."""
        attempts = task.attempts + 1
        if attempts >= MAX_ATTEMPTS:
            counted = task.model_copy(update={"attempts": attempts})
            task = self.finish(counted, State.ESCALATED, error=error)
            self.escalated.append(task)
            return task
        again = {
            "state": State.QUEUED,
            "attempts": attempts,
            "error": error,
            "not_before": self.now + retry_delay(attempts),
            **dict.fromkeys(("holder", "claimed_at", "lease_token", "lease_expires")),
        }
        return self.put(task.model_copy(update=again))

    def _overtaken_by_time(self, task: Task) -> Task | None:
        if task.state in OPEN and task.deadline is not None and task.deadline <= self.now:
            return self.finish(task, State.FAILED, error="its deadline passed")
        if task.state in HELD and task.lease_expires and task.lease_expires <= self.now:
            return self.attempt_failed(task, f"the lease of {task.holder} ran out")
        return None
