"""Rules for the plan, TODO.md."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sidecar.domain.edit import Edit
from sidecar.domain.finding import Fix, Severity
from sidecar.domain.kind import Kind
from sidecar.domain.markdown import Line, LineKind
from sidecar.domain.project import Project
from sidecar.domain.source import Span
from sidecar.domain.todo import (
    Detail,
    Item,
    State,
    TodoFile,
    leading,
    set_state,
    spaces_for_tabs,
)
from sidecar.rules.rule import Hit, rule

_LABEL = re.compile(r"[-*+][ \t]+(?:\*\*|__)?([^*_:]{2,40}):?(?:\*\*|__)?:?")
_BULLET = re.compile(r"[-*+][ \t]+(?!\[.\])\S")
_EMPHASIS = re.compile(r"[*_`]+")
MIN_DETAIL_INDENT = 2

_REASONS = {
    "empty": "the box is empty or wrongly spaced",
    "mark": "only a space, `x`, `-` or `~` may stand in the box",
    "unknown": "`{mark}` is no state that agents know (a space, `x`, `-` or `~`)",
    "no-space": "a space must follow the box",
    "no-text": "no text follows the box",
    "glued": "a space must stand between the list marker and the box",
    "no-marker": "a list marker such as `-` must stand before the box",
}


@rule("TD001", Severity.HINT, Kind.TODO)
def mixed_indent(file: TodoFile, _project: Project) -> Iterator[Hit]:
    """Some lines of the lists are indented with tabs, others with spaces.

    Markdown counts a tab as the way to the next multiple of four columns, editors as what they
    are set to, and a reader that counts characters nests the lines wrongly. The fix writes
    spaces to the same columns, so nothing changes its place.

    Bad:
        - [ ] Parse durations
        ⇥- Context: hours and minutes
        - [ ] Print durations
          - Context: shortest form
    Good:
        - [ ] Parse durations
          - Context: hours and minutes
        - [ ] Print durations
          - Context: shortest form
    """
    indented = [
        (line, leading(file.source, line))
        for line in file.markdown.lines
        if line.item is not None and line.kind is not LineKind.BLANK
    ]
    tabs = [(line, prefix) for line, prefix in indented if "\t" in prefix]
    spaces = sum(prefix.startswith(" ") for _, prefix in indented)
    if not tabs or not spaces:
        return
    line, prefix = tabs[0]
    yield Hit(
        Span(line.span.start, line.span.start + len(prefix)),
        f"{len(tabs)} lines of the lists are indented with tabs and {spaces} with spaces, so "
        "readers disagree about what belongs to what. Use spaces throughout.",
        (Fix("Indent with spaces", spaces_for_tabs(file)),),
    )


@rule("TD002", Severity.WARNING, Kind.TODO)
def stranded_detail(file: TodoFile, _project: Project) -> Iterator[Hit]:
    """Details stand where they belong to no task, or to the wrong one.

    An agent reads the lines under a task as that task's details. A second group of the same
    labels after a blank line was written for another task; indented lines right under a heading
    belong to no task, and four columns make them a code block. Move them under their task.

    Bad:
        - [ ] Check the build
        - [x] Update the pages
          - **Context**: all pages

          - **Context**: only the build
    Good:
        - [ ] Check the build
          - **Context**: only the build
        - [x] Update the pages
          - **Context**: all pages
    """
    for item in file.items:
        for group in _repeated_groups(file, item):
            yield _stranded_group(file, item, group)
    for line in _orphans(file):
        yield Hit(
            line.content,
            "These details stand under a heading and belong to no task: agents skip them. "
            "Put them under their task.",
        )


def _repeated_groups(file: TodoFile, item: Item) -> Iterator[list[Detail]]:
    """Later groups of a task's details that start with a label which the task has already."""
    seen: set[str] = set()
    group: list[Detail] = []
    repeated = False
    for number, detail in enumerate(item.details):
        label = _label(detail)
        if not number or _blank_before(file, detail):
            if repeated:
                yield group
            group, repeated = [], bool(number and label and label in seen)
        group.append(detail)
        seen |= {label} if label else set()
    if repeated:
        yield group


def _label(detail: Detail) -> str:
    match = _LABEL.match(detail.text)
    return match[1].strip().casefold() if match and ":" in match[0] else ""


def _blank_before(file: TodoFile, detail: Detail) -> bool:
    return file.markdown.lines[detail.line - 1].kind is LineKind.BLANK


def _stranded_group(file: TodoFile, item: Item, group: list[Detail]) -> Hit:
    bare = [
        other
        for other in file.items[: item.index]
        if other.section == item.section and other.parent == item.parent and not other.details
    ]
    fixes: tuple[Fix, ...] = ()
    owner = "their own task"
    if bare:
        owner = f"“{bare[-1].text}”, which has none"
        fixes = (Fix(f"Move under “{bare[-1].text}”", _moved(file, group, bare[-1]), safe=False),)
    return Hit(
        Span(group[0].span.start, group[-1].span.end),
        f"“{item.text}” has these details a second time, after a blank line: they were probably "
        f"written for another task. Move them under {owner}.",
        fixes,
    )


def _moved(file: TodoFile, group: list[Detail], owner: Item) -> tuple[Edit, ...]:
    starts = file.source.line_starts
    first = group[0].line - 1  # the blank line goes too
    last = group[-1].line + 1
    end = starts[last] if last < len(starts) else len(file.source.text)
    block = file.source.text[starts[first + 1] : end].rstrip("\r\n")
    place = file.source.line_span(owner.last_line).end
    newline = "\r\n" if file.source.lines[0].endswith("\r\n") else "\n"
    return (
        Edit(Span(place, place), f"{newline}{block}"),
        Edit(Span(starts[first], end), ""),
    )


def _orphans(file: TodoFile) -> Iterator[Line]:
    """The first of the indented bullets that follow a heading with no task in between."""
    previous: Line | None = None
    for line in file.markdown.lines:
        if line.kind is LineKind.BLANK:
            continue
        indent = len(leading(file.source, line).expandtabs(4))
        after_heading = previous is not None and previous.kind is LineKind.HEADING
        bullet = _BULLET.match(file.source.text, _first_character(file, line), line.span.end)
        if after_heading and indent >= MIN_DETAIL_INDENT and bullet:
            yield line
        previous = line


def _first_character(file: TodoFile, line: Line) -> int:
    return line.span.start + len(leading(file.source, line))


@rule("TD003", Severity.WARNING, Kind.TODO)
def bad_checkbox(file: TodoFile, _project: Project) -> Iterator[Hit]:
    """Something is meant as a checkbox, but no reader takes it for a task.

    A task is a list item that starts with `[ ]`, `[x]`, `[-]` or `[~]`, a space and a text.
    Anything else is dropped without a word: the task is never counted and never done.

    Bad:
        - [] Document the grammar
        - [done] Parse durations
        -[ ] Tag the release
    Good:
        - [ ] Document the grammar
        - [x] Parse durations
        - [ ] Tag the release
        - [x](https://example.org) is a link
    """
    for found in file.malformed:
        mark = file.source.slice(found.span).strip("[] ")
        reason = _REASONS[found.reason].format(mark=mark)
        fixes = (Fix("Make it a task", (found.repair,)),) if found.repair else ()
        yield Hit(found.span, f"Agents do not see this task: {reason}.", fixes)


@rule("TD004", Severity.INFO, Kind.TODO)
def duplicate_task(file: TodoFile, _project: Project) -> Iterator[Hit]:
    """The same task stands in the plan twice.

    Whoever finishes one leaves the other open, and an agent does the work again. Keep one.

    Bad:
        - [ ] Tag the release
        - [x] Write the notes
        - [ ] **Tag** the release
    Good:
        - [ ] Tag the release
        - [x] Write the notes
    """
    seen: dict[tuple[str, str], Item] = {}
    for item in file.items:
        parent = "" if item.parent is None else _plain(file.items[item.parent].text)
        first = seen.setdefault((parent, _plain(item.text)), item)
        if first is item:
            continue
        differ = "" if first.done == item.done else ", one of them done and the other not"
        alone = not item.details and not file.children.get(item.index)
        fixes = (
            (Fix("Remove this one", _without(file, item), safe=False),)
            if alone and first.state is item.state
            else ()
        )
        yield Hit(
            item.title,
            f"This task stands on line {first.line + 1} too{differ}. Keep one of them.",
            fixes,
        )


def _plain(title: str) -> str:
    return " ".join(_EMPHASIS.sub("", title).casefold().split()).rstrip(".")


def _without(file: TodoFile, item: Item) -> tuple[Edit, ...]:
    starts = file.source.line_starts
    if item.line + 1 < len(starts):
        return (Edit(Span(starts[item.line], starts[item.line + 1]), ""),)
    start = file.source.line_span(item.line - 1).end
    return (Edit(Span(start, len(file.source.text)), ""),)


@rule("TD005", Severity.WARNING, Kind.TODO)
def done_with_open_children(file: TodoFile, _project: Project) -> Iterator[Hit]:
    """A task is ticked although tasks under it are open.

    Readers that look at the upper level take the work for done, and the open tasks below are
    never taken up. Untick the task, or tick what is done below it.

    Bad:
        - [x] Release
          - [x] Write the notes
          - [ ] Tag it
    Good:
        - [ ] Release
          - [x] Write the notes
          - [ ] Tag it
    """
    for item in file.items:
        below = [child for child in _descendants(file, item) if not child.done]
        if not item.done or not below:
            continue
        ticked = tuple(edit for child in below for edit in set_state(child, State.DONE))
        count = f"{len(below)} tasks below it are" if len(below) > 1 else "a task below it is"
        yield Hit(
            Span(item.box.start - 1, item.box.end + 1),
            f"This task is ticked, but {count} open (line {below[0].line + 1}). "
            "Untick it, or tick what is done.",
            (
                Fix("Untick this task", set_state(item, State.OPEN), safe=False),
                Fix("Tick all below it", ticked, safe=False),
            ),
        )


def _descendants(file: TodoFile, item: Item) -> Iterator[Item]:
    for child in file.children.get(item.index, ()):
        yield child
        yield from _descendants(file, child)
