"""The schedules as the sidecar sees them now: our calendar beside roo-scheduler's."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from sidecar.domain import plan, roo_calendar, schedules
from sidecar.domain.calendar import Calendar, next_slot
from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.domain.kind import Kind
from sidecar.domain.plan import NotRunnable, parse_instant
from sidecar.domain.schedules import Schedule, SchedulesFile
from sidecar.domain.suggest import did_you_mean
from sidecar.services.context import Context
from sidecar.services.project import MAX_STATE_FILE_BYTES, zone
from sidecar.workspace.files import Content
from sidecar.workspace.workspace import Workspace

# Where the first sight of a schedule without any date of its own is kept.
FIRST_SEEN = "schedules_first_seen"
# What a schedule without a start is counted from since its first run, and for which timing.
PHASES = "schedule_phases"
_TIMING = ("timeInterval", "timeUnit", "startDate", "startHour", "startMinute")
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True)
class Planned:
    """One schedule with both calendars' verdicts; ``roo_invalid``: roo-scheduler fails on it."""

    schedule: Schedule
    calendar: Calendar | NotRunnable
    next: datetime | None
    overdue_since: datetime | None
    roo_next: datetime | None
    roo_invalid: bool
    expired: bool = False


def stamp(moment: datetime | None) -> str | None:
    """An instant as the file writes it: UTC, milliseconds, Z."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def path_of(context: Context) -> str:
    """The workspace's schedules file: the one that exists, else the default."""
    return context.workspace.path(Kind.SCHEDULES, context.settings.product)


def read(context: Context, *, saved: bool = False) -> tuple[SchedulesFile, Content]:
    """The schedules file as the user sees it, or as it is ``saved``; raises E_NOT_FOUND, E_CORRUPT.

    What is executed goes by what is saved: a text that is being typed says what nobody has meant.
    """
    path = path_of(context)
    files = context.workspace.files
    try:
        content = files.read(path, limit=MAX_STATE_FILE_BYTES, prefer_editor=not saved)
    except SidecarError as error:
        if error.code is not ErrorCode.NOT_FOUND:
            raise
        hint = "manage_schedules with action=create makes the first schedule and the file."
        raise SidecarError(ErrorCode.NOT_FOUND, f"There is no `{path}`.", hint=hint) from None
    return sound(context.workspace, path, content), content


def unknown(file: SchedulesFile, schedule_id: str) -> SidecarError:
    """The refusal for an id that no schedule has."""
    ids = [schedule.id for schedule in file.schedules if schedule.id]
    known = ", ".join(ids[:10]) or "none"
    hint = did_you_mean(schedule_id, ids) or f"The ids are: {known}."
    return SidecarError(ErrorCode.NOT_FOUND, f"There is no schedule `{schedule_id}`.", hint=hint)


def named(file: SchedulesFile, name: str) -> Schedule:
    """The schedule with that id, else with that name; raises E_NOT_FOUND, E_CONFLICT."""
    if (found := file.find(name)) is not None:
        return found
    same = [each for each in file.schedules if each.text("name") == name]
    if len(same) > 1:
        ids = ", ".join(f"`{each.id}`" for each in same)
        message = f"{len(same)} schedules are called `{name}`."
        raise SidecarError(ErrorCode.CONFLICT, message, hint=f"Give the id: {ids}.")
    if not same:
        raise unknown(file, name)
    return same[0]


def sound(workspace: Workspace, path: str, content: Content) -> SchedulesFile:
    """The model of a file's content; raises E_CORRUPT where JSON.parse refuses it."""
    file = schedules.parse(content.text, path=path)
    if file.valid:
        return file
    problem = file.syntax[0]
    place = file.source.position(problem.span.start)
    where = f"line {place.line + 1}, column {place.character + 1}"
    good = _newest_good(workspace, path)
    hint = f"restore_file can bring back the backup `{good}`." if good else "There is no backup."
    raise SidecarError(
        ErrorCode.CORRUPT,
        f"`{path}` is not valid JSON at {where}: {problem.message}",
        hint=f"Correct it there (`sidecar fix` mends what is safe). {hint}",
    )


def _newest_good(workspace: Workspace, path: str) -> str | None:
    for backup in workspace.backups.list(path):
        try:
            text = workspace.backups.read(backup).decode("utf-8")
        except (SidecarError, UnicodeDecodeError):
            continue
        if schedules.parse(text).valid:
            return backup.id
    return None


def planned(context: Context, file: SchedulesFile) -> Iterator[Planned]:
    """Each schedule of the file with both calendars' verdicts at the caller's clock."""
    now, tz = context.clock(), zone(context.settings.timezone)
    for schedule, verdict in calendars(context, file, now):
        roo_next, roo_invalid = _roo(schedule, now, tz)
        if isinstance(verdict, NotRunnable):
            yield Planned(schedule, verdict, None, None, roo_next, roo_invalid)
            continue
        ended = verdict.end is not None and verdict.end <= now
        due = None if ended else _due(schedule, verdict, now)
        yield Planned(
            schedule, verdict, next_slot(verdict, now), due, roo_next, roo_invalid, expired=ended
        )


def calendars(
    context: Context, file: SchedulesFile, now: datetime
) -> Iterator[tuple[Schedule, Calendar | NotRunnable]]:
    """Each schedule with our calendar; the phase of one that ran stays what it was.

    ``lastExecutionTime`` is when a run began, a moment after its slot: slots that were counted
    from it anew each time would come later and later.
    """
    tz = zone(context.settings.timezone)
    seen = _first_seen(context, file.schedules, now)
    with context.workspace.store.transaction() as records:
        phases = dict(records.items(PHASES))
    for schedule in file.schedules:
        values, phase = dict(schedule.values), phases.get(schedule.id)
        if phase is not None and phase["timing"] == timing_of(schedule):
            values["lastExecutionTime"] = phase["anchor"]
        yield schedule, plan.plan(values, tz=tz, first_seen=seen.get(schedule.id, now))


def timing_of(schedule: Schedule) -> str:
    """The fields that decide where slots lie, as one text to compare."""
    return json.dumps([schedule.values.get(name) for name in _TIMING], default=str)


def keep_phase(context: Context, schedule_id: str, timing: str, anchor: datetime) -> None:
    """Count a schedule's slots from this instant until its timing changes."""
    with context.workspace.store.transaction() as records:
        records.put(PHASES, schedule_id, {"timing": timing, "anchor": stamp(anchor)})


def _first_seen(
    context: Context, schedules_: Sequence[Schedule], now: datetime
) -> dict[str, datetime]:
    """When each schedule without any date was first looked at; stored on the user's side."""
    dated = ("startDate", "lastExecutionTime", "createdAt")
    undated = [s.id for s in schedules_ if s.id and not any(s.values.get(n) for n in dated)]
    if not undated:
        return {}
    with context.workspace.store.transaction() as records:
        known = dict(records.items(FIRST_SEEN))
        for schedule_id in undated:
            if schedule_id not in known:
                known[schedule_id] = {"at": stamp(now)}
                records.put(FIRST_SEEN, schedule_id, known[schedule_id])
    return {each: parse_instant(known[each]["at"]) or now for each in undated}


def _due(schedule: Schedule, calendar: Calendar, now: datetime) -> datetime | None:
    """The first slot that was missed since the last run or skip, None where none was."""
    noted = (
        parse_instant(schedule.values.get("lastExecutionTime")),
        parse_instant(schedule.values.get("lastSkippedTime")),
    )
    done = max((moment for moment in noted if moment is not None), default=None)
    slot = next_slot(calendar, done or calendar.anchor - _MILLISECOND)
    return slot if slot is not None and slot <= now else None


def _roo(schedule: Schedule, now: datetime, tz: ZoneInfo) -> tuple[datetime | None, bool]:
    if not schedules.is_timed(schedule.raw):
        return None, False
    try:
        return roo_calendar.next_execution(schedule.raw, now, tz), False
    except roo_calendar.InvalidDate:
        return None, True
