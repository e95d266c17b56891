"""What an unchanged stretch of text keeps from one reading to the next: its tree, and the rest.

Typing changes one list item of a file. All others are the same but for their place, so their trees
are taken over, and so is whatever was worked out from nothing but such a tree and its text.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from sidecar.domain.source import Span
from sidecar.domain.tree import Entry, Mapping, Node, Scalar, Sequence

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Item:
    """A stretch of text that was read as one mapping, at the offset where it first stood."""

    node: Mapping
    start: int
    length: int
    notes: dict[str, tuple[Hashable, object]] = field(default_factory=dict)


class Kept(Mapping):
    """A mapping out of an unchanged stretch, whose parts are moved here when they are asked for."""

    __slots__ = ("_by", "_item", "_parts")
    _item: Item
    _by: int
    _parts: tuple[Entry, ...] | None

    def __init__(self, item: Item, at: int) -> None:
        by = at - item.start
        start, end = item.node.span
        place = object.__setattr__
        place(self, "span", Span(start + by, end + by))
        place(self, "flow", item.node.flow)
        place(self, "_item", item)
        place(self, "_by", by)
        place(self, "_parts", None)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        return (self.span, self.entries, self.flow) == (other.span, other.entries, other.flow)

    __hash__ = Mapping.__hash__

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The keys with values, where they stand now."""
        if self._parts is None:
            parts = self._item.node.entries
            if self._by:
                parts = tuple(_moved_entry(entry, self._by) for entry in parts)
            object.__setattr__(self, "_parts", parts)
            return parts
        return self._parts

    @property
    def origin(self) -> Mapping:
        """The same mapping where it first stood."""
        return self._item.node

    @property
    def extent(self) -> Span:
        """The whole stretch, from its indicator to the next item's line."""
        start = self._item.start + self._by
        return Span(start, start + self._item.length)

    @property
    def notes(self) -> dict[str, tuple[Hashable, object]]:
        """What was worked out from the stretch, each with what else it was worked out from."""
        return self._item.notes

    def entry(self, name: str) -> Entry | None:
        """The last entry with this key."""
        if self._parts is not None:
            return super().entry(name)
        entry = self._item.node.entry(name)
        return None if entry is None else _moved_entry(entry, self._by)

    def moved(self, by: int) -> Kept:
        """The same mapping so many characters further on."""
        return Kept(self._item, self.extent.start + by)


def _moved_entry(entry: Entry, by: int) -> Entry:
    key = entry.key
    start, end = key.span
    name = Scalar(Span(start + by, end + by), key.value, key.style)
    return Entry(name, _moved(entry.value, by))


def _moved(node: Node, by: int) -> Node:
    start, end = node.span
    span = Span(start + by, end + by)
    match node:
        case Scalar(value=value, style=style):
            return Scalar(span, value, style)
        case Sequence(items=items, flow=flow):
            return Sequence(span, tuple(_moved(item, by) for item in items), flow)
        case Mapping(entries=entries, flow=flow):
            return Mapping(span, tuple(_moved_entry(entry, by) for entry in entries), flow)


def once(node: Node | None, what: str, key: Hashable, work: Callable[[], T]) -> T:
    """The result of ``work``; that of the last time where the node is kept and the key the same.

    The result may depend on the key, the node's values and nothing else: not on its place.
    """
    if not isinstance(node, Kept):
        return work()
    known = node.notes.get(what)
    if known is not None and known[0] == key:
        return known[1]  # type: ignore[return-value]
    result = work()
    node.notes[what] = (key, result)
    return result


class Recent(Generic[K, V]):
    """Values by key: at least those used last, up to a size, and at most twice as many."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._size = 0
        self._now: dict[K, V] = {}
        self._before: dict[K, V] = {}

    def get(self, key: K, size: int) -> V | None:
        """The value of a key, None where it is not known or has been forgotten."""
        value = self._now.get(key)
        if value is None and (value := self._before.get(key)) is not None:
            self.put(key, value, size)
        return value

    def put(self, key: K, value: V, size: int) -> None:
        """Remember a value and forget those that have not been used for long."""
        if self._size + size > self._limit:
            self._before, self._now, self._size = self._now, {}, 0
        self._now[key] = value
        self._size += size
