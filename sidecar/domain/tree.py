"""The tree that the YAML and JSON parsers build: values with exact spans."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from sidecar.domain.finding import SyntaxProblem
from sidecar.domain.source import Span

Value: TypeAlias = "str | int | float | bool | list[Value] | dict[str, Value] | None"


class Style(StrEnum):
    """How a scalar is written."""

    PLAIN = "plain"
    SINGLE = "single"
    DOUBLE = "double"
    LITERAL = "literal"
    FOLDED = "folded"


@dataclass(frozen=True, slots=True)
class Scalar:
    """A value without children, typed as the YAML 1.2 core schema or JSON types it."""

    span: Span
    value: str | int | float | bool | None
    style: Style = Style.PLAIN


@dataclass(frozen=True, slots=True)
class Sequence:
    """An ordered list of nodes."""

    span: Span
    items: tuple[Node, ...] = ()
    flow: bool = True


@dataclass(frozen=True, slots=True)
class Entry:
    """A key with its value; duplicates are kept, in the order written."""

    key: Scalar
    value: Node

    @property
    def span(self) -> Span:
        """From the key's first character to the value's last."""
        return Span(self.key.span.start, max(self.key.span.end, self.value.span.end))


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys with values, as written."""

    span: Span
    entries: tuple[Entry, ...] = ()
    flow: bool = True

    def entry(self, name: str) -> Entry | None:
        """The last entry with this key, which is the one that JSON.parse keeps."""
        for entry in reversed(self.entries):
            if entry.key.value == name:
                return entry
        return None

    def get(self, name: str) -> Node | None:
        """The value of the last entry with this key."""
        entry = self.entry(name)
        return entry.value if entry else None

    @property
    def origin(self) -> Mapping:
        """The mapping where it was first read: its values count, its spans mean nothing."""
        return self

    def names(self) -> Iterator[str]:
        """The keys as text, duplicates included."""
        return (str(entry.key.value) for entry in self.entries)


Node: TypeAlias = Scalar | Sequence | Mapping


@dataclass(frozen=True, slots=True)
class Document:
    """What a tolerant parser made of one text: as much tree as there is, and every problem."""

    root: Node | None
    problems: tuple[SyntaxProblem, ...] = field(default=())


def to_value(node: Node | None) -> Value:
    """The plain Python value of a node; the last of duplicate keys wins."""
    match node:
        case Sequence(items=items):
            return [to_value(item) for item in items]
        case Mapping(entries=entries):
            return {str(e.key.value): to_value(e.value) for e in entries}
        case Scalar(value=value):
            return value
        case None:
            return None
