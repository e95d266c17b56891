"""Which mode a session works in: changed together with its timer, kept for the next reader."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import BaseModel, Field

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.domain.modes_catalog import KnownMode, skipped_stages
from sidecar.services import task_runs
from sidecar.services.context import Context
from sidecar.services.handoff import CALL_ALONE, MAX_ROLE, has_modes
from sidecar.services.modes import find_mode
from sidecar.services.timed_tasks import Priority, TimedTask, start_task, stop_task
from sidecar.services.tool import Category, ChangeRequest, ChangeResult, tool

# One record for each session: its mode, since when, for what, and the timer that runs.
SESSIONS = "session_modes"
MAX_CONTEXT = 20_000
MAX_WAITING = 5
WAITS = "Waits for this mode, by delegate_task claim:"


class SwitchModeRequest(ChangeRequest):
    """Where to switch, and why."""

    target_mode: Annotated[str, Field(min_length=1, max_length=200, description="Mode slug")]
    task_context: Annotated[
        dict[str, Any] | None, Field(description="Kept for whoever works next")
    ] = None
    priority: Priority = "normal"
    track_time: Annotated[bool, Field(description="Stop the last timer, start one")] = True


class ModeTimer(BaseModel):
    """The timers that the change has started and stopped."""

    task_id: str | None = None
    deadline: str | None = None
    closed_task_id: str | None = None
    closed_seconds: int | None = None


class SwitchedMode(ChangeResult):
    """The mode before and now, with everything the agent needs to go on."""

    changed: bool
    previous_mode: str | None
    current_mode: str
    mode_name: str
    groups: list[str]
    role_definition: str
    custom_instructions: str | None
    task_context: dict[str, Any] | None
    timer: ModeTimer
    next_step: dict[str, Any]
    warnings: list[str] = Field(default_factory=list)

    def summary(self) -> str:
        """The change, its timers, and what to do now."""
        before = f" from {self.previous_mode}" if self.previous_mode and self.changed else ""
        verb = f"Switched{before} to" if self.changed else "Already in"
        lines = [f"{self.mood}{verb} {self.current_mode} ({self.mode_name}).", *self.warnings]
        if self.timer.closed_task_id:
            lines.append(f"Stopped {self.timer.closed_task_id}: {self.timer.closed_seconds} s.")
        if self.timer.task_id:
            lines.append(f"Started {self.timer.task_id}, to be done by {self.timer.deadline}.")
        return "\n".join([*lines, _told(self.next_step)])


def _told(step: dict[str, Any]) -> str:
    waiting = "".join(f"\n{WAITS} {each}" for each in step.get("waiting", ()))
    if "tool" not in step:
        return f"{step['instructions']}{waiting}"
    arguments = json.dumps(step["arguments"], ensure_ascii=False)
    return f"Now call {step['tool']} {arguments}. {step['note']}{waiting}"


def _waiting(context: Context, mode: KnownMode) -> dict[str, Any]:
    """The first tasks of the queue that wait for this mode; nothing where none does."""
    tasks = task_runs.waiting_for(context, mode.slug)[:MAX_WAITING]
    lines = [f"{each.id}: {' '.join(each.description.split())[:80]}" for each in tasks]
    return {"waiting": lines} if lines else {}


def session_mode(context: Context) -> dict[str, Any] | None:
    """The session's last change: mode, since, context, task_id; None where there was none."""
    with context.workspace.store.transaction() as records:
        return records.get(SESSIONS, context.client.session)


@tool(title="Switch mode", category=Category.DEVELOPMENT)
def switch_mode(context: Context, request: SwitchModeRequest) -> SwitchedMode:
    """Change this session's mode: closes the last timer, starts one, keeps the context.

    Follow `next_step`. A jump over stages of the loop is warned about.

    Example:
        {"target_mode": "implementation-core"}
        {"changed": true, "current_mode": "implementation-core"}
        {"target_mode": "integration-commit", "track_time": false}
        {"previous_mode": "implementation-core", "timer": {"task_id": null}}
    """
    _check_size(request)
    mode = find_mode(context, request.target_mode)
    before = session_mode(context)
    previous = before["mode"] if before else None
    same = previous == mode.slug
    running = before.get("task_id") if before else None
    started = None
    if request.track_time and not (same and running):
        started = _started(context, mode, request)
    task_id = started.task_id if started else running if same else None
    _keep(context, mode, request, task_id, started)
    warnings = _warnings(previous, mode.slug, started)
    stopped = _stopped(context, running, warnings) if running != task_id else None
    return _result(context, request, mode, previous, _timer(started, stopped), warnings)


def _check_size(request: SwitchModeRequest) -> None:
    if len(json.dumps(request.task_context)) > MAX_CONTEXT:
        message = f"The context is longer than {MAX_CONTEXT} characters."
        raise SidecarError(ErrorCode.TOO_LARGE, message, hint="Write it to a file and name that.")


def _started(context: Context, mode: KnownMode, request: SwitchModeRequest) -> TimedTask:
    given = request.task_context or {}
    about = given.get("task") or given.get("description") or f"Work in mode {mode.slug}"
    return start_task(context, str(about)[:400], mode=mode.slug, priority=request.priority)


def _keep(
    context: Context,
    mode: KnownMode,
    request: SwitchModeRequest,
    task_id: str | None,
    started: TimedTask | None,
) -> None:
    """Record the change; where that fails the timer just started is stopped again."""
    record = {
        "mode": mode.slug,
        "since": context.clock().isoformat(),
        "context": request.task_context,
        "task_id": task_id,
        "client": context.client.name,
    }
    try:
        with context.workspace.store.transaction() as records:
            records.put(SESSIONS, context.client.session, record)
    except SidecarError:
        if started is not None:
            stop_task(context, started.task_id, result="cancelled")
        raise


def _stopped(context: Context, task_id: str | None, warnings: list[str]) -> TimedTask | None:
    if task_id is None:
        return None
    try:
        return stop_task(context, task_id, result="completed")
    except SidecarError as error:
        # Somebody stopped it meanwhile, or it waits in the side journal: the change stands.
        warnings.append(f"The timer `{task_id}` could not be stopped: {error.message}")
        return None


def _warnings(previous: str | None, slug: str, started: TimedTask | None) -> list[str]:
    warnings = []
    skipped = skipped_stages(previous, slug) if previous else ()
    if skipped:
        left_out = " and ".join(skipped)
        warnings.append(f"This leaves out {left_out} between `{previous}` and `{slug}`.")
    if started is not None and not started.recorded:
        warnings.append("The timer is not in the log yet: its row is finalization-pending.")
    return warnings


def _timer(started: TimedTask | None, stopped: TimedTask | None) -> ModeTimer:
    return ModeTimer(
        task_id=started.task_id if started else None,
        deadline=started.deadline.isoformat().replace("+00:00", "Z") if started else None,
        closed_task_id=stopped.task_id if stopped else None,
        closed_seconds=stopped.duration if stopped else None,
    )


def _result(
    context: Context,
    request: SwitchModeRequest,
    mode: KnownMode,
    previous: str | None,
    timer: ModeTimer,
    warnings: list[str],
) -> SwitchedMode:
    return SwitchedMode(
        changed=previous != mode.slug,
        previous_mode=previous,
        current_mode=mode.slug,
        mode_name=mode.name,
        groups=list(mode.group_names),
        role_definition=mode.role_definition[:MAX_ROLE],
        custom_instructions=(mode.custom_instructions or "")[:MAX_ROLE] or None,
        task_context=request.task_context,
        timer=timer,
        next_step=_next_step(context.client.name, mode, request) | _waiting(context, mode),
        warnings=warnings,
    )


def _next_step(client: str, mode: KnownMode, request: SwitchModeRequest) -> dict[str, Any]:
    """The client's own call where it has modes, else the mode's text as instructions."""
    given = request.task_context or {}
    if has_modes(client):
        reason = str(given.get("reason") or given.get("task") or f"Work as {mode.name}")
        arguments = {"mode_slug": mode.slug, "reason": reason}
        return {"tool": "switch_mode", "arguments": arguments, "note": CALL_ALONE}
    parts = [f"From now on work as {mode.name}: {mode.role_definition.strip()[:MAX_ROLE]}"]
    if mode.custom_instructions:
        parts.append(mode.custom_instructions.strip()[:MAX_ROLE])
    if given:
        parts.append("Context:\n" + "\n".join(f"- {key}: {value}" for key, value in given.items()))
    return {"instructions": "\n\n".join(parts)}
