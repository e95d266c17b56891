"""Text changes by edits, never by re-rendering: comments, order and unknown keys survive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from sidecar.domain.source import Source, Span

# difflib's time grows with the square.
_MOST_LINES = 10_000


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace the text of one span; an empty span inserts, an empty text deletes."""

    span: Span
    text: str


class OverlappingEditsError(ValueError):
    """Two edits of one change touch the same text."""


def apply_edits(text: str, edits: Iterable[Edit]) -> str:
    """The text after all edits, whose spans all refer to the text as given.

    Insertions at one offset keep their order. Raises OverlappingEditsError.
    """
    parts: list[str] = []
    reached = 0
    for edit in sorted(edits, key=lambda edit: (edit.span.start, edit.span.end)):
        if edit.span.start < reached:
            message = f"an edit at {edit.span.start} overlaps one that ends at {reached}"
            raise OverlappingEditsError(message)
        parts += [text[reached : edit.span.start], edit.text]
        reached = edit.span.end
    return "".join([*parts, text[reached:]])


def difference(before: Source, after: Source) -> list[Edit]:
    """Edits that turn one text into another; equal lines, and equal ends of others, stay."""
    old, new = before.lines, after.lines
    starts = [*before.line_starts, len(before.text)]
    return [
        _trimmed(before.text, Edit(Span(starts[a], starts[b]), "".join(new[c:d])))
        for a, b, c, d in _changed_lines(old, new)
    ]


def _changed_lines(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[int, int, int, int]]:
    """Which lines are replaced by which, each as first and end."""
    head = _equal(old, new)
    tail = _equal(old[head:][::-1], new[head:][::-1])
    old, new = old[head : len(old) - tail], new[head : len(new) - tail]
    if len(old) + len(new) > _MOST_LINES:
        yield head, head + len(old), head, head + len(new)
        return
    for tag, a, b, c, d in SequenceMatcher(None, old, new).get_opcodes():
        if tag != "equal":
            yield head + a, head + b, head + c, head + d


def _trimmed(text: str, edit: Edit) -> Edit:
    """The edit without the characters that it replaces by the same ones."""
    start, end = edit.span
    old, new = text[start:end], edit.text
    if "\r" in old + new:
        return edit  # no editor knows a place between the two characters of a line's end
    head = _equal(old, new)
    tail = _equal(old[head:][::-1], new[head:][::-1])
    return Edit(Span(start + head, end - tail), new[head : len(new) - tail])


def _equal(one: Sequence[str], other: Sequence[str]) -> int:
    """How many items both have in common at their beginnings."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))
