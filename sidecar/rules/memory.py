"""Rules for the memory, persistent-memory.md."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from sidecar.domain import memory
from sidecar.domain.edit import Edit
from sidecar.domain.finding import Fix, Severity
from sidecar.domain.kind import Kind
from sidecar.domain.markdown import Line, LineKind
from sidecar.domain.memory import SECTIONS, Entry, MemoryFile, Section
from sidecar.domain.project import Project
from sidecar.domain.source import Span
from sidecar.domain.timing import format_time
from sidecar.rules.rule import Hit, rule

# Entries are stamped before they are appended, so neighbours may differ by a moment, in seconds.
TOLERANCE = 1.5
_TEMPLATE = re.compile(
    r"#{0,6}[ \t]*\[(?:timestamp|time|date|yyyy-mm-dd[^\]]*)\][ \t]*\[[^\]]*\]", re.IGNORECASE
)
_PLACEHOLDERS = re.compile(
    r"\[(?:timestamp|mode|task_id|category|description|details)\]", re.IGNORECASE
)


@rule("PM001", Severity.WARNING, Kind.MEMORY)
def sections(file: MemoryFile, _project: Project) -> Iterator[Hit]:
    """The file does not have exactly its three sections, in their order.

    Agents find what was learned by the section's title: implementation patterns first, then
    commands, then updates. What stands under another top-level heading is not read, a section
    that is missing is made anew at the next write, and one that stands twice is read once.

    Bad:
        # Non-Obvious Implementation Patterns

        # System Updates & Status

        # Notes
    Good:
        # Non-Obvious Implementation Patterns

        # Development & Debug Commands

        # System Updates & Status
    """
    seen: dict[str, Section] = {}
    for section in file.sections:
        if section.line < 0:
            yield Hit(
                file.source.line_span(file.section_entries(section)[0].line),
                "This text stands before the first section, so agents do not read it. Move it "
                "into one of the three.",
            )
        elif section.name is None:
            yield Hit(
                section.heading,
                f"“{section.title}” is none of the three sections, so agents do not read what is "
                f"under it ({', '.join(SECTIONS.values())}). Make it a `##` heading of one.",
                (Fix("Make it a sub-heading", (_demotion(file, section),), safe=False),),
            )
        elif section.name in seen:
            yield Hit(
                section.heading,
                f"This section stands on line {seen[section.name].line + 1} already; agents write "
                "to the first and readers may miss the second. Merge them.",
            )
        else:
            seen[section.name] = section
    yield from _missing(file, seen)
    yield from _disorder(file, list(seen.values()))


def _demotion(file: MemoryFile, section: Section) -> Edit:
    if file.source.text[section.heading.start] == "#":
        return Edit(Span(section.heading.start, section.heading.start), "#")
    underline = file.markdown.lines[file.source.position(section.heading.end).line + 1].content
    return Edit(underline, "---")


def _missing(file: MemoryFile, seen: dict[str, Section]) -> Iterator[Hit]:
    for name, title in SECTIONS.items():
        if name not in seen:
            yield Hit(
                Span(0, file.source.line_span(0).end),
                f"The section “{title}” is missing, so agents find nothing there and the next "
                "write makes it anew. Add it.",
                (Fix(f"Add “{title}”", memory.add_section(file, name)),),
            )


def _disorder(file: MemoryFile, found: Sequence[Section]) -> Iterator[Hit]:
    order = list(SECTIONS)
    for before, after in pairwise(found):
        if order.index(after.name or "") < order.index(before.name or ""):
            yield Hit(
                after.heading,
                f"“{after.title}” must stand before “{before.title}”: the order is "
                f"{', '.join(SECTIONS.values())}.",
                (Fix("Put the sections in order", _in_order(file, found), safe=False),),
            )
            return


def _in_order(file: MemoryFile, found: Sequence[Section]) -> tuple[Edit, ...]:
    order = list(SECTIONS)
    wanted = sorted(found, key=lambda section: order.index(section.name or ""))
    return _permuted(file, [s.span for s in found], [s.span for s in wanted])


def _permuted(file: MemoryFile, places: list[Span], spans: list[Span]) -> tuple[Edit, ...]:
    """The change that puts other blocks into each place, with a blank line between any two."""
    edits = []
    for place, span in zip(places, spans, strict=True):
        if place == span:
            continue
        text = file.source.slice(span).rstrip("\r\n")
        old = file.source.slice(place)
        tail = old[len(old.rstrip("\r\n")) :]
        last = place.end == len(file.source.text)
        edits.append(Edit(place, text + (tail if last or len(tail) > 1 else "\n\n")))
    return tuple(edits)


@rule("PM002", Severity.WARNING, Kind.MEMORY)
def line_limit(file: MemoryFile, project: Project) -> Iterator[Hit]:
    """The file has more lines than its budget, 300 unless the settings say otherwise.

    Agents read the whole file at the start of each round: what stands beyond the budget costs
    every one of them, and older programs refuse every further entry. The sidecar's own tool
    moves the oldest entries to `persistent-memory.archive/`; one long line counts as one.

    Bad:
        --- memory-limit: 8
        # Non-Obvious Implementation Patterns

        - One

        # Development & Debug Commands

        # System Updates & Status

        - Two
    Good:
        --- memory-limit: 12
        # Non-Obvious Implementation Patterns

        - One

        # Development & Debug Commands

        # System Updates & Status

        - Two
    """
    limit = project.memory_line_limit
    over = file.line_count - limit
    if over <= 0:
        return
    end = len(file.source.text)
    yield Hit(
        Span(file.source.line_starts[limit], end),
        f"The memory has {file.line_count} lines, {over} more than its budget of {limit}, and "
        "agents read all of them in each round. Archive the oldest entries.",
    )


@rule("PM003", Severity.WARNING, Kind.MEMORY)
def entry_format(file: MemoryFile, _project: Project) -> Iterator[Hit]:
    """An entry is not written as `## [TIME] [MODE] - [CATEGORY]` with its findings below.

    Readers find entries by this heading and date them by it. A heading that nearly fits is not
    found, one without lines below it says nothing, and a section of updates whose other headings
    fit none of it hides the entries between them.

    Bad:
        # Non-Obvious Implementation Patterns

        # Development & Debug Commands

        # System Updates & Status

        ## [yesterday] [code] - [TESTS]
        - Finding: none

        ## [2025-04-30T10:00:00Z] [code] - [EMPTY]
    Good:
        # Non-Obvious Implementation Patterns

        # Development & Debug Commands

        # System Updates & Status

        ## [2025-04-30T10:00:00Z] [code] - [TESTS]
        - Finding: none
    """
    for entry in file.entries:
        if not entry.title or _TEMPLATE.match(entry.title):
            continue
        if entry.timestamp is None:
            hit = _no_entry(file, entry)
            if hit:
                yield hit
            continue
        if not file.source.slice(entry.body).strip():
            yield Hit(
                entry.heading,
                "This entry has no lines: what it was about is lost or stands elsewhere. "
                "Write it below the heading or remove the heading.",
            )
        if entry.line and file.markdown.lines[entry.line - 1].kind is not LineKind.BLANK:
            yield _glued(file, entry)


def _no_entry(file: MemoryFile, entry: Entry) -> Hit | None:
    if entry.title.startswith("["):
        return Hit(
            entry.heading,
            "Readers do not find this entry: its heading must be `## [TIME] [MODE] - [CATEGORY]` "
            "with a time such as 2025-05-01T10:00:00Z.",
        )
    if file.sections[entry.section].name != "system_updates":
        return None
    return Hit(
        entry.heading,
        f"“{_short(entry.title)}” is no entry, but this section is a log of entries: readers skip "
        "it, and it never leaves the file. Move it to another section or date it.",
        severity=Severity.INFO,
    )


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:60] + "…"


def _glued(file: MemoryFile, entry: Entry) -> Hit:
    start = file.source.line_starts[entry.line]
    newline = "\r\n" if file.source.lines[entry.line - 1].endswith("\r\n") else "\n"
    return Hit(
        entry.heading,
        "A blank line is missing before this entry, so some readers take it for a part of the "
        "text above. Add one.",
        (Fix("Add a blank line", (Edit(Span(start, start), newline),)),),
        Severity.HINT,
    )


@rule("PM004", Severity.WARNING, Kind.MEMORY)
def wrong_order(file: MemoryFile, _project: Project) -> Iterator[Hit]:
    """An entry is older than the one above it.

    Entries are appended, so the newest stands last; agents that read the end of a section take
    an old finding for the present state. The fix sorts the section's dated entries.

    Bad:
        # Non-Obvious Implementation Patterns

        # Development & Debug Commands

        # System Updates & Status

        ## [2025-04-30T10:00:00Z] [code] - [SECOND]
        - Finding: two

        ## [2025-04-29T10:00:00Z] [code] - [FIRST]
        - Finding: one
    Good:
        # Non-Obvious Implementation Patterns

        # Development & Debug Commands

        # System Updates & Status

        ## [2025-04-29T10:00:00Z] [code] - [FIRST]
        - Finding: one

        ## [2025-04-30T10:00:00Z] [code] - [SECOND]
        - Finding: two
    """
    for section in file.sections:
        dated = [entry for entry in file.section_entries(section) if entry.timestamp]
        fix = None
        for before, after in pairwise(dated):
            if before.timestamp and after.timestamp:
                early = (before.timestamp - after.timestamp).total_seconds()
                if early > TOLERANCE:
                    fix = fix or Fix("Sort the entries", _sorted(file, dated), safe=False)
                    yield Hit(
                        after.heading,
                        f"This entry is older than the one above it, of "
                        f"{format_time(before.timestamp)}: readers of the section's end miss what "
                        "is newest. Sort the entries.",
                        (fix,),
                    )


def _sorted(file: MemoryFile, dated: Sequence[Entry]) -> tuple[Edit, ...]:
    wanted = sorted(dated, key=lambda e: e.timestamp.timestamp() if e.timestamp else 0.0)
    return _permuted(file, [e.span for e in dated], [e.span for e in wanted])


@rule("PM005", Severity.WARNING, Kind.MEMORY)
def template_left(file: MemoryFile, _project: Project) -> Iterator[Hit]:
    """The template of an entry was left in the file.

    A heading of placeholders is no finding, but it is read, and counted, as one. Inside a code
    block it is documentation; readers that do not know code blocks still take it for an entry.

    Bad:
        # Non-Obvious Implementation Patterns

        # Development & Debug Commands

        # System Updates & Status

        ## [timestamp] [mode] - [task_id]: [description]
    Good:
        # Non-Obvious Implementation Patterns

        # Development & Debug Commands

        # System Updates & Status

        ## [2025-04-29T10:00:00Z] [code] - [FIRST]
        - Finding: one
    """
    for line in file.markdown.lines:
        if line.kind not in (LineKind.HEADING, LineKind.CODE):
            continue
        text = file.source.slice(line.content)
        if not text.startswith("#") or not _TEMPLATE.match(text):
            continue
        if line.kind is LineKind.CODE:
            yield Hit(
                line.content,
                "This template stands in a code block, yet readers that look for `## [` take it "
                "for an entry without a time. Describe the format in another file.",
                severity=Severity.INFO,
            )
        else:
            fixes = (Fix("Remove the template", (_template(file, line),), safe=False),)
            yield Hit(
                line.content,
                "This is the template of an entry, not an entry: agents read its placeholders as "
                "a finding. Remove it or fill it in.",
                fixes,
            )


def _template(file: MemoryFile, line: Line) -> Edit:
    """The removal of the template's heading and of the placeholder lines below it."""
    last = line.number
    for below in file.markdown.lines[line.number + 1 :]:
        if not _PLACEHOLDERS.search(file.source.slice(below.span)):
            break
        last = below.number
    starts = file.source.line_starts
    end = starts[last + 1] if last + 1 < len(starts) else len(file.source.text)
    return Edit(Span(starts[line.number], end), "")
