"""What is put into the queue of runs: complete in itself, with its bounds and its consent."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.domain.modes_catalog import family
from sidecar.domain.run import Origin, RunRecord, RunRequest, RunState
from sidecar.domain.schedules import Schedule
from sidecar.services import trust
from sidecar.services.context import Context
from sidecar.services.ports import RunQueue
from sidecar.services.schedule_plan import stamp
from sidecar.services.task_queue import Task
from sidecar.settings import Settings, runner_of

# States in which somebody, or something, has still to act.
OPEN = (
    RunState.NEEDS_CONSENT,
    RunState.QUEUED,
    RunState.WAITING,
    RunState.RUNNING,
    RunState.READY,
)


def queue_of(context: Context) -> RunQueue:
    """The queue of runs; raises E_UNAVAILABLE where this process has none."""
    if context.queue is None:
        message = "There is no queue of runs here, so nothing can be run."
        hint = "Install the extra `engine`, then use `sidecar serve` or `sidecar run`."
        raise SidecarError(ErrorCode.UNAVAILABLE, message, hint=hint)
    return context.queue


def workspace_id(context: Context) -> str:
    """The id under which the queue knows the workspace; raises E_INVALID where a fleet has none."""
    root = context.workspace.root
    for given, folder in context.settings.workspace_ids.items():
        if Path(folder).expanduser().resolve() == root:
            return given
    if context.settings.engine_url:
        message = "In a fleet's database each workspace needs an id that all its hosts use."
        hint = "Name it in the user's settings, under workspace_ids: id = folder."
        raise SidecarError(ErrorCode.INVALID, message, hint=hint)
    return context.workspace.user.workspace_id(root)


def limit_seconds(settings: Settings, mode: str | None, *, scheduled: bool = True) -> int:
    """How long one attempt may take, in seconds: the mode's stage decides, then who asked."""
    of_stage = {
        "planning": settings.planning_limit_seconds,
        "validation": settings.validation_limit_seconds,
        "quality": settings.quality_limit_seconds,
    }
    default = settings.schedule_limit_seconds if scheduled else settings.todo_limit_seconds
    return of_stage.get(family(mode or "") or "", default)


def for_schedule(context: Context, schedule: Schedule, *, slot: datetime | None) -> RunRequest:
    """The run of a schedule for one due instant; without one, because somebody asked for it now."""
    now, workspace = context.clock(), workspace_id(context)
    moment = f"{now.astimezone(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
    mode = schedule.text("mode") or None
    return RunRequest(
        run_id=f"{workspace}:{schedule.id}+{moment}",
        workspace=workspace,
        origin=Origin.SCHEDULE if slot else Origin.PERSON,
        subject=schedule.id,
        label=schedule.label,
        instructions=schedule.text("taskInstructions"),
        mode=mode,
        slot=slot,
        runner=runner_of(context.settings, schedule.id, mode),
        limit_seconds=limit_seconds(context.settings, mode),
        extra={"requested_by": context.client.name, "requested_at": stamp(now)},
    )


def for_task(context: Context, task: Task) -> RunRequest:
    """The run of a delegated task; the task's own budget bounds it."""
    workspace = workspace_id(context)
    return RunRequest(
        run_id=f"{workspace}:{task.id}",
        workspace=workspace,
        origin=Origin.TASK,
        subject=task.id,
        label=" ".join(task.description.split())[:80],
        instructions=task.description,
        mode=task.mode,
        runner=runner_of(context.settings, task.id, task.mode),
        limit_seconds=task.budget_seconds,
        priority=task.priority,
        extra={"context": task.context, "requirements": task.requirements},
    )


def enqueue_schedule(context: Context, schedule: Schedule) -> tuple[RunRecord, str | None]:
    """Ask for a schedule's run now; also why it waits for a person, None where it does not."""
    queue = queue_of(context)
    request = for_schedule(context, schedule, slot=None)
    reason = trust.may_run(context, schedule)
    if context.code_allowed:
        trust.allow_run(context, request)
    state = RunState.QUEUED if reason is None else RunState.NEEDS_CONSENT
    return queue.enqueue(request, state=state, reason=reason or ""), reason


def release(context: Context, schedules: Iterable[Schedule]) -> list[RunRecord]:
    """Let the runs be worked on that waited for the consent which is there now."""
    queue, known = queue_of(context), {each.id: each for each in schedules}
    waiting = queue.runs(
        workspace=workspace_id(context), states=(RunState.NEEDS_CONSENT,), limit=500
    )
    allowed = [run for run in waiting if _may_go_on(context, run, known)]
    return [run for run in allowed if queue.settle(run.run_id, RunState.QUEUED)]


def _may_go_on(context: Context, run: RunRecord, known: Mapping[str, Schedule]) -> bool:
    schedule = known.get(run.request.subject)
    return schedule is not None and trust.may_run(context, schedule) is None


def run_of(context: Context, run_id: str) -> RunRecord | None:
    """A run of this workspace, None for any other id or where there is no queue."""
    if context.queue is None or not run_id.startswith(f"{workspace_id(context)}:"):
        return None
    return context.queue.get(run_id)
