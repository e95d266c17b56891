"""The reader's place in a YAML text: white space, comments, node properties and scalars."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from sidecar.domain.edit import Edit
from sidecar.domain.finding import Fix, SyntaxProblem
from sidecar.domain.source import Span
from sidecar.domain.tree import Node, Scalar, Style
from sidecar.domain.yaml_repair import quote_edits
from sidecar.domain.yaml_text import Header, block_text, fold, unescape
from sidecar.domain.yaml_types import tagged

BLANKS = re.compile(r"[ \t]*")
WHITE = re.compile(r"[ \t]*(?:\r?\n[ \t]*)*")
SPACES = re.compile(r" *")
NEWLINE = re.compile(r"\r?\n")
TO_LINE_END = re.compile(r"[^\n]*")
BLANK_LINE = re.compile(r" *(?:\r?\n|\Z)")
MARKER = re.compile(r"(?:---|\.\.\.)(?=[ \t\r\n]|\Z)")
PROPERTY_END = re.compile(r"[ \t\r\n,\[\]{}]|\Z")
TAG = re.compile(r"!<[^>\s]*>|![^ \t\r\n,\[\]{}]*")
BLOCK_STOP = re.compile(r":(?=[ \t\r\n]|\Z)|(?<=[ \t])#")
FLOW_STOP = re.compile(r":(?=[ \t\r\n,\[\]{}]|\Z)|(?<=[ \t])#|[,\[\]{}]")
DOUBLE = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
SINGLE = re.compile(r"'[^']*(?:''[^']*)*'")
EMPTY = " \t\r\n"
GAP_STARTS = frozenset(" \t\r\n#")
FLOW = ",[]{}"
MARKS = frozenset("-.")
BAD_STARTS = {
    ",": "a comma",
    "%": "`%`",
    "@": "`@`",
    "`": "a backtick",
    "|": "`|`",
    ">": "`>`",
    "]": "`]`",
    "}": "`}`",
}
# What npm yaml allows before it calls a document an attack.
ALIAS_LIMIT = 100
MAX_DEPTH = 120
# These are found after the parse, by an exception that names no line.
UNPLACED = frozenset({"unknown-alias", "alias-limit", "too-deep"})


@dataclass(frozen=True, slots=True)
class Properties:
    """Anchor and tag in front of a node."""

    start: int = -1
    anchor: str | None = None
    tag: str | None = None

    def __bool__(self) -> bool:
        return self.start >= 0


NO_PROPERTIES = Properties()


@dataclass(slots=True)
class Anchor:
    """A named node, and how often it has been used."""

    node: Node | None = None
    weight: int = 1
    uses: int = 0


class Gap(NamedTuple):
    """What lay between two tokens."""

    newline: bool
    tab: bool


NO_GAP = Gap(newline=False, tab=False)


@dataclass
class Scanner:
    """A place in the text; every method moves it forwards and none raises."""

    text: str
    at: int = 0
    line_start: int = 0
    indent: int = 0
    depth: int = 0
    problems: list[SyntaxProblem] = field(default_factory=list)
    noticed: list[int] = field(default_factory=list)
    # A stretch without a line end and its end; long lines would be searched again and again.
    known_line: tuple[int, int] = (0, -1)
    anchors: dict[str, Anchor] = field(default_factory=dict)
    # Alias uses so far, summed per anchor under construction, as npm yaml weighs them.
    open_weights: list[int] = field(default_factory=list)

    def problem(
        self, span: Span, kind: str, message: str, *fixes: Fix, noticed: int | None = None
    ) -> None:
        """Note what could not be read; the products name the line where they noticed it."""
        start = min(span.start, len(self.text))
        end = max(start, min(span.end, len(self.text)))
        self.problems.append(SyntaxProblem(Span(start, end), message, kind, fixes))
        if kind not in UNPLACED:
            self.noticed.append(start if noticed is None else noticed)

    def peek(self, ahead: int = 0) -> str:
        """The character here, or an empty string at the end."""
        at = self.at + ahead
        return self.text[at] if at < len(self.text) else ""

    def blank_after(self, ahead: int = 1) -> bool:
        """Whether white space or the end follows."""
        char = self.peek(ahead)
        return not char or char in EMPTY

    def line_end(self, at: int) -> int:
        """The offset at which a line's text ends."""
        first, last = self.known_line
        if first <= at <= last:
            return last
        end = self.text.find("\n", at)
        end = len(self.text) if end < 0 else end
        if end > at and self.text[end - 1 : end + 1] == "\r\n":
            end -= 1
        self.known_line = (at, end)
        return end

    def skip(self) -> Gap:
        """Move over white space, line ends and comments to the next token."""
        start = at = self.at
        text = self.text
        if text[at : at + 1] not in GAP_STARTS:
            return NO_GAP
        while True:
            self.at = WHITE.match(text, at).end()  # type: ignore[union-attr]
            newline = text.rfind("\n", at, self.at)
            if newline >= 0:
                self.line_start = newline + 1
                self.indent = SPACES.match(text, newline + 1).end() - newline - 1  # type: ignore[union-attr]
            if text[self.at : self.at + 1] != "#":
                blanks = text[max(at, newline + 1) : self.at]
                return Gap(self.line_start > start, "\t" in blanks)
            spaced = self.at > at or self.at == self.line_start or text[self.at - 1] in EMPTY
            self._comment(spaced=spaced)
            at = self.at

    def new_line(self, at: int) -> None:
        """Begin the line at this offset."""
        self.at = self.line_start = at
        self.indent = SPACES.match(self.text, at).end() - at  # type: ignore[union-attr]

    def _comment(self, *, spaced: bool) -> None:
        if not spaced:
            message = "A space must stand before `#`, or it begins no comment."
            fix = Fix("Insert a space", (Edit(Span(self.at, self.at), " "),))
            self.problem(Span(self.at, self.at + 1), "comment-space", message, fix)
        self.at = self.line_end(self.at)

    def column(self) -> int:
        """How far the token here is indented; a tab does not indent."""
        column = self.at - self.line_start
        return min(column, self.indent) if self.first_on_line() else column

    def first_on_line(self) -> bool:
        """Whether only white space stands before this place in its line."""
        return BLANKS.match(self.text, self.line_start).end() >= self.at  # type: ignore[union-attr]

    def at_marker(self) -> bool:
        """Whether a document marker stands here."""
        at = self.at
        if at != self.line_start or self.text[at : at + 1] not in MARKS:
            return False
        return MARKER.match(self.text, at) is not None

    def at_end(self) -> bool:
        """Whether the document ends here."""
        return self.at >= len(self.text) or self.at_marker()

    def property_here(self, before: Properties, *, flow: bool) -> Properties:
        """Read the anchor or tag that stands here."""
        start, anchor, tag = self.at, before.anchor, before.tag
        if self.peek() == "&":
            end = PROPERTY_END.search(self.text, start + 1).start()  # type: ignore[union-attr]
            if anchor is not None or end == start + 1:
                self.problem(Span(start, end), "anchor", "A node has one anchor, with a name.")
            anchor = self.text[start + 1 : end]
        else:
            end = TAG.match(self.text, start).end()  # type: ignore[union-attr]
            if tag is not None:
                self.problem(Span(start, end), "tag", "A node can have only one tag.")
            tag = self.text[start:end]
            self._check_tag(tag, Span(start, end))
        self.at = end
        if not self.blank_after(0) and not (flow and self.peek() == ","):
            message = "A space is missing after the anchor or tag."
            self.problem(Span(start, end), "anchor", message)
        return Properties(before.start if before else start, anchor, tag)

    def _check_tag(self, tag: str, span: Span) -> None:
        handle = re.match(r"!\w+!", tag)
        verbatim = tag.startswith("!<")
        if handle or tag == "!!" or (verbatim and not tag.endswith(">")):
            self.problem(span, "tag", f"The tag `{tag}` cannot be resolved.")

    def declare(self, properties: Properties) -> Anchor | None:
        """Name the node that begins here, so that later aliases find it."""
        if properties.anchor is None:
            return None
        anchor = self.anchors[properties.anchor] = Anchor()
        return anchor

    def alias(self) -> Node:
        """Read an alias: the very node that its anchor names, never a copy."""
        start = self.at
        self.at = PROPERTY_END.search(self.text, start + 1).start()  # type: ignore[union-attr]
        span = Span(start, self.at)
        anchor = self.anchors.get(self.text[start + 1 : self.at])
        if anchor is None:
            message = (
                f"`{self.text[start : self.at]}` refers to an anchor that nothing before it sets. "
                "Text that begins with `*` needs quotes."
            )
            self.problem(span, "unknown-alias", message)
            return Scalar(span, self.text[start : self.at])
        anchor.uses += 1
        weight = anchor.uses * anchor.weight
        self.open_weights[:] = [max(weight, one) for one in self.open_weights]
        if weight > ALIAS_LIMIT:
            self.problem(span, "alias-limit", "Too many aliases: the file would grow without end.")
            return Scalar(span, None)
        return anchor.node if anchor.node is not None else Scalar(span, None)

    def plain(self, floor: int, *, flow: bool, properties: Properties = NO_PROPERTIES) -> Scalar:
        """Read a plain scalar; its later lines must be indented by at least ``floor``."""
        start, stop = self.at, FLOW_STOP if flow else BLOCK_STOP
        end, at = start, start
        while True:
            line_end = self.line_end(at)
            match = stop.search(self.text, max(at, start + (at == start)), line_end)
            content = self.text[at : match.start() if match else line_end].rstrip(" \t")
            if content:
                end = at + len(content)
            following = None if match else self._continued(line_end, floor)
            if following is None:
                break
            at = following
        self._check_start(Span(start, end))
        self._moved_to(end)
        source = self.text[start:end]
        value = tagged(fold(source), properties.tag, plain=True)
        return Scalar(Span(start, end), value)

    def _check_start(self, span: Span) -> None:
        first = self.text[span.start : span.start + 1]
        if first in BAD_STARTS:
            message = f"Unquoted text cannot begin with {BAD_STARTS[first]}. Put it in quotes."
            fix = Fix("Put the text in quotes", quote_edits(self.text, span))
            marker = self.text.startswith(("```", ">>>>>>> "), span.start)
            fixes = () if marker else (fix,)
            self.problem(Span(span.start, span.start + 1), "reserved-start", message, *fixes)

    def _continued(self, line_end: int, floor: int) -> int | None:
        """The start of a scalar's next line of text, None where the scalar ends."""
        at = line_end
        while match := NEWLINE.match(self.text, at):
            line = match.end()
            at = BLANKS.match(self.text, line).end()  # type: ignore[union-attr]
            if NEWLINE.match(self.text, at) and "\t" not in self.text[line:at]:
                continue
            indent = SPACES.match(self.text, line).end() - line  # type: ignore[union-attr]
            if indent < floor or (floor == 0 and MARKER.match(self.text, line)):
                return None
            if NEWLINE.match(self.text, at):
                continue
            ends = at >= len(self.text) or self.text[at] == "#"
            return None if ends else at
        return None

    def _moved_to(self, end: int) -> None:
        start = self.text.rfind("\n", self.at, end)
        if start >= 0:
            self.new_line(start + 1)
        self.at = end

    def quoted(self, floor: int, properties: Properties = NO_PROPERTIES) -> Scalar:
        """Read a quoted scalar; its later lines must be indented by at least ``floor``."""
        start, quote = self.at, self.peek()
        match = (DOUBLE if quote == '"' else SINGLE).match(self.text, start)
        end = self._quote_cut(start, match.end() if match else len(self.text), floor)
        closed = match is not None and end == match.end()
        if not closed:
            noticed = end
            end = end if match else self.line_end(start)
            self._unclosed(start, end, quote, noticed)
        inner = self.text[start + 1 : end - 1 if closed else end]
        self._moved_to(end)
        style = Style.DOUBLE if quote == '"' else Style.SINGLE
        folded = fold(inner).replace("''", "'") if quote == "'" else None
        text = self._unescaped(inner, start + 1) if folded is None else folded
        return Scalar(Span(start, end), tagged(text, properties.tag, plain=False), style)

    def _unescaped(self, inner: str, start: int) -> str:
        result = unescape(inner)
        for offset in result.bad:
            span = Span(start + offset, start + offset + 2)
            doubled = "\\\\" + inner[offset + 1 : offset + 2]
            fix = Fix("Write the backslash twice", (Edit(span, doubled),))
            shown = inner[offset : offset + 2].strip()
            message = f"`{shown}` is no escape inside double quotes. Write `\\\\` for a backslash."
            self.problem(span, "bad-escape", message, fix)
        return result.text

    def _quote_cut(self, start: int, end: int, floor: int) -> int:
        """Where a quoted scalar really ends: a line that is indented too little ends it."""
        newline = self.text.find("\n", start, end)
        while newline >= 0:
            line = newline + 1
            indent = SPACES.match(self.text, line).end()  # type: ignore[union-attr]
            blank = BLANK_LINE.match(self.text, line) and indent < len(self.text)
            outdented = indent - line < floor and not blank
            if outdented or (floor == 0 and MARKER.match(self.text, line)):
                return self.line_end(self.text.rfind("\n", start, newline) + 1 or start)
            newline = self.text.find("\n", line, end)
        return end

    def _unclosed(self, start: int, end: int, quote: str, noticed: int) -> None:
        name = "double" if quote == '"' else "single"
        message = f"This {name} quote is never closed: the text after it is read as one string."
        at = self.line_end(start)
        fix = Fix("Close the quote", (Edit(Span(at, at), quote),), safe=False)
        span = Span(start, max(end, start + 1))
        self.problem(span, "unclosed-quote", message, fix, noticed=noticed)

    def block_scalar(self, floor: int, properties: Properties = NO_PROPERTIES) -> Scalar:
        """Read a block scalar and its lines, which must be indented by at least ``floor``."""
        start = self.at
        source = re.compile(r"[^ \t\r\n#]*").match(self.text, start)[0]  # type: ignore[index]
        header = Header.read(source)
        self.at = start + len(source)
        if not header.valid:
            message = f"`{source}` is no block indicator: `|`, `>`, with `-` or `+`, and 1 to 9."
            self.problem(Span(start, self.at), "block-header", message)
        self.rest_of_line("block-header")
        lines, end, indent = self._block_lines(floor, header)
        text = block_text(lines, indent, header)
        style = Style.FOLDED if header.folded else Style.LITERAL
        return Scalar(Span(start, end), tagged(text, properties.tag, plain=False), style)

    def _block_lines(self, floor: int, header: Header) -> tuple[list[str], int, int]:
        lines: list[str] = []
        indent, end = header.indent + max(floor - 1, 0) if header.indent else -1, self.at
        while match := NEWLINE.match(self.text, self.at):
            line = match.end()
            line_end = self.line_end(line)
            width = SPACES.match(self.text, line, line_end).end() - line  # type: ignore[union-attr]
            if line + width < line_end:
                if indent < 0 and width >= floor:
                    indent = width
                    self._leading_blanks(lines, indent)
                wanted = indent if indent >= 0 else floor
                if width < wanted or (wanted == 0 and MARKER.match(self.text, line)):
                    self._trailing_tab(line, width)
                    break
                end = line_end
            elif line >= len(self.text):
                self.new_line(line)
                break
            lines.append(self.text[line:line_end])
            self.new_line(line)
            self.at = line_end
        return lines, end, indent if indent >= 0 else len(self.text)

    def _leading_blanks(self, lines: list[str], indent: int) -> None:
        if any(len(line) > indent for line in lines):
            message = "The empty lines before this text are indented more than the text itself."
            at = self.line_end(self.at) if self.at else 0
            self.problem(Span(at, at + 1), "bad-indent", message)

    def _trailing_tab(self, line: int, width: int) -> None:
        if self.text[line + width] == "\t":
            span = Span(line + width, line + width + 1)
            self.problem(span, "tab", "A tab indents this line. Indent with spaces.")

    def rest_of_line(self, kind: str, *fixes: Fix) -> None:
        """Move to the end of the line, where only a comment may still follow."""
        start = self.at
        self.at = BLANKS.match(self.text, start).end()  # type: ignore[union-attr]
        end = self.line_end(self.at)
        if self.peek() == "#":
            self._comment(spaced=self.at > start)
        elif self.at < end:
            message = "This text stands after the end of the value."
            self.problem(Span(self.at, end), kind, message, *fixes)
        self.at = end
