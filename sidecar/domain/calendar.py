"""Our calendar: when a schedule is due, in UTC with milliseconds.

``minute`` and ``hour`` are fixed lengths, ``day`` is a calendar day; ``roo_calendar`` differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
FIXED = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1)}
# Weekdays and leap years repeat after 28 years: what has not come by then never comes.
HORIZON = timedelta(days=28 * 366)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True)
class Calendar:
    """A schedule's slots: anchor + k x interval, on the selected days, before the end.

    ``days`` holds 0 for Monday to 6 for Sunday, empty means every day; ``end`` is exclusive.
    ``origin`` names what the anchor was taken from.
    """

    interval: int
    unit: str
    anchor: datetime
    origin: str
    tz: ZoneInfo
    days: frozenset[int] = frozenset()
    end: datetime | None = None

    @property
    def step(self) -> timedelta | None:
        """The fixed length between slots; None where it is counted in calendar days."""
        unit = FIXED.get(self.unit)
        return None if unit is None else _times(unit, self.interval)


def _times(length: timedelta, count: int) -> timedelta:
    """The product, cut at the longest that Python knows."""
    return length * count if count < timedelta.max // length else timedelta.max


def resolve(wall: datetime, tz: ZoneInfo, *, last: bool = False) -> datetime:
    """The UTC instant of a local time: a gap's end for one in a gap, the first of a doubled one.

    ``last`` takes the second of a doubled one. Raises OverflowError outside the years 1 to 9999.
    """
    before = wall.replace(tzinfo=tz, fold=0)
    after = wall.replace(tzinfo=tz, fold=1)
    early, late = before.astimezone(UTC), after.astimezone(UTC)
    if late >= early:
        return late if last else early
    return _gap_end(late, early, tz)


def _gap_end(low: datetime, high: datetime, tz: ZoneInfo) -> datetime:
    """The instant at which the offset changes: ``low`` has the old one, ``high`` the new."""
    old = low.astimezone(tz).utcoffset()
    while high - low > _MILLISECOND:
        middle = low + (high - low) // 2 // _MILLISECOND * _MILLISECOND
        if middle == low:
            break
        if middle.astimezone(tz).utcoffset() == old:
            low = middle
        else:
            high = middle
    return high


def next_slot(calendar: Calendar, after: datetime) -> datetime | None:
    """The first slot later than an instant; None where there is none any more."""
    return next(slots(calendar, after), None)


def slots(calendar: Calendar, after: datetime) -> Iterator[datetime]:
    """Every slot later than an instant, in order."""
    following = _following_day if calendar.step is None else _following_fixed
    after = after.astimezone(UTC)
    while True:
        slot = _next_selected(calendar, after, following)
        if slot is None:
            return
        yield slot
        after = slot


_Following = Callable[[Calendar, datetime], datetime | None]


def _next_selected(calendar: Calendar, after: datetime, following: _Following) -> datetime | None:
    try:
        limit = max(after, calendar.anchor) + HORIZON
    except OverflowError:
        limit = datetime.max.replace(tzinfo=UTC)
    while True:
        slot = following(calendar, after)
        if slot is None or slot > limit or (calendar.end is not None and slot >= calendar.end):
            return None
        weekday = slot.astimezone(calendar.tz).weekday()
        if not calendar.days or weekday in calendar.days:
            return slot
        after = max(slot, _before_next_day(calendar, slot))


def _before_next_day(calendar: Calendar, slot: datetime) -> datetime:
    """The last millisecond before the next selected day, so that its first slot is found."""
    today = slot.astimezone(calendar.tz).date()
    ahead = next(n for n in range(1, 8) if (today.weekday() + n) % 7 in calendar.days)
    try:
        midnight = datetime.combine(today + timedelta(days=ahead), datetime.min.time())
        return resolve(midnight, calendar.tz) - _MILLISECOND
    except OverflowError:
        return slot


def _following_fixed(calendar: Calendar, after: datetime) -> datetime | None:
    if after < calendar.anchor:
        return calendar.anchor
    step = calendar.step or timedelta.max
    try:
        return calendar.anchor + step * ((after - calendar.anchor) // step + 1)
    except OverflowError:
        return None


def _following_day(calendar: Calendar, after: datetime) -> datetime | None:
    local = calendar.anchor.astimezone(calendar.tz).replace(tzinfo=None)
    passed = (after.astimezone(calendar.tz).date() - local.date()).days // calendar.interval
    # A slot in a gap lies later than its wall time, so look one step back.
    for count in range(max(0, passed - 1), max(0, passed - 1) + 4):
        ordinal = local.toordinal() + count * calendar.interval
        if ordinal >= date.max.toordinal():
            return None
        wall = datetime.combine(date.fromordinal(ordinal), local.time())
        slot = calendar.anchor if count == 0 else resolve(wall, calendar.tz)
        if slot > after:
            return slot
    return None


def describe(calendar: Calendar) -> list[str]:
    """Sentences that tell where the slots come from."""
    tz = calendar.tz
    plural = "" if calendar.interval == 1 else "s"
    interval = "" if calendar.interval == 1 else f"{calendar.interval} "
    anchor = f"{_shown(calendar.anchor, tz)} ({tz.key})"
    lines = [f"every {interval}{calendar.unit}{plural}, counted from {calendar.origin}: {anchor}"]
    if calendar.days:
        lines.append("only on " + ", ".join(DAY_NAMES[day] for day in sorted(calendar.days)))
    if calendar.end is not None:
        last = calendar.end - timedelta(minutes=1)
        lines.append(f"until {_shown(last, tz)}, that minute included")
    return lines


def explain(calendar: Calendar, slot: datetime) -> str:
    """One slot in local time, and what moved it, if anything did."""
    local = slot.astimezone(calendar.tz)
    text = f"{DAY_NAMES[local.weekday()]} {_shown(slot, calendar.tz)} {local.tzname()}"
    wall = calendar.anchor.astimezone(calendar.tz)
    clock_moved = (local.hour, local.minute) != (wall.hour, wall.minute)
    if calendar.step is None and clock_moved:
        return f"{text}: {wall:%H:%M} does not exist on this day, so it runs at the gap's end"
    if calendar.step is None and local.replace(fold=0).utcoffset() != (
        local.replace(fold=1).utcoffset()
    ):
        return f"{text}: the hour is doubled on this day, it runs the first time only"
    return text


def _shown(moment: datetime, tz: ZoneInfo) -> str:
    local = moment.astimezone(tz)
    seconds = f"{local:%Y-%m-%d %H:%M:%S}" if local.second else f"{local:%Y-%m-%d %H:%M}"
    return f"{seconds}.{local.microsecond // 1000:03}" if local.microsecond else seconds
