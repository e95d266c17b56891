"""Rules about when a schedule runs: what roo-scheduler computes now, in the project's zone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sidecar.domain import js_date, roo_calendar
from sidecar.domain.finding import Fix, Severity
from sidecar.domain.kind import Kind
from sidecar.domain.plan import parse_instant
from sidecar.domain.project import Project
from sidecar.domain.schedules import Schedule, SchedulesFile, is_timed
from sidecar.domain.source import Span
from sidecar.rules.rule import Hit, rule
from sidecar.rules.schedules_cause import Cause, cause_of, runs, setting

_LONGEST_TIMER = timedelta(milliseconds=roo_calendar.LONGEST_TIMER)


def _blame(schedule: Schedule, cause: Cause) -> Span:
    return schedule.place(cause.name, "id", "name")


@rule("SC001", Severity.ERROR, Kind.SCHEDULES)
def poison_schedule(file: SchedulesFile, project: Project) -> Iterator[Hit]:
    """A value makes roo-scheduler fail to start; the schedules after it never run.

    Without a weekday mask an invalid date throws while the schedules are set up: the extension
    does not start, its sidebar stays blank, and no later schedule gets a timer. An entry that is
    null, or a `schedules` that is no list, does the same.

    Bad:
        {"schedules": [{"id": "1", "scheduleType": "time", "timeInterval": "1", "timeUnit": "days"},
                       {"id": "2", "scheduleType": "time", "timeInterval": "1", "timeUnit": "day"}]}
    Bad:
        {"schedules": [{"id": "1", "scheduleType": "time", "timeInterval": "1", "timeUnit": "day",
                        "startDate": "2025-05-01", "startHour": "9"}]}
    Bad:
        {"schedules": {"nightly": {"timeInterval": "1"}}}
    Good:
        {"schedules": [{"id": "1", "scheduleType": "time", "timeInterval": "1", "timeUnit": "day",
                        "startDate": "2025-05-01", "startHour": "09"}]}
    """
    shape = file.product
    if shape.verdict == "activation-fails":
        message = f"roo-scheduler does not start, and nothing runs: {shape.reason}."
        yield Hit(_shape_span(file), message)
    for run in runs(file, project):
        if run.invalid:
            cause = cause_of(file, run.schedule)
            later = shape.total - run.schedule.index - 1
            also = f", and the {later} after it never run" if later else ""
            message = (
                f'roo-scheduler fails to start on "{run.schedule.label}"{also}: {cause.clause}.'
            )
            yield Hit(_blame(run.schedule, cause), message, cause.fixes)


def _shape_span(file: SchedulesFile) -> Span:
    null = next((each for each in file.problems if each.message.count(" null,")), None)
    root = file.document.root
    return null.span if null else Span(root.span.start, root.span.start + 1) if root else Span(0, 0)


@rule("SC006", Severity.ERROR, Kind.SCHEDULES)
def never_runs(file: SchedulesFile, project: Project) -> Iterator[Hit]:
    """roo-scheduler finds no next run: the schedule is listed and never runs.

    That happens without `timeInterval` or `timeUnit`, with long names or a list of days, and with
    any invalid date beside a weekday mask. Nothing is shown but "Not scheduled".

    Bad:
        {"schedules": [{"id": "1", "scheduleType": "time", "timeInterval": "1",
                        "timeUnit": "hours", "selectedDays": {"mon": true, "thu": true}}]}
    Bad:
        {"schedules": [{"id": "1", "scheduleType": "time", "timeInterval": "1",
                        "timeUnit": "hour", "selectedDays": {"monday": true}}]}
    Bad:
        {"schedules": [{"id": "1", "scheduleType": "time", "timeUnit": "hour"}]}
    Good:
        {"schedules": [{"id": "1", "scheduleType": "time", "timeInterval": "1",
                        "timeUnit": "hour", "selectedDays": {"mon": true, "thu": true}}]}
    """
    for run in runs(file, project):
        if run.next is None and not run.invalid:
            cause = cause_of(file, run.schedule)
            message = f'"{run.schedule.label}" never runs in roo-scheduler: {cause.clause}.'
            yield Hit(_blame(run.schedule, cause), message, cause.fixes)


@rule("SC002", Severity.ERROR, Kind.SCHEDULES)
def timer_overflow(file: SchedulesFile, project: Project) -> Iterator[Hit]:
    """The next run is more than 24.8 days away, and starts at once instead.

    roo-scheduler waits with one timer, and a timer holds 2,147,483,647 ms at most. A longer wait
    ends after one millisecond: the task starts, is scheduled again, starts again, for ever.
    The sidecar's own calendar has no such limit.

    Bad:
        {"schedules": [{"id": "1", "scheduleType": "time", "timeInterval": "1", "timeUnit": "day",
                        "startDate": "2025-07-01", "startHour": "09", "startMinute": "00"}]}
    Good:
        {"schedules": [{"id": "1", "scheduleType": "time", "timeInterval": "1", "timeUnit": "day",
                        "startDate": "2025-05-20", "startHour": "09", "startMinute": "00"}]}
    """
    for run in runs(file, project):
        if run.next is not None and run.next - project.now > _LONGEST_TIMER:
            days = (run.next - project.now).days
            message = (
                f'"{run.schedule.label}" is due on {_local(run.next, project.tz)}, {days} days '
                "from now: roo-scheduler's timer holds 24.8 days at most, so the task starts "
                "at once and again and again. Start it earlier, or switch it off until then."
            )
            fix = setting(file, run.schedule, "Switch it off", safe=False, active=False)
            yield Hit(run.schedule.place("startDate", "timeInterval", "id"), message, (fix,))


@rule("SC007", Severity.ERROR, Kind.SCHEDULES)
def utc_date_collapse(file: SchedulesFile, project: Project) -> Iterator[Hit]:
    """Without a start date, roo-scheduler mixes the UTC date with the local hour.

    West of Greenwich, from the local hour at which UTC's day begins, the start it computes lies
    on tomorrow: from then on the schedule runs once a day only, until the window is reloaded.
    Elsewhere the time of the runs still depends on when the window was loaded.

    Bad:
        --- tz: America/Chicago
        {"schedules": [{"id": "1", "scheduleType": "time", "timeInterval": "10",
                        "timeUnit": "minute", "createdAt": "2025-04-30T15:00:00Z"}]}
    Good:
        --- tz: America/Chicago
        {"schedules": [{"id": "1", "scheduleType": "time", "timeInterval": "10",
                        "timeUnit": "minute", "startDate": "2025-04-30", "startHour": "10",
                        "startMinute": "00"}]}
    """
    offset = project.now.astimezone(project.tz).utcoffset() or timedelta(0)
    for run in runs(file, project):
        raw = run.schedule.raw
        if run.next is None or js_date.truthy(raw.get("startDate")):
            continue
        label, place = run.schedule.label, run.schedule.place("startDate", "timeInterval")
        fixes = (_start_fix(file, run.schedule, project),)
        if offset < timedelta(0):
            midnight = timedelta(days=1) + offset
            hour = f"{midnight.seconds // 3600:02}:{midnight.seconds // 60 % 60:02}"
            message = (
                f'"{label}" has no `startDate`: after {hour} here, when UTC\'s day has changed, '
                f"roo-scheduler runs it only once a day in {project.tz.key}."
            )
            yield Hit(place, message, fixes)
        else:
            message = (
                f'"{label}" has no `startDate`: its times depend on when the window was loaded, '
                "and in a zone west of Greenwich it would run only once a day after 00:00 UTC."
            )
            yield Hit(place, message, fixes, Severity.INFO)


def _start_fix(file: SchedulesFile, schedule: Schedule, project: Project) -> Fix:
    """Start where the schedule's runs have been counted from so far."""
    for name in ("lastExecutionTime", "createdAt"):
        moment = parse_instant(schedule.raw.get(name))
        if moment is not None and moment.year > 1970:
            break
    else:
        moment = project.now
    local = moment.astimezone(project.tz)
    values = {
        "startDate": f"{local:%Y-%m-%d}",
        "startHour": f"{local:%H}",
        "startMinute": f"{local:%M}",
    }
    title = f"Start on {local:%Y-%m-%d %H:%M}"
    return setting(file, schedule, title, safe=False, **values)


@rule("SC009", Severity.WARNING, Kind.SCHEDULES)
def expired(file: SchedulesFile, project: Project) -> Iterator[Hit]:
    """The expiration has passed and the schedule is still switched on.

    It runs no more; roo-scheduler switches it off when it starts the next time.

    Bad:
        {"schedules": [{"id": "1", "scheduleType": "time", "timeInterval": "1", "timeUnit": "day",
                        "expirationDate": "2025-04-30"}]}
    Good:
        {"schedules": [{"id": "1", "scheduleType": "time", "timeInterval": "1", "timeUnit": "day",
                        "expirationDate": "2025-05-31"}]}
    """
    for schedule in _timed(file):
        end = roo_calendar.expiration(schedule.raw, project.tz)
        if end is not None and end + timedelta(minutes=1) <= project.now:
            message = (
                f'"{schedule.label}" expired on {_local(end, project.tz)} and is still active.'
            )
            fix = setting(file, schedule, "Switch it off", active=False)
            yield Hit(schedule.place("expirationDate"), message, (fix,))


@rule("SC010", Severity.INFO, Kind.SCHEDULES)
def stale_next(file: SchedulesFile, project: Project) -> Iterator[Hit]:
    """`nextExecutionTime` lies in the past.

    roo-scheduler writes the field and never reads it: no scheduler has looked after this file
    since then, and what the field says is no longer the next run.

    Bad:
        {"schedules": [{"id": "1", "scheduleType": "time", "timeInterval": "1", "timeUnit": "hour",
                        "nextExecutionTime": "2025-04-30T06:50:00.983Z"}]}
    Good:
        {"schedules": [{"id": "1", "scheduleType": "time", "timeInterval": "1", "timeUnit": "hour",
                        "nextExecutionTime": "2025-05-01T11:00:00.000Z"}]}
    """
    for run in runs(file, project):
        stored = parse_instant(run.schedule.raw.get("nextExecutionTime"))
        if stored is None or stored >= project.now or run.next is None:
            continue
        text = f"{run.next:%Y-%m-%dT%H:%M:%S}.{run.next.microsecond // 1000:03}Z"
        message = (
            f'`nextExecutionTime` of "{run.schedule.label}" is past; roo-scheduler\'s next run '
            f"is {_local(run.next, project.tz)}."
        )
        later = run.next > project.now
        fix = setting(file, run.schedule, "Write the real next run", nextExecutionTime=text)
        yield Hit(run.schedule.place("nextExecutionTime"), message, (fix,) if later else ())


@rule("SC012", Severity.WARNING, Kind.SCHEDULES)
def start_not_selected_day(file: SchedulesFile, project: Project) -> Iterator[Hit]:
    """The first run falls on a weekday that is not selected.

    roo-scheduler takes a start in the future as it is and looks at the weekdays only afterwards.

    Bad:
        {"schedules": [{"id": "1", "scheduleType": "time", "timeInterval": "1", "timeUnit": "day",
                        "startDate": "2025-05-03", "startHour": "07", "startMinute": "30",
                        "selectedDays": {"mon": true}}]}
    Good:
        {"schedules": [{"id": "1", "scheduleType": "time", "timeInterval": "1", "timeUnit": "day",
                        "startDate": "2025-05-05", "startHour": "07", "startMinute": "30",
                        "selectedDays": {"mon": true}}]}
    """
    for run in runs(file, project):
        days = run.schedule.raw.get("selectedDays")
        if run.next is None or not isinstance(days, dict):
            continue
        local = run.next.astimezone(project.tz)
        chosen = {day for day in roo_calendar.DAYS if js_date.truthy(days.get(day))}
        if not chosen or roo_calendar.DAYS[local.isoweekday() % 7] in chosen:
            continue
        first = next(
            day
            for n in range(1, 8)
            if roo_calendar.DAYS[(day := local + timedelta(days=n)).isoweekday() % 7] in chosen
        )
        date = f"{first:%Y-%m-%d}"
        message = (
            f'"{run.schedule.label}" first runs on {local:%A}, {local:%Y-%m-%d}, although that '
            f"day is not selected; the first selected one is {date}."
        )
        fix = setting(file, run.schedule, f"Start on {date}", startDate=date)
        yield Hit(run.schedule.place("startDate"), message, (fix,))


@rule("SC018", Severity.WARNING, Kind.SCHEDULES)
def expiry_before_start(file: SchedulesFile, project: Project) -> Iterator[Hit]:
    """The schedule expires before it starts, or in the first minute of its last day.

    roo-scheduler's form writes 00:00 as the default time of the expiration, which ends the
    schedule at the start of that day, not at its end.

    Bad:
        {"schedules": [{"id": "1", "scheduleType": "time", "timeInterval": "1", "timeUnit": "day",
                        "expirationDate": "2025-05-31", "expirationHour": "00",
                        "expirationMinute": "00"}]}
    Bad:
        {"schedules": [{"id": "1", "scheduleType": "time", "timeInterval": "1", "timeUnit": "day",
                        "startDate": "2025-06-01", "startHour": "09",
                        "expirationDate": "2025-05-31"}]}
    Good:
        {"schedules": [{"id": "1", "scheduleType": "time", "timeInterval": "1", "timeUnit": "day",
                        "expirationDate": "2025-05-31", "expirationHour": "23",
                        "expirationMinute": "59"}]}
    """
    for schedule in _timed(file):
        raw = schedule.raw
        end = roo_calendar.expiration(raw, project.tz)
        if end is None:
            continue
        start = _start(raw, project.tz)
        if start is not None and end < start:
            message = f'"{schedule.label}" expires before it starts, so it never runs.'
            yield Hit(schedule.place("expirationDate"), message)
        elif raw.get("expirationHour") == "00" and raw.get("expirationMinute") in ("00", "", None):
            message = (
                f'"{schedule.label}" expires at 00:00, the start of {raw["expirationDate"]}: '
                "nothing runs on that day any more."
            )
            values = {"expirationHour": "23", "expirationMinute": "59"}
            fix = setting(file, schedule, "Expire at 23:59", safe=False, **values)
            yield Hit(schedule.place("expirationHour"), message, (fix,))


def _start(raw: Mapping[str, object], tz: ZoneInfo) -> datetime | None:
    date, hour = raw.get("startDate"), raw.get("startHour")
    if not isinstance(date, str) or not date:
        return None
    minute = raw.get("startMinute") or "00"
    instant = js_date.parse(f"{date}T{hour}:{minute}:00", tz)
    return None if instant is None else js_date.to_datetime(instant)


def _timed(file: SchedulesFile) -> Iterator[Schedule]:
    return (schedule for schedule in file.schedules if is_timed(schedule.raw))


def _local(moment: datetime, tz: ZoneInfo) -> str:
    local = moment.astimezone(tz)
    return f"{local:%Y-%m-%d %H:%M} {'UTC' if tz.key == 'UTC' else local.tzname()}"
