"""The fields that a schedule carries for other readers: when it ran, was skipped, and runs next.

The truth is the engine's database. An editor with unsaved changes delays an edit, never a run.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sidecar.domain import schedules
from sidecar.domain.edit import apply_edits
from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.domain.plan import parse_instant
from sidecar.domain.schedules import Schedule
from sidecar.domain.schedules_edit import set_fields
from sidecar.services.context import Context
from sidecar.services.schedule_plan import path_of, planned, stamp
from sidecar.services.unsaved import refuse_unsaved
from sidecar.workspace.content import Content

# What is still to be written, by the schedule's id.
PENDING = "pending_bookkeeping"
# What we wrote last, by the schedule's id: another value means that another scheduler is alive.
WRITTEN = "written_bookkeeping"
TOOL = "bookkeeping"


def note_run(context: Context, schedule_id: str, *, started: datetime, task_id: str) -> bool:
    """Note a run that has ended; whether the file says so now, else it is written later."""
    noted = {"lastExecutionTime": stamp(started) or "", "lastTaskId": task_id}
    return _note(context, schedule_id, noted)


def note_skip(context: Context, schedule_id: str, slot: datetime) -> bool:
    """Note a slot that was skipped; whether the file says so now, else it is written later."""
    return _note(context, schedule_id, {"lastSkippedTime": stamp(slot) or ""})


def write_pending(context: Context) -> list[str]:
    """Write what waits; the ids of the schedules whose fields are up to date now."""
    with context.workspace.store.transaction() as records:
        waiting = [schedule_id for schedule_id, _ in records.items(PENDING)]
    return [schedule_id for schedule_id in waiting if _write(context, schedule_id)]


def written(context: Context, schedule_id: str) -> dict[str, str]:
    """The fields that we wrote last for a schedule, none where we never did."""
    with context.workspace.store.transaction() as records:
        return records.get(WRITTEN, schedule_id) or {}


def _note(context: Context, schedule_id: str, values: Mapping[str, str]) -> bool:
    with context.workspace.store.transaction() as records:
        known = records.get(PENDING, schedule_id) or {}
        records.put(PENDING, schedule_id, _latest(known, values))
    return _write(context, schedule_id)


def _latest(known: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    """Both together; of two runs the later one counts, in whatever order they were noted."""
    name = "lastExecutionTime"
    if name in known and name in values and known[name] > values[name]:
        return {**values, **known}
    return {**known, **values}


def _write(context: Context, schedule_id: str) -> bool:
    with context.workspace.store.transaction() as records:
        values = records.get(PENDING, schedule_id)
    if values is None:
        return True
    path = path_of(context)
    try:
        if context.workspace.files.exists(path):
            with context.workspace.journal.origin(tool=TOOL, client=context.client.name):
                context.workspace.files.update(
                    path,
                    lambda current: _changed(context, schedule_id, values, current),
                    backup=None,
                )
    except SidecarError as error:
        if error.code in {ErrorCode.CONFLICT, ErrorCode.IO, ErrorCode.BUSY, ErrorCode.TIMEOUT}:
            return False
        raise
    with context.workspace.store.transaction() as records:
        if records.get(PENDING, schedule_id) == values:
            records.delete(PENDING, schedule_id)
    return True


def _changed(
    context: Context, schedule_id: str, values: Mapping[str, str], current: Content | None
) -> bytes | None:
    refuse_unsaved(context.workspace, path_of(context), current)
    if current is None:
        return None
    file = schedules.parse(current.data.decode("utf-8", "surrogateescape"), path=current.path)
    schedule = file.find(schedule_id)
    if schedule is None or not file.valid:
        return None  # its entry is gone, or nobody can say where it begins
    fields = _fields(context, file, schedule, values)
    edits = set_fields(file, schedule, fields)
    with context.workspace.store.transaction() as records:
        records.put(WRITTEN, schedule_id, (records.get(WRITTEN, schedule_id) or {}) | fields)
    if not edits:
        return None
    return apply_edits(file.source.text, edits).encode("utf-8", "surrogateescape")


def _fields(
    context: Context,
    file: schedules.SchedulesFile,
    schedule: Schedule,
    values: Mapping[str, str],
) -> dict[str, str]:
    """The values to write: a later run's stay, and the next slot is reckoned anew."""
    fields = dict(values)
    there = parse_instant(schedule.values.get("lastExecutionTime"))
    ours = parse_instant(fields.get("lastExecutionTime"))
    if there is not None and ours is not None and there > ours:
        fields = {n: v for n, v in fields.items() if n not in {"lastExecutionTime", "lastTaskId"}}
    following = next((p.next for p in planned(context, file) if p.schedule is schedule), None)
    if following is not None:
        fields["nextExecutionTime"] = stamp(following) or ""
    return fields
