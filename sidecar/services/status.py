"""How the sidecar and its workspace are: every figure is looked up, nothing is assumed."""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from sidecar import __version__
from sidecar.domain.errors import SidecarError
from sidecar.domain.kind import Kind
from sidecar.domain.memory import MemoryFile
from sidecar.domain.project import Project
from sidecar.domain.run import RunState
from sidecar.services import failures, suspensions
from sidecar.services.context import Context
from sidecar.services.escalation import escalations
from sidecar.services.health import Check, FileHealth, Health, Report, file_check
from sidecar.services.programs import versions
from sidecar.services.project import load_project
from sidecar.services.run_requests import OPEN as OPEN_RUNS
from sidecar.services.run_requests import workspace_id
from sidecar.services.schedule_plan import stamp
from sidecar.services.schedules import ScheduleQuery, get_schedule_status
from sidecar.services.task_queue import TaskQueue
from sidecar.services.timing import TimeQuery, get_time_tracking
from sidecar.services.tool import Category, Request, Result, tool

LOW_DISK_BYTES = 200_000_000
MAX_LISTED = 50

Overall = Literal["healthy", "degraded", "unhealthy"]


class SystemStatusRequest(Request):
    """What to look at."""

    include_performance: bool = True
    include_file_health: bool = True
    include_orchestrator_status: bool = True
    check_external_dependencies: Annotated[
        bool, Field(description="Versions of git, rg, node, python3")
    ] = False


class CheckTime(BaseModel):
    """One check: how it ended, and what it took."""

    name: str
    status: Health
    milliseconds: float


class SystemStatusResult(Result):
    """The worst of all checks decides; ``reasons`` say why it is not healthy."""

    status: Overall
    reasons: list[str]
    version: str
    uptime_seconds: int
    checks: list[CheckTime]
    files: list[FileHealth] | None = None
    orchestrator: dict[str, Any] | None = None
    performance: dict[str, Any] | None = None
    external: dict[str, str] | None = None

    def summary(self) -> str:
        """The verdict and its reasons, then a line for each file and each figure."""
        lines = [f"{self.status}: sidecar {self.version}, up {self.uptime_seconds} s"]
        lines += [f"- {reason}" for reason in self.reasons]
        for file in self.files or []:
            size = "missing" if file.size is None else f"{file.size} B, {file.age_seconds} s old"
            counts = f"{file.errors} errors, {file.warnings} warnings"
            lines.append(f"{file.path}: {file.status}, {size}, {counts}")
        late = [check.name for check in self.checks if check.status == "timed out"]
        lines += [f"Slow checks: {', '.join(late)}"] if late else []
        for part in (self.orchestrator, self.performance, self.external):
            lines += [f"{name}: {value}" for name, value in (part or {}).items()]
        return "\n".join(lines)


@tool(title="System status", category=Category.DEVELOPMENT, read_only=True)
def get_system_status(context: Context, request: SystemStatusRequest) -> SystemStatusResult:
    """Report the health of state files, schedules and their executor, tasks, queue and process.

    Example:
        {}
        {"success": true, "status": "degraded"}
        {"include_file_health": false, "include_orchestrator_status": false}
        {"success": true, "status": "healthy"}
    """
    project = load_project(context.workspace, context.settings, context.clock())
    checks: dict[str, Check] = {}
    if request.include_file_health:
        checks |= {kind.value: file_check(kind) for kind in Kind}
    if request.include_orchestrator_status:
        checks |= _ORCHESTRATOR
    if request.include_performance:
        checks |= _PERFORMANCE
    looked = [_looked(name, check, context, project) for name, check in checks.items()]
    reports = {each.name: each.report(context.settings.check_seconds) for each in looked}
    times = [each.time(reports[each.name].status) for each in looked]
    return SystemStatusResult(
        status=_worst(reports),
        reasons=[reason for report in reports.values() for reason in report.reasons],
        version=__version__,
        uptime_seconds=int(context.meter.uptime()),
        checks=times,
        files=[r.file for r in reports.values() if r.file] if request.include_file_health else None,
        orchestrator=_values(reports, _ORCHESTRATOR),
        performance=_values(reports, _PERFORMANCE),
        external=versions(context) if request.check_external_dependencies else None,
    )


@dataclass(frozen=True)
class _Looked:
    """A check that was waited for; one that came too late may be done by now."""

    name: str
    found: Future[Report]
    milliseconds: float
    late: bool

    def report(self, seconds: float) -> Report:
        """What it found, or that it has not ended."""
        try:
            return self.found.result(0)
        except TimeoutError:
            told = f"The check of {self.name} took more than {seconds * 1000:.0f} ms."
            return Report("timed out", [told])
        except SidecarError as error:
            return Report("error", [f"{self.name}: {error}"])

    def time(self, status: Health) -> CheckTime:
        """How it ended; what came too late is marked so, whatever it found."""
        ended: Health = "timed out" if self.late else status
        return CheckTime(name=self.name, status=ended, milliseconds=self.milliseconds)


def _looked(name: str, check: Check, context: Context, project: Project) -> _Looked:
    """Run a check beside, so that a file system that hangs costs its deadline and no more."""
    executor = ThreadPoolExecutor(1, thread_name_prefix=f"check-{name}")
    began = time.perf_counter()
    found = executor.submit(check, context, project)
    late = bool(wait([found], context.settings.check_seconds).not_done)
    executor.shutdown(wait=False)
    return _Looked(name, found, round((time.perf_counter() - began) * 1000, 1), late)


def _worst(reports: dict[str, Report]) -> Overall:
    found = {report.status for report in reports.values()}
    if "error" in found:
        return "unhealthy"
    return "degraded" if found - {"ok"} else "healthy"


def _values(reports: dict[str, Report], of: dict[str, Check]) -> dict[str, Any] | None:
    chosen = [reports[name].values for name in of if name in reports]
    return {key: value for values in chosen for key, value in values.items()} if chosen else None


def _schedules(context: Context, _: Project) -> Report:
    report = Report()
    executor = report.values["executor"] = _executor(context)
    path = context.workspace.path(Kind.SCHEDULES, context.settings.product)
    if not context.workspace.files.exists(path):
        return report
    told = get_schedule_status(context, ScheduleQuery(limit=500))
    overdue = [str(each["id"]) for each in told.schedules if each.get("overdue_seconds")]
    report.values["schedules"] = {
        "total": told.total_schedules,
        "active": told.active_schedules,
        "overdue": overdue[:20],
        "next": min(filter(None, (_next(each) for each in told.schedules)), default=None),
        "runs": [_run(each) for each in told.schedules[:20]],
        "broken": len(told.problems),
    }
    if overdue:
        why = " Nobody executes them: `sidecar serve` does." if executor == "none" else ""
        report.warn(f"{len(overdue)} schedules are overdue: {', '.join(overdue[:5])}.{why}")
    if told.problems:
        first = told.problems[0]
        which = first.id or first.index
        report.warn(f"{len(told.problems)} schedules cannot run; {which}: {first.error}")
    return report


def _executor(context: Context) -> dict[str, Any] | str:
    """Who executes the schedules, or that nobody does."""
    if context.queue is None:
        return "none"
    try:
        found = context.queue.executor(workspace_id(context))
    except SidecarError:
        return "unknown"  # the check of the runs tells why
    if found is None:
        return "none"
    return asdict(found) | {"since": stamp(found.since)}


def _next(schedule: dict[str, Any]) -> str | None:
    """When a schedule runs next, None where it is held back."""
    return None if schedule.get("suspended") else schedule["computed_next_execution"]


def _run(schedule: dict[str, Any]) -> dict[str, Any]:
    """When a schedule ran last, and when it is expected to run."""
    return {
        "id": schedule["id"],
        "last": schedule.get("lastExecutionTime") or schedule.get("last_execution_time") or None,
        "expected": schedule["computed_next_execution"],
        "overdue_seconds": schedule["overdue_seconds"],
    }


def _tasks(context: Context, _: Project) -> Report:
    report = Report()
    told = get_time_tracking(context, TimeQuery(open_only=True, limit=1))
    overdue = [each.task_id for each in told.open_tasks if each.overdue]
    count = told.overdue_count
    report.values["timed_tasks"] = {"open": told.statistics.open, "overdue": count}
    if count:
        named = f": {', '.join(overdue[:5])}" if overdue else ""
        report.warn(f"{count} timed tasks are over their limit{named}.")
    return report


def _queue(context: Context, _: Project) -> Report:
    report = Report()
    with context.workspace.store.transaction() as transaction:
        tasks = TaskQueue(transaction, context.clock(), keep=False).tasks.values()
    counts = Counter(task.state.value for task in tasks)
    report.values["queue"] = dict(counts)
    if counts["escalated"]:
        report.warn(f"{counts['escalated']} delegated tasks wait for a person's decision.")
    return report


def _runs(context: Context, _: Project) -> Report:
    """Runs that are not over, who works on them, and what is held back."""
    report = Report()
    held_back = suspensions.everything(context)
    report.values["suspended"] = {each: why.reason for each, why in held_back.items()}
    for each, why in list(held_back.items())[:5]:
        report.warn(f"Schedule {each} is suspended: {why.reason}.")
    if context.queue is None:
        return report
    records = context.queue.runs(workspace=workspace_id(context), states=OPEN_RUNS, limit=500)
    counts = Counter(record.state.value for record in records)
    report.values["runs"] = dict(counts)
    report.values["runner"] = context.settings.runner
    report.values["holders"] = sorted({record.holder for record in records if record.holder})
    if waiting := counts[RunState.NEEDS_CONSENT.value]:
        report.warn(f"{waiting} runs wait for a person's consent: `sidecar trust --schedules`.")
    return report


def _failing(context: Context, _: Project) -> Report:
    report = Report()
    known = failures.everything(context)
    listed = list(known.items())[:MAX_LISTED]
    report.values["failures"] = {name: each.count for name, each in listed}
    report.values["escalations"] = sum(not each.resumed_at for each in escalations(context))
    for name, each in listed:
        if each.blocked:
            report.warn(f"`{name}` is blocked after {each.count} failures: {each.last_error}.")
    return report


def _memory(_: Context, project: Project) -> Report:
    report = Report()
    if isinstance(project.memory, MemoryFile):
        lines, most = len(project.memory.source.lines), project.memory_line_limit
        report.values["memory_lines"] = {"count": lines, "max": most}
        if lines > most:
            report.warn(f"The memory has {lines} lines; its budget is {most}.")
    return report


def _process(context: Context, _: Project) -> Report:
    report = Report()
    try:
        free = shutil.disk_usage(context.workspace.root).free
    except OSError:
        report.warn("The workspace's folder cannot be found any more.")
        return report
    report.values["disk_free_bytes"] = free
    if free < LOW_DISK_BYTES:
        report.warn(f"Only {free // 1_000_000} MB are free on the workspace's disk.")
    if (resident := _resident_bytes()) is not None:
        report.values["rss_bytes"] = resident
    report.values["tools"] = {
        name: {
            "calls": each.calls,
            "failures": each.failures,
            "p50_ms": round(each.p50 * 1000, 1),
            "p95_ms": round(each.p95 * 1000, 1),
        }
        for name, each in context.meter.figures().items()
    }
    return report


def _resident_bytes() -> int | None:
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


_ORCHESTRATOR: dict[str, Check] = {
    "scheduling": _schedules,
    "tracking": _tasks,
    "queue": _queue,
    "runs": _runs,
    "failures": _failing,
    "memory budget": _memory,
}
_PERFORMANCE: dict[str, Check] = {"process": _process}
