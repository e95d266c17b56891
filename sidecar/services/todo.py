"""The plan as agents see it: which tasks are open, where, and how far each section is."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from sidecar.domain import todo
from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.domain.kind import Kind
from sidecar.domain.suggest import did_you_mean
from sidecar.domain.todo import Item, State, TodoFile
from sidecar.services.context import Context
from sidecar.services.paging import cursor_after, fitting, start_of
from sidecar.services.pattern import compile_pattern
from sidecar.services.tool import Category, Request, Result, tool

MAX_DETAILS = 20
MAX_SECTIONS = 200
MARKS = {State.OPEN: "[ ]", State.ACTIVE: "[-]", State.DONE: "[x]"}


class TodoQuery(Request):
    """Which tasks to list."""

    include_completed: Annotated[bool, Field(description="List ticked tasks too.")] = False
    search_pattern: Annotated[
        str | None, Field(description="RE2, any case, in text and details.")
    ] = None
    section: Annotated[str | None, Field(description="Heading, or a part of it.")] = None
    limit: Annotated[int, Field(ge=1, le=500, description="Tasks listed.")] = 100
    cursor: Annotated[str | None, Field(description="next_cursor of the page before.")] = None


class TaskView(BaseModel):
    """One task; lines count from 1, ``parent_line`` is that of the task above it."""

    text: str
    completed: bool
    state: State
    section: str
    line: int
    depth: int
    parent_line: int | None
    details: list[str]


class SectionView(BaseModel):
    """The progress of one heading's own tasks."""

    section: str
    line: int
    total: int
    completed: int


class TodoStatus(Result):
    """Totals of the whole file; ``todos`` are the tasks that were asked for."""

    path: str
    source: str
    total: int
    completed: int
    in_progress: int
    pending: int
    completion_rate: float
    sections: list[SectionView]
    matching: int
    todos: list[TaskView]
    truncated: bool
    next_cursor: str | None
    problems: int

    def summary(self) -> str:
        """The totals, each section's progress, and the listed tasks as a checklist."""
        lines = [f"{self.completed} of {self.total} tasks done, {self.in_progress} in progress."]
        lines += [f"{s.section}: {s.completed}/{s.total} (line {s.line})" for s in self.sections]
        for task in self.todos:
            lines.append(f"{'  ' * task.depth}- {MARKS[task.state]} {task.text} (line {task.line})")
            lines += [f"{'  ' * task.depth}    {detail}" for detail in task.details]
        if self.next_cursor:
            lines.append(f"{self.matching} tasks match; more with cursor {self.next_cursor}.")
        if self.problems:
            lines.append(f"{self.problems} lines look like tasks and are none; run diagnostics.")
        return "\n".join(lines)


@tool(title="Get the plan's status", category=Category.ORCHESTRATOR, read_only=True)
def get_todo_status(context: Context, request: TodoQuery) -> TodoStatus:
    """List the open tasks of TODO.md with their lines, and the progress of each section.

    Totals count the whole file.

    Example:
        {"section": "Release"}
        {"total": 6, "completed": 2, "todos": [{"text": "Tag 0.2.0", "line": 13}]}
        {"include_completed": true, "search_pattern": "negative"}
        {"matching": 1, "todos": [{"depth": 0, "completed": false}]}
    """
    path = context.workspace.path(Kind.TODO, context.settings.product)
    content = context.workspace.files.read(path, prefer_editor=True)
    file = todo.parse(content.data.decode("utf-8", "replace"), path=path)
    chosen = _chosen(file, request)
    start = start_of(request.cursor)
    listed = fitting(chosen[start : start + request.limit], _size)
    after = cursor_after(start, len(listed), len(chosen))
    progress = file.progress()
    return TodoStatus(
        path=path,
        source=content.source,
        total=progress.total,
        completed=progress.done,
        in_progress=progress.active,
        pending=progress.open,
        completion_rate=round(100 * progress.done / progress.total, 1) if progress.total else 0.0,
        sections=_sections(file),
        matching=len(chosen),
        todos=[_view(file, item) for item in listed],
        truncated=after is not None,
        next_cursor=after,
        problems=len(file.malformed),
    )


def _chosen(file: TodoFile, request: TodoQuery) -> list[Item]:
    sections = _named(file, request.section)
    pattern = compile_pattern(request.search_pattern) if request.search_pattern else None
    chosen = []
    for item in file.items:
        if item.done and not request.include_completed:
            continue
        if sections is not None and item.section not in sections:
            continue
        texts = (item.text, *(detail.text for detail in item.details))
        if pattern is None or any(pattern.search(text) for text in texts):
            chosen.append(item)
    return chosen


def _named(file: TodoFile, name: str | None) -> frozenset[int] | None:
    """The sections under the headings of a name, their sub-sections included."""
    if name is None:
        return None
    wanted = " ".join(name.strip().lstrip("# ").split()).casefold()
    titles = [section.title.casefold() for section in file.sections]
    found = [i for i, title in enumerate(titles) if title == wanted]
    found = found or [i for i, title in enumerate(titles) if wanted in title]
    if not found or not wanted:
        known = [section.title for section in file.sections]
        hint = did_you_mean(name, known) or f"The headings are: {', '.join(known) or 'none'}."
        raise SidecarError(ErrorCode.NOT_FOUND, f"The plan has no section `{name}`.", hint=hint)
    chosen = set()
    for index in found:
        level = file.sections[index].level
        chosen.add(index)
        for below in file.sections[index + 1 :]:
            if below.level <= level:
                break
            chosen.add(below.index)
    return frozenset(chosen)


def _sections(file: TodoFile) -> list[SectionView]:
    views = []
    for section in (None, *file.sections):
        items = file.section_items(section.index if section else None)
        if items:
            progress = file.progress(items)
            title, line = (section.title, section.line + 1) if section else ("", 1)
            counts = {"total": progress.total, "completed": progress.done}
            views.append(SectionView(section=title, line=line, **counts))
    return views[:MAX_SECTIONS]


def _size(item: Item) -> int:
    return len(item.text) + sum(len(detail.text) for detail in item.details[:MAX_DETAILS])


def _view(file: TodoFile, item: Item) -> TaskView:
    return TaskView(
        text=item.text,
        completed=item.done,
        state=item.state,
        section="" if item.section is None else file.sections[item.section].title,
        line=item.line + 1,
        depth=item.depth,
        parent_line=None if item.parent is None else file.items[item.parent].line + 1,
        details=[detail.text for detail in item.details[:MAX_DETAILS]],
    )
