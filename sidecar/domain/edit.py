"""Text changes by edits, never by re-rendering: comments, order and unknown keys survive."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sidecar.domain.source import Span


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
