"""Keeping the memory small without a model: repeated entries and the oldest go to the archive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from sidecar.domain import memory
from sidecar.domain.edit import apply_edits
from sidecar.domain.kind import Kind
from sidecar.domain.memory import Entry, MemoryFile
from sidecar.domain.memory_archive import archive, remove_entries
from sidecar.domain.timing import format_time
from sidecar.services.context import Context
from sidecar.services.memory_log import ARCHIVE, ARCHIVED
from sidecar.workspace.files import Content


@dataclass(frozen=True)
class Upkeep:
    """What left the memory, and its lines before and after."""

    lines_before: int
    lines_after: int
    limit: int
    repeated: tuple[str, ...]
    surplus: tuple[str, ...]
    archive_path: str | None

    def summary(self) -> str:
        """The same as a sentence."""
        lines = f"{self.lines_before} lines became {self.lines_after} of {self.limit}"
        if self.archive_path is None:
            return f"Nothing had to leave the memory: {self.lines_after} of {self.limit} lines."
        moved = f"{len(self.repeated)} repeated and {len(self.surplus)} old entries"
        return f"{lines}; {moved} went to {self.archive_path}."


def optimize_memory(context: Context) -> Upkeep:
    """Archive entries that a newer one repeats word for word, then the oldest beyond the limit.

    Only dated entries go, and each is durable in the archive before it leaves the memory.
    """
    upkeep = _Upkeep(context)
    path = context.workspace.path(Kind.MEMORY, context.settings.product)
    context.workspace.files.update(path, upkeep.change, backup="memory")
    return upkeep.done()


@dataclass
class _Upkeep:
    """One pass, which may be tried again on a text that a foreign writer has changed."""

    context: Context
    before: int = 0
    after: int = 0
    repeated: list[Entry] = field(default_factory=list)
    surplus: list[Entry] = field(default_factory=list)
    # What has been archived durably: a second try must not archive it again.
    moved: dict[str, Entry] = field(default_factory=dict)

    @property
    def archive_path(self) -> str:
        return f"{ARCHIVE}/{self.context.clock():%Y-%m}.md"

    def change(self, content: Content | None) -> bytes | None:
        """The memory without what has to go; None where nothing has."""
        text = content.data.decode("utf-8", "surrogateescape") if content else ""
        file = memory.parse(text)
        self.before = self.after = file.line_count
        self.repeated = list(_repeated(file))
        rest = memory.parse(apply_edits(text, remove_entries(self.repeated)))
        free = rest.line_count - self.context.settings.memory_line_limit
        self.surplus = list(archive(rest, "", free=free))
        if not self.repeated and not self.surplus:
            return None
        self._archive(file, self.repeated)
        self._archive(rest, self.surplus)
        kept = apply_edits(rest.source.text, remove_entries(self.surplus))
        self.after = memory.parse(kept).line_count
        return kept.encode("utf-8", "surrogateescape")

    def done(self) -> Upkeep:
        """Remember the ids of what was archived, and tell."""
        ids = [entry.id for entry in self.moved.values() if entry.id]
        if ids:
            with self.context.workspace.store.transaction() as records:
                for entry_id in ids:
                    records.put(ARCHIVED, entry_id, {"path": self.archive_path})
        return Upkeep(
            self.before,
            self.after,
            self.context.settings.memory_line_limit,
            tuple(entry.title for entry in self.repeated),
            tuple(entry.title for entry in self.surplus),
            self.archive_path if self.moved else None,
        )

    def _archive(self, file: MemoryFile, entries: list[Entry]) -> None:
        texts = []
        for entry in entries:
            text = file.text(entry)
            if text not in self.moved:
                section = file.sections[entry.section].title
                note = f"<!-- archived {format_time(self.context.clock())} from {section} -->"
                texts.append(f"{note}\n{text}\n\n")
                self.moved[text] = entry
        if texts:
            data = "".join(texts).encode("utf-8", "surrogateescape")
            self.context.workspace.files.append(self.archive_path, data)


def _repeated(file: MemoryFile) -> Iterator[Entry]:
    """Dated entries whose section holds a later one with the same words under its heading."""
    seen: set[tuple[int, str]] = set()
    for entry in reversed(file.entries):
        if entry.timestamp is None and entry.id is None:
            continue
        body = file.source.slice(entry.body).replace(f"<!-- sidecar:{entry.id} -->", "")
        words = " ".join(body.split())
        if not words:
            continue
        if (entry.section, words) in seen:
            yield entry
        seen.add((entry.section, words))
