"""The block structure of a Markdown text, line by line, with exact spans.

Follows CommonMark 0.31 (containers, fenced and indented code, HTML blocks, headings); inline
markup is not read. Never raises.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property

from sidecar.domain import html_block
from sidecar.domain.source import Source, Span

# Deeper nesting is read as text, so that a hostile line cannot cost more than its length.
MAX_DEPTH = 64
BYTE_ORDER_MARK = "\ufeff"
TAB = 4
CODE_INDENT = 4
MAX_MARKER_GAP = 4

_FENCE = re.compile(r"(`{3,})[^`]*\Z|(~{3,})")
_HEADING = re.compile(r"(#{1,6})(?:[ \t]+|\Z)")
_HEADING_TAIL = re.compile(r"(?:(?<=[ \t])|(?<=\A))#++[ \t]*\Z")
_UNDERLINE = re.compile(r"(?:=+|-+)[ \t]*\Z")
_RULE = re.compile(r"([-*_])(?:[ \t]*+\1){2,}+[ \t]*+\Z")
_MARKER = re.compile(r"(?:[-+*]|(\d{1,9})[.)])(?=[ \t]|\Z)", re.ASCII)


class LineKind(StrEnum):
    """What a line is, once the markers of quotes and lists before it are taken off."""

    BLANK = "blank"
    TEXT = "text"
    HEADING = "heading"
    RULE = "rule"
    FENCE = "fence"
    CODE = "code"
    COMMENT = "comment"
    HTML = "html"


@dataclass(frozen=True, slots=True)
class Line:
    """One line: its kind, its text after all markers, and the innermost list item around it."""

    number: int
    span: Span
    kind: LineKind
    content: Span
    item: int | None = None
    opened: tuple[int, ...] = ()
    quotes: int = 0


@dataclass(frozen=True, slots=True)
class ListItem:
    """One list item; ``indent`` is the column of its marker, ``content`` its first line's text."""

    index: int
    line: int
    last_line: int
    indent: int
    marker: Span
    content: Span
    parent: int | None
    quotes: int


@dataclass(frozen=True, slots=True)
class Heading:
    """One heading; ``nested`` when it stands inside a list item or a quote."""

    line: int
    level: int
    title: str
    span: Span
    nested: bool


@dataclass(frozen=True)
class Markdown:
    """The blocks of one text."""

    source: Source
    lines: tuple[Line, ...]
    items: tuple[ListItem, ...]
    headings: tuple[Heading, ...]
    closer: str = ""
    """The line that would close the fence or HTML block left open at the end, if any."""

    @cached_property
    def sections(self) -> tuple[Heading, ...]:
        """The headings that divide the text: those outside lists and quotes."""
        return tuple(heading for heading in self.headings if not heading.nested)


def parse(text: str | Source) -> Markdown:
    """The block structure of a text; never raises."""
    source = text if isinstance(text, Source) else Source(text)
    return _Reader(source).read()


class _Cursor:
    """A place in one line, in characters and in columns; a tab may be half consumed."""

    __slots__ = ("column", "end", "place", "text")

    def __init__(self, text: str, span: Span) -> None:
        self.text, self.place, self.end, self.column = text, span.start, span.end, 0

    def indent(self) -> tuple[int, int]:
        """The columns of white space here, and the place of the next other character."""
        column, place = self.column, self.place
        while place < self.end and (character := self.text[place]) in " \t":
            column += 1 if character == " " else TAB - column % TAB
            place += 1
        return column - self.column, place

    def skip(self, columns: int) -> None:
        """Consume that many columns of white space, at most what there is."""
        goal = self.column + columns
        while self.column < goal and self.place < self.end and self.text[self.place] in " \t":
            width = 1 if self.text[self.place] == " " else TAB - self.column % TAB
            if self.column + width > goal:
                self.column = goal
                return
            self.column += width
            self.place += 1

    def take(self, characters: int) -> Span:
        """Consume characters that are one column wide each."""
        start = self.place
        self.place += characters
        self.column += characters
        return Span(start, self.place)

    def rest(self, place: int) -> str:
        """The text from a place to the line's end."""
        return self.text[place : self.end]


@dataclass(slots=True)
class _Container:
    """An open quote (``item`` is None) or list item, whose lines are indented by ``offset``."""

    item: int | None = None
    offset: int = 0
    empty: bool = False


@dataclass(frozen=True, slots=True)
class _Leaf:
    """The block that the next line may continue."""

    kind: LineKind
    closing: re.Pattern[str] | None = None
    line: int = 0
    closer: str = ""


class _Reader:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.lines: list[Line] = []
        self.items: list[ListItem] = []
        self.headings: list[Heading] = []
        self.containers: list[_Container] = []
        self.opened: list[int] = []
        self.leaf: _Leaf | None = None
        self.number = 0
        self.last_text = 0

    def read(self) -> Markdown:
        for number in range(len(self.source.line_starts)):
            self.number = number
            self.opened = []
            cursor = _Cursor(self.source.text, self.source.line_span(number))
            if number == 0 and self.source.text.startswith(BYTE_ORDER_MARK):
                cursor.place += 1
            kind = self._line(cursor)
            if kind is not LineKind.BLANK:
                self.last_text = number
            self._record(cursor, kind)
        closer = self.leaf.closer if self.leaf and not self.containers else ""
        self._close(0)
        items, headings = tuple(self.items), tuple(self.headings)
        return Markdown(self.source, tuple(self.lines), items, headings, closer)

    def _record(self, cursor: _Cursor, kind: LineKind) -> None:
        inside = [c.item for c in self.containers if c.item is not None]
        self.lines.append(
            Line(
                self.number,
                self.source.line_span(self.number),
                kind,
                Span(cursor.indent()[1], cursor.end),
                inside[-1] if inside else None,
                tuple(self.opened),
                len(self.containers) - len(inside),
            )
        )

    def _line(self, cursor: _Cursor) -> LineKind:
        matched = self._match(cursor)
        if matched == len(self.containers):
            kind = self._continue(cursor)
            if kind is not None:
                return kind
        return self._start(cursor, matched)

    def _match(self, cursor: _Cursor) -> int:
        """How many of the open containers this line continues; their markers are consumed."""
        for count, container in enumerate(self.containers):
            columns, place = cursor.indent()
            blank = place == cursor.end
            if container.item is None:
                if blank or columns >= CODE_INDENT or cursor.text[place] != ">":
                    return count
                self._take_quote(cursor, columns)
            elif blank:
                if container.empty:
                    return count
            elif columns >= container.offset:
                cursor.skip(container.offset)
                container.empty = False
            else:
                return count
        return len(self.containers)

    def _take_quote(self, cursor: _Cursor, columns: int) -> None:
        cursor.skip(columns)
        cursor.take(1)
        cursor.skip(1)

    def _continue(self, cursor: _Cursor) -> LineKind | None:
        """The line's kind if it continues an open fence or HTML block."""
        leaf = self.leaf
        if leaf is None or leaf.kind is LineKind.TEXT:
            return None
        columns, place = cursor.indent()
        rest = cursor.rest(place)
        if leaf.kind is LineKind.CODE:
            if columns < CODE_INDENT and leaf.closing and leaf.closing.match(rest):
                self.leaf = None
                return LineKind.FENCE
            return LineKind.CODE
        if leaf.closing is None and not rest:
            self.leaf = None
            return None
        if leaf.closing is not None and leaf.closing.search(rest):
            self.leaf = None
        return leaf.kind

    def _start(self, cursor: _Cursor, matched: int) -> LineKind:
        """The line's kind where it may open containers and blocks."""
        paragraph = self.leaf is not None and self.leaf.kind is LineKind.TEXT
        direct = paragraph and matched == len(self.containers)
        while True:
            columns, place = cursor.indent()
            if place == cursor.end:
                self._close(matched)
                return LineKind.BLANK
            code = columns >= CODE_INDENT
            if not code and self._container(cursor, columns, place, matched, direct=direct):
                matched = len(self.containers)
                paragraph = direct = False
                continue
            kind = LineKind.CODE if code and not paragraph else None
            leaf = None
            if not code:
                kind, leaf = self._block(cursor, place, matched, paragraph=paragraph, direct=direct)
            if kind is None and paragraph:
                return LineKind.TEXT  # also where it lazily continues an inner paragraph
            self._close(matched)
            self.leaf = leaf if kind else _Leaf(LineKind.TEXT, None, self.number)
            return kind or LineKind.TEXT

    def _close(self, matched: int) -> None:
        for container in self.containers[matched:]:
            if container.item is not None:
                item = self.items[container.item]
                last = max(item.line, min(self.last_text, self.number))
                self.items[container.item] = replace(item, last_line=last)
        del self.containers[matched:]
        self.leaf = None

    def _container(
        self, cursor: _Cursor, columns: int, place: int, matched: int, *, direct: bool
    ) -> bool:
        """Open a quote or a list item if one starts here."""
        if matched >= MAX_DEPTH:
            return False
        if cursor.text[place] == ">":
            self._close(matched)
            self._take_quote(cursor, columns)
            self.containers.append(_Container())
            return True
        rest = cursor.rest(place)
        marker = _MARKER.match(rest)
        if marker is None or _RULE.match(rest) or (direct and _UNDERLINE.match(rest)):
            return False
        empty = not rest[marker.end() :].strip(" \t")
        if direct and (empty or marker[1] not in (None, "1")):
            return False
        self._close(matched)
        self._open_item(cursor, columns, marker.end(), empty=empty)
        return True

    def _open_item(self, cursor: _Cursor, columns: int, width: int, *, empty: bool) -> None:
        cursor.skip(columns)
        indent = cursor.column
        marker = cursor.take(width)
        gap = cursor.indent()[0]
        if empty or gap > MAX_MARKER_GAP:
            gap = 1
        cursor.skip(gap)
        parents = [c.item for c in self.containers if c.item is not None]
        quotes = len(self.containers) - len(parents)
        content = Span(cursor.indent()[1], cursor.end)
        parent = parents[-1] if parents else None
        index = len(self.items)
        self.items.append(
            ListItem(index, self.number, self.number, indent, marker, content, parent, quotes)
        )
        self.containers.append(_Container(index, columns + width + gap, empty))
        self.opened.append(index)

    def _block(
        self, cursor: _Cursor, place: int, matched: int, *, paragraph: bool, direct: bool
    ) -> tuple[LineKind | None, _Leaf | None]:
        """The kind of the block that starts here, and what it leaves open."""
        rest = cursor.rest(place)
        if rest[0] == "#" and (heading := _HEADING.match(rest)):
            title = _HEADING_TAIL.sub("", rest[heading.end() :]).strip(" \t")
            self._heading(len(heading[1]), title, Span(place, cursor.end), nested=matched > 0)
            return LineKind.HEADING, None
        if rest[0] in "`~" and (fence := _FENCE.match(rest)):
            mark = fence[1] or fence[2]
            closing = re.compile(rf"{mark[0]}{{{len(mark)},}}+[ \t]*+\Z")
            return LineKind.FENCE, _Leaf(LineKind.CODE, closing, closer=mark)
        if rest[0] == "<":
            return self._html(rest, paragraph=paragraph)
        if direct and _UNDERLINE.match(rest):
            self._underlined(1 if rest[0] == "=" else 2)
            return LineKind.HEADING, None
        return (LineKind.RULE if _RULE.match(rest) else None), None

    @staticmethod
    def _html(rest: str, *, paragraph: bool) -> tuple[LineKind | None, _Leaf | None]:
        block = html_block.starting(rest, paragraph=paragraph)
        if block is None:
            return None, None
        kind = LineKind.COMMENT if block.is_comment else LineKind.HTML
        done = block.closing is not None and block.closing.search(rest)
        return kind, None if done else _Leaf(kind, block.closing, closer=block.closer)

    def _underlined(self, level: int) -> None:
        """The paragraph above is a heading."""
        lines = self.lines[self.leaf.line if self.leaf else -1 :]
        title = " ".join(self.source.slice(line.content).strip(" \t") for line in lines)
        self._heading(
            level,
            title,
            Span(lines[0].content.start, lines[-1].content.end),
            nested=bool(self.containers),
        )

    def _heading(self, level: int, title: str, span: Span, *, nested: bool) -> None:
        line = self.source.position(span.start).line
        self.headings.append(Heading(line, level, title, span, nested))
