"""Delegate tasks: durable, leased to one worker at a time, bounded in depth and time."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.services import handoff, task_runs, trust
from sidecar.services import task_admission as admission
from sidecar.services.context import Context
from sidecar.services.escalation import escalate_tasks
from sidecar.services.mode_choice import Mode
from sidecar.services.modes import known_modes
from sidecar.services.rollback import RECORDS
from sidecar.services.task_admission import invalid, stamp
from sidecar.services.task_queue import COLLECTION, OPEN, Priority, State, Task, TaskQueue
from sidecar.services.tool import Category, ChangeRequest, ChangeResult, tool
from sidecar.workspace.journal import Entry, present_origin
from sidecar.workspace.store import Transaction

MAX_DESCRIPTION = 20_000
LISTED = 20
_KEYS = "task-keys"
_FACTS = (
    *("status", "mode_assigned", "executor", "queue_position", "depth", "budget_seconds"),
    *("deadline", "attempts", "lease_token", "lease_expires"),
)

Action = Literal["create", "claim", "renew", "complete", "fail", "cancel", "status"]


class DelegateTaskRequest(ChangeRequest):
    """What to delegate, or what to do with a task that was."""

    task_description: Annotated[
        str | None, Field(max_length=MAX_DESCRIPTION, description="To create")
    ] = None
    target_mode: Annotated[str | None, Field(description="Slug; default: best match")] = None
    priority: Priority = "normal"
    context: Annotated[dict[str, Any] | None, Field(description="For the worker")] = None
    requirements: Annotated[dict[str, Any] | None, Field(description="Becomes a checklist")] = None
    deadline: Annotated[str | None, Field(description="ISO 8601, in UTC")] = None
    action: Action = "create"
    task_id: str | None = None
    lease_token: Annotated[str | None, Field(description="From claim")] = None
    result: Annotated[str | None, Field(max_length=MAX_DESCRIPTION)] = None
    execute: Annotated[bool, Field(description="By the runner, at once")] = False
    parent_task_id: str | None = None
    idempotency_key: Annotated[str | None, Field(max_length=200)] = None


class Candidate(BaseModel):
    """A mode that would fit, and why."""

    slug: str
    score: float
    reason: str


class DelegateTaskResult(ChangeResult):
    """The task after the action; a status without task_id gives counts and open tasks."""

    action: Action
    changed: bool = True
    task_id: str | None = None
    status: State | None = None
    mode_assigned: str | None = None
    executor: str | None = None
    queue_position: int | None = None
    depth: int | None = None
    budget_seconds: int | None = None
    deadline: str | None = None
    attempts: int | None = None
    lease_token: str | None = None
    lease_expires: str | None = None
    result: str | None = None
    error: str | None = None
    candidates: list[Candidate] | None = None
    handoff: dict[str, Any] | None = None
    tasks: list[dict[str, Any]] | None = None
    counts: dict[str, int] | None = None
    note: str | None = None

    def summary(self) -> str:
        """The task's state in a line, then what to do with it."""
        values = self.structured()
        facts = [f"{name} {values[name]}" for name in _FACTS if name in values]
        head = f"{self.action} {self.task_id or 'queue'}: {', '.join(facts)}".rstrip(": ")
        lines = [f"{self.mood}{head}"]
        told = ("result", "error", "note")
        lines += [f"{name}: {values[name]}" for name in told if name in values]
        for each in self.candidates or []:
            lines.append(f"candidate {each.slug} ({each.score}): {each.reason}")
        for task in self.tasks or []:
            lines.append(", ".join(f"{key} {value}" for key, value in task.items()))
        if self.counts is not None:
            counts = ", ".join(f"{count} {state}" for state, count in self.counts.items())
            lines.append(counts or "no tasks")
        if self.handoff is not None:
            lines.append(f"hand over: {json.dumps(self.handoff, ensure_ascii=False)}")
        return "\n".join(lines)


@tool(title="Delegate a task", category=Category.ORCHESTRATOR)
def delegate_task(context: Context, request: DelegateTaskRequest) -> DelegateTaskResult:
    """Put a task into a durable queue, or act on one that is there.

    create returns `handoff` for you to act on; with `execute` the configured runner does the work.

    Example:
        {"task_description": "Write unit tests for the parser", "idempotency_key": "tests"}
        {"success": true, "action": "create", "status": "queued", "executor": "none", "depth": 0}
        {"action": "claim"}
        {"success": true, "status": "claimed"}
        {"action": "status"}
        {"success": true, "counts": {"claimed": 1}}
    """
    _check_execution(context, request)
    runs = task_runs.known(context)
    with context.workspace.store.transaction() as transaction:
        queue = TaskQueue(transaction, context.clock())
        task_runs.catch_up(queue, runs)
        before = _fingerprint(queue, request.task_id)
        result = _ACTIONS[request.action](context, request, queue, transaction)
        after = _fingerprint(queue, result.task_id)
    if before != after and result.changed and not request.dry_run:
        path = f"{RECORDS}{COLLECTION}/{result.task_id}"
        entry = Entry(present_origin(), request.action, path, before, after)
        context.workspace.journal.begin([entry], urgent=False)
    if not request.dry_run:
        task_runs.agree(context, queue, runs)
    escalate_tasks(context, queue.escalated)
    return result


def _check_execution(context: Context, request: DelegateTaskRequest) -> None:
    """Refuse to execute without a runner (E_UNAVAILABLE) or consent (E_UNTRUSTED)."""
    if request.action == "create" and request.execute:
        task_runs.executor(context, request.target_mode)
        trust.require(context, "let a runner work on a task")


def _fingerprint(queue: TaskQueue, task_id: str | None) -> str | None:
    """The hash of a task as it stands in the queue, None where there is none."""
    task = queue.tasks.get(task_id or "")
    return hashlib.sha256(task.model_dump_json().encode()).hexdigest() if task else None


def _create(
    context: Context, request: DelegateTaskRequest, queue: TaskQueue, transaction: Transaction
) -> DelegateTaskResult:
    description = (request.task_description or "").strip()
    if not description:
        raise invalid("`task_description` is required to create a task.")
    known = _repeated(request, queue, transaction)
    modes = known_modes(context)
    if known is not None:
        return _created(context, queue, known, modes, changed=False)
    mode, choices = admission.choose_mode(request.target_mode, description, modes)
    task = queue.add(_new_task(context, request, queue, description, mode))
    if request.idempotency_key:
        record = {"task": task.id, "digest": _digest(request)}
        transaction.put(_KEYS, request.idempotency_key, record)
    result = _created(context, queue, task, modes)
    candidates = [Candidate(slug=c.slug, score=c.score, reason=c.reason) for c in choices]
    return result.model_copy(update={"candidates": candidates or None})


def _new_task(
    context: Context,
    request: DelegateTaskRequest,
    queue: TaskQueue,
    description: str,
    mode: str | None,
) -> Task:
    """The task that is asked for, within its bounds; raises what its admission raises."""
    parent = admission.open_parent(queue, request.parent_task_id)
    if parent is not None:
        admission.check_descent(queue, parent, mode, description)
    now = context.clock()
    deadline = admission.future_deadline(request.deadline, now)
    task = Task(
        id=queue.new_id(),
        description=description,
        mode=mode,
        priority=request.priority,
        context=admission.bounded("context", request.context),
        requirements=admission.bounded("requirements", request.requirements),
        deadline=deadline,
        budget_seconds=admission.budget(context, request.priority, deadline, parent),
        parent=parent.id if parent else None,
        depth=parent.depth + 1 if parent else 0,
        created_at=now,
        updated_at=now,
    )
    if not request.execute:
        return task
    runs = {
        "executor": task_runs.executor(context, mode),
        "run_id": task_runs.run_id(context, task),
    }
    return task.model_copy(update=runs)


def _created(
    context: Context,
    queue: TaskQueue,
    task: Task,
    modes: Sequence[Mode],
    *,
    changed: bool = True,
) -> DelegateTaskResult:
    if task.executor is not None:
        note = f"The runner `{task.executor}` works on it; watch `sidecar://runs/{task.run_id}`."
        return _told("create", queue, task).model_copy(update={"changed": changed, "note": note})
    mode = next((each for each in modes if each.slug == task.mode), None)
    return _told("create", queue, task).model_copy(
        update={
            "changed": changed,
            "executor": "none",
            "handoff": handoff.for_client(context.client.name, task, mode),
            "note": "Nobody executes it by itself: act on `handoff`, or let a worker claim it;"
            " `action: status` shows how it stands.",
        }
    )


def _claim(
    context: Context, request: DelegateTaskRequest, queue: TaskQueue, _: Transaction
) -> DelegateTaskResult:
    if request.task_id is None:
        waiting = queue.waiting(request.target_mode)
        if not waiting:
            raise SidecarError(
                ErrorCode.NOT_FOUND,
                "No task waits to be claimed.",
                hint="`action: status` shows all open tasks.",
            )
        task = waiting[0]
    else:
        task = queue.get(request.task_id)
    task = queue.claim(task, f"{context.client.name}/{context.client.session}")
    return _told("claim", queue, task).model_copy(
        update={
            "lease_token": task.lease_token,
            "handoff": {"instructions": handoff.message(task)},
            "note": "Renew the lease before it expires; an expired one returns the task.",
        }
    )


def _renew(
    _: Context, request: DelegateTaskRequest, queue: TaskQueue, __: Transaction
) -> DelegateTaskResult:
    task = queue.held(_task_id(request), request.lease_token)
    return _told("renew", queue, queue.renew(task))


def _complete(
    _: Context, request: DelegateTaskRequest, queue: TaskQueue, __: Transaction
) -> DelegateTaskResult:
    task = queue.get(_task_id(request))
    if task.state is State.DONE and task.result == request.result:
        return _told("complete", queue, task).model_copy(update={"changed": False})
    task = queue.held(task.id, request.lease_token)
    if children := queue.children(task.id):
        raise SidecarError(
            ErrorCode.CONFLICT,
            f"Task `{task.id}` has {len(children)} open subtasks: {_ids(children)}.",
            hint="Complete or cancel them first.",
        )
    done = queue.finish(task, State.DONE, result=request.result, error=None)
    return _told("complete", queue, done)


def _fail(
    _: Context, request: DelegateTaskRequest, queue: TaskQueue, __: Transaction
) -> DelegateTaskResult:
    task = queue.held(_task_id(request), request.lease_token)
    failed = queue.attempt_failed(task, request.result or "no reason given")
    result = _told("fail", queue, failed)
    if failed.not_before is None or failed.state is not State.QUEUED:
        note = "The third failure in a row: it is stopped until a person decides."
    else:
        note = f"It may be claimed again from {stamp(failed.not_before)}."
    return result.model_copy(update={"note": note})


def _cancel(
    _: Context, request: DelegateTaskRequest, queue: TaskQueue, __: Transaction
) -> DelegateTaskResult:
    task = queue.get(_task_id(request))
    if task.state not in OPEN:
        return _told("cancel", queue, task).model_copy(update={"changed": False})
    children = [task]
    while children:
        each = children.pop()
        children += queue.children(each.id)
        queue.finish(each, State.FAILED, error=f"cancelled: {request.result or 'no reason given'}")
    return _told("cancel", queue, queue.get(task.id))


def _status(
    _: Context, request: DelegateTaskRequest, queue: TaskQueue, __: Transaction
) -> DelegateTaskResult:
    if request.task_id is not None:
        told = _told("status", queue, queue.get(request.task_id))
        return told.model_copy(update={"changed": False})
    listed = queue.open()
    counts = Counter(task.state.value for task in queue.tasks.values())
    note = f"The first {LISTED} of {len(listed)} open tasks." if len(listed) > LISTED else None
    return DelegateTaskResult(
        action="status",
        changed=False,
        tasks=[_row(task) for task in listed[:LISTED]],
        counts=dict(sorted(counts.items())),
        note=note,
    )


_ACTIONS: dict[
    Action, Callable[[Context, DelegateTaskRequest, TaskQueue, Transaction], DelegateTaskResult]
] = {
    "create": _create,
    "claim": _claim,
    "renew": _renew,
    "complete": _complete,
    "fail": _fail,
    "cancel": _cancel,
    "status": _status,
}


def _told(action: Action, queue: TaskQueue, task: Task) -> DelegateTaskResult:
    """How a task stands now; the lease's token is for its holder alone."""
    order = [each.id for each in queue.waiting()]
    return DelegateTaskResult(
        action=action,
        task_id=task.id,
        status=task.state,
        mode_assigned=task.mode,
        executor=task.executor,
        queue_position=order.index(task.id) + 1 if task.id in order else None,
        depth=task.depth,
        budget_seconds=task.budget_seconds,
        deadline=stamp(task.deadline) if task.deadline else None,
        attempts=task.attempts,
        lease_expires=stamp(task.lease_expires) if task.lease_expires else None,
        result=task.result,
        error=task.error,
    )


def _row(task: Task) -> dict[str, Any]:
    row = {"task_id": task.id, "status": task.state.value, "mode": task.mode or "any"}
    return {**row, "priority": task.priority, "task": _short(task.description)}


def _repeated(
    request: DelegateTaskRequest, queue: TaskQueue, transaction: Transaction
) -> Task | None:
    """The task that the same key created before, unless it asked for something else."""
    if not request.idempotency_key:
        return None
    record = transaction.get(_KEYS, request.idempotency_key)
    if record is None or record["task"] not in queue.tasks:
        return None
    if record["digest"] != _digest(request):
        message = "This idempotency_key was used for another task."
        hint = f"That was `{record['task']}`; use a new key for a new task."
        raise SidecarError(ErrorCode.CONFLICT, message, hint=hint)
    return queue.get(record["task"])


def _digest(request: DelegateTaskRequest) -> str:
    return hashlib.sha256(request.model_dump_json().encode()).hexdigest()


def _task_id(request: DelegateTaskRequest) -> str:
    if request.task_id is None:
        raise invalid(f"`task_id` is required to {request.action} a task.")
    return request.task_id


def _ids(tasks: Iterable[Task]) -> str:
    return ", ".join(f"`{task.id}`" for task in tasks)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 80 else f"{line[:79]}…"
