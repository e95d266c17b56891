"""Edits of one place in a YAML or JSON text that leave everything else as it is."""

from __future__ import annotations

import json
import re

from sidecar.domain.edit import Edit
from sidecar.domain.source import Span
from sidecar.domain.tree import Entry, Mapping, Scalar, Sequence, Style
from sidecar.domain.yaml_types import typed

SAFE_PLAIN = re.compile(r"[A-Za-z0-9_.\\/^$(][^\s:#,\[\]{}'\"&*!|>%@`]*")


def scalar_source(value: str, style: Style = Style.PLAIN, *, quote: bool = False) -> str:
    """A string as YAML source: plain where that is safe, else in quotes.

    ``quote`` and ``Style.DOUBLE`` give a source that is JSON too.
    """
    if quote or style is Style.DOUBLE:
        return json.dumps(value, ensure_ascii=False)
    plain = SAFE_PLAIN.fullmatch(value) is not None and typed(value) == value
    if plain and style is not Style.SINGLE:
        return value
    return "'" + value.replace("'", "''") + "'"


def replace_scalar(node: Scalar, value: str) -> Edit:
    """Give a scalar another string, in its own style of quotes."""
    return Edit(node.span, scalar_source(value, node.style))


def line_start(text: str, at: int) -> int:
    """The offset at which the line of a place begins."""
    return text.rfind("\n", 0, at) + 1


def next_line(text: str, at: int) -> int:
    """The offset at which the line after a place begins."""
    end = text.find("\n", at)
    return len(text) if end < 0 else end + 1


def remove_entry(text: str, mapping: Mapping, entry: Entry) -> Edit:
    """Take a key and its value out of a mapping."""
    index = mapping.entries.index(entry)
    spans = [one.span for one in mapping.entries]
    if mapping.flow:
        return _out_of_flow(mapping.span, spans, index)
    if len(spans) == 1:
        return Edit(mapping.span, "{}")
    start = line_start(text, spans[index].start)
    if text[start : spans[index].start].strip(" "):
        return Edit(Span(spans[index].start, spans[index + 1].start), "")
    return _without_lines(text, start, spans[index].end)


def remove_item(text: str, parent: Entry, index: int) -> Edit | None:
    """Take an item out of the list that is an entry's value; an empty list stays a list."""
    sequence = parent.value
    if not isinstance(sequence, Sequence):
        return None
    spans = [item.span for item in sequence.items]
    if sequence.flow:
        return _out_of_flow(sequence.span, spans, index)
    if len(spans) == 1:
        colon = text.index(":", parent.key.span.end)
        return Edit(Span(colon + 1, sequence.span.end), " []")
    start = line_start(text, spans[index].start)
    if text[start : spans[index].start].strip() != "-":
        return None
    return _without_lines(text, start, spans[index].end)


def _without_lines(text: str, start: int, end: int) -> Edit:
    """Delete whole lines; the last one takes the line end before it along."""
    following = next_line(text, end)
    if following == len(text) and not text.endswith("\n"):
        return Edit(Span(max(start - 1, 0), following), "")
    return Edit(Span(start, following), "")


def _out_of_flow(whole: Span, spans: list[Span], index: int) -> Edit:
    if len(spans) == 1:
        return Edit(Span(whole.start + 1, whole.end - 1), "")
    if index + 1 < len(spans):
        return Edit(Span(spans[index].start, spans[index + 1].start), "")
    return Edit(Span(spans[index - 1].end, spans[index].end), "")


def insert_entry(text: str, mapping: Mapping, after: Entry | None, name: str, value: str) -> Edit:
    """Put a key with a string or an empty list behind an entry, or at the mapping's beginning.

    ``value`` is source; in a mapping with braces the key is quoted, as JSON wants it.
    """
    if mapping.flow:
        key = json.dumps(name)
        if after is None:
            comma = ", " if mapping.entries else ""
            at = mapping.span.start + 1
            return Edit(Span(at, at), f"{key}: {value}{comma}")
        return Edit(Span(after.span.end, after.span.end), f", {key}: {value}")
    first = mapping.entries[0]
    column = first.key.span.start - line_start(text, first.key.span.start)
    if after is None:
        at = first.key.span.start
        return Edit(Span(at, at), f"{name}: {value}\n{' ' * column}")
    at = after.span.end
    end = text.find("\n", at)
    at = len(text) if end < 0 else end - (text[end - 1 : end] == "\r")
    return Edit(Span(at, at), f"\n{' ' * column}{name}: {value}")


def rename_key(key: Scalar, name: str) -> Edit:
    """Give an entry another key."""
    return replace_scalar(key, name)
