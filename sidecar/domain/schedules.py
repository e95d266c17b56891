"""The schedules file: its entries in either spelling, and what roo-scheduler makes of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, partial
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sidecar.domain import json, roo_calendar, tree
from sidecar.domain.finding import SyntaxProblem
from sidecar.domain.kept import once
from sidecar.domain.source import Source, Span
from sidecar.domain.tree import Document, Node, Scalar, Sequence

# roo-scheduler 0.0.11's fields; the second spelling is the one that other tools write.
FIELDS = (
    "id", "name", "mode", "modeDisplayName", "taskInstructions", "scheduleType", "timeInterval",
    "timeUnit", "selectedDays", "startDate", "startHour", "startMinute", "expirationDate",
    "expirationHour", "expirationMinute", "requireActivity", "active", "taskInteraction",
    "inactivityDelay", "createdAt", "updatedAt", "lastExecutionTime", "lastSkippedTime",
    "lastTaskId", "nextExecutionTime",
)  # fmt: skip
# What the scheduler itself writes, for other readers.
BOOKKEEPING = ("lastExecutionTime", "lastSkippedTime", "lastTaskId", "nextExecutionTime")
INTERACTIONS = ("wait", "interrupt", "skip")


def snake(name: str) -> str:
    """The other spelling of a field: ``timeInterval`` is ``time_interval``."""
    return re.sub(r"[A-Z]", lambda match: "_" + match[0].lower(), name)


_CANONICAL = {spelling: name for name in FIELDS for spelling in (name, snake(name))}


def canonical(key: str) -> str | None:
    """roo-scheduler's name of a field in either spelling; None for an unknown one."""
    return _CANONICAL.get(key)


@dataclass(frozen=True)
class Field:
    """One known field of a schedule as it stands; ``name`` is roo-scheduler's spelling."""

    name: str
    key: str
    key_span: Span
    span: Span
    value: tree.Value


@dataclass(frozen=True)
class Schedule:
    """One entry of the file; a key written twice counts once, by its last value."""

    index: int
    node: tree.Mapping

    @property
    def span(self) -> Span:
        """From the opening to the closing brace."""
        return self.node.span

    @cached_property
    def fields(self) -> dict[str, Field]:
        """The known fields by roo-scheduler's names; its own spelling wins over the other."""
        return _fields(self.node)

    @cached_property
    def values(self) -> Mapping[str, tree.Value]:
        """The known fields' values, whatever their spelling."""
        fields = partial(_fields, self.node.origin)
        return once(
            self.node, "values", None, lambda: {name: each.value for name, each in fields().items()}
        )

    @cached_property
    def raw(self) -> dict[str, tree.Value]:
        """The entry as JSON.parse gives it to roo-scheduler."""
        value = tree.to_value(self.node.origin)
        return value if isinstance(value, dict) else {}

    @property
    def snake_case(self) -> bool:
        """Whether the entry is spelled as other tools do, which roo-scheduler cannot read."""
        fields = partial(_fields, self.node.origin)
        return once(
            self.node, "snake", None, lambda: any(f.key != f.name for f in fields().values())
        )

    def text(self, name: str) -> str:
        """A field as text, empty where it is absent or no text or number."""
        value = self.values.get(name)
        return str(value) if isinstance(value, str | int | float) else ""

    @property
    def id(self) -> str:
        """The id, empty where there is none."""
        return self.text("id")

    @property
    def label(self) -> str:
        """How to call the schedule in a sentence."""
        return self.text("name") or self.id or f"number {self.index + 1}"

    def place(self, *names: str) -> Span:
        """The value of the first of these fields that is there, else the entry's brace."""
        for name in names:
            if name in self.fields:
                return self.fields[name].span
        return Span(self.span.start, self.span.start + 1)


def _fields(node: tree.Mapping) -> dict[str, Field]:
    found: dict[str, Field] = {}
    for entry in node.entries:
        key = str(entry.key.value)
        name = canonical(key)
        if name and (name not in found or key == name or found[name].key != name):
            value = tree.to_value(entry.value)
            found[name] = Field(name, key, entry.key.span, entry.value.span, value)
    return found


@dataclass(frozen=True)
class EntryProblem:
    """An entry that is no schedule at all."""

    index: int
    span: Span
    message: str


class Outcome(NamedTuple):
    """What roo-scheduler makes of the file.

    ``verdict`` is ``loads``, ``rejected`` (no JSON to JSON.parse), ``silently-empty``, or
    ``activation-fails`` (the extension does not start).
    """

    verdict: str
    loaded: int
    total: int
    reason: str = ""


@dataclass(frozen=True, eq=False)
class SchedulesFile:
    """A parsed schedules file; ``list_node`` is the list of entries where one was found.

    Equal is only the same object: what is computed about a file is kept by it.
    """

    source: Source
    path: str
    document: Document = field(default=Document(None), repr=False)
    list_node: Sequence | None = field(default=None, repr=False)

    @property
    def syntax(self) -> tuple[SyntaxProblem, ...]:
        """What is wrong with the JSON itself."""
        return self.document.problems

    @cached_property
    def valid(self) -> bool:
        """Whether JSON.parse accepts the text."""
        return json.strictly_valid(self.document)

    @cached_property
    def line_end(self) -> str:
        """How the file's lines end."""
        return "\r\n" if "\r\n" in self.source.text else "\n"

    @cached_property
    def indent(self) -> str:
        """One level of the file's indentation."""
        match = re.search(r"[\r\n]([ \t]+)", self.source.text)
        return match[1] if match else "  "

    @cached_property
    def schedules(self) -> tuple[Schedule, ...]:
        """Every entry that is an object, in order."""
        return tuple(
            Schedule(index, item)
            for index, item in enumerate(self._items)
            if isinstance(item, tree.Mapping)
        )

    @cached_property
    def problems(self) -> tuple[EntryProblem, ...]:
        """The entries that are no objects."""
        return tuple(
            EntryProblem(index, item.span, f"Entry {index + 1} is {_noun(item)}, not a schedule.")
            for index, item in enumerate(self._items)
            if not isinstance(item, tree.Mapping)
        )

    @property
    def _items(self) -> tuple[Node, ...]:
        return self.list_node.items if self.list_node else ()

    def find(self, schedule_id: str) -> Schedule | None:
        """The first schedule with this id, which is the one that roo-scheduler updates."""
        return next((each for each in self.schedules if each.id == schedule_id), None)

    @cached_property
    def product(self) -> Outcome:
        """What roo-scheduler makes of the file's shape, whatever the time."""
        return _outcome(self)


def parse(text: str, *, path: str = ".roo/schedules.json") -> SchedulesFile:
    """The model of a schedules file; never raises."""
    document = json.parse(text)
    root = document.root
    listed = root.get("schedules") if isinstance(root, tree.Mapping) else root
    found = listed if isinstance(listed, Sequence) else None
    return SchedulesFile(Source(text), path, document, found)


def _noun(node: Node) -> str:
    match node:
        case tree.Mapping():
            return "an object"
        case Sequence():
            return "a list"
        case Scalar(value=None):
            return "null"
        case Scalar(value=bool() as value):
            return "true" if value else "false"
        case Scalar(value=str()):
            return "text"
    return "a number"


def _outcome(file: SchedulesFile) -> Outcome:
    total = len(file.schedules) + len(file.problems)
    root = file.document.root
    if not file.valid:
        return Outcome("rejected", 0, total, "JSON.parse refuses the text")
    if not isinstance(root, tree.Mapping):
        verdict = "rejected" if root is None or tree.to_value(root) is None else "silently-empty"
        noun = "nothing" if root is None else _noun(root)
        return Outcome(verdict, 0, total, f'the file holds {noun}, not {{"schedules": [...]}}')
    listed = root.get("schedules")
    if isinstance(listed, Sequence):
        return _list_outcome(listed)
    value = tree.to_value(listed)
    if not value and not isinstance(value, dict):
        return Outcome("silently-empty", 0, 0, "the file has no list named `schedules`")
    verdict = "silently-empty" if isinstance(value, str) else "activation-fails"
    noun = _noun(listed) if listed else "missing"
    return Outcome(verdict, 0, 0, f"`schedules` is {noun}, not a list")


def _list_outcome(listed: Sequence) -> Outcome:
    total = len(listed.items)
    for index, item in enumerate(listed.items):
        if isinstance(item, Scalar) and item.value is None:
            return Outcome("activation-fails", index, total, f"entry {index + 1} is null")
    return Outcome("loads", total, total)


def outcome(file: SchedulesFile, now: datetime, tz: ZoneInfo) -> Outcome:
    """What roo-scheduler makes of the file when it starts now, in a zone."""
    shape = file.product
    if shape.verdict not in ("loads", "activation-fails"):
        return shape
    for schedule in poisonous(file, now, tz):
        if shape.verdict == "loads" or schedule.index < shape.loaded:
            reason = f'"{schedule.label}" leads to an invalid date'
            return Outcome("activation-fails", schedule.index, shape.total, reason)
    return shape


def poisonous(file: SchedulesFile, now: datetime, tz: ZoneInfo) -> Iterator[Schedule]:
    """The schedules on whose date roo-scheduler's start fails."""
    for schedule in file.schedules:
        if is_timed(schedule.raw):
            try:
                roo_calendar.next_execution(schedule.raw, now, tz)
            except roo_calendar.InvalidDate:
                yield schedule


def is_timed(raw: Mapping[str, object]) -> bool:
    """Whether roo-scheduler sets a timer for the entry at all."""
    return raw.get("active") is not False and raw.get("scheduleType") == "time"
