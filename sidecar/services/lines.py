"""Matching a pattern line by line, in linear time, with columns in code points."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import re2

from sidecar.services.pattern import Pattern, compile_pattern

SHOWN_CHARACTERS = 300
_LEAD = 80
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


class LineSearch:
    """One compiled search; raises SidecarError (E_INVALID) for a pattern that RE2 refuses."""

    def __init__(
        self, pattern: str, *, regex: bool, case_sensitive: bool, whole_word: bool
    ) -> None:
        if regex:
            compile_pattern(pattern)  # its complaint is about what the caller wrote
        self._whole_word = whole_word
        source = _bounded(pattern, regex=regex) if whole_word else pattern
        as_regex = regex or whole_word
        self._line = compile_pattern(source, literal=not as_regex, case_sensitive=case_sensitive)
        self._text: Pattern | None = self._line
        if as_regex:
            plain = not _WHOLE_TEXT.search(pattern)
            self._text = (
                compile_pattern(f"(?m:{source})", case_sensitive=case_sensitive) if plain else None
            )

    def matches(self, lines: list[str]) -> Iterator[LineMatch]:
        """Every match in order; an empty one only where its line has no other."""
        if self._text is not None and self._text.search("\n".join(lines)) is None:
            return
        for number, line in enumerate(lines):
            spans = [match.span() for match in self._line.finditer(line)]
            filled = [span for span in spans if span[0] < span[1]]
            for start, end in filled or spans[:1]:
                if not self._whole_word or self._alone(line, start, end):
                    yield LineMatch(number, start, end)

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
    first, last = (r"\b" if c.isascii() and _word(c) else "" for c in (pattern[0], pattern[-1]))
    return f"{first}{re2.escape(pattern)}{last}"
