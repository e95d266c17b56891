"""Rules about single fields of a schedule."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sidecar.domain import js_date, roo_calendar
from sidecar.domain.finding import Fix, Severity
from sidecar.domain.kind import Kind
from sidecar.domain.project import Project
from sidecar.domain.schedules import INTERACTIONS, Schedule, SchedulesFile, is_timed
from sidecar.domain.suggest import nearest
from sidecar.rules.rule import Hit, rule
from sidecar.rules.schedules_cause import plain_days, setting, shown, time_cause

_WHOLE = re.compile(r"[1-9]\d*")
_SUFFIXED = re.compile(r"\s*\d+\s*[a-z]*\s*")
_BEYOND_ANY_DATE = 1e15


def _timed(file: SchedulesFile) -> Iterator[tuple[Schedule, Severity | None]]:
    """The entries of type time; a mistake in one that is switched off is only a warning."""
    for schedule in file.schedules:
        if schedule.raw.get("scheduleType") == "time":
            yield schedule, None if is_timed(schedule.raw) else Severity.WARNING


@rule("SC013", Severity.ERROR, Kind.SCHEDULES)
def unpadded(file: SchedulesFile, _: Project) -> Iterator[Hit]:
    """An hour or minute is not written with two digits.

    roo-scheduler pastes the text into a date, so `"9"` gives an invalid date: a start that fails
    its activation or never comes, an expiration that is never reached. The number 30 works, the
    number 9 does not.

    Bad:
        {"schedules": [{"id": "1", "scheduleType": "time", "timeInterval": "1", "timeUnit": "day",
                        "startDate": "2025-05-01", "startHour": "9", "startMinute": "00"}]}
    Good:
        {"schedules": [{"id": "1", "scheduleType": "time", "timeInterval": "1", "timeUnit": "day",
                        "startDate": "2025-05-01", "startHour": "09", "startMinute": "00"}]}
    """
    for schedule, severity in _timed(file):
        for prefix, effect in (
            ("start", "so the start is an invalid date"),
            ("expiration", "so the schedule never expires"),
        ):
            dated = js_date.truthy(schedule.raw.get(f"{prefix}Date"))
            for part, limit in (("Hour", 24), ("Minute", 59)):
                if dated or (prefix, part) == ("start", "Minute"):
                    yield from _unpadded(schedule, f"{prefix}{part}", limit, effect, severity)


def _unpadded(
    schedule: Schedule, name: str, limit: int, effect: str, severity: Severity | None
) -> Iterator[Hit]:
    if name in schedule.raw and js_date.truthy(schedule.raw[name]):
        cause = time_cause(schedule, name, limit)
        if cause:
            yield Hit(schedule.place(name), f"{cause.clause}, {effect}.", cause.fixes, severity)


@rule("SC014", Severity.ERROR, Kind.SCHEDULES)
def interval_not_positive_int(file: SchedulesFile, _: Project) -> Iterator[Hit]:
    """`timeInterval` is not a whole number above 0.

    roo-scheduler takes the leading digits: `"1.5"` runs every 1, `"10min"` every 10. With 0 or a
    word there is no next date at all; a negative number runs at once and then every minute.

    Bad:
        {"schedules": [{"id": "1", "scheduleType": "time", "timeInterval": "1.5",
                        "timeUnit": "hour"}]}
    Bad:
        {"schedules": [{"id": "1", "scheduleType": "time", "timeInterval": "10min",
                        "timeUnit": "minute"}]}
    Good:
        {"schedules": [{"id": "1", "scheduleType": "time", "timeInterval": "90",
                        "timeUnit": "minute"}]}
    """
    for schedule, severity in _timed(file):
        value = schedule.raw.get("timeInterval")
        if js_date.truthy(value) and not _WHOLE.fullmatch(js_date.to_text(value).strip()):
            effect, taken = _effect(js_date.parse_int(value))
            fixes: tuple[Fix, ...] = ()
            if taken:
                fixes = (setting(file, schedule, f"Write `{taken}`", timeInterval=str(taken)),)
            harmless = taken and isinstance(value, str) and _SUFFIXED.fullmatch(value)
            message = f"`timeInterval` is {shown(value)}, not a whole number above 0: {effect}."
            place = schedule.place("timeInterval")
            yield Hit(place, message, fixes, Severity.WARNING if harmless else severity)


def _effect(number: float) -> tuple[str, int]:
    """What roo-scheduler does with an odd interval, and the number it takes it for, else 0."""
    if abs(number) < _BEYOND_ANY_DATE:
        taken = int(number)
        if taken > 0:
            return f"roo-scheduler takes it for {taken}", taken
        if taken < 0:
            return "a negative step runs at once and then every minute", 0
        return "steps of 0 lead nowhere, so there is no next run", 0
    return "there is no number to count with, so there is no next run", 0


@rule("SC016", Severity.ERROR, Kind.SCHEDULES)
def bad_task_interaction(file: SchedulesFile, _: Project) -> Iterator[Hit]:
    """`taskInteraction` is none of wait, interrupt and skip.

    roo-scheduler then does none of the three: it starts the new task on top of the running one.

    Bad:
        {"schedules": [{"id": "1", "scheduleType": "time", "timeInterval": "1",
                        "timeUnit": "hour", "taskInteraction": "Waits"}]}
    Good:
        {"schedules": [{"id": "1", "scheduleType": "time", "timeInterval": "1",
                        "timeUnit": "hour", "taskInteraction": "wait"}]}
    """
    for schedule, severity in _timed(file):
        value = schedule.raw.get("taskInteraction")
        if not js_date.truthy(value) or value in INTERACTIONS:
            continue
        meant = nearest(js_date.to_text(value), INTERACTIONS)
        order = sorted(INTERACTIONS, key=lambda name: name != meant)
        fixes = tuple(
            setting(file, schedule, f"Write `{name}`", safe=name == meant, taskInteraction=name)
            for name in order
        )
        message = (
            f"`taskInteraction` is {shown(value)}: roo-scheduler knows wait, interrupt and skip, "
            "and with any other word starts on top of the running task."
        )
        yield Hit(schedule.place("taskInteraction"), message, fixes, severity)


@rule("SC011", Severity.WARNING, Kind.SCHEDULES)
def days_mask_odd(file: SchedulesFile, _: Project) -> Iterator[Hit]:
    """`selectedDays` is not an object of the seven short names with true or false.

    roo-scheduler takes any text for true, even "false", ignores names it does not know, and
    takes an object in which nothing is true for every day.

    Bad:
        {"schedules": [{"id": "1", "scheduleType": "time", "timeInterval": "1",
                        "timeUnit": "hour", "selectedDays": {"sun": "false", "mon": true}}]}
    Bad:
        {"schedules": [{"id": "1", "scheduleType": "time", "timeInterval": "1",
                        "timeUnit": "hour", "selectedDays": {"mon": false}}]}
    Good:
        {"schedules": [{"id": "1", "scheduleType": "time", "timeInterval": "1",
                        "timeUnit": "hour", "selectedDays": {"sun": false, "mon": true}}]}
    """
    for schedule, _severity in _timed(file):
        days = schedule.raw.get("selectedDays")
        reason = _odd(days)
        if reason:
            plain = plain_days(days)
            changes = plain is not None and any(plain.values()) and plain != days
            title = "Write the seven days with true and false"
            fixes = (setting(file, schedule, title, selectedDays=plain),) if changes else ()
            yield Hit(schedule.place("selectedDays"), f"`selectedDays`: {reason}.", fixes)


def _odd(days: object) -> str:
    """What is odd about the mask, empty where nothing is or where it keeps any run away."""
    if not isinstance(days, dict) or not days:
        return ""
    selected = [name for name in roo_calendar.DAYS if js_date.truthy(days.get(name))]
    unknown = [name for name in days if name not in roo_calendar.DAYS]
    texts = [name for name, value in days.items() if not isinstance(value, bool)]
    if unknown and selected:
        return f"`{unknown[0]}` is no day that roo-scheduler knows, so it does not count"
    if texts and selected:
        value = days[texts[0]]
        taken = "selected" if js_date.truthy(value) else "not selected"
        return f"`{texts[0]}` is {shown(value)}, which is taken for {taken}; write true or false"
    if not any(map(js_date.truthy, days.values())):
        return "no day is selected, and roo-scheduler takes that for every day"
    return ""
