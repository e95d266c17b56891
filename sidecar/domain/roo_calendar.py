"""The next run as roo-scheduler 0.0.11 computes it, bugs included: for diagnostics only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from sidecar.domain import js_date
from sidecar.domain.js_date import DAY, HOUR, MINUTE, Instant

DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
UNITS = {"minute": MINUTE, "hour": HOUR, "day": DAY}
# A timer with a longer delay fires at once: Node's and the browsers' 32-bit limit.
LONGEST_TIMER = 2**31 - 1

Schedule = Mapping[str, object]


class InvalidDate(ValueError):  # noqa: N818 - JavaScript's own name for it
    """The computation ended in an invalid date, on which roo-scheduler fails to start."""


def next_execution(schedule: Schedule, now: datetime, tz: ZoneInfo) -> datetime | None:
    """When roo-scheduler would run the schedule, in UTC; None where it never would.

    Raises InvalidDate. A date after the year 9999 is returned as the last that Python knows.
    """
    if not js_date.truthy(schedule.get("timeInterval")) or not _truthy(schedule, "timeUnit"):
        return None
    clock = js_date.from_datetime(now)
    start = _start(schedule, clock, tz)
    if start is not None and clock < start:
        return js_date.to_datetime(start)
    instant = _next_step(schedule, _reference(schedule, start, tz), clock, tz)
    mask = _mask(schedule)
    if mask is not None:
        instant = _first_selected(schedule, mask, instant, clock, tz)
        return None if instant is None else js_date.to_datetime(instant)
    if instant is None:
        raise InvalidDate
    return js_date.to_datetime(instant)


def expiration(schedule: Schedule, tz: ZoneInfo) -> datetime | None:
    """The start of the minute after which roo-scheduler deactivates; None means never."""
    if not _truthy(schedule, "expirationDate"):
        return None
    hour = _text_or(schedule, "expirationHour", "23")
    minute = _text_or(schedule, "expirationMinute", "59")
    date = js_date.to_text(schedule["expirationDate"])
    instant = js_date.parse(f"{date}T{hour}:{minute}:00", tz)
    return None if instant is None else js_date.to_datetime(instant)


def _truthy(schedule: Schedule, name: str) -> bool:
    return js_date.truthy(schedule.get(name))


def _text_or(schedule: Schedule, name: str, default: str) -> str:
    return js_date.to_text(schedule[name]) if _truthy(schedule, name) else default


def _start(schedule: Schedule, clock: int, tz: ZoneInfo) -> Instant:
    """The start; without a date, today's *UTC* date with the present *local* hour."""
    minute = _text_or(schedule, "startMinute", "00")
    if _truthy(schedule, "startDate"):
        date = js_date.to_text(schedule["startDate"])
        missing = "startHour" not in schedule
        hour = "undefined" if missing else js_date.to_text(schedule["startHour"])
    else:
        date = js_date.to_datetime(clock).date().isoformat()
        hour = f"{js_date.to_local(clock, tz) % DAY // HOUR:02}"
    return js_date.parse(f"{date}T{hour}:{minute}:00", tz)


def _reference(schedule: Schedule, start: Instant, tz: ZoneInfo) -> Instant:
    executed, skipped = _truthy(schedule, "lastExecutionTime"), _truthy(schedule, "lastSkippedTime")
    if _truthy(schedule, "startDate") or not (executed or skipped):
        return start
    last_run = js_date.new_date(schedule["lastExecutionTime"], tz) if executed else 0
    last_skip = js_date.new_date(schedule["lastSkippedTime"], tz) if skipped else 0
    if last_run is not None and last_skip is not None and last_run >= last_skip:
        return last_run
    return last_skip


def _next_step(schedule: Schedule, reference: Instant, clock: int, tz: ZoneInfo) -> Instant:
    """The first multiple of the interval after the reference, its seconds zeroed."""
    if reference is None or clock <= reference:
        return reference
    unit = schedule["timeUnit"]
    length = UNITS.get(unit, 0) if isinstance(unit, str) else 0
    step = js_date.parse_int(schedule["timeInterval"]) * length
    if step == 0 or not math.isfinite(step):
        return None  # 0 * Infinity, and whatever NaN touches
    periods = math.ceil((clock - reference) / step)
    instant = js_date.clip(reference + periods * step)
    instant = js_date.set_fields(instant, tz, seconds=0)
    if instant is not None and clock > instant:
        instant = js_date.add_local_minute(instant, tz)
    return instant


def _mask(schedule: Schedule) -> Mapping[str, object] | None:
    """``selectedDays`` where any value in it is true; lists and texts have no day in them."""
    days = schedule.get("selectedDays")
    if isinstance(days, Mapping):
        return days if any(js_date.truthy(value) for value in days.values()) else None
    if isinstance(days, list):
        return {} if any(js_date.truthy(value) for value in days) else None
    return {} if isinstance(days, str) and days else None


def _selected(mask: Mapping[str, object], instant: Instant, tz: ZoneInfo) -> bool:
    if instant is None:
        return False
    return js_date.truthy(mask.get(DAYS[js_date.weekday(instant, tz)]))


def _first_selected(
    schedule: Schedule, mask: Mapping[str, object], instant: Instant, clock: int, tz: ZoneInfo
) -> Instant:
    for _ in range(7):
        if _selected(mask, instant, tz):
            late = instant is not None and instant <= clock
            return _recomputed(schedule, mask, clock, tz) if late else instant
        instant = _at_start_time(schedule, js_date.add_local_day(instant, tz), tz)
    return None


def _recomputed(
    schedule: Schedule, mask: Mapping[str, object], clock: int, tz: ZoneInfo
) -> Instant:
    """Today at the start time, else the first selected day from tomorrow on."""
    instant = _at_start_time(schedule, clock, tz)
    if instant is not None and instant <= clock:
        instant = js_date.add_local_day(instant, tz)
    for _ in range(7):
        if _selected(mask, instant, tz):
            return instant
        instant = js_date.add_local_day(instant, tz)
    return None


def _at_start_time(schedule: Schedule, instant: Instant, tz: ZoneInfo) -> Instant:
    """The three setters one after the other, each resolving the local time anew."""
    hours = js_date.parse_int(_text_or(schedule, "startHour", "0"))
    minutes = js_date.parse_int(_text_or(schedule, "startMinute", "0"))
    instant = js_date.set_fields(instant, tz, hours=hours)
    instant = js_date.set_fields(instant, tz, minutes=minutes)
    return js_date.set_fields(instant, tz, seconds=0)
