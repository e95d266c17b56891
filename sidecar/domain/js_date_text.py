"""The texts that V8's ``Date.parse`` accepts: ISO 8601, else the older free forms.

Behaviour observed in Node 20: a text that starts as ISO and goes wrong is read on freely.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

_WORD = re.compile(
    r"(?P<number>[0-9]+)|(?P<sign>[-+])|(?P<symbol>[:.)])|(?P<group>\()"
    r"|(?P<space>\s)|(?P<word>[A-Za-z\[-`{-\U0010ffff](?:(?!\s)[A-Za-z\[-`{-\U0010ffff])*)"
    r"|(?P<other>.)",
    re.DOTALL,
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
# Hours east of Greenwich.
_ZONES = {
    "ut": 0, "utc": 0, "z": 0, "gmt": 0, "est": -5, "edt": -4, "cst": -6, "cdt": -5,
    "mst": -7, "mdt": -6, "pst": -8, "pdt": -7,
}  # fmt: skip
_HALVES = {"am": 0, "pm": 12}
_SIGNIFICANT_DIGITS = 9


class Fields(NamedTuple):
    """A date and time as written; ``offset`` is seconds east, None for local time."""

    year: int
    month: int
    day: int
    hour: int
    minute: int
    second: int
    millisecond: int
    offset: int | None


class _Token(NamedTuple):
    kind: str
    text: str

    @property
    def number(self) -> int:
        return int(self.text.lstrip("0")[:_SIGNIFICANT_DIGITS] or "0")

    def digits(self, count: int) -> bool:
        return self.kind == "number" and len(self.text) == count

    def is_symbol(self, symbol: str) -> bool:
        return self.kind in ("sign", "symbol") and self.text == symbol


_END = _Token("end", "")


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    position = 0
    while match := _WORD.match(text, position):
        kind = match.lastgroup or ""
        position = match.end()
        if kind == "group":
            position = _after_parentheses(text, match.start())
            kind = "other"
        found.append(_Token(kind, match[0]))
    return found


def _after_parentheses(text: str, start: int) -> int:
    depth = 0
    for index in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[index], 0)
        if depth == 0:
            return index + 1
    return len(text)


@dataclass
class _Reader:
    """What has been read so far, and the words still to come."""

    tokens: list[_Token]
    index: int = 0
    day: list[int] = field(default_factory=list)
    named_month: int | None = None
    iso: bool = False
    time: list[int] = field(default_factory=list)
    half: int | None = None
    sign: int | None = None
    hours: int | None = None
    minutes: int | None = None

    def peek(self) -> _Token:
        return self.tokens[self.index] if self.index < len(self.tokens) else _END

    def next(self) -> _Token:
        token = self.peek()
        self.index += 1
        return token

    def skip(self, symbol: str) -> bool:
        found = self.peek().is_symbol(symbol)
        self.index += found
        return found

    def set_zone(self, hours: int) -> None:
        self.sign, self.hours, self.minutes = (-1 if hours < 0 else 1), abs(hours), 0

    def expects_time(self, number: int) -> bool:
        limits = {1: 60, 2: 60, 3: 1000}
        return number < limits.get(len(self.time), 0)

    def finish_time(self, number: int) -> None:
        self.time.append(number)
        self.time += [0] * (4 - len(self.time))


def parse_fields(text: str) -> Fields | None:
    """The fields of a date text, None where ``Date.parse`` answers NaN."""
    reader = _Reader(_tokens(text))
    if not _read_iso(reader) or not _read_freely(reader):
        return None
    date, time = _date(reader), _time(reader)
    if date is None or time is None:
        return None
    offset = None
    if reader.sign is not None:
        offset = reader.sign * ((reader.hours or 0) * 3600 + (reader.minutes or 0) * 60)
    return Fields(*date, *time, offset)


def _read_iso(reader: _Reader) -> bool:
    """Read an ISO date; false where the text can be no date, true where free reading may go on."""
    if not _read_iso_date(reader):
        return True
    token = reader.peek()
    if token.kind == "word" and token.text in ("T", "t"):
        reader.next()
        if not _read_iso_time(reader) or not _read_iso_zone(reader) or reader.peek() != _END:
            return False
    elif token != _END:
        return True
    if not reader.time and reader.sign is None:
        reader.set_zone(0)
    reader.iso = True
    return True


def _read_iso_date(reader: _Reader) -> bool:
    token = reader.peek()
    if token.kind == "sign":
        year = reader.tokens[1] if len(reader.tokens) > 1 else _END
        if not year.digits(6) or (token.text == "-" and year.number == 0):
            return False
        reader.index = 2
        reader.day.append(-year.number if token.text == "-" else year.number)
    elif token.digits(4):
        reader.day.append(reader.next().number)
    else:
        return False
    for limit in (12, 31):
        if not reader.skip("-"):
            break
        if not reader.peek().digits(2) or not 1 <= reader.peek().number <= limit:
            return False
        reader.day.append(reader.next().number)
    return True


def _read_iso_time(reader: _Reader) -> bool:
    """``HH:mm[:ss[.sss]]``; an hour of 24 allows zeros only."""
    for part, limit in enumerate((24, 59, 59)):
        if part and not reader.skip(":"):
            return part == 2
        token = reader.peek()
        if not token.digits(2) or token.number > limit:
            return False
        if part and reader.time[0] == 24 and token.number:
            return False
        reader.time.append(reader.next().number)
    if reader.skip("."):
        token = reader.next()
        if token.kind != "number" or (reader.time[0] == 24 and token.number):
            return False
        reader.time.append(_milliseconds(token))
    return True


def _read_iso_zone(reader: _Reader) -> bool:
    token = reader.peek()
    if token.kind == "word" and token.text in ("Z", "z"):
        reader.next()
        reader.set_zone(0)
    elif token.kind == "sign":
        reader.sign = 1 if reader.next().text == "+" else -1
        token = reader.next()
        if token.digits(4):
            reader.hours, reader.minutes = divmod(token.number, 100)
        elif token.digits(2) and reader.skip(":") and reader.peek().digits(2):
            reader.hours, reader.minutes = token.number, reader.next().number
        else:
            return False
        return reader.hours < 24 and reader.minutes < 60
    return True


def _milliseconds(token: _Token) -> int:
    """The fraction of a second; digits after the third are cut."""
    significant = min(len(token.text), _SIGNIFICANT_DIGITS)
    if significant <= 3:
        return token.number * int(10 ** (3 - significant))
    return token.number // int(10 ** (significant - 3))


def _read_freely(reader: _Reader) -> bool:
    number_seen = bool(reader.day)
    while (token := reader.next()) != _END:
        if token.kind == "number":
            number_seen = True
            accepted = _free_number(reader, token.number)
        elif token.kind == "word":
            accepted = _free_word(reader, token.text, number_seen=number_seen)
        elif token.kind == "sign" and (reader.time or (reader.hours, reader.minutes) == (0, 0)):
            number_seen = True
            accepted = _free_offset(reader, token)
        else:
            accepted = not ((token.kind == "sign" or token.text == ")") and number_seen)
        if not accepted:
            return False
    return True


def _free_number(reader: _Reader, number: int) -> bool:
    if reader.skip(":"):
        return _free_hour_or_minute(reader, number)
    if reader.skip(".") and reader.expects_time(number):
        reader.time.append(number)
        token = reader.next()
        if token.kind == "number":
            reader.finish_time(_milliseconds(token))
        return token.kind == "number"
    if reader.hours is not None and reader.minutes is None and number < 60:
        reader.minutes = number
    elif reader.expects_time(number):
        reader.finish_time(number)
        token = reader.peek()
        return token.kind in ("end", "space", "sign") or token.text in ("Z", "z")
    else:
        reader.day.append(number)
        reader.skip("-")
    return len(reader.day) <= 3


def _free_hour_or_minute(reader: _Reader, number: int) -> bool:
    """A number with a colon behind it; a double colon means no minutes."""
    if reader.skip(":"):
        first = not reader.time
        reader.time += [number, 0]
        return first
    reader.time.append(number)
    reader.skip(".")
    return len(reader.time) <= 4


def _free_word(reader: _Reader, text: str, *, number_seen: bool) -> bool:
    word = text.lower()
    if word in _HALVES and reader.time:
        reader.half = _HALVES[word]
    elif word[:3] in _MONTHS:
        reader.named_month = _MONTHS.index(word[:3]) + 1
        reader.skip("-")
    elif word in _ZONES and number_seen:
        reader.set_zone(_ZONES[word])
    else:
        return not number_seen and reader.peek().kind != "number"
    return True


def _free_offset(reader: _Reader, sign: _Token) -> bool:
    reader.sign = 1 if sign.text == "+" else -1
    number, length = 0, 0
    if reader.peek().kind == "number":
        token = reader.next()
        number, length = token.number, len(token.text)
    if reader.peek().is_symbol(":"):
        reader.hours, reader.minutes = number, None
    elif length in (1, 2):
        reader.hours, reader.minutes = number, 0
    elif length in (3, 4):
        reader.hours, reader.minutes = divmod(number, 100)
    else:
        return False
    return True


def _date(reader: _Reader) -> tuple[int, int, int] | None:
    if not reader.day:
        return None
    first, second, third = [*reader.day, 1, 1][:3]
    if reader.named_month is not None:
        year, day = (second, first) if 1 <= first <= 31 else (first, second)
        month = reader.named_month
    elif reader.iso or not 1 <= first <= 31:
        year, month, day = first, second, third
    else:
        month, day, year = first, second, third
    if not reader.iso and 0 <= year <= 99:
        year += 2000 if year <= 49 else 1900
    return (year, month, day) if 1 <= month <= 12 and 1 <= day <= 31 else None


def _time(reader: _Reader) -> tuple[int, int, int, int] | None:
    hour, minute, second, millisecond = [*reader.time, 0, 0, 0, 0][:4]
    if reader.half is not None:
        if hour > 12:
            return None
        hour = hour % 12 + reader.half
    if hour == 24 and not (minute or second or millisecond):
        return hour, minute, second, millisecond
    if hour < 24 and minute < 60 and second < 60 and millisecond < 1000:
        return hour, minute, second, millisecond
    return None
