"""The plan: tasks as list items with a checkbox, under headings.

A task is `[ ]` open, `[x]` or `[X]` done, `[-]` or `[~]` in progress: the grammar of Roo Code's
`new_task` and `update_todo_list` (3.52.1), with Markdown's nesting and any list marker.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from sidecar.domain.edit import Edit
from sidecar.domain.markdown import CODE_INDENT, Line, LineKind, ListItem, Markdown
from sidecar.domain.markdown import parse as parse_markdown
from sidecar.domain.source import Source, Span


class State(StrEnum):
    """How far a task is."""

    OPEN = "open"
    ACTIVE = "in_progress"
    DONE = "done"

    @property
    def mark(self) -> str:
        """The character between the brackets."""
        return {State.OPEN: " ", State.ACTIVE: "-", State.DONE: "x"}[self]


STATES = {
    " ": State.OPEN,
    "x": State.DONE,
    "X": State.DONE,
    "-": State.ACTIVE,
    "~": State.ACTIVE,
}

# What people write between the brackets, and what they mean by it.
WORDS = dict.fromkeys(
    ("done", "complete", "completed", "finished", "yes", "ok", "✓", "✔", "✅", "☑", "v", "х", "×"),
    State.DONE,
)
WORDS |= dict.fromkeys(
    ("wip", "doing", "started", "active", "in progress", "in_progress", "/"), State.ACTIVE
)
WORDS |= dict.fromkeys(("todo", "open", "pending", "no", "_", "."), State.OPEN)
UNKNOWN_MARKS = frozenset("!?<>*=")

_TASK = re.compile(r"\[([ xX~-])\](?:[ \t]+|\Z)")
_BRACKETS = re.compile(r"\[([^\[\]\\]{0,12})\](?![(\[:])")
_GLUED = re.compile(r"(?:[-*+]|\d{1,9}[.)])(?=\[[ xX~-]?\][ \t])", re.ASCII)


@dataclass(frozen=True, slots=True)
class Detail:
    """A line under a task that is not itself a task."""

    line: int
    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class Item:
    """One task; ``parent`` and ``section`` are indices, ``box`` spans the mark between brackets."""

    index: int
    text: str
    state: State
    line: int
    last_line: int
    depth: int
    parent: int | None
    section: int | None
    details: tuple[Detail, ...]
    span: Span
    title: Span
    box: Span

    @property
    def done(self) -> bool:
        """Whether the task is ticked."""
        return self.state is State.DONE


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands under it, up to the next heading of any level."""

    index: int
    title: str
    level: int
    line: int
    last_line: int
    span: Span


@dataclass(frozen=True, slots=True)
class Malformed:
    """Something meant as a checkbox that is none; ``repair`` would make it one."""

    reason: str
    line: int
    span: Span
    repair: Edit | None


@dataclass(frozen=True, slots=True)
class Progress:
    """How many tasks there are, and how many of them are ticked or begun."""

    total: int
    done: int
    active: int

    @property
    def open(self) -> int:
        """Tasks that are not done, those in progress included."""
        return self.total - self.done


@dataclass(frozen=True)
class TodoFile:
    """A parsed plan."""

    source: Source
    path: str
    markdown: Markdown
    items: tuple[Item, ...]
    sections: tuple[Section, ...]
    malformed: tuple[Malformed, ...]

    @cached_property
    def children(self) -> dict[int | None, tuple[Item, ...]]:
        """The tasks directly under each task; under None those that stand at the top."""
        found: dict[int | None, list[Item]] = {}
        for item in self.items:
            found.setdefault(item.parent, []).append(item)
        return {parent: tuple(items) for parent, items in found.items()}

    def progress(self, items: Iterable[Item] | None = None) -> Progress:
        """The progress of some tasks, of all when none are given."""
        states = [item.state for item in (self.items if items is None else items)]
        return Progress(len(states), states.count(State.DONE), states.count(State.ACTIVE))

    @cached_property
    def _by_section(self) -> dict[int | None, tuple[Item, ...]]:
        found: dict[int | None, list[Item]] = {}
        for item in self.items:
            found.setdefault(item.section, []).append(item)
        return {section: tuple(items) for section, items in found.items()}

    def section_items(self, section: int | None) -> tuple[Item, ...]:
        """The tasks directly under one heading, None for those before the first."""
        return self._by_section.get(section, ())


def parse(text: str, *, path: str = "") -> TodoFile:
    """The model of a plan; never raises."""
    markdown = parse_markdown(text)
    sections = _sections(markdown)
    items = _Items(markdown, sections).read()
    malformed = tuple(_malformed(markdown, frozenset(item.line for item in items)))
    return TodoFile(markdown.source, path, markdown, items, sections, malformed)


def set_state(item: Item, state: State) -> tuple[Edit, ...]:
    """The change that gives a task another state; none when it has it already."""
    return () if item.state is state else (Edit(item.box, state.mark),)


def spaces_for_tabs(file: TodoFile) -> tuple[Edit, ...]:
    """Tabs that indent list lines become spaces to the same column, so nesting stays as it is."""
    edits = []
    for line in file.markdown.lines:
        if line.item is None or line.kind is LineKind.BLANK:
            continue
        start = line.span.start
        prefix = leading(file.source, line)
        if "\t" in prefix:
            edits.append(Edit(Span(start, start + len(prefix)), prefix.expandtabs(4)))
    return tuple(edits)


def leading(source: Source, line: Line) -> str:
    """The white space that a line starts with."""
    text = source.slice(line.span)
    return text[: len(text) - len(text.lstrip(" \t"))]


def _sections(markdown: Markdown) -> tuple[Section, ...]:
    headings = markdown.sections
    ends = [heading.line for heading in headings[1:]] + [len(markdown.lines)]
    return tuple(
        Section(index, heading.title, heading.level, heading.line, end - 1, heading.span)
        for index, (heading, end) in enumerate(zip(headings, ends, strict=False))
    )


class _Items:
    """Tasks among list items, with the lines that belong to each."""

    def __init__(self, markdown: Markdown, sections: tuple[Section, ...]) -> None:
        self.markdown = markdown
        self.source = markdown.source
        self.section_lines = [section.line for section in sections]
        # For each list item the task that it is or stands under.
        self.owner: list[int | None] = []
        self.found: list[tuple[ListItem, re.Match[str], int | None]] = []

    def read(self) -> tuple[Item, ...]:
        for entry in self.markdown.items:
            above = None if entry.parent is None else self.owner[entry.parent]
            match = self._task(entry)
            if match is None:
                self.owner.append(above)
            else:
                self.owner.append(len(self.found))
                self.found.append((entry, match, above))
        details = self._details()
        items: list[Item] = []
        for index, (entry, match, parent) in enumerate(self.found):
            depth = 0 if parent is None else items[parent].depth + 1
            items.append(self._item(index, entry, match, depth, tuple(details[index])))
        return tuple(items)

    def _task(self, entry: ListItem) -> re.Match[str] | None:
        if self.markdown.lines[entry.line].kind is not LineKind.TEXT:
            return None
        match = _TASK.match(self.source.text, *entry.content)
        return match if match and match.end() < entry.content.end else None

    def _item(
        self,
        index: int,
        entry: ListItem,
        match: re.Match[str],
        depth: int,
        details: tuple[Detail, ...],
    ) -> Item:
        title = _trimmed(self.source, Span(match.end(), entry.content.end))
        return Item(
            index=index,
            text=self.source.slice(title),
            state=STATES[match[1]],
            line=entry.line,
            last_line=entry.last_line,
            depth=depth,
            parent=self.found[index][2],
            section=self._section(entry.line),
            details=details,
            span=Span(entry.marker.start, title.end),
            title=title,
            box=Span(*match.span(1)),
        )

    def _section(self, line: int) -> int | None:
        index = bisect_right(self.section_lines, line) - 1
        return None if index < 0 else index

    def _details(self) -> list[list[Detail]]:
        details: list[list[Detail]] = [[] for _ in self.found]
        first_lines = {entry.line for entry, _, _ in self.found}
        for line in self.markdown.lines:
            if line.item is None or line.kind is LineKind.BLANK or line.number in first_lines:
                continue
            owner = self.owner[line.item]
            if owner is not None:
                span = _trimmed(self.source, line.span)
                details[owner].append(Detail(line.number, self.source.slice(span), span))
        return details


def _trimmed(source: Source, span: Span) -> Span:
    text = source.slice(span)
    start = span.start + len(text) - len(text.lstrip(" \t"))
    return Span(start, max(start, span.start + len(text.rstrip(" \t"))))


def _malformed(markdown: Markdown, task_lines: frozenset[int]) -> Iterable[Malformed]:
    text = markdown.source.text
    starts = {item.line: item.content.start for item in markdown.items}
    for line in markdown.lines:
        if line.kind is not LineKind.TEXT or line.number in task_lines:
            continue
        if line.number in starts:
            found = _brackets(text, line, starts[line.number])
        else:
            found = None if _continues(markdown, line) else _without_list(text, line)
        if found:
            yield found


def _brackets(text: str, line: Line, start: int) -> Malformed | None:
    """What is wrong with the brackets that a list item starts with."""
    match = _BRACKETS.match(text, start, line.span.end)
    if match is None:
        return None
    inner = match[1]
    word = inner.strip().casefold()
    state = State.OPEN if not word else STATES.get(word) or WORDS.get(word)
    span = Span(*match.span())
    if state is not None and not text[match.end() : line.span.end].strip():
        return Malformed("no-text", line.number, span, None)
    if inner in STATES:
        return Malformed("no-space", line.number, span, Edit(Span(match.end(), match.end()), " "))
    if state is not None:
        gap = "" if text[match.end() : match.end() + 1] in (" ", "\t") else " "
        repair = Edit(span, f"[{state.mark}]{gap}")
        return Malformed("mark" if word else "empty", line.number, span, repair)
    if word in UNKNOWN_MARKS:
        return Malformed("unknown", line.number, span, None)
    return None


def _continues(markdown: Markdown, line: Line) -> bool:
    """Whether no marker could make the line a list item: it is deep inside a paragraph."""
    above = markdown.lines[line.number - 1] if line.number else None
    indent = len(leading(markdown.source, line).expandtabs(4))
    return above is not None and above.kind is LineKind.TEXT and indent >= CODE_INDENT


def _without_list(text: str, line: Line) -> Malformed | None:
    """A checkbox on a line that is no list item, for want of a marker or of the space after it."""
    start = line.content.start
    glued = _GLUED.match(text, start, line.span.end)
    if glued:
        repair = Edit(Span(glued.end(), glued.end()), " ")
        return Malformed("glued", line.number, Span(start, text.index("]", start) + 1), repair)
    task = _TASK.match(text, start, line.span.end)
    if task and task.end() < line.span.end:
        repair = Edit(Span(start, start), "- ")
        return Malformed("no-marker", line.number, Span(start, start + 3), repair)
    return None
