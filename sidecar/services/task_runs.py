"""Delegated tasks and the engine's runs: a task that a runner works on, a run that waits for one.

A task is executed by a run of its own; a run that nobody can execute here, because its runner is
`handoff`, is taken over as a task that an agent claims. Whichever ends first ends the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.domain.run import ENDED, RunRecord, RunState
from sidecar.services import run_requests, trust
from sidecar.services.context import Context
from sidecar.services.ports import RunQueue
from sidecar.services.schedule_runs import SCHEDULE_KEY
from sidecar.services.task_queue import COLLECTION, OPEN, State, Task, TaskQueue
from sidecar.settings import runner_of

# A task that stands for a run names it by this key of its context.
RUN_KEY = "run_id"
# Runs looked at in one call; more than this never wait in one workspace.
MOST = 500
_ENDED_AS: Mapping[State, RunState] = {
    State.DONE: RunState.SUCCEEDED,
    State.FAILED: RunState.FAILED,
    State.ESCALATED: RunState.FAILED,
}


def executor(context: Context, mode: str | None) -> str:
    """The runner that would work on a task in this mode; raises E_UNAVAILABLE without one."""
    name = runner_of(context.settings, "", mode)
    if context.queue is None or name == trust.NOBODY:
        message = "No runner is configured that could execute a task here."
        hint = "Create it without `execute` and act on the `handoff` that is returned."
        raise SidecarError(ErrorCode.UNAVAILABLE, message, hint=hint)
    return name


def execute(context: Context, task: Task) -> RunRecord:
    """Put the task's run into the queue; asking again gives the same run."""
    return run_requests.queue_of(context).enqueue(run_requests.for_task(context, task))


def run_id(context: Context, task: Task) -> str:
    """The id that the run of a task has."""
    return run_requests.for_task(context, task).run_id


def known(context: Context) -> list[RunRecord]:
    """The runs that tasks have to follow or take over; none without a queue."""
    if context.queue is None:
        return []
    with context.workspace.store.transaction() as records:
        tasks = [value for _, value in records.items(COLLECTION)]
    of_tasks = [each["run_id"] for each in tasks if "run_id" in each and each["state"] in OPEN]
    found = [run for run_id in of_tasks if (run := context.queue.get(run_id)) is not None]
    workspace = run_requests.workspace_id(context)
    ready = context.queue.runs(workspace=workspace, states=(RunState.READY,), limit=MOST)
    return [*found, *(run for run in reversed(ready) if run.run_id not in of_tasks)]


def waiting_for(context: Context, mode: str) -> list[Task]:
    """The tasks, and the runs that are ready, which an agent in this mode may claim now."""
    runs = known(context)
    with context.workspace.store.transaction() as records:
        queue = TaskQueue(records, context.clock(), keep=False)
        catch_up(queue, runs)
    return queue.waiting(mode)


def catch_up(queue: TaskQueue, records: Iterable[RunRecord]) -> list[Task]:
    """Let each task stand as its run does, take a run that is ready over; the tasks changed."""
    before = dict(queue.tasks)
    by_run = {_run_of(task): task for task in queue.tasks.values()}
    for record in records:
        task = by_run.get(record.run_id)
        if task is not None and task.run_id is None:
            task = queue.put(task.model_copy(update={"run_id": record.run_id}))
        if task is not None:
            _follow(queue, task, record)
        elif record.state is RunState.READY:
            queue.add(_taken_over(queue, record))
    return [task for task in queue.tasks.values() if before.get(task.id) is not task]


def _run_of(task: Task) -> str | None:
    """The run of a task; the runner `handoff` names it in the context of the task it makes."""
    return task.run_id or task.context.get(RUN_KEY)


def _follow(queue: TaskQueue, task: Task, record: RunRecord) -> None:
    if task.state not in OPEN:
        return
    if record.state in ENDED:
        done = record.state is RunState.SUCCEEDED
        escalated = record.state is RunState.ESCALATED
        ended = State.DONE if done else State.ESCALATED if escalated else State.FAILED
        error = None if done else record.reason or record.state.value
        queue.finish(task, ended, result=record.result or None, error=error)
    elif record.state is RunState.RUNNING and task.executor and task.state is State.QUEUED:
        began = {"state": State.RUNNING, "claimed_at": record.started}
        queue.put(task.model_copy(update=began))


def _taken_over(queue: TaskQueue, record: RunRecord) -> Task:
    """A task that stands for a run which waits for an agent."""
    request = record.request
    about = {SCHEDULE_KEY: request.subject, RUN_KEY: record.run_id}
    now = queue.now
    return Task(
        id=queue.new_id(),
        description=f"{request.label}: {request.instructions}",
        mode=request.mode,
        priority="schedule",
        context={**about, "due": f"{request.slot:%Y-%m-%dT%H:%M:%SZ}"} if request.slot else about,
        budget_seconds=request.limit_seconds,
        run_id=record.run_id,
        created_at=now,
        updated_at=now,
    )


def agree(context: Context, queue: TaskQueue, records: Iterable[RunRecord]) -> None:
    """Tell the engine what became of the tasks; outside the transaction, and again if need be."""
    if context.queue is None:
        return
    at_work = {each.run_id: each for each in records if each.state not in ENDED}
    for task in queue.tasks.values():
        if task.run_id is None:
            continue
        if task.state in OPEN:
            if task.executor is not None and task.run_id not in at_work:
                execute(context, task)
        elif task.run_id in at_work:
            _settle(context.queue, task.run_id, task)


def _settle(queue: RunQueue, run_id: str, task: Task) -> None:
    reason = task.error or ""
    if task.executor is not None:
        queue.cancel(run_id, reason or "its task has ended")
        return
    cancelled = reason.startswith("cancelled")
    state = RunState.CANCELLED if cancelled else _ENDED_AS[task.state]
    queue.settle(run_id, state, reason=reason, result=task.result or "")
