"""The schedules as agents see and change them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BaseModel, Field

from sidecar.domain.plan import NotRunnable
from sidecar.domain.schedules import SchedulesFile
from sidecar.services.context import Context
from sidecar.services.paging import cursor_after, fitting, start_of
from sidecar.services.schedule_changes import ScheduleChange, change
from sidecar.services.schedule_plan import Planned, planned, read, stamp, unknown
from sidecar.services.schedule_runs import LastRun, ScheduleRuns
from sidecar.services.tool import Category, ChangeResult, Request, Result, tool
from sidecar.services.unsaved import NOT_SAVED, Stored

PREVIEW = 200
MAX_PROBLEMS = 50
ROO_FAILS = "roo-scheduler computes an invalid date and does not start because of it."


class ScheduleQuery(Request):
    """Which schedules to show."""

    schedule_id: Annotated[str | None, Field(description="Only this one, in full.")] = None
    include_inactive: Annotated[bool, Field(description="Show switched-off ones too.")] = False
    format_output: Annotated[bool, Field(description="False: the entries exactly as stored.")] = (
        True
    )
    due_within_seconds: Annotated[
        int | None, Field(ge=0, description="Only what is overdue or due in that time.")
    ] = None
    limit: Annotated[int, Field(ge=1, le=500, description="Schedules listed.")] = 50
    cursor: Annotated[str | None, Field(description="next_cursor of the page before.")] = None


class ScheduleProblem(BaseModel):
    """An entry that cannot run, and why."""

    index: int | None
    id: str
    error: str


class ScheduleStatus(Result):
    """The schedules asked for; ``etag`` is the file's, for if_match."""

    path: str
    source: str
    etag: str
    total_schedules: int
    active_schedules: int
    schedules: list[dict[str, Any]]
    stored: list[str]
    problems: list[ScheduleProblem]
    problem_count: int
    truncated: bool
    next_cursor: str | None

    def summary(self) -> str:
        """One line for each schedule and each problem."""
        lines = [f"{self.total_schedules} schedules, {self.active_schedules} active."]
        lines += self.stored or [_line(each) for each in self.schedules]
        lines += [f"Problem: {each.id or each.index}: {each.error}" for each in self.problems]
        if (unlisted := self.problem_count - len(self.problems)) > 0:
            lines.append(f"and {unlisted} more problems")
        if self.next_cursor:
            lines.append(f"More with cursor {self.next_cursor}.")
        return "\n".join([*lines, f"from {self.source}, etag {self.etag}"])


def _line(view: dict[str, Any]) -> str:
    due = view["computed_next_execution"] or "never"
    overdue = f", overdue by {view['overdue_seconds']} s" if view["overdue_seconds"] else ""
    state = "" if view["is_active"] else ", switched off"
    ended = ", expired" if view["expired"] else ""
    roo = view["roo_next_execution"] or "never"
    ran = f", last {view['last_result']}" if view["last_result"] else ""
    ran += f", running {view['running_task_id']}" if view["running_task_id"] else ""
    for why in ("waiting_run", "suspended", "needs_consent"):
        ran += f", {why.replace('_', ' ')}: {_told(view[why])}" if why in view else ""
    head = f'{view.get("id")} "{view.get("name")}" in mode {view.get("mode")}'
    text = str(view.get("taskInstructions") or view.get("task_instructions") or "")
    return f"{head}{state}{ended}: next {due}{overdue}; roo-scheduler {roo}{ran}\n  {text}"


def _told(value: str | dict[str, Any]) -> str:
    return value if isinstance(value, str) else ", ".join(str(each) for each in value.values())


@tool(title="Get the schedules' status", category=Category.ORCHESTRATOR, read_only=True)
def get_schedule_status(context: Context, request: ScheduleQuery) -> ScheduleStatus:
    """List the schedules of .roo/schedules.json and when each runs next.

    computed_next_execution is ours, roo_next_execution what roo-scheduler would do.
    Entries that cannot run are named in problems.

    Example:
        {}
        {"total_schedules": 2, "schedules": [{"roo_next_execution": "2025-05-01T10:30:00.000Z"}]}
        {"schedule_id": "1745000000001", "format_output": false}
        {"schedules": [{"id": "1745000000001", "timeInterval": "10"}], "truncated": false}
    """
    file, content = read(context)
    everything = list(planned(context, file))
    chosen = _chosen(context, request, file, everything)
    start = start_of(request.cursor)
    page = fitting(chosen[start : start + request.limit], _size)
    full = request.schedule_id is not None
    after = cursor_after(start, len(page), len(chosen))
    raw = not request.format_output
    problems = _problems(file, everything)
    runs = None if raw else ScheduleRuns.load(context, [each.schedule for each in page])
    return ScheduleStatus(
        path=file.path,
        source=content.source,
        etag=content.sha256,
        total_schedules=len(everything),
        active_schedules=sum(_active(each) for each in everything),
        schedules=[
            _view(context, each, runs.of(each.schedule), full=full)
            if runs
            else dict(each.schedule.raw)
            for each in page
        ],
        stored=[file.source.slice(each.schedule.span) for each in page] if raw else [],
        problems=problems[:MAX_PROBLEMS],
        problem_count=len(problems),
        truncated=after is not None,
        next_cursor=after,
    )


def _size(each: Planned) -> int:
    return each.schedule.span.end - each.schedule.span.start


def _active(each: Planned) -> bool:
    return each.schedule.values.get("active") is not False


def _chosen(
    context: Context, request: ScheduleQuery, file: SchedulesFile, everything: list[Planned]
) -> list[Planned]:
    if request.schedule_id is not None:
        found = [each for each in everything if each.schedule.id == request.schedule_id]
        if not found:
            raise unknown(file, request.schedule_id)
        return found
    chosen = [each for each in everything if request.include_inactive or _active(each)]
    if request.due_within_seconds is None:
        return chosen
    now, within = context.clock(), request.due_within_seconds
    return [
        each
        for each in chosen
        if each.overdue_since or (each.next and (each.next - now).total_seconds() <= within)
    ]


def _view(context: Context, each: Planned, run: LastRun, *, full: bool) -> dict[str, Any]:
    """The entry as stored, long instructions cut, with what is computed for it."""
    view: dict[str, Any] = dict(each.schedule.raw)
    for key in ("taskInstructions", "task_instructions"):
        text = view.get(key)
        if not full and isinstance(text, str) and len(text) > PREVIEW:
            view[key] = text[:PREVIEW] + "…"
    late = context.clock() - each.overdue_since if each.overdue_since else None
    return view | {
        "is_active": _active(each),
        "computed_next_execution": stamp(each.next),
        "roo_next_execution": stamp(each.roo_next),
        "overdue_seconds": int(late.total_seconds()) if late is not None else 0,
        "expired": each.expired,
        "last_result": run.result,
        "running_task_id": run.running,
        **run.more,
    }


def _problems(file: SchedulesFile, everything: list[Planned]) -> list[ScheduleProblem]:
    found = [ScheduleProblem(index=p.index, id="", error=p.message) for p in file.problems]
    if file.product.verdict != "loads":
        text = f"roo-scheduler loads nothing: {file.product.reason}."
        found.insert(0, ScheduleProblem(index=None, id="", error=text))
    for each in everything:
        for text in _complaints(each):
            entry = each.schedule
            found.append(ScheduleProblem(index=entry.index, id=entry.id, error=text))
    return found


def _complaints(each: Planned) -> Iterator[str]:
    if isinstance(each.calendar, NotRunnable):
        if each.calendar.malformed:
            yield str(each.calendar)
    elif each.next is None and not each.expired:
        yield "No slot ever falls on a selected day before it expires."
    if each.roo_invalid:
        yield ROO_FAILS


class ScheduleChanged(ChangeResult):
    """What was done; ``before`` and ``after`` hold the changed fields only."""

    action: str
    schedule_id: str | None
    changed: bool
    path: str
    before: dict[str, Any]
    after: dict[str, Any]
    backup_id: str | None
    etag: str | None
    stored: Stored = "disk"
    executor: str | None = None
    request_id: str | None = None
    valid: bool | None = None
    problems: list[str] = Field(default_factory=list)

    def summary(self) -> str:
        """The outcome in a sentence, then the changed fields and problems."""
        which = f" of schedule {self.schedule_id}" if self.schedule_id else ""
        done = "checked only, nothing written" if self.dry_run else "done"
        if self.action == "validate":
            done = "valid" if self.valid else "not valid"
        elif self.request_id:
            done = f"run {self.request_id}, worked on by {self.executor}"
        elif not self.changed and not self.dry_run:
            done = "nothing to change"
        lines = [f"{self.action}{which}: {done}."]
        names = self.before | self.after
        lines += [f"{n}: {self.before.get(n)!r} -> {self.after.get(n)!r}" for n in names]
        lines += self.problems
        if self.stored == "editor" and self.changed and not self.dry_run:
            lines.append(NOT_SAVED)
        backup = f", backup {self.backup_id}" if self.backup_id else ""
        return "\n".join([*lines, f"{self.path}, etag {self.etag}{backup}"])


@tool(title="Manage the schedules", category=Category.ORCHESTRATOR, destructive=True)
def manage_schedules(context: Context, request: ScheduleChange) -> ScheduleChanged:
    """Create, update, switch on or off, delete or check a schedule.

    Only the named fields of .roo/schedules.json change; both spellings are taken.
    run_now queues a run; pause holds back, resume lifts that and a suspension after failures.

    Example:
        {"action": "update", "schedule_id": "1745000000001", "update_fields": {"time_interval": 15}}
        {"changed": true, "before": {"timeInterval": "10"}, "after": {"timeInterval": "15"}}
        {"action": "deactivate", "schedule_id": "1745000000001"}
        {"changed": true, "after": {"active": false}}
        {"action": "pause", "schedule_id": "1745000000001"}
        {"changed": true, "before": {"suspended": null}, "after": {"suspended": "paused"}}
    """
    done = change(context, request)
    return ScheduleChanged(action=request.action, dry_run=request.dry_run, **done)
