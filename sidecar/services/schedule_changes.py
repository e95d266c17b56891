"""Changes of the schedules file: checked as a whole, then written as minimal edits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from sidecar.domain import schedules
from sidecar.domain.edit import Edit, apply_edits
from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.domain.finding import Severity
from sidecar.domain.kind import Kind
from sidecar.domain.project import Project
from sidecar.domain.schedules import Schedule, SchedulesFile, snake
from sidecar.domain.schedules_edit import (
    UneditableError,
    add_schedule,
    remove_fields,
    remove_schedule,
    set_fields,
)
from sidecar.services import schedule_orders
from sidecar.services.context import Context
from sidecar.services.diagnosis import diagnose
from sidecar.services.project import load_project
from sidecar.services.schedule_fields import complaints, invalid, normalised
from sidecar.services.schedule_plan import path_of, read, sound, stamp, unknown
from sidecar.services.tool import ChangeRequest
from sidecar.services.unsaved import update
from sidecar.workspace.files import Content

MAX_PROBLEMS = 50


class ScheduleChange(ChangeRequest):
    """One change of the schedules file."""

    action: Annotated[
        Literal["create", "update", "activate", "deactivate", "delete",
                "run_now", "pause", "resume", "validate"],
        Field(description="What to do."),
    ]  # fmt: skip
    schedule_data: Annotated[
        dict[str, Any] | None,
        Field(description="create: name, mode, taskInstructions, timeInterval, timeUnit, …"),
    ] = None
    schedule_id: Annotated[str | None, Field(description="Which schedule.")] = None
    update_fields: Annotated[
        dict[str, Any] | None, Field(description="update: field -> value, null removes.")
    ] = None
    if_match: Annotated[str | None, Field(description="The etag the file must have.")] = None


@dataclass(frozen=True)
class Proposal:
    """Edits with the fields they change, and the id of the schedule they belong to."""

    schedule_id: str
    edits: tuple[Edit, ...]
    before: dict[str, Any]
    after: dict[str, Any]
    # Whether the schedule must be sound afterwards; one that is switched off or gone need not.
    check: bool = True


Propose = Callable[[SchedulesFile], Proposal]


def change(context: Context, request: ScheduleChange) -> dict[str, Any]:
    """Do what the request says; the fields of its result, but for action and dry_run."""
    match request.action:
        case "validate":
            return _validate(context, request)
        case "run_now" | "pause" | "resume":
            return _ordered(context, request)
        case "create":
            return _written(context, request, lambda file: _create(context, request, file))
        case "update":
            return _written(context, request, lambda file: _update(request, file))
        case "delete":
            return _written(context, request, lambda file: _delete(request, file))
        case _:
            active = request.action == "activate"
            return _written(context, request, lambda file: _switch(request, file, active=active))


def _named(request: ScheduleChange, file: SchedulesFile) -> Schedule:
    if not request.schedule_id:
        raise invalid(f"`schedule_id` is required for {request.action}.")
    found = file.find(request.schedule_id)
    if found is None:
        raise unknown(file, request.schedule_id)
    return found


def _create(context: Context, request: ScheduleChange, file: SchedulesFile) -> Proposal:
    if not request.schedule_data:
        raise invalid("`schedule_data` is required for create.")
    given = {k: v for k, v in normalised(request.schedule_data).items() if v is not None}
    schedule_id = _new_id(context, given.pop("id", request.schedule_id), file)
    now = stamp(context.clock())
    values = {"scheduleType": "time", "active": True, "taskInteraction": "wait"}
    values |= {"createdAt": now, "updatedAt": now, **given, "id": schedule_id}
    if values.get("startDate"):
        # roo-scheduler has no default for the hour of a start.
        values |= {name: values.get(name) or "00" for name in ("startHour", "startMinute")}
    ordered = {name: values[name] for name in schedules.FIELDS if name in values}
    others = [each for each in file.schedules if each.values]
    if others and all(each.snake_case for each in others):
        edits = _added(file, {snake(name): value for name, value in ordered.items()})
    else:
        edits = _added(file, ordered)
    return Proposal(schedule_id, edits, {}, ordered)


def _added(file: SchedulesFile, values: Mapping[str, Any]) -> tuple[Edit, ...]:
    try:
        return add_schedule(file, values)
    except UneditableError as error:
        message = f"`{file.path}` has no place for a schedule: {error}."
        raise SidecarError(ErrorCode.CORRUPT, message) from error


def _new_id(context: Context, wanted: str | None, file: SchedulesFile) -> str:
    """The caller's id, else the present millisecond or the next free one."""
    taken = {schedule.id for schedule in file.schedules}
    if wanted:
        if wanted in taken:
            message = f"There is already a schedule `{wanted}`."
            hint = "Leave the id out, or use action=update."
            raise SidecarError(ErrorCode.CONFLICT, message, hint=hint)
        return wanted
    number = int(context.clock().timestamp() * 1000)
    while str(number) in taken:
        number += 1
    return str(number)


def _update(request: ScheduleChange, file: SchedulesFile) -> Proposal:
    schedule = _named(request, file)
    fields = normalised(request.update_fields or request.schedule_data or {})
    if not fields:
        raise invalid("`update_fields` is required for update.")
    if fields.pop("id", schedule.id) != schedule.id:
        raise invalid("The id of a schedule cannot be changed.", "Create a new one, delete this.")
    start = fields.get("startDate") or schedule.values.get("startDate")
    if fields.get("startDate") and start and not schedule.values.get("startHour"):
        fields.setdefault("startHour", "00")
    return _setting(file, schedule, fields)


def _setting(file: SchedulesFile, schedule: Schedule, fields: Mapping[str, Any]) -> Proposal:
    gone = [name for name, value in fields.items() if value is None]
    kept = {name: value for name, value in fields.items() if value is not None}
    edits = (*set_fields(file, schedule, kept), *remove_fields(schedule, gone))
    after = _after(file, edits, schedule.index)
    changed = [name for name in fields if schedule.values.get(name) != after.get(name)]
    return Proposal(
        schedule.id,
        edits,
        {name: schedule.values.get(name) for name in changed},
        {name: after.get(name) for name in changed},
        check=after.get("active") is not False,
    )


def _after(file: SchedulesFile, edits: Sequence[Edit], index: int) -> dict[str, Any]:
    """The values of one schedule when the edits are made."""
    changed = schedules.parse(apply_edits(file.source.text, edits), path=file.path)
    found = next((each for each in changed.schedules if each.index == index), None)
    return dict(found.values) if found else {}


def _switch(request: ScheduleChange, file: SchedulesFile, *, active: bool) -> Proposal:
    schedule = _named(request, file)
    if schedule.values.get("active", True) is active:
        return Proposal(schedule.id, (), {}, {}, check=False)
    return _setting(file, schedule, {"active": active})


def _delete(request: ScheduleChange, file: SchedulesFile) -> Proposal:
    schedule = _named(request, file)
    edits = remove_schedule(file, schedule)
    return Proposal(schedule.id, edits, dict(schedule.values), {}, check=False)


def _written(context: Context, request: ScheduleChange, propose: Propose) -> dict[str, Any]:
    """Propose on what is stored, check the whole result, and put it where the file is edited."""
    path = path_of(context)
    given = request.update_fields or request.schedule_data or {}
    # A global mode may be unknown here: one that stands already does not hinder an update.
    names_mode = request.action != "update" or "mode" in given
    kinds = [Kind.MODES] if names_mode else []
    project = load_project(context.workspace, context.settings, context.clock(), kinds=kinds)
    made: list[Proposal] = []

    def replaced(current: Content | None) -> bytes | None:
        _match(request, path, current)
        file = _stored(context, request, path, current)
        proposal = propose(file)
        made[:] = [proposal]
        if not proposal.edits:
            return None
        text = apply_edits(file.source.text, proposal.edits)
        check_mode = request.action != "update" or "mode" in proposal.after
        _verify(proposal, text, path, project, check_mode=check_mode)
        return None if request.dry_run else text.encode()

    done = update(context, path, replaced, backup="manage_schedules")
    proposal, written = made[0], done.written
    return {
        "schedule_id": proposal.schedule_id,
        "changed": written.changed,
        "path": path,
        "before": proposal.before,
        "after": proposal.after,
        "backup_id": written.backup_id,
        "etag": written.sha256 or None,
        "stored": done.stored,
    }


def _match(request: ScheduleChange, path: str, current: Content | None) -> None:
    found = current.sha256 if current else None
    if request.if_match is not None and request.if_match != found:
        now = f"its etag is now {found}" if found else "it does not exist"
        hint = "Read the schedules again, then repeat the change."
        raise SidecarError(ErrorCode.CONFLICT, f"`{path}` has changed: {now}.", hint=hint)


def _stored(
    context: Context, request: ScheduleChange, path: str, current: Content | None
) -> SchedulesFile:
    if current is None:
        if request.action == "create":
            return schedules.parse("", path=path)
        raise SidecarError(ErrorCode.NOT_FOUND, f"There is no `{path}`.")
    if not current.data.strip():
        return schedules.parse("", path=path)
    return sound(context.workspace, path, current)


def _verify(
    proposal: Proposal, text: str, path: str, project: Project, *, check_mode: bool
) -> None:
    """Refuse what would not run; raises E_INVALID."""
    file = schedules.parse(text, path=path)
    found = file.find(proposal.schedule_id)
    if found is None or not proposal.check:
        return
    wrong = complaints(found.values, project, check_mode=check_mode)
    if wrong:
        hint = "Give right values for these fields in the same call; nothing was written."
        if project.global_modes is None:
            hint += " Global modes count when the setting global_modes_file names their file."
        raise invalid(f"The schedule could not run. {' '.join(wrong)}", hint)


def _ordered(context: Context, request: ScheduleChange) -> dict[str, Any]:
    """What is done with the queue of runs or its records; the file stays as it is."""
    file, content = read(context)
    schedule = _named(request, file)
    order = schedule_orders.ORDERS[request.action](context, schedule, dry_run=request.dry_run)
    return {
        "schedule_id": schedule.id,
        "path": file.path,
        "backup_id": None,
        "etag": content.sha256,
        **order,
    }


def _validate(context: Context, request: ScheduleChange) -> dict[str, Any]:
    """Check the given data, one schedule, or the whole file, and write nothing."""
    project = load_project(context.workspace, context.settings, context.clock())
    if request.schedule_data is not None:
        try:
            given = normalised(request.schedule_data)
            found = complaints({"scheduleType": "time", **given}, project)
        except SidecarError as error:
            found = [str(error)]
        return _verdict(context, request, found, valid=not found, etag=None)
    file, content = read(context)
    schedule = _named(request, file) if request.schedule_id else None
    report = diagnose(Kind.SCHEDULES, file.path, file.source.text, project, context.settings)
    found, valid = [], True
    for finding in report.findings:
        inside = schedule is None or schedule.span.contains(finding.span.start)
        if inside and finding.severity in (Severity.ERROR, Severity.WARNING):
            line = file.source.position(finding.span.start).line + 1
            found.append(f"{finding.code} {finding.severity}, line {line}: {finding.message}")
            valid = valid and finding.severity is not Severity.ERROR
    return _verdict(context, request, found, valid=valid, etag=content.sha256)


def _verdict(
    context: Context, request: ScheduleChange, found: list[str], *, valid: bool, etag: str | None
) -> dict[str, Any]:
    left = len(found) - MAX_PROBLEMS
    more = [f"and {left} more; `sidecar check` lists all"] if left > 0 else []
    return {
        "schedule_id": request.schedule_id,
        "changed": False,
        "path": path_of(context),
        "before": {},
        "after": {},
        "backup_id": None,
        "etag": etag,
        "valid": valid,
        "problems": [*found[:MAX_PROBLEMS], *more],
    }
