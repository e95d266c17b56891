"""Time tracking: start and stop a task, and ask what took how long."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sidecar.domain import timing
from sidecar.services import timing_log as log
from sidecar.services import timing_statistics as statistics
from sidecar.services.context import Context
from sidecar.services.timed_tasks import Priority, limit_of, own_limits, start_task, stop_task
from sidecar.services.timing_statistics import EntryView, Filter, OpenTask, Problem, Totals
from sidecar.services.tool import Category, ChangeRequest, ChangeResult, Request, Result, tool
from sidecar.services.unsaved import Stored

MAX_DESCRIPTION = 4000
# Three years; a calendar ends, and adding seconds to an instant with it.
MAX_LIMIT_SECONDS = 100_000_000
MAX_OPEN_LISTED = 20


class TrackTimeRequest(ChangeRequest):
    """What to start or stop."""

    task_description: Annotated[
        str, Field(max_length=MAX_DESCRIPTION, description="What is done; needed to start.")
    ]
    mode: Annotated[str | None, Field(max_length=200, description="Slug of the mode.")] = None
    priority: Annotated[Priority, Field(description="schedule comes before all others.")] = "normal"
    start_tracking: Annotated[bool, Field(description="true starts, false stops.")] = True
    task_id: Annotated[
        str | None, Field(description="Own id; to stop, the id (or the only open task).")
    ] = None
    result: Annotated[
        str | None, Field(max_length=2000, description="On stop: completed, failed, …")
    ] = None
    limit_seconds: Annotated[
        int | None, Field(ge=1, le=MAX_LIMIT_SECONDS, description="Own time limit.")
    ] = None


class TrackedTime(ChangeResult):
    """The task's row after the call."""

    action: Literal["started", "stopped"]
    task_id: str
    task_description: str
    mode: str
    priority: str
    started_at: str
    deadline: str
    limit_seconds: int
    ended_at: str | None
    duration: int | None
    limit_exceeded: bool | None
    result: str
    state: Literal["recorded", "finalization-pending"]
    stored: Stored = "disk"

    def summary(self) -> str:
        """What happened, in a sentence or two."""
        waits = "" if self.state == "recorded" else " The row waits to be written (pending)."
        if self.action == "started":
            return f"{self.mood}Started {self.task_id}; due by {self.deadline}.{waits}"
        over = " OVER its limit" if self.limit_exceeded else " within its limit"
        limit = f"{over} of {self.limit_seconds} s."
        return f"{self.mood}Stopped {self.task_id} after {self.duration} s,{limit}{waits}"


@tool(title="Track task time", category=Category.ORCHESTRATOR)
def track_task_time(context: Context, request: TrackTimeRequest) -> TrackedTime:
    """Start or stop the clock of a task in task_timing.tsv.

    A start returns the task_id to stop it with.

    Example:
        {"task_description": "Fix the parser", "mode": "code", "task_id": "fix_1"}
        {"success": true, "action": "started", "task_id": "fix_1", "limit_seconds": 3600}
        {"task_description": "Fix the parser", "start_tracking": false, "task_id": "fix_1"}
        {"action": "stopped", "duration": 0, "limit_exceeded": false, "result": "completed"}
    """
    if request.start_tracking:
        task = start_task(
            context,
            request.task_description,
            mode=request.mode or "",
            priority=request.priority,
            task_id=request.task_id,
            limit_seconds=request.limit_seconds,
        )
    else:
        task = stop_task(context, request.task_id, result=request.result or "completed")
    return TrackedTime(
        action="stopped" if task.ended else "started",
        task_id=task.task_id,
        task_description=task.description,
        mode=task.mode,
        priority=task.priority,
        started_at=timing.format_time(task.started),
        deadline=timing.format_time(task.deadline),
        limit_seconds=task.limit,
        ended_at=timing.format_time(task.ended) if task.ended else None,
        duration=task.duration,
        limit_exceeded=None if task.duration is None else task.duration > task.limit,
        result=task.result,
        state="recorded" if task.recorded else "finalization-pending",
    )


class TimeQuery(Request):
    """Which rows to report."""

    filter_mode: Annotated[str | None, Field(description="Exact mode slug.")] = None
    filter_priority: Annotated[Priority | None, Field(description="Exact priority.")] = None
    start_date: Annotated[
        str | None, Field(description="ISO date or time, UTC unless it has a zone.")
    ] = None
    end_date: Annotated[str | None, Field(description="The same; a date includes its day.")] = None
    limit: Annotated[int | None, Field(ge=1, le=500, description="Entries, 20 by default.")] = None
    open_only: Annotated[bool, Field(description="Only tasks without an end.")] = False
    task_id: Annotated[str | None, Field(description="Exact id.")] = None
    group_by: Annotated[
        Literal["mode", "priority", "day", "result"] | None, Field(description="Adds groups.")
    ] = None
    cursor: Annotated[str | None, Field(description="next_cursor of the page before.")] = None


class TimeReport(Result):
    """Entries newest first; statistics over all that match, not only this page."""

    total_entries: int
    filtered_entries: int
    statistics: Totals
    mode_statistics: dict[str, Totals]
    priority_statistics: dict[str, Totals]
    groups: dict[str, Totals] | None
    open_tasks: list[OpenTask]
    overdue_count: int
    problems: list[Problem]
    problem_count: int
    order: Literal["newest first"] = "newest first"
    entries: list[EntryView]
    truncated: bool
    next_cursor: str | None

    def summary(self) -> str:
        """The figures, then a line for each entry, open task and problem."""
        totals = self.statistics
        lines = [
            f"{self.filtered_entries} of {self.total_entries} rows match.",
            f"{totals.completed} completed, {totals.open} open, {totals.total_seconds} s in total.",
            f"Mean {totals.mean_seconds}, p50 {totals.p50_seconds}, p95 {totals.p95_seconds} s.",
        ]
        for name, group in (self.groups or {}).items():
            lines.append(f"[{name}] {group.count} rows, {group.total_seconds} s")
        lines += [entry.line_text() for entry in self.entries]
        if self.next_cursor:
            lines.append(f"More with cursor {self.next_cursor}.")
        lines += [task.line_text() for task in self.open_tasks]
        if (unlisted := totals.open - len(self.open_tasks)) > 0:
            lines.append(f"and {unlisted} more open; {self.overdue_count} overdue in all.")
        if self.problem_count:
            lines.append(f"{self.problem_count} rows not read as they stand:")
            lines += [f"line {p.line}: {p.reason}" for p in self.problems]
        return "\n".join(lines)


@tool(title="Get time tracking", category=Category.ORCHESTRATOR, read_only=True)
def get_time_tracking(context: Context, request: TimeQuery) -> TimeReport:
    """Report how long tasks took, from task_timing.tsv, newest first, with statistics.

    Rows that cannot be read as they stand are named in problems.

    Example:
        {"filter_priority": "schedule", "limit": 1}
        {"total_entries": 4, "filtered_entries": 2, "statistics": {"open": 1}, "truncated": true}
        {"open_only": true}
        {"filtered_entries": 1, "open_tasks": [{"task_id": "loop_003", "overdue": false}]}
    """
    file = log.read_log(context)
    wanted = Filter.of(
        mode=request.filter_mode,
        priority=request.filter_priority,
        start=request.start_date,
        end=request.end_date,
        open_only=request.open_only,
        task_id=request.task_id,
    )
    rows = [row for row in file.rows if statistics.is_readable(row)]
    chosen = [row for row in rows if wanted.matches(row)]
    page, cursor = statistics.page(chosen, request.limit or 20, request.cursor)
    now = context.clock()
    problems = statistics.problems(file, undated=wanted.has_dates)
    groups = statistics.grouped(chosen, request.group_by) if request.group_by else None
    limits = own_limits(context)
    opened = [
        statistics.open_task(row, now, limit_of(context, row, limits))
        for row in chosen
        if row.is_open
    ]
    return TimeReport(
        total_entries=len(file.rows),
        filtered_entries=len(chosen),
        statistics=statistics.totals(chosen),
        mode_statistics=statistics.grouped(chosen, "mode"),
        priority_statistics=statistics.grouped(chosen, "priority"),
        groups=groups,
        open_tasks=opened[::-1][:MAX_OPEN_LISTED],
        overdue_count=sum(each.overdue for each in opened),
        problems=problems[: statistics.MAX_PROBLEMS],
        problem_count=len(problems),
        entries=[EntryView.of(row) for row in page],
        truncated=cursor is not None,
        next_cursor=cursor,
    )
