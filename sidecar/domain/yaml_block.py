"""Block collections: the indentation decides what belongs together."""

from __future__ import annotations

import re
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from sidecar.domain.edit import Edit
from sidecar.domain.finding import Fix
from sidecar.domain.kept import Item, Kept, Recent
from sidecar.domain.source import Span
from sidecar.domain.tree import Entry, Mapping, Node, Scalar, Sequence
from sidecar.domain.yaml_indent import KEY, IndentReader, Level
from sidecar.domain.yaml_repair import inner_quote_edits, quote_edits
from sidecar.domain.yaml_scan import EMPTY, MAX_DEPTH, NO_PROPERTIES, Properties
from sidecar.domain.yaml_text import fold
from sidecar.domain.yaml_types import tagged, typed

Place = Literal["document", "item", "value", "explicit"]
# As much text as 40 of the longest mode files examined.
ITEMS: Recent[tuple[Hashable, ...], Item] = Recent(500_000)
# Longer implicit keys are refused by the YAML specification, section 7.4.2.
KEY_LIMIT = 1024
ONE_LINE = 10**9
# Most lines of a mode file; what these match needs none of the care that others do.
SIMPLE_PAIR = re.compile(
    r"([A-Za-z][\w-]*): +([A-Za-z][^\n\r:#]*)(?<![ \t])[ \t]*(?=\r?\n( *)\S)", re.ASCII
)
SIMPLE_ITEM = re.compile(r"- +([A-Za-z][\w-]*)[ \t]*(?=\r?\n( *)\S)", re.ASCII)


class Start(NamedTuple):
    """Where a node begins and what stands before it."""

    parent: int
    place: Place
    outer: Properties
    inner: Properties
    fresh: bool
    tab: bool

    @property
    def floor(self) -> int:
        """How far the later lines of a scalar must be indented."""
        return max(self.parent + 1, 0)


@dataclass
class BlockReader(IndentReader):
    """A scanner that reads the nodes of a document."""

    def block_node(self, parent: int, place: Place) -> Node:
        """Read the node after an indicator at column ``parent``; it may be empty."""
        at = self.at
        outer, inner = NO_PROPERTIES, NO_PROPERTIES
        fresh = place == "document" and at == self.line_start
        while True:
            gap = self.skip()
            if gap.newline:
                outer, inner, fresh = self._merged(outer, inner), NO_PROPERTIES, True
            if self.at_end() or (fresh and self._belongs_outside(parent, place)):
                last = gap.newline and self.at == len(self.text)
                if gap.tab and last and self.indent <= parent:
                    self.tab_problem(fresh=True)
                return self._empty(at, self._merged(outer, inner))
            if self.peek() not in "&!":
                return self._content(Start(parent, place, outer, inner, fresh, gap.tab))
            if gap.tab and fresh:
                self.tab_problem(fresh=True)
            inner = self.property_here(inner, flow=False)

    def _empty(self, at: int, properties: Properties) -> Scalar:
        anchor = self.declare(properties)
        node = Scalar(Span(at, at), tagged("", properties.tag, plain=True))
        if anchor:
            anchor.node = node
        return node

    def _merged(self, outer: Properties, inner: Properties) -> Properties:
        if not (outer and inner):
            return outer or inner
        if (outer.anchor and inner.anchor) or (outer.tag and inner.tag):
            span = Span(inner.start, inner.start + 1)
            self.problem(span, "anchor", "A node can have only one anchor and one tag.")
        return Properties(outer.start, outer.anchor or inner.anchor, outer.tag or inner.tag)

    def _belongs_outside(self, parent: int, place: Place) -> bool:
        if self.indent > parent:
            return False
        if place == "item" or not self.indicator("-"):
            return True
        dashes = [level.column for level in self.levels if level.dashes]
        return self.indent != parent and (self.indent <= max(dashes, default=-1))

    def _content(self, start: Start) -> Node:
        if self.depth > MAX_DEPTH:
            self.problem(Span(self.at, len(self.text)), "too-deep", "This is nested too deeply.")
            self.at = len(self.text)
            return Scalar(Span(self.at, self.at), None)
        self.depth += 1
        self.open_weights.append(1)
        root_flow = start.place == "document" and self.peek() in "[{"
        if start.tab and start.fresh and self.indent <= max(start.parent, 0) and not root_flow:
            self.tab_problem(fresh=True)
            start = start._replace(tab=False)
        if self.opens_collection():
            node = self._collection(start)
        else:
            node = self._scalar_or_mapping(start)
        self.depth -= 1
        return node

    def _collection(self, start: Start) -> Node:
        dash, column = self.indicator("-"), self.column()
        if start.tab:
            self.tab_problem(fresh=start.fresh)
        if not start.fresh and start.place in {"value", "document"}:
            message = f"`{self.peek()}` begins a list or mapping, which needs a line of its own."
            fix = Fix("Put the text in quotes", self._line_quotes(), safe=False)
            self.problem(Span(self.at, self.at + 1), "stray-marker", message, fix)
        if dash and start.inner:
            message = "A list begins on its own line, after its anchor or tag."
            self.problem(Span(start.inner.start, self.at), "anchor", message)
        if dash and self.indent < start.parent and start.fresh:
            self.bad_indent(start.parent)
        anchor = self.declare(self._merged(start.outer, start.inner) if dash else start.outer)
        node = self._sequence(column) if dash else self._mapping(column, None)
        self.close(anchor, node)
        return node

    def _line_quotes(self) -> tuple[Edit, ...]:
        return quote_edits(self.text, Span(self.at, self.line_end(self.at)))

    def _scalar_or_mapping(self, start: Start) -> Node:
        at, line, column = self.at, self.line_start, self.column()
        if start.inner and not self.first_on_line():
            prefix = self.text[line : start.inner.start]
            column = len(prefix) if prefix.strip(" \t") else min(len(prefix), self.indent)
        properties = start.inner or start.outer
        may_be_key = start.fresh or start.place in {"item", "explicit"}
        marks = len(self.problems)
        node = self._atom(start.floor, properties)
        colon = self.colon_follows()
        if colon and may_be_key and (self.line_start == line or at < self.line_start):
            if self.line_start == line:
                return self._mapping_from(start, node, column)
            if start.place in {"document", "item"} and self.text[at] not in "[{\"'":
                del self.problems[marks:]
                return self._late_mapping(start, at)
        merged = self._merged(start.outer, start.inner)
        anchor = self.declare(merged)
        if colon and not self._is_flow_value(start, at):
            node = self._with_colon(at, start.floor)
        elif not colon and not (isinstance(node, Scalar) and node.style in {"literal", "folded"}):
            self.rest_of_line("text-after-value", *self._inner_quotes(at))
        self.close(anchor, node)
        return node

    def _inner_quotes(self, at: int) -> tuple[Fix, ...]:
        """Escape the quotes inside a quoted text that has ended too early."""
        line_end = self.line_end(at)
        if self.at >= line_end or (quote := self.text[at]) not in "\"'":
            return ()
        end = self.text.rfind(quote, self.at, line_end)
        if end < 0 or self.text[end + 1 : line_end].strip()[:1] not in {"", "#"}:
            return ()
        edits = inner_quote_edits(self.text, Span(at, end + 1))
        return (Fix("Escape the quotes inside", edits, safe=False),)

    def _is_flow_value(self, start: Start, at: int) -> bool:
        """Whether npm yaml reads ``a: [b]: c`` as two pairs, the second with an empty key."""
        return start.place == "value" and not start.fresh and self.text[at] in "[{"

    def _atom(self, floor: int, properties: Properties) -> Node:
        char = self.peek()
        if char == "*":
            if properties:
                span = Span(properties.start, self.at)
                self.problem(span, "anchor", "An alias cannot have an anchor or tag of its own.")
            return self.alias()
        if char in "[{":
            return self.flow_collection(floor)
        if char in "\"'":
            return self.quoted(floor, properties)
        if char in "|>":
            return self.block_scalar(floor, properties)
        return self.plain(floor, flow=False, properties=properties)

    def colon_follows(self) -> bool:
        """Whether the colon of a key comes next on this line."""
        at = self.at
        while at < len(self.text) and self.text[at] in " \t":
            at += 1
        following = self.text[at + 1 : at + 2]
        return self.text[at : at + 1] == ":" and (not following or following in EMPTY)

    def _mapping_from(self, start: Start, key: Node, column: int) -> Mapping:
        if start.tab:
            self.tab_problem(fresh=start.fresh)
        if start.place == "document" and not start.fresh:
            message = "A mapping cannot begin on the line of the `---` marker."
            self.problem(key.span, "stray-marker", message)
        inner = self.declare(start.inner)
        if inner:
            inner.node = key
        anchor = self.declare(start.outer)
        node = self._mapping(column, key)
        self.close(anchor, node)
        return node

    def _late_mapping(self, start: Start, at: int) -> Node:
        """Text came before the first key; drop it and go on with the key's line."""
        end = self.line_end(at)
        fence = self.text.startswith("```", at)
        message = (
            "A Markdown fence is no YAML. Remove the line."
            if fence
            else "This text has no colon, so it is neither a key nor a value here."
        )
        following = self.text[end : self.line_start]
        lines = len(following) - len(following.lstrip("\r\n"))
        fix = Fix("Remove the line", (Edit(Span(at, end + lines), ""),), safe=fence)
        kind = "fence" if fence else "stray-text"
        self.problem(Span(at, end), kind, message, *((fix,) if fence else ()))
        self.open_weights.pop()
        self.at = self.line_start
        return self.block_node(start.parent, "document" if start.place == "document" else "value")

    def _with_colon(self, at: int, floor: int) -> Scalar:
        """Unquoted text with a colon and a space in it: read on as if it were quoted."""
        colon = self.at
        while self.text[colon] != ":":
            colon += 1
        line = self.text.rfind("\n", at, colon) + 1
        if line and self.text[at] not in "\"'[{" and KEY.fullmatch(self.text, line, colon):
            return self._before_key(at, line)
        following: int | None = colon
        end = colon
        while following is not None:
            end = self.line_end(following)
            following = self._continued(end, floor)
        span = Span(at, at + len(self.text[at:end].rstrip()))
        self._moved_to(span.end)
        self.at = self.line_end(span.end)
        message = "A colon followed by a space ends unquoted text. Put the text in quotes."
        fix = Fix("Put the text in quotes", quote_edits(self.text, span))
        fixes = () if self.text[at] in "\"'[{" else (fix,)
        self.problem(Span(colon, colon + 1), "unquoted-colon", message, *fixes, noticed=at)
        return Scalar(span, fold(self.text[span.start : span.end]))

    def _before_key(self, at: int, line: int) -> Scalar:
        """Text that a key, indented too far, seems to continue; the key's line tells the rest."""
        span = Span(at, at + len(self.text[at:line].rstrip()))
        self._moved_to(span.end)
        return Scalar(span, fold(self.text[span.start : span.end]))

    def _sequence(self, column: int) -> Sequence:
        start = self.at
        self.levels.append(Level(column, dashes=True))
        items: list[Node] = []
        while True:
            items.append(self._item_of(column))
            if not self.goes_on(column, dash=True):
                break
        self.levels.pop()
        return Sequence(Span(start, _end(start + 1, items)), tuple(items), flow=False)

    def _item_of(self, column: int) -> Node:
        match = SIMPLE_ITEM.match(self.text, self.at)
        if match and len(match[2]) <= column:
            self.at = match.end()
            return Scalar(Span(*match.span(1)), typed(match[1]))
        stretch = self.stretch(column)
        if not stretch:
            return self._new_item(column)
        key = (stretch, self.depth, *self.levels)
        item = ITEMS.get(key, len(stretch))
        if item is None:
            return self._noted_item(column, key)
        start = self.at
        self.line_start, self.indent = start + item.length, column
        self.at = self.line_start + column
        return Kept(item, start)

    def _new_item(self, column: int) -> Node:
        self.at += 1
        return self.block_node(column, "item")

    def _noted_item(self, column: int, key: tuple[Hashable, ...]) -> Node:
        """Read an item and keep it, unless it has a problem or an anchor."""
        start, length = self.at, len(str(key[0]))
        marks = len(self.problems), len(self.noticed)
        node = self._new_item(column)
        sound = marks == (len(self.problems), len(self.noticed)) and not self.anchors
        ended = start + length == self.line_start == self.at - column and self.indent == column
        if not (sound and ended and isinstance(node, Mapping)):
            return node
        item = Item(node, start, length)
        ITEMS.put(key, item, length)
        return Kept(item, start)

    def _mapping(self, column: int, key: Node | None) -> Mapping:
        start = key.span.start if key else self.at
        self.levels.append(Level(column, dashes=False))
        entries: list[Entry] = []
        known: set[tuple[str, object]] = set()
        while True:
            entry = self._pair(column, key)
            if entry:
                self.note_duplicate(known, entry.key)
                entries.append(entry)
            key = None
            if entry and self.colon_follows() and not self.first_on_line():
                key = Scalar(Span(self.at, self.at), None)
            elif not self.goes_on(column, dash=False):
                break
        self.levels.pop()
        end = max((entry.span.end for entry in entries), default=start)
        return Mapping(Span(start, max(start, end)), tuple(entries), flow=False)

    def _pair(self, column: int, key: Node | None) -> Entry | None:
        match = SIMPLE_PAIR.match(self.text, self.at) if key is None else None
        if match and len(match[3]) <= column:
            self.at = match.end()
            name = Scalar(Span(*match.span(1)), typed(match[1]))
            return Entry(name, Scalar(Span(*match.span(2)), typed(match[2])))
        if key is None and self.indicator("?"):
            return self._explicit_pair(column)
        if key is None:
            key = self._key(column)
        key_scalar = self.as_key(key)
        if not self.colon_follows():
            return self._without_colon(key_scalar)
        self.skip()
        if self.at > key.span.start + KEY_LIMIT:
            self.problem(key.span, "long-key", "A key may have at most 1024 characters.")
        self.at += 1
        return Entry(key_scalar, self.block_node(column, "value"))

    def _key(self, column: int) -> Node:
        line = self.line_start
        properties = NO_PROPERTIES
        while self.peek() and self.peek() in "&!":
            properties = self.property_here(properties, flow=False)
            if self.skip().newline:
                message = "A key must stand on one line with its anchor or tag."
                self.problem(Span(properties.start, properties.start + 1), "anchor", message)
        if self.indicator("-"):
            message = "A list item begins with its dash; anchors and tags stand behind it."
            self.problem(Span(self.at, self.at + 1), "stray-marker", message)
        anchor = self.declare(properties)
        self.open_weights.append(1)
        node: Node
        if self.indicator(":") or self.at_end():
            node = Scalar(Span(self.at, self.at), tagged("", properties.tag, plain=True))
        elif self.peek() in "\"'[{*":
            node = self._atom(column, properties)
        else:
            node = self.plain(ONE_LINE, flow=False, properties=properties)
        self.close(anchor, node)
        if self.line_start != line and not properties:
            self.problem(node.span, "multiline-key", "A key must stand on one line.")
        return node

    def _without_colon(self, key: Scalar) -> Entry | None:
        end = self.line_end(self.at)
        span = Span(key.span.start, max(end, key.span.start))
        self.at = end
        if self.text.startswith("```", span.start):
            edit = Edit(span, "")
            fix = Fix("Remove the line", (edit,))
            self.problem(span, "fence", "A Markdown fence is no YAML. Remove the line.", fix)
            return None
        message = (
            "This line has no colon, so it is no key; or it belongs, indented, to the text above."
        )
        self.problem(span, "missing-colon", message)
        return Entry(key, Scalar(Span(end, end), None))

    def _explicit_pair(self, column: int) -> Entry:
        start = self.at
        self.at += 1
        key = self.block_node(column, "explicit")
        self.skip()
        value: Node = Scalar(Span(self.at, self.at), None)
        if self.indicator(":") and self.first_on_line() and self.indent >= column:
            self.at += 1
            value = self.block_node(column, "explicit")
        else:
            value = Scalar(Span(key.span.end, key.span.end), None)
        scalar = self.as_key(key)
        return Entry(Scalar(Span(start, scalar.span.end), scalar.value, scalar.style), value)


def _end(start: int, nodes: list[Node]) -> int:
    return max(start, *(node.span.end for node in nodes))
