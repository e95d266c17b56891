"""The memory: what was learned, entry by entry, within its budget of lines."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field

from sidecar.domain import memory
from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.domain.kind import Kind
from sidecar.domain.memory import Entry, MemoryFile
from sidecar.domain.timing import format_time
from sidecar.services.context import Context
from sidecar.services.memory_log import append_memory, wanted_section
from sidecar.services.paging import cut, fitting
from sidecar.services.pattern import Pattern, compile_pattern
from sidecar.services.timing_statistics import instant
from sidecar.services.tool import Category, ChangeRequest, ChangeResult, Request, Result, tool
from sidecar.services.unsaved import Stored

MAX_TEXT = 8000
MAX_SECTIONS = 100


class MemoryQuery(Request):
    """Which entries to read."""

    section: Annotated[
        str | None,
        Field(
            description="Title, or implementation_patterns | development_commands | system_updates."
        ),
    ] = None
    include_metadata: Annotated[bool, Field(description="Add size, time and etag.")] = False
    search_pattern: Annotated[str | None, Field(description="RE2, any case; plain words work.")] = (
        None
    )
    since: Annotated[str | None, Field(description="ISO date or time, UTC by default.")] = None
    limit: Annotated[int, Field(ge=1, le=200, description="Entries.")] = 20
    cursor: Annotated[str | None, Field(description="next_cursor of the page before.")] = None


class MemoryEntry(BaseModel):
    """One entry; lines count from 1, ``timestamp`` is None for an undated topic."""

    section: str
    title: str
    timestamp: str | None
    mode: str
    category: str
    first_line: int
    last_line: int
    entry_id: str | None
    text: str


class MemorySection(BaseModel):
    """One section of the file."""

    section: str
    name: str | None
    line: int
    entries: int


class MemoryContent(Result):
    """Entries newest first, undated topics after them in the file's order."""

    path: str
    line_count: int
    max_lines: int
    headroom: int
    sections: list[MemorySection]
    total_entries: int
    matching: int
    entries: list[MemoryEntry]
    truncated: bool
    next_cursor: str | None
    metadata: dict[str, Any] | None

    def summary(self) -> str:
        """The budget, then every listed entry with its place."""
        lines = [f"{self.line_count} of {self.max_lines} lines; {self.matching} entries match."]
        for entry in self.entries:
            where = f"{entry.section}, lines {entry.first_line}-{entry.last_line}"
            lines.append(f"\n== {entry.title or '(no heading)'} ({where})\n{entry.text}")
        if self.next_cursor:
            lines.append(f"\nMore with cursor {self.next_cursor}.")
        return "\n".join(lines)


@tool(title="Read the memory", category=Category.ORCHESTRATOR, read_only=True)
def get_persistent_memory(context: Context, request: MemoryQuery) -> MemoryContent:
    """Read entries of persistent-memory.md, newest first, as they are on disk now.

    Example:
        {"section": "system_updates"}
        {"matching": 1, "entries": [{"category": "STATUS", "mode": "integration-commit"}]}
        {"search_pattern": "pytest"}
        {"matching": 1, "max_lines": 300, "entries": [{"category": "TESTS"}]}
    """
    path = context.workspace.path(Kind.MEMORY, context.settings.product)
    content = context.workspace.files.read(path)
    file = memory.parse(content.data.decode("utf-8", "replace"), path=path)
    chosen = _chosen(file, request)
    start = _start(request.cursor, chosen)
    listed = fitting(chosen[start : start + request.limit], lambda entry: _size(file, entry))
    more = start + len(listed) < len(chosen)
    limit = context.settings.memory_line_limit
    return MemoryContent(
        path=path,
        line_count=file.line_count,
        max_lines=limit,
        headroom=limit - file.line_count,
        sections=[
            MemorySection(
                section=section.title,
                name=section.name,
                line=max(1, section.line + 1),
                entries=len(file.section_entries(section)),
            )
            for section in file.sections[:MAX_SECTIONS]
        ],
        total_entries=len(file.entries),
        matching=len(chosen),
        entries=[_view(file, entry) for entry in listed],
        truncated=more,
        next_cursor=_cursor(listed[-1]) if more else None,
        metadata={
            "size": len(content.data),
            "sha256": content.sha256,
            "modified": format_time(content.modified),
        }
        if request.include_metadata
        else None,
    )


def _chosen(file: MemoryFile, request: MemoryQuery) -> list[Entry]:
    name = wanted_section(request.section) if request.section is not None else None
    since = instant("since", request.since)
    pattern = compile_pattern(request.search_pattern) if request.search_pattern else None
    chosen = [
        entry
        for entry in file.entries
        if (name is None or file.sections[entry.section].name == name)
        and (since is None or (entry.timestamp is not None and entry.timestamp >= since))
        and (pattern is None or _found(pattern, file.text(entry)))
    ]
    return sorted(chosen, key=_age)


def _found(pattern: Pattern, text: str) -> bool:
    return any(pattern.search(line) for line in text.split("\n"))


def _age(entry: Entry) -> tuple[bool, float, int]:
    if entry.timestamp is None:
        return True, 0.0, entry.line
    return False, -entry.timestamp.timestamp(), -entry.line


def _cursor(entry: Entry) -> str:
    undated, age, line = _age(entry)
    return f"{int(undated)}:{age:.6f}:{line}"


def _start(cursor: str | None, chosen: list[Entry]) -> int:
    """How many entries lie before the cursor's page, wherever new ones have come in."""
    if cursor is None:
        return 0
    try:
        undated, age, line = cursor.split(":")
        reached = (undated == "1", float(age), int(line))
    except ValueError:
        message = "The cursor is not one of this tool's."
        raise SidecarError(ErrorCode.INVALID, message, hint="Ask without a cursor.") from None
    return sum(_rounded(entry) <= reached for entry in chosen)


def _rounded(entry: Entry) -> tuple[bool, float, int]:
    undated, age, line = _age(entry)
    return undated, round(age, 6), line


def _view(file: MemoryFile, entry: Entry) -> MemoryEntry:
    body = file.source.slice(entry.body).strip()
    last = entry.line + file.text(entry).count("\n")
    return MemoryEntry(
        section=file.sections[entry.section].title,
        title=entry.title,
        timestamp=format_time(entry.timestamp) if entry.timestamp else None,
        mode=entry.mode,
        category=entry.category,
        first_line=entry.line + 1,
        last_line=last + 1,
        entry_id=entry.id,
        text=cut(body, MAX_TEXT),
    )


def _size(file: MemoryFile, entry: Entry) -> int:
    return min(MAX_TEXT, len(file.text(entry))) + len(entry.title)


class MemoryUpdateRequest(ChangeRequest):
    """What to remember."""

    section: Annotated[
        str,
        Field(
            description="Title, or implementation_patterns | development_commands | system_updates."
        ),
    ]
    content: Annotated[str, Field(description="Markdown, at most about 95 lines.")]
    category: Annotated[str | None, Field(max_length=100, description="One word or two.")] = None
    format_entry: Annotated[bool, Field(description="Write the content as bullets.")] = True
    entry_id: Annotated[str | None, Field(description="The same id is never written twice.")] = None


class MemoryUpdate(ChangeResult):
    """Where the entry stands now; lines count from 1."""

    entry_id: str
    section: str
    changed: bool
    line_range: tuple[int, int] | None
    line_count: int
    max_lines: int
    archived_entries: list[str]
    archive_path: str | None
    stored: Stored = "disk"
    note: str

    def summary(self) -> str:
        """What was written, where, and what had to move."""
        place = f" at lines {self.line_range[0]}-{self.line_range[1]}" if self.line_range else ""
        verb = "Wrote" if self.changed else "Already written:"
        lines = [f"{self.mood}{verb} entry {self.entry_id} in {self.section}{place}."]
        lines.append(f"{self.line_count} of {self.max_lines} lines.")
        if self.archived_entries:
            lines.append(f"Moved to {self.archive_path}: {'; '.join(self.archived_entries)}.")
        return "\n".join([*lines, *([self.note] if self.note else [])])


@tool(title="Write to the memory", category=Category.ORCHESTRATOR)
def update_persistent_memory(context: Context, request: MemoryUpdateRequest) -> MemoryUpdate:
    """Append one entry to the end of a section of persistent-memory.md.

    Beyond the line budget the oldest entries move to persistent-memory.archive/.

    Example:
        {"section": "system_updates", "content": "Tagged 0.2.0", "category": "RELEASE"}
        {"success": true, "changed": true, "section": "System Updates & Status"}
    """
    outcome = append_memory(
        context,
        request.section,
        request.content,
        category=request.category or "note",
        bullets=request.format_entry,
        entry_id=request.entry_id,
    )
    return MemoryUpdate(
        entry_id=outcome.entry_id,
        section=memory.SECTIONS[outcome.section],
        changed=outcome.changed,
        line_range=outcome.lines,
        line_count=outcome.line_count,
        max_lines=context.settings.memory_line_limit,
        archived_entries=list(outcome.archived),
        archive_path=outcome.archive_path,
        note=outcome.note,
    )
