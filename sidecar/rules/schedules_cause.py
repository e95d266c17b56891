"""Why roo-scheduler finds no next run for a schedule, and what would mend it."""

from __future__ import annotations

import json
import math
import re
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sidecar.domain import js_date, roo_calendar
from sidecar.domain.edit import Edit
from sidecar.domain.finding import Fix
from sidecar.domain.project import Project
from sidecar.domain.schedules import Schedule, SchedulesFile, is_timed
from sidecar.domain.schedules_edit import set_fields
from sidecar.domain.suggest import nearest

TWO_DIGITS = re.compile(r"\d\d")
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
DAY_NAMES = {
    long: long[:3]
    for long in ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
}


class Cause(NamedTuple):
    """The field to blame, a clause that says what is wrong with it, and its mending."""

    name: str
    clause: str
    fixes: tuple[Fix, ...] = ()


class Run(NamedTuple):
    """What roo-scheduler computes for a schedule: a time, nothing, or an invalid date."""

    schedule: Schedule
    next: datetime | None
    invalid: bool = False


def runs(file: SchedulesFile, project: Project) -> tuple[Run, ...]:
    """The computation for each schedule that gets a timer, where the file loads at all."""
    return _runs(file, project.now, project.tz)


# Several rules ask for the same file at the same instant, one after the other.
@lru_cache(maxsize=1)
def _runs(file: SchedulesFile, now: datetime, tz: ZoneInfo) -> tuple[Run, ...]:
    if file.product.verdict not in ("loads", "activation-fails"):
        return ()
    timed = (schedule for schedule in file.schedules if is_timed(schedule.raw))
    return tuple(_run(schedule, now, tz) for schedule in timed)


def _run(schedule: Schedule, now: datetime, tz: ZoneInfo) -> Run:
    try:
        return Run(schedule, roo_calendar.next_execution(schedule.raw, now, tz))
    except roo_calendar.InvalidDate:
        return Run(schedule, None, invalid=True)


def setting(
    file: SchedulesFile, schedule: Schedule, title: str, *, safe: bool = True, **values: object
) -> Fix:
    """A fix that gives fields of a schedule new values."""
    return Fix(title, set_fields(file, schedule, values), safe)


def shown(value: object) -> str:
    """A value as it stands in the file, cut to a readable length."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return f"`{text if len(text) <= 40 else text[:39] + '…'}`"


def cause_of(file: SchedulesFile, schedule: Schedule) -> Cause:
    """The first field that keeps roo-scheduler from computing a time."""
    found = (
        _interval_cause(file, schedule)
        or _unit_cause(file, schedule)
        or _start_cause(file, schedule)
        or _days_cause(file, schedule)
    )
    return found or Cause("timeInterval", "its date lies beyond what JavaScript can hold")


def _interval_cause(file: SchedulesFile, schedule: Schedule) -> Cause | None:
    value = schedule.raw.get("timeInterval")
    if not js_date.truthy(value):
        fix = setting(file, schedule, "Run it every 1", safe=False, timeInterval="1")
        absent = "timeInterval" not in schedule.raw
        return Cause("timeInterval", _missing("timeInterval", value, absent=absent), (fix,))
    number = js_date.parse_int(value)
    if math.isnan(number):
        return Cause("timeInterval", f"`timeInterval` is {shown(value)}, which is no number")
    if number == 0:
        fix = setting(file, schedule, "Run it every 1", safe=False, timeInterval="1")
        return Cause(
            "timeInterval", "`timeInterval` is 0, and no time passes by steps of 0", (fix,)
        )
    return None


def _missing(name: str, value: object, *, absent: bool) -> str:
    return f"`{name}` is missing" if absent else f"`{name}` is {shown(value)}"


def _unit_cause(file: SchedulesFile, schedule: Schedule) -> Cause | None:
    value = schedule.raw.get("timeUnit")
    if isinstance(value, str) and value in roo_calendar.UNITS:
        return None
    clause = _missing("timeUnit", value, absent="timeUnit" not in schedule.raw)
    meant = nearest(js_date.to_text(value), roo_calendar.UNITS) if value else None
    fixes = (setting(file, schedule, f"Write `{meant}`", timeUnit=meant),) if meant else ()
    return Cause("timeUnit", f"{clause}; it knows minute, hour and day only", fixes)


def _start_cause(file: SchedulesFile, schedule: Schedule) -> Cause | None:
    raw = schedule.raw
    if not js_date.truthy(raw.get("startDate")):
        return time_cause(schedule, "startMinute", 59)
    date = raw["startDate"]
    utc = ZoneInfo("UTC")
    if js_date.parse(f"{js_date.to_text(date)}T00:00:00", utc) is None:
        day = date[:10] if isinstance(date, str) and DATE.match(date) else ""
        valid = bool(day) and js_date.parse(f"{day}T00:00:00", utc) is not None
        title = f"Write `{day}`"
        fixes = (setting(file, schedule, title, startDate=day),) if valid else ()
        return Cause("startDate", f"`startDate` is {shown(date)}, not YYYY-MM-DD", fixes)
    if raw.get("startHour") in (None, ""):
        fix = setting(file, schedule, "Start at 00:00", safe=False, startHour="00")
        clause = "`startHour` is missing, and with a `startDate` it has no default"
        return Cause("startHour", clause, (fix,))
    hour = time_cause(schedule, "startHour", 24)
    return hour or time_cause(schedule, "startMinute", 59)


def time_cause(schedule: Schedule, name: str, limit: int) -> Cause | None:
    """What is wrong with an hour or a minute; None where its text is two digits in range."""
    value = schedule.raw.get(name)
    if name not in schedule.raw or (name != "startHour" and not js_date.truthy(value)):
        return None
    text = js_date.to_text(value)
    if TWO_DIGITS.fullmatch(text) and int(text) <= limit:
        return None
    fixes: tuple[Fix, ...] = ()
    if re.fullmatch(r"\s*\d\s*", text):
        padded = text.strip().zfill(2)
        fixes = (padding(schedule, name, padded),)
    wanted = "two digits" if fixes else f"two digits from 00 to {23 if limit == 24 else limit}"
    return Cause(name, f"`{name}` is {shown(value)}, not {wanted}", fixes)


def padding(schedule: Schedule, name: str, padded: str) -> Fix:
    """Write an hour or minute as a text of two digits, even where a number stood."""
    edit = Edit(schedule.fields[name].span, json.dumps(padded))
    return Fix(f"Write `{padded}`", (edit,))


def _days_cause(file: SchedulesFile, schedule: Schedule) -> Cause | None:
    days = schedule.raw.get("selectedDays")
    if not js_date.truthy(days):
        return None
    if isinstance(days, dict) and any(js_date.truthy(days.get(day)) for day in roo_calendar.DAYS):
        return None
    plain = plain_days(days)
    fix = plain and setting(file, schedule, "Use the short names", selectedDays=plain)
    clause = f"`selectedDays` is {shown(days)}, in which no day has its name sun to sat"
    return Cause("selectedDays", clause, (fix,) if fix else ())


def plain_days(days: object) -> dict[str, bool] | None:
    """The days as the scheduler's form writes them; None where they cannot be told."""
    if isinstance(days, list):
        days = dict.fromkeys((str(day) for day in days), True)
    if not isinstance(days, dict):
        return None
    plain = dict.fromkeys(roo_calendar.DAYS, False)
    for name, value in days.items():
        short = name.strip().lower()
        short = DAY_NAMES.get(short, short)
        flag = {"true": True, "false": False}.get(js_date.to_text(value).lower())
        if short not in plain or flag is None:
            return None
        plain[short] = plain[short] or flag
    return plain
