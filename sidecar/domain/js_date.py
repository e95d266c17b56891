"""JavaScript's ``Date`` as V8 computes it: an instant is milliseconds since 1970, None is invalid.

Local times in a gap take the offset before it, doubled ones the first (ECMA-262, "UTC(t)").
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from sidecar.domain.js_date_text import parse_fields

EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the naive origin of local-time arithmetic
SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000
# ECMA-262, TimeClip: later and earlier instants are invalid dates.
_LIMIT = 8_640_000_000_000_000
# Python's calendar, less a day for the zone: the years 1 to 9999.
_FIRST = -62_135_596_800_000 + DAY
_LAST = 253_402_300_799_999 - DAY
# The Gregorian calendar, weekdays included, repeats every 400 years.
_CYCLE = 146_097 * DAY

Instant = int | None


def clip(milliseconds: float | None) -> Instant:
    """The instant, or None where JavaScript has an invalid date."""
    if milliseconds is None or not math.isfinite(milliseconds) or abs(milliseconds) > _LIMIT:
        return None
    return int(milliseconds)


def from_datetime(moment: datetime) -> int:
    """Milliseconds since 1970, cut as JavaScript's clock is."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def to_datetime(instant: int) -> datetime:
    """The UTC time; what Python's calendar cannot hold becomes its last or first day."""
    held = min(max(instant, _FIRST), _LAST)
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=held)


def _within_python(milliseconds: int) -> int:
    """The same moment of a like year that Python's calendar can hold."""
    if milliseconds > _LAST:
        return milliseconds % _CYCLE + _CYCLE
    return max(milliseconds, _FIRST)


def to_local(instant: int, tz: ZoneInfo) -> int:
    """Milliseconds since 1970 as a clock on the wall of that zone counts them."""
    offset = to_datetime(_within_python(instant)).astimezone(tz).utcoffset() or timedelta(0)
    return instant + offset // timedelta(milliseconds=1)


def to_utc(local: float, tz: ZoneInfo) -> Instant:
    """The instant of a local time."""
    if not math.isfinite(local) or abs(local) > _LIMIT + DAY:
        return None
    wall = (EPOCH + timedelta(milliseconds=_within_python(int(local)))).replace(tzinfo=tz)
    offset = wall.utcoffset() or timedelta(0)
    return clip(int(local) - offset // timedelta(milliseconds=1))


def weekday(instant: int, tz: ZoneInfo) -> int:
    """``getDay``: 0 is Sunday."""
    return (to_local(instant, tz) // DAY + 4) % 7


def set_fields(
    instant: Instant,
    tz: ZoneInfo,
    *,
    hours: float | None = None,
    minutes: float | None = None,
    seconds: float | None = None,
) -> Instant:
    """``setHours``, ``setMinutes`` or ``setSeconds`` with any number, NaN included."""
    if instant is None:
        return None
    day, rest = divmod(to_local(instant, tz), DAY)
    hour = rest // HOUR if hours is None else hours
    minute = rest // MINUTE % 60 if minutes is None else minutes
    second = rest // SECOND % 60 if seconds is None else seconds
    return to_utc(day * DAY + hour * HOUR + minute * MINUTE + second * SECOND + rest % SECOND, tz)


def add_local_minute(instant: Instant, tz: ZoneInfo) -> Instant:
    """``setMinutes(getMinutes() + 1)``."""
    return None if instant is None else to_utc(to_local(instant, tz) + MINUTE, tz)


def add_local_day(instant: Instant, tz: ZoneInfo) -> Instant:
    """``setDate(getDate() + 1)``."""
    return None if instant is None else to_utc(to_local(instant, tz) + DAY, tz)


def parse(text: str, tz: ZoneInfo) -> Instant:
    """``Date.parse``: ISO texts, and the older free forms that V8 accepts."""
    fields = parse_fields(text)
    if fields is None:
        return None
    days = _days_from_civil(fields.year, fields.month, fields.day)
    clock = fields.hour * HOUR + fields.minute * MINUTE + fields.second * SECOND
    local = days * DAY + clock + fields.millisecond
    if fields.offset is None:
        return to_utc(local, tz)
    return clip(local - fields.offset * SECOND)


def _days_from_civil(year: int, month: int, day: int) -> int:
    """Days since 1970 in the proleptic Gregorian calendar; a 31 February rolls over."""
    shifted = year - (month <= 2)
    era, of_era = divmod(shifted, 400)
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468


def new_date(value: object, tz: ZoneInfo) -> Instant:
    """``new Date(value)`` for a value that came out of JSON."""
    if isinstance(value, int | float):
        return clip(math.trunc(value)) if math.isfinite(value) else None
    return 0 if value is None else parse(to_text(value), tz)


def truthy(value: object) -> bool:
    """Whether JavaScript takes the value for true: empty lists and objects are."""
    return bool(value) or isinstance(value, list | dict | Mapping)


def to_text(value: object) -> str:
    """``String(value)`` for a value that came out of JSON."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case float():
            return _number_text(value)
        case list():
            return ",".join("" if item is None else to_text(item) for item in value)
        case Mapping():
            return "[object Object]"
        case _:
            return str(value)


def _number_text(value: float) -> str:
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    text = repr(value).replace("e-0", "e-")
    # Python turns to exponents below 1e-4, JavaScript below 1e-6.
    return format(value, ".20f").rstrip("0") if 1e-6 <= abs(value) < 1e-4 else text


def parse_int(value: object) -> float:
    """``parseInt(value)``: leading digits count, NaN where there are none."""
    text = to_text(value).strip(_SPACES)
    sign = -1 if text.startswith("-") else 1
    text = text[1:] if text[:1] in ("-", "+") else text
    base, digits = 10, "0123456789"
    if text[:2] in ("0x", "0X"):
        base, digits, text = 16, "0123456789abcdefABCDEF", text[2:]
    end = next((i for i, character in enumerate(text) if character not in digits), len(text))
    if end == 0:
        return math.nan
    return math.inf * sign if end > 300 else sign * int(text[:end], base)


_SPACES = "\t\n\v\f\r \xa0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff" + "".join(
    map(chr, range(0x2000, 0x200B))
)
