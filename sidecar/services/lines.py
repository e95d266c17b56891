"""Matching a pattern line by line, in linear time, with columns in code points."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from sidecar.services.pattern import Pattern, compile_pattern

SHOWN_CHARACTERS = 300
_LEAD = 80
MATCHES_LIMIT = 50_000
_LOOK = 1000
_PART = 65_536
# What means one thing at the ends of a line and another at the ends of a file.
_WHOLE_TEXT = re.compile(r"\\[AzZCQE]|\(\?")


class LineMatch(NamedTuple):
    """A match in one line: 0-based line, and the columns of its start and end."""

    line: int
    start: int
    end: int


def split_lines(text: str) -> list[str]:
    r"""The lines without their ends; ``\n`` and ``\r\n`` end one."""
    lines = text.replace("\r\n", "\n").split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def shown(line: str, match: LineMatch) -> tuple[str, int, int]:
    """The line, or of a long one the part around the match, and the columns therein."""
    if len(line) <= SHOWN_CHARACTERS:
        return line, match.start, match.end
    begin = max(0, min(match.start - _LEAD, len(line) - SHOWN_CHARACTERS))
    part = line[begin : begin + SHOWN_CHARACTERS]
    return part, match.start - begin, min(match.end - begin, len(part))


def _word(character: str) -> bool:
    return character.isalnum() or character == "_"


def _parts(lines: list[str]) -> Iterator[tuple[int, list[str]]]:
    """The lines in runs of about 64 kB, each with its first line's number."""
    first = size = 0
    for number, line in enumerate(lines):
        size += len(line) + 1
        if size > _PART:
            yield first, lines[first : number + 1]
            first, size = number + 1, 0
    if first < len(lines):
        yield first, lines[first:]


class LineSearch:
    """One compiled search; raises SidecarError (E_INVALID) for a pattern that RE2 refuses."""

    def __init__(
        self, pattern: str, *, regex: bool, case_sensitive: bool, whole_word: bool
    ) -> None:
        if regex:
            compile_pattern(pattern)  # its complaint is about what the caller wrote
        self._whole_word = whole_word
        self.left = MATCHES_LIMIT
        source = _bounded(pattern, regex=regex) if whole_word else pattern
        as_regex = regex or whole_word
        self._line = compile_pattern(source, literal=not as_regex, case_sensitive=case_sensitive)
        self._text: Pattern | None = self._line
        if as_regex:
            plain = not _WHOLE_TEXT.search(pattern)
            self._text = (
                compile_pattern(f"(?m:{source})", case_sensitive=case_sensitive) if plain else None
            )

    def matches(self, lines: list[str], over: Callable[[], bool]) -> Iterator[LineMatch]:
        """Every match in order until it is over; an empty one only where its line has no other.

        ``left`` falls to 0 where 50,000 matches, empty ones included, end the search.
        """
        for first, part in _parts(lines):
            if over() or self.left <= 0:
                return
            if self._text is None or self._text.search("\n".join(part)) is not None:
                for number, line in enumerate(part, first):
                    yield from self._in_line(number, line, over)

    def _in_line(self, number: int, line: str, over: Callable[[], bool]) -> Iterator[LineMatch]:
        spans = self._spans(line, over) if self.left > 0 else ()
        for start, end in spans:
            if not self._whole_word or self._alone(line, start, end):
                yield LineMatch(number, start, end)

    def _spans(self, line: str, over: Callable[[], bool]) -> Iterator[tuple[int, int]]:
        """What is matched in a line; a line of megabytes may hold millions of matches."""
        empty: tuple[int, int] | None = None
        filled = False
        for count, match in enumerate(self._line.finditer(line), 1):
            span = match.span()
            if span[0] < span[1]:
                filled = True
                yield span
            elif empty is None:
                empty = span
            self.left -= 1
            if self.left <= 0 or (count % _LOOK == 0 and over()):
                return
        if empty is not None and not filled:
            yield empty

    @staticmethod
    def _alone(line: str, start: int, end: int) -> bool:
        r"""Whether no letter touches the match; RE2's ``\b`` knows ASCII alone."""
        if start == end:
            return True
        before = start > 0 and _word(line[start - 1]) and _word(line[start])
        after = end < len(line) and _word(line[end]) and _word(line[end - 1])
        return not (before or after)


def _bounded(pattern: str, *, regex: bool) -> str:
    if regex:
        return rf"\b(?:{pattern})\b"
    import re2  # noqa: PLC0415 - as in `compile_pattern`, which comes next

    first, last = (r"\b" if c.isascii() and _word(c) else "" for c in (pattern[0], pattern[-1]))
    return f"{first}{re2.escape(pattern)}{last}"
