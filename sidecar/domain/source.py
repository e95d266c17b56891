"""One text and its positions: offsets are code points, lines end as LSP says."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import NamedTuple

LINE_END = re.compile(r"\r\n|\n|\r")


class Span(NamedTuple):
    """A half-open range of code-point offsets into one text."""

    start: int
    end: int

    def contains(self, offset: int) -> bool:
        """Whether an offset lies inside, both ends counted as inside."""
        return self.start <= offset <= self.end

    def moved(self, by: int) -> Span:
        """The same range so many characters further on."""
        return Span(self.start + by, self.end + by)


class Position(NamedTuple):
    """A place in a text: 0-based line and 0-based code point in that line."""

    line: int
    character: int


@dataclass(frozen=True)
class Source:
    r"""A text with its line index.

    Only ``\n``, ``\r\n`` and ``\r`` end a line (LSP 3.17, "Text Documents"): ``str.splitlines``
    knows more and would shift every later line.
    """

    text: str

    @cached_property
    def line_starts(self) -> list[int]:
        """The offset at which each line starts; never empty."""
        if "\r" in self.text:
            return [0, *(match.end() for match in LINE_END.finditer(self.text))]
        # Ten times quicker; every keystroke makes a new text.
        lengths = (len(line) + 1 for line in self.text.split("\n"))
        return list(accumulate(lengths, initial=0))[:-1]

    @cached_property
    def lines(self) -> list[str]:
        """Every line with its line end; joined they are the text."""
        if "\r" not in self.text:
            *ended, last = self.text.split("\n")
            return [*(f"{line}\n" for line in ended), last]
        bounds = [*self.line_starts, len(self.text)]
        return [self.text[a:b] for a, b in pairwise(bounds)]

    def position(self, offset: int) -> Position:
        """The position of an offset, clamped into the text."""
        offset = max(0, min(offset, len(self.text)))
        line = bisect_right(self.line_starts, offset) - 1
        return Position(line, offset - self.line_starts[line])

    def offset(self, position: Position) -> int:
        """The offset of a position; a character past the line's end means the line's end."""
        if position.line >= len(self.line_starts):
            return len(self.text)
        span = self.line_span(max(0, position.line))
        return min(span.start + max(0, position.character), span.end)

    def line_span(self, line: int) -> Span:
        """The span of a line without its line end."""
        starts = self.line_starts
        start = starts[line]
        end = starts[line + 1] if line + 1 < len(starts) else len(self.text)
        return Span(start, start + len(self.text[start:end].rstrip("\r\n")))

    def slice(self, span: Span) -> str:
        """The text of a span."""
        return self.text[span.start : span.end]

    def clamp(self, span: Span) -> Span:
        """The span cut to the text, so that it can always be shown."""
        start = max(0, min(span.start, len(self.text)))
        return Span(start, max(start, min(span.end, len(self.text))))
