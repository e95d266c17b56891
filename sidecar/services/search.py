"""Finding files by name and lines by content, always through the confined paths."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from sidecar.domain.errors import SidecarError
from sidecar.services import proposals
from sidecar.services.context import Context
from sidecar.services.lines import (
    MATCHES_LIMIT,
    SHOWN_CHARACTERS,
    LineMatch,
    LineSearch,
    shown,
    split_lines,
)
from sidecar.services.paging import REPLY_CHARACTERS, cursor_after, start_of
from sidecar.services.tool import Category, Request, Result, tool
from sidecar.workspace import paths
from sidecar.workspace.walking import DEPTH_LIMIT, EntryType, Found, Walk

ENTRIES_LIMIT = 50_000
FILE_BYTES = 16_000_000
SECONDS = 10.0
_BINARY_PROBE = 8192


class ListProjectStructureRequest(Request):
    """Which folder to list, and what of it."""

    directory: Annotated[str | None, Field(description="Folder; default the root.")] = None
    recursive: bool = True
    include_hidden: bool = False
    include_directories: bool = True
    include_files: bool = True
    file_pattern: Annotated[str | None, Field(description="Glob of files: src/**/*.py")] = None
    exclude_patterns: Annotated[list[str] | None, Field(description="Globs left out.")] = None
    max_depth: Annotated[int | None, Field(ge=0, description="0: this folder alone.")] = None
    gitignore: Annotated[bool, Field(description="Leave out ignored files.")] = True
    sort: Literal["path", "size", "modified"] = "path"
    limit: Annotated[int, Field(ge=1, le=1000)] = 200
    cursor: str | None = None


class Entry(BaseModel):
    """One file, folder or link."""

    path: str
    type: EntryType
    size: int


class ListProjectStructure(Result):
    """A page of entries; the counts are of all pages."""

    directory: str
    total_items: int
    directories: int
    files: int
    entries: list[Entry]
    truncated: Annotated[str | None, Field(description="Why the totals are incomplete.")] = None
    next_cursor: str | None = None

    def summary(self) -> str:
        """One line an entry, folders with a slash."""
        marks = {"directory": "/", "symlink": " (link)", "other": " (special)"}
        lines = [f"{e.path}{marks.get(e.type, f'  {e.size}')}" for e in self.entries]
        head = f"{self.directory or '.'}: {self.files} files, {self.directories} folders"
        return "\n".join([head, *lines, *_rest(self.truncated, self.next_cursor)])


def _rest(truncated: str | None, next_cursor: str | None) -> Iterator[str]:
    if truncated:
        yield f"Incomplete: {truncated}."
    if next_cursor:
        yield f"More with cursor {next_cursor}."


@tool(title="List files", category=Category.FILESYSTEM, read_only=True)
def list_project_structure(
    context: Context, request: ListProjectStructureRequest
) -> ListProjectStructure:
    """List files and folders of the workspace; links are shown, never followed.

    Example:
        {"include_hidden": true, "file_pattern": "*.json"}
        {"success": true, "files": 1, "entries": [{"path": ".roo/schedules.json", "type": "file"}]}
    """
    start = start_of(request.cursor)
    walk = Walk(
        hidden=request.include_hidden,
        gitignore=request.gitignore,
        recursive=request.recursive,
        max_depth=request.max_depth,
        exclude=tuple(request.exclude_patterns or ()),
    )
    folder = context.workspace.files.locate(request.directory or "")
    bound = _Bound()
    wanted = _Names(request.file_pattern, folder)
    walked = bound.within(context.workspace.files.walk(folder, walk))
    found = [entry for entry in walked if _wanted(entry, request, wanted)]
    if request.sort == "size":
        found.sort(key=lambda entry: (-entry.size, entry.path))
    elif request.sort == "modified":
        found.sort(key=lambda entry: (-entry.modified.timestamp(), entry.path))
    page = found[start : start + request.limit]
    folders = sum(entry.type == "directory" for entry in found)
    return ListProjectStructure(
        directory=folder,
        total_items=len(found),
        directories=folders,
        files=sum(entry.type == "file" for entry in found),
        entries=[Entry(path=paths.sayable(e.path), type=e.type, size=e.size) for e in page],
        truncated=bound.reason,
        next_cursor=cursor_after(start, len(page), len(found)),
    )


def _wanted(entry: Found, request: ListProjectStructureRequest, names: _Names) -> bool:
    if entry.type == "directory":
        return request.include_directories and request.file_pattern is None
    return request.include_files and names.match(entry.path)


class _Names:
    """The files that a glob names, seen from the root or from the folder that is walked."""

    def __init__(self, pattern: str | None, folder: str) -> None:
        self._globs = None if pattern is None else paths.Globs([pattern])
        self._folder = f"{folder}/" if folder else ""

    def match(self, path: str) -> bool:
        """Whether a path is one of them."""
        globs = self._globs
        return globs is None or globs.match(path) or globs.match(path.removeprefix(self._folder))


@dataclass
class _Bound:
    """How long and how far a walk may go; ``reason`` says what was left out."""

    ends: float = field(default_factory=lambda: time.monotonic() + SECONDS)
    reason: str | None = None
    ended: bool = False

    def within(self, entries: Iterable[Found]) -> Iterator[Found]:
        """The entries until a bound is reached."""
        for count, entry in enumerate(entries):
            if count >= ENTRIES_LIMIT:
                self.ended = True
                self.reason = f"only the first {ENTRIES_LIMIT:,} entries were looked at"
            if self.over():
                return
            if entry.type == "directory" and entry.depth >= DEPTH_LIMIT:
                self.reason = f"folders more than {DEPTH_LIMIT} deep were not entered"
            yield entry

    def over(self) -> bool:
        """Whether the time is up."""
        if time.monotonic() > self.ends:
            self.ended = True
            self.reason = f"the search was ended after {SECONDS:g} s"
        return self.ended


class SearchInFilesRequest(Request):
    """What to search for, where, and how."""

    pattern: Annotated[str, Field(min_length=1, description="RE2 syntax, within one line.")]
    directory: Annotated[str | None, Field(description="Folder; default the root.")] = None
    file_pattern: Annotated[str | None, Field(description="Glob of files: *.md")] = None
    case_sensitive: bool = False
    whole_word: bool = False
    max_matches: Annotated[int, Field(ge=1, le=1000)] = 100
    include_line_numbers: bool = True
    context_lines: Annotated[int, Field(ge=0, le=10)] = 0
    regex: Annotated[bool, Field(description="False: find it literally.")] = True
    cursor: str | None = None


class SearchMatch(BaseModel):
    """One match; columns are 0-based code points of line_content."""

    file: str
    line_number: int | None
    match_text: str
    match_start: int
    match_end: int
    line_content: str
    context: list[str] | None = None


class SearchInFiles(Result):
    """A page of matches; total_matches counts those of all pages."""

    pattern: str
    files_searched: int
    total_matches: int
    matches: list[SearchMatch]
    truncated: Annotated[str | None, Field(description="Why the total is incomplete.")] = None
    next_cursor: str | None = None

    def summary(self) -> str:
        """One line a match, as grep prints them."""
        head = f"{self.total_matches} matches in {self.files_searched} files"
        lines = [
            f"{m.file}:{'' if m.line_number is None else f'{m.line_number}:'} {m.line_content}"
            + "".join(f"\n  | {line}" for line in m.context or ())
            for m in self.matches
        ]
        return "\n".join([head, *lines, *_rest(self.truncated, self.next_cursor)])


@tool(title="Search in files", category=Category.FILESYSTEM, read_only=True)
def search_in_files(context: Context, request: SearchInFilesRequest) -> SearchInFiles:
    """Search all text files of the workspace by line, in linear time; ignored files are skipped.

    Example:
        {"pattern": "customModes", "file_pattern": ".roomodes", "case_sensitive": true}
        {"success": true, "matches": [{"file": ".roomodes", "match_text": "customModes"}]}
    """
    start = start_of(request.cursor)
    run = _Search(context, request)
    page: list[SearchMatch] = []
    total = size = 0
    for match, path, lines in run.hits():
        # Only the matches that follow the last one taken: a full page stays closed.
        room = len(page) < request.max_matches and size < REPLY_CHARACTERS
        if room and total == start + len(page):
            page.append(_told(request, match, path, lines))
            size += _size(page[-1])
        total += 1
    return SearchInFiles(
        pattern=request.pattern,
        files_searched=run.searched,
        total_matches=total,
        matches=page,
        truncated=run.truncated,
        next_cursor=cursor_after(start, len(page), total),
    )


@dataclass
class _Search:
    """One search under way: what was looked at, and what was left out."""

    context: Context
    request: SearchInFilesRequest
    searched: int = 0
    too_large: int = 0
    bound: _Bound = field(default_factory=_Bound)

    @property
    def truncated(self) -> str | None:
        """Why matches may be missing from the total."""
        if self.too_large and not self.bound.reason:
            return f"{self.too_large} files over {FILE_BYTES:,} bytes were skipped"
        return self.bound.reason

    def hits(self) -> Iterator[tuple[LineMatch, str, list[str]]]:
        """Every match by path and line, with its file's lines."""
        request, files = self.request, self.context.workspace.files
        search = LineSearch(
            request.pattern,
            regex=request.regex,
            case_sensitive=request.case_sensitive,
            whole_word=request.whole_word,
        )
        folder = files.locate(request.directory or "")
        paths = list(self._paths(folder))
        candidates = proposals.proposed(
            self.context.workspace.root,
            paths,
            request.pattern,
            regex=request.regex,
            case_sensitive=request.case_sensitive,
        )
        for path in paths:
            if self.bound.over():
                return
            lines = self._lines(path) if candidates is None or path in candidates else []
            for match in search.matches(lines, self.bound.over):
                yield match, path, lines
            if search.left <= 0:
                self.bound.reason = f"only the first {MATCHES_LIMIT:,} matches were counted"
                return

    def _paths(self, folder: str) -> Iterator[str]:
        walked = self.context.workspace.files.walk(folder, Walk(hidden=True))
        names = _Names(self.request.file_pattern, folder)
        for entry in self.bound.within(walked):
            if entry.type != "file" or not names.match(entry.path):
                continue
            if entry.size > FILE_BYTES:
                self.too_large += 1
                continue
            self.searched += 1
            yield entry.path

    def _lines(self, path: str) -> list[str]:
        try:
            data = self.context.workspace.files.read(path, limit=FILE_BYTES).data
        except SidecarError:
            return []  # gone, unreadable, or exchanged for something else since it was listed
        return [] if b"\0" in data[:_BINARY_PROBE] else split_lines(data.decode("utf-8", "replace"))


def _told(
    request: SearchInFilesRequest, match: LineMatch, path: str, lines: list[str]
) -> SearchMatch:
    text, start, end = shown(lines[match.line], match)
    around = request.context_lines
    first = max(0, match.line - around)
    nearby = range(first, min(len(lines), match.line + around + 1))
    numbered = request.include_line_numbers
    context = [
        f"{n + 1}: {lines[n][:SHOWN_CHARACTERS]}" if numbered else lines[n][:SHOWN_CHARACTERS]
        for n in nearby
        if n != match.line
    ]
    return SearchMatch(
        file=path,
        line_number=match.line + 1 if numbered else None,
        match_text=text[start:end],
        match_start=start,
        match_end=end,
        line_content=text,
        context=context if around else None,
    )


def _size(match: SearchMatch) -> int:
    texts = (match.file, match.match_text, match.line_content, *(match.context or ()))
    return sum(map(len, texts))
