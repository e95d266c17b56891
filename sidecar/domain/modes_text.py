"""The characters that Roo replaces before it reads a mode file, and the way back."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, replace
from functools import cached_property

from sidecar.domain.edit import Edit
from sidecar.domain.finding import Fix, SyntaxProblem
from sidecar.domain.kept import Kept
from sidecar.domain.source import Span
from sidecar.domain.tree import Document, Entry, Mapping, Node, Scalar, Sequence

BYTE_ORDER_MARK = "\ufeff"
REMOVED = "\u200b\u200c\u200d"
REPLACEMENTS: dict[int, str] = {
    0x00A0: " ",
    **{ord(char): "" for char in REMOVED},
    **dict.fromkeys([*range(0x2010, 0x2016), 0x2212], "-"),
    **dict.fromkeys([0x2018, 0x2019], "'"),
    **dict.fromkeys([0x201C, 0x201D], '"'),
}
REPLACED = re.compile("[" + "".join(map(chr, REPLACEMENTS)) + "]")


@dataclass(frozen=True)
class Cleaned:
    """A text as the product's YAML reader gets it, and the offsets of what was taken out."""

    original: str
    text: str

    @cached_property
    def removed(self) -> list[int]:
        """For each removed character the cleaned offset before which it stood."""
        if len(self.original) == len(self.text):
            return []
        offsets = [0] if self.original.startswith(BYTE_ORDER_MARK) else []
        for match in re.finditer(f"[{REMOVED}]", self.original):
            offsets.append(match.start() - len(offsets))
        return offsets

    def start(self, offset: int) -> int:
        """The original offset of a cleaned one, behind any removed characters."""
        return offset + bisect_right(self.removed, offset)

    def end(self, offset: int) -> int:
        """The original offset at which a span that ends here ends."""
        return offset + bisect_right(self.removed, offset - 1) if offset else self.start(0)

    def shift(self, span: Span) -> int | None:
        """How far a cleaned span is from its original; None where something was taken out of it."""
        before = bisect_right(self.removed, span.start)
        return before if before == bisect_right(self.removed, span.end) else None

    def span(self, span: Span) -> Span:
        """The original span of a cleaned one."""
        start = self.start(span.start)
        return Span(start, max(start, self.end(span.end)) if span.end > span.start else start)


def clean(text: str) -> Cleaned:
    """Strip the byte order mark, then replace or remove characters as Roo 3.22 and later do."""
    stripped = text.removeprefix(BYTE_ORDER_MARK)
    if stripped.isascii() or not REPLACED.search(stripped):
        return Cleaned(text, stripped)
    return Cleaned(text, stripped.translate(REPLACEMENTS))


def restore(document: Document, cleaned: Cleaned) -> Document:
    """The document with the spans of the original text."""
    if not cleaned.removed:
        return document
    root = None if document.root is None else _restored(document.root, cleaned)
    return Document(root, tuple(_problem(one, cleaned) for one in document.problems))


def _problem(problem: SyntaxProblem, cleaned: Cleaned) -> SyntaxProblem:
    fixes = tuple(_fix(fix, cleaned) for fix in problem.fixes)
    return replace(problem, span=cleaned.span(problem.span), fixes=fixes)


def _fix(fix: Fix, cleaned: Cleaned) -> Fix:
    edits = tuple(Edit(cleaned.span(edit.span), edit.text) for edit in fix.edits)
    return replace(fix, edits=edits)


def _restored(node: Node, cleaned: Cleaned) -> Node:
    span = cleaned.span(node.span)
    match node:
        case Kept() if (by := cleaned.shift(node.extent)) is not None:
            return node.moved(by)
        case Scalar(value=value, style=style):
            return Scalar(span, value, style)
        case Sequence(items=items, flow=flow):
            return Sequence(span, tuple(_restored(item, cleaned) for item in items), flow)
        case Mapping(entries=entries, flow=flow):
            return Mapping(span, tuple(_entry(entry, cleaned) for entry in entries), flow)


def _entry(entry: Entry, cleaned: Cleaned) -> Entry:
    key = replace(entry.key, span=cleaned.span(entry.key.span))
    return Entry(key, _restored(entry.value, cleaned))
