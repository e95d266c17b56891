"""Entries of the memory, written durably: append one, archive what the budget pushes out."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime

from sidecar.domain import memory
from sidecar.domain.edit import apply_edits
from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.domain.kind import Kind
from sidecar.domain.memory import MAX_ENTRY_LINES, SECTIONS, Entry, MemoryFile
from sidecar.domain.memory_archive import archive
from sidecar.domain.memory_splice import with_entry, without_entries
from sidecar.domain.source import Source
from sidecar.domain.timing import format_time
from sidecar.services.context import Context
from sidecar.workspace.files import Besides, Content

ARCHIVE = "persistent-memory.archive"
# Ids of entries that were archived, so that a repeated call does not write them again.
ARCHIVED = "archived_memory"
MAX_CONTENT = 50_000
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True)
class Outcome:
    """What an append did; ``lines`` are the entry's first and last, counted from 1."""

    entry_id: str
    section: str
    changed: bool
    lines: tuple[int, int] | None
    line_count: int
    archived: tuple[str, ...] = ()
    archive_path: str | None = None
    note: str = ""


def append_memory(
    context: Context,
    section: str,
    content: str,
    *,
    category: str = "note",
    mode: str = "",
    entry_id: str | None = None,
    bullets: bool = True,
) -> Outcome:
    """Append exactly one entry at the end of a section; durable when this returns.

    Raises E_INVALID for an unknown section, id or empty content, E_TOO_LARGE beyond 100 lines.
    """
    name = wanted_section(section)
    now = context.clock()
    chosen_id = _checked(entry_id) if entry_id else f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
    entry = memory.render_entry(
        _content(content),
        time=now,
        mode=mode or context.client.name,
        category=category,
        entry_id=chosen_id,
        bullets=bullets,
    )
    _require_size(entry)
    append = _Append(context, name, chosen_id, entry, now, repeated=entry_id is not None)
    return append.run()


def wanted_section(text: str) -> str:
    """The short name of a section; raises E_INVALID with the three."""
    name = memory.section_name(text)
    if name is None:
        message = f"`{text}` is none of the memory's sections."
        hint = f"Use {', '.join(SECTIONS)}, or the full title."
        raise SidecarError(ErrorCode.INVALID, message, hint=hint)
    return name


def _checked(entry_id: str) -> str:
    if not _ID.fullmatch(entry_id):
        message = "The entry_id may hold letters, digits, dots, dashes and underscores, at most 64."
        raise SidecarError(ErrorCode.INVALID, message, hint="Leave it out to get a new one.")
    return entry_id


def _content(content: str) -> str:
    if not content.strip():
        raise SidecarError(ErrorCode.INVALID, "The content is empty.")
    if len(content) > MAX_CONTENT:
        raise _too_large(f"The content has {len(content)} characters; {MAX_CONTENT} are allowed.")
    return content


def _require_size(entry: str) -> None:
    lines = entry.count("\n")
    if lines > MAX_ENTRY_LINES:
        message = f"The entry would take {lines} lines; {MAX_ENTRY_LINES} are allowed."
        raise _too_large(message)


def _too_large(message: str) -> SidecarError:
    hint = "Shorten it, or write the details to a file of its own and name that file here."
    return SidecarError(ErrorCode.TOO_LARGE, message, hint=hint)


@dataclass
class _Append:
    """One append, which may be tried again on a text that a foreign writer has changed."""

    context: Context
    name: str
    entry_id: str
    entry: str
    now: datetime
    repeated: bool
    # What goes to the archive with this try of the change.
    moved: tuple[Entry, ...] = ()
    besides: Besides = field(default_factory=Besides)
    after: MemoryFile | None = None
    changed: bool = True

    def run(self) -> Outcome:
        path = self.context.workspace.path(Kind.MEMORY, self.context.settings.product)
        archive = self._archive_of(self.entry_id) if self.repeated else None
        if archive:
            return self._archived_before(path, archive)
        files = self.context.workspace.files
        files.update(path, self._change, backup="memory", besides=self.besides)
        return self._outcome()

    @property
    def archive_path(self) -> str:
        return f"{ARCHIVE}/{self.now:%Y-%m}.md"

    def _change(self, content: Content | None) -> bytes | None:
        text = content.data.decode("utf-8", "surrogateescape") if content else ""
        file = memory.parse(text)
        self._leave(file, ())
        if self.repeated and file.entry(self.entry_id):
            self.after, self.changed = file, False
            return None
        limit = self.context.settings.memory_line_limit
        grown = apply_edits(text, memory.append_entry(file, self.name, self.entry))
        lines = memory.count_lines(Source(grown))
        moved = archive(file, self.name, free=lines - limit)
        rest = without_entries(file, moved) if moved else file
        self.after = self._kept(with_entry(rest, self.name, self.entry))
        self._leave(file, moved)
        return self.after.source.text.encode("utf-8", "surrogateescape")

    def _kept(self, after: MemoryFile) -> MemoryFile:
        if after.entry(self.entry_id) is None:
            message = "The memory's Markdown swallows what is appended to it."
            hint = "Close the open code block or HTML comment near its end."
            raise SidecarError(ErrorCode.CORRUPT, message, hint=hint)
        return after

    def _leave(self, file: MemoryFile, entries: tuple[Entry, ...]) -> None:
        """Have entries archived before they leave the memory: a crash doubles, not loses."""
        self.moved = entries
        self.besides.appends.clear()
        self.besides.records.clear()
        path = self.context.workspace.files.locate(self.archive_path) if entries else ""
        for text, entry in {file.text(entry): entry for entry in entries}.items():
            piece = f"{self._noted(file, entry)}\n{text}\n\n".encode("utf-8", "surrogateescape")
            self.besides.appends.append((path, piece))
        for entry in entries:
            if entry.id:
                self.besides.records.append((ARCHIVED, entry.id, {"path": self.archive_path}))

    def _noted(self, file: MemoryFile, entry: Entry) -> str:
        section = file.sections[entry.section].title
        return f"<!-- archived {format_time(self.now)} from {section} -->"

    def _archive_of(self, entry_id: str) -> str | None:
        with self.context.workspace.store.view() as records:
            record = records.get(ARCHIVED, entry_id)
        return str(record["path"]) if record else None

    def _archived_before(self, path: str, archive: str) -> Outcome:
        text = self.context.workspace.files.read(path).data.decode("utf-8", "replace")
        note = f"This entry was written before and has been archived in {archive}."
        count = memory.parse(text).line_count
        return Outcome(
            self.entry_id, self.name, changed=False, lines=None, line_count=count, note=note
        )

    def _outcome(self) -> Outcome:
        after = self.after or memory.parse("")
        entry = after.entry(self.entry_id)
        limit = self.context.settings.memory_line_limit
        over = after.line_count > limit
        lines = None
        if entry:
            lines = (entry.line + 1, entry.line + 1 + after.text(entry).count("\n"))
        return Outcome(
            entry_id=self.entry_id,
            section=self.name,
            changed=self.changed,
            lines=lines,
            line_count=after.line_count,
            archived=tuple(entry.title for entry in self.moved),
            archive_path=self.archive_path if self.moved else None,
            note=f"The memory is over its {limit} lines and nothing dated is left to archive."
            if over
            else "",
        )
