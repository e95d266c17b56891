"""Timed tasks: start one with a row of the time log, stop it with its end and duration."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sidecar.domain import timing
from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.domain.timing import Row
from sidecar.services import timing_log as log
from sidecar.services.context import Context

Priority = Literal["schedule", "todo", "normal"]
# A task's own limit in seconds, where it was started with one.
LIMITS = "task_limits"
_ID = re.compile(r"[^\x00-\x20\x7f](?:[^\x00-\x1f\x7f]{0,198}[^\x00-\x20\x7f])?")
_TIME_LIKE = re.compile(r"\d{4}-\d\d-\d\d[T ]")


@dataclass(frozen=True)
class TimedTask:
    """One task's row as it stands now; times are UTC, durations whole seconds.

    ``recorded`` is false while the row waits in the side journal (finalization pending).
    """

    task_id: str
    description: str
    mode: str
    priority: str
    started: datetime
    limit: int
    ended: datetime | None = None
    duration: int | None = None
    result: str = "started"
    recorded: bool = True

    @property
    def deadline(self) -> datetime:
        """When the task should be done."""
        return self.started + timedelta(seconds=self.limit)


def start_task(
    context: Context,
    description: str,
    *,
    mode: str = "",
    priority: Priority = "normal",
    task_id: str | None = None,
    limit_seconds: int | None = None,
) -> TimedTask:
    """Append one row to the time log; raises E_CONFLICT where the id is open, E_INVALID."""
    description = description.strip()
    if not description:
        raise SidecarError(ErrorCode.INVALID, "The task has no description.")
    log.complete_pending(context)
    now = context.clock()
    task = TimedTask(
        task_id=_checked(task_id) if task_id is not None else _new_id(now),
        description=description,
        mode=mode.strip(),
        priority=priority,
        started=now,
        limit=limit_seconds or _default_limit(context, priority),
    )
    if task_id is not None and log.pending(context, task.task_id):
        raise log.TaskOpenError(task.task_id, log.read_log(context))
    recorded = log.append(context, _values(task), unique=task_id is not None)
    if limit_seconds or task_id is not None:
        keep_limit(context, task.task_id, limit_seconds)
    return _changed(task, recorded=recorded)


def stop_task(
    context: Context, task_id: str | None = None, *, result: str = "completed"
) -> TimedTask:
    """Close exactly one open row: the named one, or the only one.

    Raises E_NOT_FOUND with the open tasks, E_CONFLICT where several are open and none is named.
    """
    waiting = log.pending(context, task_id) if task_id else None
    if waiting is not None:
        return _stop_waiting(context, waiting, result)
    row = _row_to_stop(context, task_id)
    task = _ended(context, _task_of(context, row), result)
    recorded = log.close(context, row, task.ended or task.started, task.duration or 0, task.result)
    if task.limit != _default_limit(context, task.priority):
        keep_limit(context, task.task_id, None)
    return _changed(task, recorded=recorded)


def _row_to_stop(context: Context, task_id: str | None) -> Row:
    file = log.read_log(context)
    rows = file.open_rows()
    if task_id is not None:
        found = [row for row in rows if row.task_id == task_id.strip()]
        if not found:
            raise log.unknown_task(file, task_id)
        return found[-1]
    if len(rows) == 1:
        return rows[0]
    if not rows:
        raise SidecarError(ErrorCode.NOT_FOUND, "No task is open.", hint="Start one first.")
    message = f"{len(rows)} tasks are open, so task_id must say which one to stop."
    raise SidecarError(ErrorCode.CONFLICT, message, hint=log.open_tasks(file))


def _stop_waiting(context: Context, values: dict[str, str], result: str) -> TimedTask:
    """End a task whose start has not reached the log yet: both arrive as one row."""
    row = timing.parse(timing.new_row(values)).rows[0]
    task = _ended(context, _task_of(context, row), result)
    recorded = log.append(context, _values(task), unique=False)
    if recorded:
        with context.workspace.store.transaction() as records:
            records.delete(log.PENDING, task.task_id)
    return _changed(task, recorded=recorded)


def _task_of(context: Context, row: Row) -> TimedTask:
    priority = row.values["priority"].casefold()
    return TimedTask(
        task_id=row.task_id,
        description=log.printable(row.values["task"]),
        mode=log.printable(row.values["mode"]),
        priority=priority if priority in timing.PRIORITIES else "normal",
        started=row.started or context.clock(),
        limit=limit_of(context, row, own_limits(context, row.task_id)),
    )


def _ended(context: Context, task: TimedTask, result: str) -> TimedTask:
    now = context.clock()
    seconds = max(0, int((now - task.started).total_seconds()))
    return _changed(task, ended=now, duration=seconds, result=result.strip() or "completed")


def _changed(task: TimedTask, **changes: object) -> TimedTask:
    return TimedTask(**(vars(task) | changes))


def keep_limit(context: Context, task_id: str, seconds: int | None) -> None:
    """Note a task's own limit, or forget the one that an earlier task of that id had."""
    with context.workspace.store.transaction() as records:
        if seconds:
            records.put(LIMITS, task_id, {"seconds": seconds})
        else:
            records.delete(LIMITS, task_id)


def own_limits(context: Context, task_id: str = "") -> dict[str, int]:
    """The limits that tasks were started with, in seconds by id; of all or of one task."""
    with context.workspace.store.transaction() as records:
        if not task_id:
            return {key: int(own["seconds"]) for key, own in records.items(LIMITS)}
        own = records.get(LIMITS, task_id)
    return {task_id: int(own["seconds"])} if own else {}


def limit_of(context: Context, row: Row, own: dict[str, int]) -> int:
    """Seconds that a row's task may take: its own limit, else that of its priority."""
    return own.get(row.task_id) or _default_limit(context, row.values["priority"].casefold())


def _default_limit(context: Context, priority: str) -> int:
    settings = context.settings
    if priority == "schedule":
        return settings.schedule_limit_seconds
    return settings.todo_limit_seconds


def _new_id(now: datetime) -> str:
    return f"task-{now:%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"


def _checked(task_id: str) -> str:
    task_id = task_id.strip()
    if not _ID.fullmatch(task_id) or _TIME_LIKE.match(task_id):
        message = (
            "The task_id must have 1 to 200 characters, no control characters and not be a time."
        )
        raise SidecarError(ErrorCode.INVALID, message, hint="Leave task_id out to get a new one.")
    return task_id


def _values(task: TimedTask) -> dict[str, str]:
    return {
        "timestamp": timing.format_time(task.started),
        "mode": task.mode,
        "task_id": task.task_id,
        "start_time": timing.format_time(task.started),
        "end_time": timing.format_time(task.ended) if task.ended else "",
        "duration": "" if task.duration is None else str(task.duration),
        "task": task.description,
        "result": task.result,
        "priority": task.priority,
    }
