"""From a schedule's fields to its calendar, or to the sentence that says why there is none."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from sidecar.domain.calendar import DAYS, Calendar, resolve

UNITS = ("minute", "hour", "day")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_NUMBER = re.compile(r"\d{1,15}")
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True)
class NotRunnable:
    """Why a schedule has no slots: the field, and a clause that follows "because".

    ``malformed`` is false where the schedule is merely switched off.
    """

    field: str
    reason: str
    malformed: bool = True

    def __str__(self) -> str:
        """The whole sentence."""
        return f"Not runnable, because {self.reason}."


class _Refused(Exception):  # noqa: N818 - carries a value out of nested readers
    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.verdict = NotRunnable(field, reason)


def plan(
    schedule: Mapping[str, object], *, tz: ZoneInfo, first_seen: datetime
) -> Calendar | NotRunnable:
    """The calendar of a schedule whose fields have roo-scheduler's names; never raises.

    ``first_seen`` is the anchor where the schedule names no date of its own.
    """
    try:
        return _plan(schedule, tz, first_seen)
    except _Refused as refusal:
        return refusal.verdict


def _plan(
    schedule: Mapping[str, object], tz: ZoneInfo, first_seen: datetime
) -> Calendar | NotRunnable:
    active = schedule.get("active", True)
    if active is False:
        return NotRunnable("active", "it is switched off: `active` is false", malformed=False)
    if active not in (True, None):
        raise _Refused("active", f"`active` is {_shown(active)}, neither true nor false")
    if schedule.get("scheduleType") != "time":
        raise _Refused("scheduleType", _must_be(schedule, "scheduleType", '"time"'))
    unit = schedule.get("timeUnit")
    if unit not in UNITS:
        raise _Refused("timeUnit", _must_be(schedule, "timeUnit", "minute, hour or day"))
    interval = _interval(schedule)
    anchor, origin = _anchor(schedule, tz, first_seen)
    days, end = _days(schedule.get("selectedDays")), _end(schedule, tz)
    return Calendar(interval, str(unit), anchor, origin, tz, days, end)


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return f"`{text[:40]}`"


def _blank(value: object) -> bool:
    return value is None or value == ""


def _must_be(schedule: Mapping[str, object], name: str, wanted: str) -> str:
    if _blank(schedule.get(name)):
        return f"`{name}` is missing; it must be {wanted}"
    return f"`{name}` is {_shown(schedule[name])}; it must be {wanted}"


def _whole_number(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, float) and not value.is_integer():
        return None
    text = str(int(value)) if isinstance(value, float) else str(value).strip()
    return int(text) if text.isascii() and _NUMBER.fullmatch(text) else None


def _interval(schedule: Mapping[str, object]) -> int:
    number = _whole_number(schedule.get("timeInterval"))
    if not number:
        wanted = "a whole number greater than 0"
        raise _Refused("timeInterval", _must_be(schedule, "timeInterval", wanted))
    return number


def _bounded(schedule: Mapping[str, object], name: str, default: int, limit: int) -> int:
    value = schedule.get(name)
    if _blank(value):
        return default
    number = _whole_number(value)
    if number is None or number > limit:
        raise _Refused(name, _must_be(schedule, name, f"a number from 00 to {limit}"))
    return number


def _local_time(
    schedule: Mapping[str, object], prefix: str, hour: int, minute: int
) -> datetime | None:
    """``<prefix>Date`` with its hour and minute on the wall; None where no date is given."""
    name = f"{prefix}Date"
    value = schedule.get(name)
    if _blank(value):
        return None
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise _Refused(name, _must_be(schedule, name, "a date such as 2025-05-31"))
    hour = _bounded(schedule, f"{prefix}Hour", hour, 23)
    minute = _bounded(schedule, f"{prefix}Minute", minute, 59)
    try:
        day = datetime.fromisoformat(value)
    except ValueError:
        raise _Refused(name, f"`{name}` is {value}, a day that does not exist") from None
    return day.replace(hour=hour, minute=minute)


def _resolved(wall: datetime, tz: ZoneInfo, name: str, *, last: bool = False) -> datetime:
    try:
        return resolve(wall, tz, last=last)
    except OverflowError:
        raise _Refused(name, f"`{name}` lies outside the calendar") from None


def parse_instant(value: object) -> datetime | None:
    """A stored time such as ``2025-05-01T10:00:00.000Z``; without a zone it means UTC."""
    if not isinstance(value, str) or len(value) < 10:
        return None
    try:
        moment = datetime.fromisoformat(value)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return _in_milliseconds(moment.astimezone(UTC))
    except (ValueError, OverflowError):
        return None


def _in_milliseconds(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _anchor(
    schedule: Mapping[str, object], tz: ZoneInfo, first_seen: datetime
) -> tuple[datetime, str]:
    start = _local_time(schedule, "start", 0, 0)
    if start is not None:
        return _resolved(start, tz, "startDate"), "startDate"
    for name in ("lastExecutionTime", "createdAt"):
        moment = parse_instant(schedule.get(name))
        if moment is not None:
            return moment, name
    return _in_milliseconds(first_seen.astimezone(UTC)), "when it was first seen"


def _days(value: object) -> frozenset[int]:
    if _blank(value):
        return frozenset()
    if not isinstance(value, Mapping):
        wanted = 'an object such as {"mon": true}'
        raise _Refused("selectedDays", f"`selectedDays` is {_shown(value)}; it must be {wanted}")
    for name, selected in value.items():
        if name not in DAYS:
            raise _Refused("selectedDays", f"`selectedDays` names {_shown(name)}; days are sun, "
                           "mon, tue, wed, thu, fri and sat")  # fmt: skip
        if not isinstance(selected, bool):
            text = f"`selectedDays.{name}` is {_shown(selected)}, neither true nor false"
            raise _Refused("selectedDays", text)
    chosen = frozenset(DAYS.index(name) for name, selected in value.items() if selected)
    return frozenset() if len(chosen) == 7 else chosen


def _end(schedule: Mapping[str, object], tz: ZoneInfo) -> datetime | None:
    last_minute = _local_time(schedule, "expiration", 23, 59)
    if last_minute is None:
        return None
    end = _resolved(last_minute, tz, "expirationDate", last=True)
    return min(end, datetime.max.replace(tzinfo=UTC) - timedelta(minutes=1)) + timedelta(minutes=1)
