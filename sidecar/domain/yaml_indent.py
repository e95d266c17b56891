"""Indentation: which open collection a line belongs to, and what is wrong with it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from sidecar.domain.edit import Edit
from sidecar.domain.finding import Fix
from sidecar.domain.source import Span
from sidecar.domain.yaml_flow import FlowReader
from sidecar.domain.yaml_repair import indent_edit


class Level(NamedTuple):
    """An open block collection: its column, and whether its items begin with a dash."""

    column: int
    dashes: bool


INDICATORS = frozenset("-?:")
# The next line where it is as it should be, which it nearly always is.
NEXT_KEY = re.compile(r"[ \t]*\r?\n( *)(?=[A-Za-z\"'])")
NEXT_ITEM = re.compile(r"[ \t]*\r?\n( *)(?=- )")
# What git writes around the two sides of a merge that it could not decide.
# What stands before the colon of a key alone on its line.
KEY = re.compile(r" *[A-Za-z_][\w-]*[ \t]*", re.ASCII)
GLUED_DASH = re.compile(r"( *)(-[A-Za-z_][\w-]*):(?=[ \t\r\n])", re.ASCII)


@lru_cache(maxsize=64)
def stretch_below(column: int) -> re.Pattern[str]:
    """A list item whose dash stands in a column, up to the line of the next item."""
    deeper, other = f" {{{column + 1}}}[^\\n]*", f" {{0,{column}}}(?:#[^\\n]*|\\r?)"
    return re.compile(f"-(?: [^\\n]*|\\r?)\\n(?:(?:{deeper}|{other})\\n)*(?= {{{column}}}- )")


@dataclass
class IndentReader(FlowReader):
    """A scanner that knows the open block collections."""

    levels: list[Level] = field(default_factory=list)
    # The column of the last mapping whose first key has its list item's dash glued to it.
    glued: int = -1

    def indicator(self, char: str) -> bool:
        """Whether this indicator stands here, followed by white space."""
        return self.peek() == char and self.blank_after()

    def opens_collection(self) -> bool:
        """Whether a dash, question mark or colon begins a block collection here."""
        char = self.text[self.at : self.at + 1]
        return char in INDICATORS and self.blank_after()

    def goes_on(self, column: int, *, dash: bool) -> bool:
        """Move to the next item; false where the line belongs to an outer collection."""
        match = (NEXT_ITEM if dash else NEXT_KEY).match(self.text, self.at)
        if match and len(match[1]) == column:
            self.line_start, self.indent, self.at = match.start(1), column, match.end(1)
            return True
        self.skip()
        if self.at_end():
            return False
        here = self.indicator("-")
        owner = self._owner(dash=here)
        if owner is not None and owner < len(self.levels) - 1:
            return False
        if owner is None or here != dash:
            self._stray(here=here)
            return self.goes_on(column, dash=dash)
        tab = self.first_on_line() and "\t" in self.text[self.line_start : self.at]
        if tab and (dash or self.indent <= column):
            self.tab_problem(fresh=True)
        elif self.indent != column and self.first_on_line():
            self.bad_indent(column)
        return True

    def stretch(self, column: int) -> str:
        """The text of an outermost list's item here, empty where more than it decides its tree.

        That is so for the last item, for one that does not begin its line, and behind anchors.
        """
        outermost = not any(level.dashes for level in self.levels[:-1])
        if self.anchors or not outermost or not self.at - self.line_start == column == self.indent:
            return ""
        match = stretch_below(column).match(self.text, self.at)
        return match[0] if match else ""

    def _owner(self, *, dash: bool) -> int | None:
        """Which open collection a line belongs to: its level, or the nearest deeper one."""
        if self.levels and self.levels[-1] == (self.indent, dash):
            return len(self.levels) - 1
        fitting = [i for i, level in enumerate(self.levels) if level.dashes == dash]
        exact = [i for i in fitting if self.levels[i].column == self.indent]
        deeper = [i for i in fitting if self.levels[i].column > self.indent]
        chosen = exact[-1:] or deeper[:1] or fitting[-1:]
        return chosen[0] if chosen else None

    def _stray(self, *, here: bool) -> None:
        end = self.line_end(self.at)
        kind = "fence" if self.text.startswith("```", self.at) else "stray-text"
        message = "This line belongs to no list and no mapping that is open here."
        if here:
            kind, message = "stray-marker", "A list item stands where a key is expected."
        self.problem(Span(self.at, end), kind, message, noticed=self._after_content())
        self.at = end

    def _after_content(self) -> int:
        """The line after the last one with content, where the products notice a stray line."""
        after = self.line_start
        while after:
            before = self.text.rfind("\n", 0, after - 1) + 1
            if self.text[before:after].strip()[:1] not in {"", "#"}:
                return after
            after = before
        return self.line_start

    def bad_indent(self, column: int) -> None:
        """Note that this line should be indented by ``column`` spaces."""
        if self._behind_glued_dash(column):
            return
        message = (
            f"This line is indented by {self.indent} spaces; "
            f"the lines that it belongs to are indented by {column}."
        )
        edit = indent_edit(self.text, self.line_start, column)
        fix = Fix(f"Indent by {column} spaces", (edit,), safe=False)
        span = Span(self.at, self.line_end(self.at))
        self.problem(span, "bad-indent", message, fix, noticed=self._after_content())

    def _behind_glued_dash(self, column: int) -> bool:
        """Whether the mapping began with `-key:`, which its first further line tells."""
        if self.indent != column + 2:
            return False
        before = self.text.rfind("\n", 0, self.line_start - 1) + 1
        dash = GLUED_DASH.match(self.text, before)
        if dash is None or len(dash[1]) != column:
            return self.glued == column
        message = f"`{dash[2]}` begins no list item: a space must stand behind the dash."
        fix = Fix("Insert the space", (Edit(Span(dash.start(2) + 1, dash.start(2) + 1), " "),))
        self.problem(Span(*dash.span(2)), "bad-indent", message, fix, noticed=self.line_start)
        self.glued = column
        return True

    def tab_problem(self, *, fresh: bool) -> None:
        """Note the tab before the token here; ``fresh`` where it indents the line."""
        start = self.text.rfind("\t", self.line_start, self.at)
        end = start + 1
        while start > self.line_start and self.text[start - 1] == "\t":
            start -= 1
        blanks = "  " * (end - start) if fresh else " "
        fix = Fix("Use spaces", (Edit(Span(start, end), blanks),), safe=not fresh)
        self.problem(Span(start, end), "tab", "Tabs cannot indent. Use spaces.", fix)
