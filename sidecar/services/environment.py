"""Bring a workspace's state files in order: create, repair what is safe, finish what was left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from sidecar.domain import memory, timing
from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.domain.finding import Severity
from sidecar.domain.kind import Kind
from sidecar.domain.project import Project
from sidecar.domain.suggest import did_you_mean
from sidecar.services import task_runs, timing_log
from sidecar.services.context import Context
from sidecar.services.diagnosis import diagnose
from sidecar.services.escalation import escalate_tasks
from sidecar.services.fixes import fixed
from sidecar.services.modes import known_modes
from sidecar.services.project import MAX_STATE_FILE_BYTES, load_project
from sidecar.services.schedule_runs import SCHEDULE_KEY
from sidecar.services.task_queue import OPEN, TaskQueue
from sidecar.services.tool import Category, ChangeRequest, ChangeResult, tool
from sidecar.services.unsaved import present, update
from sidecar.settings import Settings, load
from sidecar.workspace import leftovers
from sidecar.workspace.files import Content

# A mode file is the user's to invent; all others have an obvious beginning.
TEMPLATES = {
    Kind.SCHEDULES: '{\n  "schedules": []\n}\n',
    Kind.TODO: "# TODO\n",
    Kind.TIMING: f"{timing.HEADER}\n",
    Kind.MEMORY: "".join(f"# {title}\n\n" for title in memory.SECTIONS.values()).rstrip() + "\n",
}
MAX_PROBLEMS = 20
# What was opened or listens already with the setting that it had then.
_AT_START = frozenset({"state_dir", "protected", "host", "port", "allowed_hosts"})


class SyncEnvironmentRequest(ChangeRequest):
    """What to bring in order."""

    sync_type: Literal["full", "files", "config", "modes"] = "full"
    target_components: Annotated[
        list[str] | None,
        Field(description="config, modes, schedules, todo, timing, memory, queue, temp"),
    ] = None
    verify_sync: Annotated[bool, Field(description="Look again afterwards")] = True


class ComponentReport(BaseModel):
    """One component: what was looked at, what was changed, what a person has to mend."""

    checked: list[str] = Field(default_factory=list)
    changed: list[str] = Field(default_factory=list)
    problems: list[str] = Field(default_factory=list)
    failed: bool = False


class SyncEnvironmentResult(ChangeResult):
    """Every component's report; ``verified`` means that a second look found nothing to change."""

    sync_type: str
    components: dict[str, ComponentReport]
    verified: bool | None = None

    def summary(self) -> str:
        """One line a component, then its changes and problems."""
        lines = [f"sync {self.sync_type}{' (dry run)' if self.dry_run else ''}"]
        if self.verified is not None:
            lines[0] += ": verified" if self.verified else ": NOT VERIFIED, more would change"
        for name, report in self.components.items():
            state = "FAILED" if report.failed else "ok"
            count = f"{len(report.changed)} changed, {len(report.problems)} problems"
            lines.append(f"{name}: {state}, {count} ({', '.join(report.checked)})")
            lines += [f"  changed: {each}" for each in report.changed]
            lines += [f"  problem: {each}" for each in report.problems]
        return "\n".join(lines)


@dataclass
class _Sync:
    """One pass over the workspace."""

    context: Context
    project: Project
    dry_run: bool
    reports: dict[str, ComponentReport] = field(default_factory=dict)


@tool(title="Sync the environment", category=Category.DEVELOPMENT, idempotent=True)
def sync_environment(context: Context, request: SyncEnvironmentRequest) -> SyncEnvironmentResult:
    """Create missing state files, apply safe fixes, finish pending entries, prune leftovers.

    What a person has to mend is listed under problems.

    Example:
        {"sync_type": "modes"}
        {"success": true, "sync_type": "modes", "verified": true}
        {"target_components": ["queue"], "dry_run": true}
        {"success": true, "dry_run": true}
    """
    names = _components(request)
    done = _pass(context, names, dry_run=request.dry_run)
    reports = done.reports
    verified = None
    if request.verify_sync and not request.dry_run:
        again = _pass(done.context, names, dry_run=True).reports.values()
        verified = not any(report.changed or report.failed for report in again)
    return SyncEnvironmentResult(
        success=verified is not False and not any(report.failed for report in reports.values()),
        sync_type=request.sync_type,
        dry_run=request.dry_run,
        components=reports,
        verified=verified,
    )


def _pass(context: Context, names: list[str], *, dry_run: bool) -> _Sync:
    project = load_project(context.workspace, context.settings, context.clock())
    sync = _Sync(context, project, dry_run)
    for name in names:
        try:
            report = _COMPONENTS[name](sync)
        except SidecarError as error:
            report = ComponentReport(problems=[str(error)], failed=True)
        for listed in (report.problems, report.changed):
            if (more := len(listed) - MAX_PROBLEMS) > 0:
                listed[MAX_PROBLEMS:] = [f"and {more} more"]
        sync.reports[name] = report
    return sync


def _components(request: SyncEnvironmentRequest) -> list[str]:
    wanted = _OF_TYPE[request.sync_type]
    if request.target_components is None:
        return list(wanted)
    for name in request.target_components:
        if name not in wanted:
            known = f"The components of `{request.sync_type}` are: {', '.join(wanted)}."
            raise SidecarError(
                ErrorCode.INVALID,
                f"`{name}` is no component of a `{request.sync_type}` sync.",
                hint=did_you_mean(name, wanted) or known,
            )
    return [name for name in wanted if name in request.target_components]


def _file(sync: _Sync, kind: Kind) -> ComponentReport:
    """One state file: created from its template, or repaired by the fixes that are safe."""
    workspace, settings = sync.context.workspace, sync.context.settings
    path = workspace.path(kind, settings.product)
    report = ComponentReport(checked=[path])
    try:
        content = present(sync.context, path, limit=MAX_STATE_FILE_BYTES)
    except SidecarError as error:
        if error.code is not ErrorCode.CONFLICT:
            raise
        report.problems.append(f"{path} is open in an editor with unsaved text and is left alone")
        return report
    if content is None:
        return _created(sync, kind, path, report)
    try:
        text = content.data.decode("utf-8")
    except UnicodeDecodeError as error:
        report.problems.append(f"{path} is not UTF-8 text at byte {error.start}; it is left alone")
        return report
    repaired, applied = fixed(kind, path, text, sync.project, settings)
    if repaired != text and not sync.dry_run:
        update(sync.context, path, _repair(sync, kind, path), backup="sync")
    if repaired != text:
        place = f"{path} (in the editor, not saved)" if content.source == "editor" else path
        counts = dict.fromkeys(f"{each.code} {each.title}" for each in applied)
        report.changed += [f"{place}: {each}" for each in counts]
    left = diagnose(kind, path, repaired, sync.project, settings)
    for finding in left.findings:
        if finding.severity is Severity.ERROR:
            line = left.source.position(finding.span.start).line + 1
            report.problems.append(f"{path}:{line} {finding.code}: {finding.message}")
    return report


def _created(sync: _Sync, kind: Kind, path: str, report: ComponentReport) -> ComponentReport:
    template = TEMPLATES.get(kind)
    if template is not None:
        if not sync.dry_run:
            sync.context.workspace.files.write(path, template.encode(), backup=None)
        report.changed.append(f"{path}: created")
    return report


def _repair(sync: _Sync, kind: Kind, path: str) -> Callable[[Content | None], bytes | None]:
    """The same repair on whatever the file holds when it is replaced."""

    def change(content: Content | None) -> bytes | None:
        if content is None:
            return None
        text, _ = fixed(kind, path, content.text, sync.project, sync.context.settings)
        return text.encode()

    return change


def _timing(sync: _Sync) -> ComponentReport:
    """Rows that could not be written when their task ended are written now."""
    context = sync.context
    with context.workspace.store.transaction() as transaction:
        waiting = [task_id for task_id, _ in transaction.items(timing_log.PENDING)]
    report = _file(sync, Kind.TIMING)
    done = waiting if sync.dry_run or not waiting else timing_log.complete_pending(context)
    report.changed += [f"row of {task_id}: completed" for task_id in done]
    left = [task_id for task_id in waiting if task_id not in done]
    report.problems += [f"the row of {task_id} still cannot be written" for task_id in left]
    return report


def _config(sync: _Sync) -> ComponentReport:
    """The settings as they lie on disk now, put in force."""
    context = sync.context
    loaded = load(context.workspace.root, context.workspace.user.config / "config.toml")
    report = ComponentReport(checked=["settings"])
    report.problems += [f"{each.path or 'settings'}: {each.message}" for each in loaded.problems]
    stale = [
        name
        for name in Settings.model_fields
        if getattr(loaded.settings, name) != getattr(context.settings, name)
    ]
    fresh = [name for name in stale if name not in _AT_START] if context.reload else []
    if context.reload and fresh and not sync.dry_run:
        values = {name: getattr(loaded.settings, name) for name in fresh}
        sync.context = replace(context, settings=context.settings.model_copy(update=values))
        context.reload(sync.context.settings)
    report.changed += [f"{name}: taken from disk" for name in fresh]
    if later := [name for name in stale if name not in fresh]:
        report.problems.append(f"{', '.join(later)} changed on disk; restart the sidecar for it")
    return report


def _queue(sync: _Sync) -> ComponentReport:
    """Tasks whose lease or deadline passed; then those that no longer fit the workspace."""
    context = sync.context
    slugs = {mode.slug for mode in known_modes(context)}
    runs = task_runs.known(context)
    with context.workspace.store.transaction() as transaction:
        queue = TaskQueue(transaction, context.clock(), keep=not sync.dry_run)
        moved = [*queue.moved, *task_runs.catch_up(queue, runs)]
    report = ComponentReport(checked=["tasks"])
    report.changed += [f"{task.id}: {task.state}, {task.error or 'as its run'}" for task in moved]
    ids, ticked = _schedule_ids(sync), _ticked(sync)
    for task in queue.open():
        named = task.context.get(SCHEDULE_KEY)
        if ids is not None and named is not None and named not in ids:
            report.problems.append(f"{task.id} is for schedule `{named}`, which is gone")
        if " ".join(task.description.split()).casefold() in ticked:
            report.problems.append(f"{task.id} is open, but ticked in the plan")
        if task.mode is not None and task.mode not in slugs:
            report.problems.append(f"{task.id} waits for mode `{task.mode}`, which is gone")
        if task.parent in queue.tasks and queue.tasks[task.parent].state not in OPEN:
            report.problems.append(f"{task.id} is open below a finished task")
    if not sync.dry_run:
        task_runs.agree(context, queue, runs)
        escalate_tasks(context, queue.escalated)
    return report


def _schedule_ids(sync: _Sync) -> set[str] | None:
    """The schedules there are; None where their file cannot tell."""
    file = sync.project.schedules
    return {schedule.id for schedule in file.schedules} if file and file.valid else None


def _ticked(sync: _Sync) -> set[str]:
    """The plan's finished tasks, by their texts."""
    items = sync.project.todo.items if sync.project.todo else ()
    return {" ".join(item.text.split()).casefold() for item in items if item.done}


def _temp(sync: _Sync) -> ComponentReport:
    """Our own unfinished writes, an hour old or more."""
    tree = sync.context.workspace.files.tree
    found = leftovers.find(tree, sync.context.clock())
    report = ComponentReport(checked=["temporary files"])
    for path in found.paths:
        try:
            if not sync.dry_run:
                leftovers.remove(tree, path)
            report.changed.append(f"{path}: removed")
        except OSError as error:
            report.problems.append(f"{path}: {error.strerror or 'could not be removed'}")
    return report


_COMPONENTS: dict[str, Callable[[_Sync], ComponentReport]] = {
    "config": _config,
    "modes": lambda sync: _file(sync, Kind.MODES),
    "schedules": lambda sync: _file(sync, Kind.SCHEDULES),
    "todo": lambda sync: _file(sync, Kind.TODO),
    "timing": _timing,
    "memory": lambda sync: _file(sync, Kind.MEMORY),
    "queue": _queue,
    "temp": _temp,
}
_OF_TYPE: dict[str, tuple[str, ...]] = {
    "full": tuple(_COMPONENTS),
    "files": ("schedules", "todo", "timing", "memory", "temp"),
    "config": ("config",),
    "modes": ("modes",),
}
