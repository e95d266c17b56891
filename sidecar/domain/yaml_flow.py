"""Flow collections, ``[a, b]`` and ``{a: b}``, in which every JSON text is included."""

from __future__ import annotations

from dataclasses import dataclass

from sidecar.domain.edit import Edit
from sidecar.domain.finding import Fix
from sidecar.domain.source import LINE_END, Span
from sidecar.domain.tree import Entry, Mapping, Node, Scalar, Sequence
from sidecar.domain.yaml_scan import (
    EMPTY,
    FLOW,
    MAX_DEPTH,
    NO_PROPERTIES,
    Anchor,
    Properties,
    Scanner,
)
from sidecar.domain.yaml_types import same_key, tagged


@dataclass
class FlowReader(Scanner):
    """A scanner that reads flow collections too."""

    def flow_collection(self, floor: int, *, nested: bool = False) -> Sequence | Mapping:
        """Read a collection in brackets; its lines must be indented by at least ``floor``."""
        start, mapping = self.at, self.peek() == "{"
        self.depth += 1
        self.at += 1
        nodes: list[Node] = []
        entries: list[Entry] = []
        known: set[tuple[str, object]] = set()
        while self._another(start, floor, mapping=mapping, nested=nested):
            item = self._item(floor, mapping=mapping)
            if mapping and isinstance(item, Entry):
                self.note_duplicate(known, item.key)
                entries.append(item)
            elif isinstance(item, Entry):
                nodes.append(Mapping(item.span, (item,)))
            elif item is not None:
                nodes.append(item)
            self._comma()
        self.depth -= 1
        span = Span(start, self.at)
        return Mapping(span, tuple(entries)) if mapping else Sequence(span, tuple(nodes))

    def _another(self, start: int, floor: int, *, mapping: bool, nested: bool) -> bool:
        """Move to the next item; false after the closing bracket or where it is missing."""
        self.skip()
        closer, char = "}" if mapping else "]", self.peek()
        if (
            not char
            or self.at_marker()
            or (self.first_on_line() and self._outdented(floor, nested=nested))
        ):
            self._not_closed(start, closer)
            return False
        if char in "]}":
            self.at += 1
            if char != closer:
                message = f"`{self.text[start]}` must be closed by `{closer}`, not by `{char}`."
                fix = Fix(f"Close with `{closer}`", (Edit(Span(self.at - 1, self.at), closer),))
                self.problem(Span(self.at - 1, self.at), "unclosed-bracket", message, fix)
            return False
        if self.depth > MAX_DEPTH:
            self.problem(Span(self.at, len(self.text)), "too-deep", "This is nested too deeply.")
            self.at = len(self.text)
            return False
        return True

    def _outdented(self, floor: int, *, nested: bool) -> bool:
        closing = self.peek() in "]}" and not nested and self.indent == floor - 1
        return self.indent < floor and self.first_on_line() and not closing

    def _not_closed(self, start: int, closer: str) -> None:
        message = (
            f"`{self.text[start]}` is never closed by `{closer}`"
            ", or its lines are not indented more than the key."
        )
        noticed = self.at
        while noticed and self.text[noticed - 1] in EMPTY:
            noticed -= 1
        noticed = min(noticed + 1, len(self.text))
        self.problem(Span(start, start + 1), "unclosed-bracket", message, noticed=noticed)
        if self.first_on_line() and self.at > self.line_start:
            self.at = self.line_start + self.indent

    def _comma(self) -> None:
        """Move over the comma between two items, or note that it is missing."""
        end = self.at
        self.skip()
        if self.peek() == ",":
            self.at += 1
        elif self.peek() and self.peek() not in "]}" and not self.at_marker():
            # In the next line it may be the bracket that is missing, and the text another key.
            same_line = not LINE_END.search(self.text, end, self.at)
            fix = Fix("Insert the comma", (Edit(Span(end, end), ","),), safe=same_line)
            span = Span(self.at, self.at + 1)
            self.problem(span, "missing-comma", "A comma is missing between two items.", fix)

    def _item(self, floor: int, *, mapping: bool) -> Entry | Node | None:
        start = self.at
        if self.peek() == ",":
            self.problem(Span(start, start + 1), "stray-comma", "Nothing stands before this comma.")
            return None
        explicit = self.peek() == "?" and self._separates()
        if explicit:
            self.at += 1
            self.skip()
        key, json_like = self._node(floor)
        end = self.at
        self._skip_in_flow(floor)
        if self.peek() == ":" and (json_like or self._separates()):
            return self._entry(key, start, end, floor, lines=mapping or explicit)
        if self._stopped_at_outdent(floor):
            self.at = end
        if mapping or explicit:
            return Entry(self.as_key(key), Scalar(Span(end, end), None))
        return key

    def _stopped_at_outdent(self, floor: int) -> bool:
        return self.first_on_line() and self.indent < floor

    def _skip_in_flow(self, floor: int) -> None:
        at, line_start, indent = self.at, self.line_start, self.indent
        if self.skip().newline and (self.indent < floor or self.at_marker()):
            self.at, self.line_start, self.indent = at, line_start, indent

    def _entry(self, key: Node, start: int, end: int, floor: int, *, lines: bool) -> Entry:
        if not lines and "\n" in self.text[start : self.at]:
            message = "The key of a pair inside `[ ]` must stand on one line."
            self.problem(Span(start, end), "multiline-key", message)
        self.at += 1
        value_at = self.at
        self._skip_in_flow(floor)
        char = self.peek()
        if not char or char in ",]}" or self._stopped_at_outdent(floor) or self.at_marker():
            return Entry(self.as_key(key), Scalar(Span(value_at, value_at), None))
        value, _ = self._node(floor)
        return Entry(self.as_key(key), value)

    def _separates(self) -> bool:
        following = self.peek(1)
        return not following or following in EMPTY or following in FLOW

    def _node(self, floor: int) -> tuple[Node, bool]:
        """Read one node; true where a colon may follow it without a space."""
        properties = self._properties(floor)
        anchor = self.declare(properties)
        start, char = self.at, self.peek()
        self.open_weights.append(1)
        json_like = bool(char) and char in "\"'[{"
        node: Node
        if not char or char in ",]}" or (char == ":" and self._separates()):
            node = Scalar(Span(start, start), tagged("", properties.tag, plain=True))
        elif char in "[{":
            node = self.flow_collection(floor, nested=True)
        elif char in "\"'":
            node = self.quoted(floor, properties)
        elif char == "*":
            node = self._plain_alias(properties)
        else:
            node = self._flow_plain(floor, properties)
        self.close(anchor, node)
        return node, json_like

    def _plain_alias(self, properties: Properties) -> Node:
        if properties:
            span = Span(properties.start, self.at)
            self.problem(span, "anchor", "An alias cannot have an anchor or a tag of its own.")
        return self.alias()

    def _flow_plain(self, floor: int, properties: Properties) -> Scalar:
        if self.peek() in "-?" and self._separates():
            message = f"`{self.peek()}` has no meaning inside brackets. Put it in quotes."
            self.problem(Span(self.at, self.at + 1), "stray-marker", message)
            self.at += 1
            return Scalar(Span(self.at - 1, self.at), None)
        return self.plain(floor, flow=True, properties=properties)

    def _properties(self, floor: int) -> Properties:
        properties = NO_PROPERTIES
        while self.peek() and self.peek() in "&!":
            properties = self.property_here(properties, flow=True)
            self._skip_in_flow(floor)
        return properties

    def close(self, anchor: Anchor | None, node: Node) -> None:
        """Complete a node: what its anchor, if any, now stands for."""
        weight = self.open_weights.pop()
        if self.open_weights:
            self.open_weights[-1] = max(self.open_weights[-1], weight)
        if anchor is not None:
            anchor.node, anchor.weight = node, weight

    def as_key(self, node: Node) -> Scalar:
        """A node as the key of an entry; a collection becomes its source."""
        return node if isinstance(node, Scalar) else Scalar(node.span, self._source(node))

    def _source(self, node: Node) -> str:
        return self.text[node.span.start : node.span.end]

    def note_duplicate(self, known: set[tuple[str, object]], key: Scalar) -> None:
        """Note a key that its mapping already has, and remember it."""
        identity = same_key(key)
        if identity in known:
            message = f"The key `{key.value}` stands twice in the same mapping."
            self.problem(key.span, "duplicate-key", message)
        known.add(identity)
