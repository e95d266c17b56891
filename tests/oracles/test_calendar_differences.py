"""Our calendar beside roo-scheduler's on its recorded vectors: every difference has its reason.

The reasons are worked out, not looked up: each says what to change in the question, and then both
calendars must give the same answer, or what in the schedule makes roo-scheduler leave its own rule.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sidecar.domain.calendar import Calendar, next_slot
from sidecar.domain.plan import NotRunnable, parse_instant, plan

VECTORS = json.loads(
    (Path(__file__).parents[1] / "vectors" / "schedule_vectors.json").read_text("utf-8")
)
RUNS: list[dict[str, Any]] = VECTORS["next_execution"] + VECTORS["next_execution_fuzz"]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
MILLISECOND = timedelta(milliseconds=1)

pytestmark = pytest.mark.oracle


class Question:
    """One vector: a schedule, an instant, a zone, and roo-scheduler's answer."""

    def __init__(self, vector: dict[str, Any]) -> None:
        self.values: dict[str, Any] = vector["schedule"]
        self.now = datetime.fromisoformat(vector["now"])
        self.tz = ZoneInfo(vector["tz"])
        answer = vector["expected"]
        self.invalid = answer == "Invalid Date"
        self.roo = None if self.invalid or answer is None else datetime.fromisoformat(answer)
        self.ours = plan(self.values, tz=self.tz, first_seen=self.now)

    @property
    def masked(self) -> bool:
        """Whether a mask makes roo-scheduler jump to a day's first hour."""
        days = self.values.get("selectedDays") or {}
        return isinstance(days, dict) and any(days.values())

    @property
    def reference(self) -> datetime | None:
        """The later of the last run and the last skip, from which roo-scheduler counts."""
        names = ("lastExecutionTime", "lastSkippedTime")
        known = [parse_instant(self.values.get(name)) for name in names]
        return max((each for each in known if each), default=None)

    def wall(self, moment: datetime) -> datetime:
        return moment.astimezone(self.tz).replace(tzinfo=None)


def reason(question: Question) -> str | None:
    """Why the two calendars differ, "same" where they do not, None where nobody knows."""
    if isinstance(question.ours, NotRunnable):
        malformed = f"`{question.ours.field}` is malformed: roo-scheduler guesses, we say so"
        return "neither runs it" if question.roo is None else malformed
    slot = next_slot(question.ours, question.now)
    if question.roo is None:
        return "neither runs it" if slot is None else _refused_there(question)
    if slot == question.roo:
        return "same"
    if next_slot(question.ours, question.now - MILLISECOND) == question.roo == question.now:
        return "due at this very instant: it is the next run there, the present one here"
    if question.ours.origin == "startDate":
        return _with_start(question, question.ours, question.roo, slot)
    return _without_start(question, question.ours, question.roo)


def _refused_there(question: Question) -> str | None:
    values = question.values
    if values.get("startDate") and not values.get("startHour"):
        return "roo-scheduler needs a start hour beside the date, we take 00"
    if any(len(str(values.get(name) or "00")) != 2 for name in ("startHour", "startMinute")):
        return "roo-scheduler needs two digits, we read `9` as 09"
    return None


def _with_start(
    question: Question, ours: Calendar, roo: datetime, slot: datetime | None
) -> str | None:
    start, local = question.wall(ours.anchor), question.wall(roo)
    at_start = (local.hour, local.minute) == (start.hour, start.minute)
    shift = _offset(question, roo) - _offset(question, ours.anchor)
    days_apart = (roo - ours.anchor) % timedelta(days=1) == timedelta()
    if ours.days and roo == ours.anchor and local.weekday() not in ours.days:
        found = "roo-scheduler's first run ignores the weekdays"
    elif question.masked and slot is None and at_start:
        found = "the interval never meets a selected day: roo-scheduler leaves its phase"
    elif question.masked and at_start:
        found = "after a day off, or a slot just now, roo-scheduler jumps to the start's hour"
    elif ours.unit == "day" and shift and days_apart:
        found = "roo-scheduler's day is 24 hours: it drifts when the clocks change"
    else:
        found = "a slot in a gap" if _gap(question, ours, slot, roo) else None
    return found


def _offset(question: Question, moment: datetime) -> timedelta:
    return moment.astimezone(question.tz).utcoffset() or timedelta()


def _gap(question: Question, ours: Calendar, slot: datetime | None, roo: datetime) -> bool:
    if slot is None:
        return False
    anchor, wall = question.wall(ours.anchor), question.wall(slot)
    moved = (wall.hour, wall.minute) != (anchor.hour, anchor.minute)
    return moved and abs(slot - roo) <= timedelta(hours=1)


def _without_start(question: Question, ours: Calendar, roo: datetime) -> str | None:
    """roo-scheduler counts from the last run or skip, else from the hour that it is now."""
    reference, local, now = question.reference, question.wall(roo), question.wall(question.now)
    step = ours.step or timedelta(days=ours.interval)
    minute = int(str(question.values.get("startMinute") or "0"))
    # Its start is today's date in UTC with the local hour.
    today = question.now.astimezone(UTC).date()
    start = datetime.combine(today, now.replace(minute=minute, second=0, microsecond=0).time())
    started = start.replace(tzinfo=question.tz)
    if roo == started > question.now and today > now.date():
        found = "west of Greenwich it takes tomorrow's date with this hour"
    elif (
        question.masked and (local.hour, local.minute) == (0, minute) and local.date() > now.date()
    ):
        found = "without a start, a jump to a selected day goes to midnight"
    elif reference is None and question.values.get("lastExecutionTime"):
        found = (
            "it counts from 1970 when it cannot read the last run"
            if _in_phase(EPOCH, roo, step)
            else None
        )
    elif reference is None:
        counted = (roo - started) % step == timedelta()
        found = (
            "without a start or a run it counts from this hour, we from the first sight"
            if counted
            else None
        )
    elif not _in_phase(reference, roo, step):
        found = None
    elif reference == ours.anchor:
        found = "it sets the seconds to zero, we keep the phase"
    else:
        found = "it counts from the last skip, which shifts its phase"
    return found


def _in_phase(reference: datetime, roo: datetime, step: timedelta) -> bool:
    """Whether an instant lies on a step after the reference, its seconds set to zero."""
    off = (roo - reference) % step
    return min(off, step - off) <= MINUTE


def test_every_difference_of_the_two_calendars_is_explained() -> None:
    counts: Counter[str] = Counter()
    unexplained = []
    for vector in RUNS:
        found = reason(Question(vector))
        counts[found or "unexplained"] += 1
        if found is None:
            unexplained.append(vector["name"])
    print(f"\n{sum(counts.values())} questions to both calendars:")
    for text, count in counts.most_common():
        print(f"{count:5} {text}")
    assert unexplained == []
