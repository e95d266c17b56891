"""The memory file: three sections, entries under headings, a budget of lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

from sidecar.domain.edit import Edit, apply_edits
from sidecar.domain.kept import Recent
from sidecar.domain.markdown import Heading, LineKind, Markdown
from sidecar.domain.markdown import parse as parse_markdown
from sidecar.domain.source import Source, Span
from sidecar.domain.timing import format_time, parse_time

# Short names, as the tools take them, and titles, as the file has them, in the file's order.
SECTIONS = {
    "implementation_patterns": "Non-Obvious Implementation Patterns",
    "development_commands": "Development & Debug Commands",
    "system_updates": "System Updates & Status",
}
LINE_LIMIT = 300
MAX_ENTRY_LINES = 100
ENTRY_LEVEL = 2
LABELS = ("Finding", "Command", "Achievement", "Insight")

_ENTRY = re.compile(r"\[([^\]]*)\][ \t]*\[([^\]]*)\][ \t]*(?:-|–|—)[ \t]*(.*)\Z")
_MARK = re.compile(r"<!-- sidecar:([A-Za-z0-9._-]{1,64}) -->[ \t]*\Z")
# One writer reads again what the one before it has just written. In characters.
_MOST_KNOWN = 200_000
# A line with a number sign, or one that ends as a line under a heading does.
_MAY_BE_HEADING = re.compile(r"#|[-=][ \t]*$", re.MULTILINE)
_LIST = re.compile(r"[ \t]*(?:[-*+]|\d{1,9}[.)])[ \t]")


@dataclass(frozen=True, slots=True)
class Section:
    """One level-1 heading and all under it; ``name`` is the short name of one of the three.

    Text before the first heading is a section without a title, on line -1.
    """

    index: int
    title: str
    name: str | None
    line: int
    last_line: int
    span: Span
    heading: Span


@dataclass(frozen=True, slots=True)
class Entry:
    """One finding or topic under a heading; lines are 0-based and inclusive.

    ``timestamp`` is None for a heading that does not follow `[TIME] [MODE] - [CATEGORY]`.
    """

    index: int
    section: int
    title: str
    timestamp: datetime | None
    mode: str
    category: str
    line: int
    last_line: int
    span: Span
    heading: Span
    body: Span
    id: str | None

    @property
    def lines(self) -> int:
        """How many lines the entry takes, blank ones after it included."""
        return self.last_line - self.line + 1


class Placed(NamedTuple):
    """An entry as it was read once, and how far from there it stands now."""

    entry: Entry
    lines: int = 0
    characters: int = 0

    def moved(self, index: int) -> Entry:
        """The entry where it stands now, as the one of this number."""
        entry, by = self.entry, self.characters
        if not self.lines and not by and entry.index == index:
            return entry
        return replace(
            entry,
            index=index,
            line=entry.line + self.lines,
            last_line=entry.last_line + self.lines,
            span=entry.span.moved(by),
            heading=entry.heading.moved(by),
            body=entry.body.moved(by),
        )


@dataclass(frozen=True)
class MemoryFile:
    """A parsed memory file; its entries are moved to where they stand when they are asked for."""

    source: Source
    path: str
    sections: tuple[Section, ...]
    placed: tuple[Placed, ...]
    closer: str = ""
    """The line that would close the fence or HTML block left open at the end, if any."""
    blocks: Markdown | None = field(default=None, repr=False, compare=False)
    """What the text was parsed to; None where the model was worked out from another one."""

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """All entries, in order."""
        return tuple(each.moved(index) for index, each in enumerate(self.placed))

    @cached_property
    def markdown(self) -> Markdown:
        """The block structure of the text."""
        return self.blocks or parse_markdown(self.source)

    @property
    def line_count(self) -> int:
        """How many lines the text has; a final line end does not begin another."""
        return count_lines(self.source)

    def section(self, name: str) -> Section | None:
        """The first section of a short name."""
        return next((s for s in self.sections if s.name == name), None)

    def section_entries(self, section: Section) -> tuple[Entry, ...]:
        """The entries of one section."""
        return tuple(entry for entry in self.entries if entry.section == section.index)

    def entry(self, entry_id: str) -> Entry | None:
        """The entry with an id."""
        found = (index for index, each in enumerate(self.placed) if each.entry.id == entry_id)
        index = next(found, None)
        return None if index is None else self.placed[index].moved(index)

    def text(self, entry: Entry) -> str:
        """An entry's text without blank lines around it."""
        return self.source.slice(entry.span).strip("\r\n")


_known: Recent[str, MemoryFile] = Recent(_MOST_KNOWN)


def count_lines(source: Source) -> int:
    """How many lines a text has; a final line end does not begin another."""
    text = source.text
    if "\r" in text:
        lines = source.lines
        return len(lines) if lines[-1] else len(lines) - 1
    return text.count("\n") + bool(text and not text.endswith("\n"))


def parse(text: str, *, path: str = "") -> MemoryFile:
    """The model of a memory file; never raises."""
    file = _known.get(text, len(text)) or remembered(_parsed(text))
    return replace(file, path=path) if path else file


def remembered(file: MemoryFile) -> MemoryFile:
    """The model, which the next parse of the same text will give."""
    text = file.source.text
    _known.put(text, file, len(text))
    return file


def _parsed(text: str) -> MemoryFile:
    markdown = parse_markdown(text)
    sections = _sections(markdown)
    entries = tuple(Placed(entry) for entry in _entries(markdown, sections))
    return MemoryFile(markdown.source, "", sections, entries, markdown.closer, markdown)


def section_name(text: str) -> str | None:
    """The short name of a section given by its short name or its title, None for neither."""
    wanted = " ".join(text.strip().lstrip("# ").split()).casefold()
    for name, title in SECTIONS.items():
        if wanted in (name, title.casefold(), title.replace("&", "and").casefold()):
            return name
    return None


def render_entry(
    content: str, *, time: datetime, mode: str, category: str, entry_id: str, bullets: bool
) -> str:
    """One entry's text, ending with its mark; nothing in the content can leave the entry."""
    content = content.replace("<!-- sidecar:", "<!-- sidecar :")  # no mark of another entry
    first, _, rest = _lines(content).lstrip("\n").partition("\n")
    heading = f"## [{format_time(time)}] [{_bracketed(mode)}] - [{_bracketed(category)}]"
    own = _ENTRY.match(first.removeprefix("##").strip(" \t"))
    if own and not bullets and parse_time(own[1]):
        heading, body = f"## {own[0]}", rest
    else:
        body = f"{first}\n{rest}"
    body = _demoted(body).strip("\n")
    if bullets:
        body = _bulleted(body)
    for inside in (str, _closed, _quoted):
        text = f"{heading}\n{inside(body)}\n<!-- sidecar:{entry_id} -->\n"
        if _is_whole(parse(text).markdown):  # whoever adds it to a file parses it again
            break
    return text


def append_entry(file: MemoryFile, name: str, entry: str) -> tuple[Edit, ...]:
    """The change that puts an entry at the end of a section, which is made where it is missing."""
    section = file.section(name)
    if section is None:
        return _inserted(file, _place_of(file, name), f"# {SECTIONS[name]}\n\n{entry}")
    return _inserted(file, section.span.end, entry)


def add_section(file: MemoryFile, name: str) -> tuple[Edit, ...]:
    """The change that adds a missing section at its place; none where it is there."""
    if file.section(name):
        return ()
    return _inserted(file, _place_of(file, name), f"# {SECTIONS[name]}\n")


def _inserted(file: MemoryFile, place: int, addition: str) -> tuple[Edit, ...]:
    """Text put at a place, with one blank line before and after it."""
    text = file.source.text
    if place == len(text) and file.closer:
        addition = f"{file.closer}\n\n{addition}"
    kept = len(text[:place].rstrip(" \t\r\n"))
    lead = "\n\n" if kept else ""
    tail = "\n" if text[place:].strip() else ""
    newline = "\n"
    if "\r" in text and text[: file.source.line_starts[-1]].endswith("\r\n"):
        newline = "\r\n"
    return (Edit(Span(kept, place), f"{lead}{addition}{tail}".replace("\n", newline)),)


def _sections(markdown: Markdown) -> tuple[Section, ...]:
    """The level-1 headings' sections, after one without a title for text before the first."""
    tops = [heading for heading in markdown.sections if heading.level == 1]
    first = tops[0].line if tops else len(markdown.lines)
    ends = [heading.line for heading in tops[1:]] + [len(markdown.lines)]
    found = [
        (heading.title, section_name(heading.title), heading.line, end - 1, heading.span)
        for heading, end in zip(tops, ends, strict=False)
    ]
    if any(line.kind is not LineKind.BLANK for line in markdown.lines[:first]):
        found.insert(0, ("", None, -1, first - 1, Span(0, 0)))
    return tuple(
        Section(index, title, name, line, last, _lines_span(markdown.source, line, last), heading)
        for index, (title, name, line, last, heading) in enumerate(found)
    )


def _lines_span(source: Source, first: int, last: int) -> Span:
    starts = source.line_starts
    end = starts[last + 1] if last + 1 < len(starts) else len(source.text)
    return Span(starts[max(0, first)], end)


def _entries(markdown: Markdown, sections: tuple[Section, ...]) -> Iterator[Entry]:
    """The entries of all sections; text before a section's first heading is one without a title."""
    marks = _marks(markdown)
    headings = {h.line: h for h in markdown.sections if h.level == ENTRY_LEVEL}
    index = 0
    for section in sections:
        for first, last in _chunks(markdown, section, headings, marks):
            id_ = next((marks[line] for line in range(last, first - 1, -1) if line in marks), None)
            heading = headings.get(first)
            yield _entry(markdown.source, (index, section.index), heading, (first, last), id_)
            index += 1


def _chunks(
    markdown: Markdown, section: Section, headings: dict[int, Heading], marks: dict[int, str]
) -> Iterator[tuple[int, int]]:
    """First and last lines of a section's entries, each with the blank lines after it."""
    first: int | None = None
    closed = False
    for line in range(section.line + 1, section.last_line + 1):
        blank = markdown.lines[line].kind is LineKind.BLANK
        if not blank and (first is None or closed or line in headings):
            if first is not None:
                yield first, line - 1
            first, closed = line, False
        closed = closed or line in marks
    if first is not None:
        yield first, section.last_line


def _entry(
    source: Source,
    indices: tuple[int, int],
    heading: Heading | None,
    lines: tuple[int, int],
    id_: str | None,
) -> Entry:
    title = heading.title if heading else ""
    parts = _ENTRY.match(title)
    time = parse_time(parts[1]) if parts else None
    span = _lines_span(source, *lines)
    head = heading.span if heading else Span(span.start, span.start)
    category = parts[3].strip() if parts and time else ""
    if category.startswith("[") and category.endswith("]"):
        category = category[1:-1]
    return Entry(
        index=indices[0],
        section=indices[1],
        title=title,
        timestamp=time,
        mode=parts[2].strip() if parts and time else "",
        category=category,
        line=lines[0],
        last_line=lines[1],
        span=span,
        heading=head,
        body=Span(head.end, span.end),
        id=id_,
    )


def _marks(markdown: Markdown) -> dict[int, str]:
    """The ids of generated entries by the line of their mark."""
    comments = (line for line in markdown.lines if line.kind is LineKind.COMMENT)
    found = ((line.number, _MARK.match(markdown.source.slice(line.span))) for line in comments)
    return {number: match[1] for number, match in found if match}


def _place_of(file: MemoryFile, name: str) -> int:
    """Where a missing section belongs: before the first that follows it in the file's order."""
    order = list(SECTIONS)
    later = order[order.index(name) + 1 :]
    return next((s.span.start for s in file.sections if s.name in later), len(file.source.text))


def _lines(content: str) -> str:
    return content.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "\ufffd")


def _bracketed(word: str) -> str:
    """A word that can stand between brackets in a heading."""
    return " ".join(re.sub(r"[\[\]]|<!-*|-*>", "", word).split()) or "note"


def _demoted(body: str) -> str:
    """The content with no heading above level 3."""
    if not _MAY_BE_HEADING.search(body):
        return body
    markdown = parse_markdown(body)
    source = markdown.source
    edits = []
    for heading in markdown.headings:
        if heading.level > ENTRY_LEVEL:
            continue
        if source.text[heading.span.start] == "#":
            hashes = "#" * ENTRY_LEVEL
            edits.append(Edit(Span(heading.span.start, heading.span.start), hashes))
        else:
            underline = markdown.lines[source.position(heading.span.end).line + 1].content.start
            edits.append(Edit(Span(underline, underline), "\\"))
    return apply_edits(source.text, edits)


def _bulleted(body: str) -> str:
    """The content as a list: as it is where it starts with one, else as one finding."""
    if not body or _LIST.match(body):
        return body
    if parse_markdown(body.partition("\n")[0]).lines[0].kind is not LineKind.TEXT:
        return body
    label = "" if body.partition(":")[0] in LABELS else "Finding: "
    return "- " + label + re.sub(r"\n(?=[^\n])", "\n  ", body.strip())


def _closed(body: str) -> str:
    return f"{body}\n{parse_markdown(body).closer}"


def _quoted(body: str) -> str:
    return "\n".join(f"> {line}" for line in body.split("\n"))


def _is_whole(markdown: Markdown) -> bool:
    """Whether a text is one entry and nothing else, to a reader of Markdown."""
    high = [h.line for h in markdown.sections if h.level <= ENTRY_LEVEL]
    last = len(markdown.lines) - 2
    return high == [0] and list(_marks(markdown)) == [last] and not markdown.closer
