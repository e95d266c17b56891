r"""Tab-separated records, line by line, with exact spans.

Inside a field TAB, CR, LF and backslash are written ``\t \r \n \\``, so no text can forge a field
or a record. A pair of a backslash and anything else stands for itself, as in foreign rows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from sidecar.domain.source import Source, Span

_ESCAPES = {"\t": r"\t", "\r": r"\r", "\n": r"\n", "\\": r"\\"}
_TRANSLATION = str.maketrans(_ESCAPES)
_UNESCAPES = {escaped: plain for plain, escaped in _ESCAPES.items()}
_ESCAPED = re.compile(r"\\[trn\\]")
# Other characters that some readers take for a line's or a text's end.
_LINE_ENDS = re.compile("[\x00\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
# UTF-16LE decoded as UTF-8: each character is followed by NUL. What became of its byte order mark
# depends on the decoder's error handler, "replace" or "surrogateescape".
_MARK = re.compile(r"\ufffd\ufffd|\udcff\udcfe")
_UTF16 = re.compile(rf"(?:{_MARK.pattern})?(?:[^\x00]\x00){{2,}}|(?:\x00[^\x00]){{2,}}|\x00+")


class RecordKind(StrEnum):
    """What a line is."""

    BLANK = "blank"
    COMMENT = "comment"
    RECORD = "record"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Field:
    """One field: the text as it stands, and where."""

    raw: str
    span: Span

    @property
    def value(self) -> str:
        """The text that the field means."""
        return unescape(self.raw)


@dataclass(frozen=True, slots=True)
class Record:
    """One line; ``raw`` are its fields as they stand. A foreign one holds NUL: it has none."""

    line: int
    span: Span
    kind: RecordKind
    raw: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of text in another encoding; ``text`` is its meaning, None where that is lost."""

    span: Span
    text: str | None


@dataclass(frozen=True)
class Table:
    """The lines of a text and the segments of it that are not UTF-8."""

    source: Source
    records: tuple[Record, ...]
    segments: tuple[Segment, ...]


def escape(value: str) -> str:
    """The text as one field of one record."""
    value = _LINE_ENDS.sub(" ", value)
    return value.translate(_TRANSLATION)


def unescape(raw: str) -> str:
    """What a field means."""
    return _ESCAPED.sub(lambda match: _UNESCAPES[match[0]], raw) if "\\" in raw else raw


def fields(raw: tuple[str, ...], start: int) -> tuple[Field, ...]:
    """The fields of a record that starts at an offset, each with its place."""
    found = []
    for text in raw:
        found.append(Field(text, Span(start, start + len(text))))
        start += len(text) + 1
    return tuple(found)


def parse(text: str) -> Table:
    """The records of a text; never raises."""
    source = Source(text)
    records = tuple(_record(source, number) for number in range(len(source.line_starts)))
    return Table(source, records, _segments(text))


def _record(source: Source, number: int) -> Record:
    span = source.line_span(number)
    text = source.slice(span)
    if "\x00" in text:
        return Record(number, span, RecordKind.FOREIGN)
    if not text.strip():
        return Record(number, span, RecordKind.BLANK)
    if text.lstrip().startswith("#"):
        return Record(number, span, RecordKind.COMMENT)
    return Record(number, span, RecordKind.RECORD, tuple(text.split("\t")))


def _segments(text: str) -> tuple[Segment, ...]:
    if "\x00" not in text:
        return ()
    return tuple(Segment(Span(*m.span()), _decoded(m[0])) for m in _UTF16.finditer(text))


def _decoded(segment: str) -> str | None:
    mark = _MARK.match(segment)
    plain = segment[mark.end() if mark else 0 :].replace("\x00", "")
    return plain if plain.isascii() else None
