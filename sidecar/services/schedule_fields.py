"""What a caller may write into a schedule: names in either spelling, values made regular."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sidecar.domain import modes_catalog
from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.domain.plan import NotRunnable, parse_instant, plan
from sidecar.domain.project import Project
from sidecar.domain.schedules import FIELDS, INTERACTIONS, canonical
from sidecar.domain.suggest import did_you_mean
from sidecar.rules.schedules_cause import plain_days

REQUIRED = ("name", "mode", "taskInstructions", "timeInterval", "timeUnit")
# Empty text is how the scheduler's form writes "none" here; elsewhere null takes the field out.
EMPTIED = (
    *("startDate", "startHour", "startMinute"),
    *("expirationDate", "expirationHour", "expirationMinute"),
    *("lastExecutionTime", "lastSkippedTime", "nextExecutionTime"),
)


def invalid(message: str, hint: str = "") -> SidecarError:
    """The refusal of an argument."""
    return SidecarError(ErrorCode.INVALID, message, hint=hint)


def normalised(given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields by roo-scheduler's names with values as it writes them; None means removal.

    Raises E_INVALID, naming every argument that is wrong.
    """
    found: dict[str, Any] = {}
    complaints: list[str] = []
    for key, value in given.items():
        name = canonical(key)
        if name is None:
            complaints.append(f"`{key}` is no field of a schedule. {_suggestion(key)}".strip())
        elif name in found:
            complaints.append(f"`{name}` is given twice, in two spellings.")
        else:
            try:
                found[name] = _value(name, value)
            except ValueError as error:
                complaints.append(f"`{key}` {error}, not {json.dumps(value, default=str)[:60]}.")
    if complaints:
        raise invalid(" ".join(complaints), f"The fields are: {', '.join(FIELDS)}.")
    return found


def _suggestion(key: str) -> str:
    return did_you_mean(key, FIELDS)


def _value(name: str, value: Any) -> Any:
    if value is None:
        if name in (*REQUIRED, "id", "scheduleType", "active"):
            raise ValueError("may not be null")
        return "" if name in EMPTIED else None
    return READERS[name](value)


def _text(value: Any) -> str:
    if isinstance(value, str) and value.strip():
        return value
    raise ValueError("must be text that is not empty")


def _label(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        raise ValueError("must be text")
    return str(value)


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError("must be true or false")


def _number(least: int, most: int, width: int, *, optional: bool) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if optional and value == "":
            return ""
        text = str(value).strip() if not isinstance(value, bool) else ""
        if re.fullmatch(r"[0-9]{1,15}", text) and least <= int(text) <= most:
            return str(int(text)).zfill(width)
        bound = f"from {least} to {most}" if most < 10**6 else f"of at least {least}"
        raise ValueError(f"must be a whole number {bound}")

    return read


def _word(*words: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if isinstance(value, str) and value in words:
            return value
        raise ValueError(f"must be {' or '.join(words)}")

    return read


def _days(value: Any) -> dict[str, bool]:
    if isinstance(value, Mapping | list):
        days = plain_days(dict(value) if isinstance(value, Mapping) else value)
        if days is not None:
            return days
    raise ValueError("must map sun, mon, tue, wed, thu, fri, sat to true or false")


def _date(value: Any) -> str:
    if value == "" or (isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value)):
        return str(value)
    raise ValueError("must be a date such as 2025-05-31")


def _instant(value: Any) -> str:
    if value == "" or parse_instant(value) is not None:
        return str(value)
    raise ValueError("must be a time such as 2025-05-31T10:00:00.000Z")


_HOUR = _number(0, 23, 2, optional=True)
_MINUTE = _number(0, 59, 2, optional=True)
READERS: dict[str, Callable[[Any], Any]] = {
    "id": _label,
    "name": _text,
    "mode": _text,
    "modeDisplayName": _label,
    "taskInstructions": _text,
    "scheduleType": _word("time"),
    "timeInterval": _number(1, 10**9, 1, optional=False),
    "timeUnit": _word("minute", "hour", "day"),
    "selectedDays": _days,
    "startDate": _date,
    "startHour": _HOUR,
    "startMinute": _MINUTE,
    "expirationDate": _date,
    "expirationHour": _HOUR,
    "expirationMinute": _MINUTE,
    "requireActivity": _flag,
    "active": _flag,
    "taskInteraction": _word(*INTERACTIONS),
    "inactivityDelay": _number(0, 10**9, 1, optional=False),
    "lastTaskId": _label,
    **dict.fromkeys(
        ("createdAt", "updatedAt", "lastExecutionTime", "lastSkippedTime", "nextExecutionTime"),
        _instant,
    ),
}


def complaints(
    values: Mapping[str, Any], project: Project, *, check_mode: bool = True
) -> list[str]:
    """What keeps a whole schedule from running, as sentences; empty where nothing does."""
    missing = [name for name in ("name", "mode", "taskInstructions") if not values.get(name)]
    found = [f"`{name}` is missing." for name in missing]
    verdict = plan({**values, "active": True}, tz=project.tz, first_seen=project.now)
    if isinstance(verdict, NotRunnable):
        found.append(f"{verdict.reason[:1].upper()}{verdict.reason[1:]}.")
    interaction = values.get("taskInteraction")
    if interaction and interaction not in INTERACTIONS:
        found.append("`taskInteraction` must be wait, interrupt or skip.")
    if check_mode and values.get("mode"):
        found += _mode_complaints(str(values["mode"]), known_slugs(project))
    return found


def known_slugs(project: Project) -> set[str]:
    """Every mode that can be named: the file's, the built-in ones, the user's global ones."""
    own = project.modes.modes if project.modes else ()
    return {mode.slug for mode in modes_catalog.known(own)} | set(project.global_modes or ())


def _mode_complaints(mode: str, known: Iterable[str]) -> list[str]:
    slugs = sorted(known)
    if mode in slugs:
        return []
    guess = did_you_mean(mode, slugs) or f"Known are: {', '.join(slugs)}."
    return [f"There is no mode `{mode}`. {guess}"]
