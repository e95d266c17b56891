"""The model of a changed memory file, worked out from the model before the change.

Reading 300 lines anew takes 5 ms, and a change touches one entry. What is known to stand apart from
its neighbours is taken in or out with their lines moved; everything else is read anew. Either way
the result is what ``memory.parse`` makes of the new text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from sidecar.domain.edit import Edit, apply_edits
from sidecar.domain.memory import (
    Entry,
    MemoryFile,
    Placed,
    Section,
    append_entry,
    parse,
    remembered,
)
from sidecar.domain.memory_archive import remove_entries
from sidecar.domain.source import Source, Span

# A heading of this kind ends whatever stands before it, but for an open fence or comment.
_HASHES = re.compile(r"#{1,6}[ \t\n]")
_GAP = "\n\n"


def with_entry(file: MemoryFile, name: str, entry: str) -> MemoryFile:
    """The file with an entry, as ``render_entry`` makes it, at the end of a section."""
    edits = append_entry(file, name, entry)
    text = apply_edits(file.source.text, edits)
    home, lone = file.section(name), _lone(entry)
    plain = not file.closer and "\r" not in file.source.text + text
    if home is None or lone is None or not plain or not _is_apart(file, edits[0]):
        return parse(text)
    return remembered(_inserted(file, home, edits[0], lone, text))


def without_entries(file: MemoryFile, gone: Sequence[Entry]) -> MemoryFile:
    """The file without some of its entries."""
    text = apply_edits(file.source.text, remove_entries(gone))
    plain = not file.closer and "\r" not in file.source.text
    if not plain or not all(_stands_alone(file, entry) for entry in gone):
        return parse(text)
    return remembered(_removed(file, sorted(gone, key=lambda entry: entry.index), text))


def _lone(text: str) -> Entry | None:
    """The entry of a text that is one generated entry and nothing else."""
    file = parse(text)
    alone = len(file.placed) == len(file.sections) == 1 and file.sections[0].line < 0
    if not alone or file.closer or not text.endswith("\n") or not _HASHES.match(text):
        return None
    return file.entries[0] if file.entries[0].id else None


def _is_apart(file: MemoryFile, edit: Edit) -> bool:
    """Whether an insertion begins with a blank line right after a line's last character."""
    start = edit.span.start
    return edit.text.startswith(_GAP) and file.source.text[start : start + 1] in {"", "\n"}


def _stands_alone(file: MemoryFile, entry: Entry) -> bool:
    """Whether an entry and what follows it both begin with a heading that closes all else."""
    text = file.source.text
    begins = _HASHES.match(text, entry.span.start) and entry.heading.start == entry.span.start
    if not begins or file.sections[entry.section].line < 0:
        return False
    headings = {each.heading.start for each in file.sections if each.line >= 0}
    following = entry.index + 1
    if following < len(file.placed):
        headings.add(file.placed[following].moved(following).heading.start)
    end = entry.span.end
    return end in headings and _HASHES.match(text, end) is not None


def _inserted(file: MemoryFile, home: Section, edit: Edit, lone: Entry, text: str) -> MemoryFile:
    old, (start, end) = file.source.text, edit.span
    place = start + len(_GAP)
    line = old.count("\n", 0, start) + len(_GAP)
    lines = edit.text.count("\n") - old.count("\n", start, end)
    characters = len(edit.text) - (end - start)
    before = [each for each in file.placed if each.entry.section <= home.index]
    if before and before[-1].entry.section == home.index:
        last = before[-1].moved(len(before) - 1)
        span, body = Span(last.span.start, place), Span(last.body.start, place)
        before[-1] = Placed(replace(last, last_line=line - 1, span=span, body=body))
    span, head = Span(place, start + len(edit.text)), lone.heading.moved(place)
    new = replace(
        lone,
        index=len(before),
        section=home.index,
        line=line,
        last_line=line + lone.last_line,
        span=span,
        heading=head,
        body=Span(head.end, span.end),
    )
    after = _shifted(file.placed[len(before) :], lines, characters)
    sections = [
        _resized(
            each, (lines, characters) if each.index > home.index else (0, 0), lines, characters
        )
        if each.index >= home.index
        else each
        for each in file.sections
    ]
    return MemoryFile(Source(text), "", tuple(sections), (*before, Placed(new), *after))


def _shifted(placed: Sequence[Placed], lines: int, characters: int) -> Sequence[Placed]:
    if not lines and not characters:
        return placed
    return [Placed(entry, l_ + lines, c + characters) for entry, l_, c in placed]


def _removed(file: MemoryFile, gone: Sequence[Entry], text: str) -> MemoryFile:
    placed: list[Placed] = []
    lines = characters = reached = 0
    at_end: dict[int, tuple[int, int]] = {}
    for entry in gone:
        placed += _shifted(file.placed[reached : entry.index], lines, characters)
        lines -= entry.lines
        characters -= entry.span.end - entry.span.start
        at_end[entry.section] = lines, characters
        reached = entry.index + 1
    placed += _shifted(file.placed[reached:], lines, characters)
    sections: list[Section] = []
    begin = (0, 0)
    for section in file.sections:
        end = at_end.get(section.index, begin)
        sections.append(_resized(section, begin, *end))
        begin = end
    return MemoryFile(Source(text), "", tuple(sections), tuple(placed))


def _resized(section: Section, begin: tuple[int, int], lines: int, characters: int) -> Section:
    """A section moved to where it begins now, and ending so much further on."""
    start, end = section.span
    return Section(
        section.index,
        section.title,
        section.name,
        section.line + begin[0],
        section.last_line + lines,
        Span(start + begin[1], end + characters),
        section.heading.moved(begin[1]),
    )
