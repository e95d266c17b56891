"""The marks that a merge of Git leaves in a file when both sides changed the same lines."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from sidecar.domain.edit import Edit, apply_edits
from sidecar.domain.finding import Fix, SyntaxProblem
from sidecar.domain.source import Span

KIND = "conflict"
_CONFLICT = re.compile(
    r"^<{7} (?P<here>[^\r\n]*)\r?\n(?P<ours>(?s:.*?))"
    r"(?:^\|{7}[^\r\n]*\r?\n(?s:.*?))?"
    r"^={7}\r?\n(?P<theirs>(?s:.*?))^>{7} (?P<there>[^\r\n]*)(?:\r?\n|\Z)",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Conflict:
    """One conflict: all its lines, the two sides, and what Git calls them."""

    span: Span
    ours: Span
    theirs: Span
    here: str
    there: str


def conflicts(text: str) -> list[Conflict]:
    """Every whole conflict of a text, in order."""
    if "<<<<<<< " not in text:
        return []
    return [
        Conflict(
            Span(*match.span()), Span(*match.span("ours")), Span(*match.span("theirs")),
            match["here"], match["there"],
        )
        for match in _CONFLICT.finditer(text)
    ]  # fmt: skip


def explained(
    text: str,
    problems: tuple[SyntaxProblem, ...],
    judge: Callable[[str], tuple[SyntaxProblem, ...]],
) -> tuple[SyntaxProblem, ...]:
    """The problems of a text; for conflicts one each, and what is wrong with the first sides.

    ``judge`` tells the problems of a text of the same length, in which everything but the first
    sides is blank. One conflict would else be a dozen problems that no fix could mend.
    """
    found = conflicts(text) if problems else []
    if not found:
        return problems
    blank = [
        Edit(span, re.sub(r"[^\r\n]", " ", text[span.start : span.end]))
        for each in found
        for span in (Span(each.span.start, each.ours.start), Span(each.ours.end, each.span.end))
    ]
    rest = judge(apply_edits(text, blank))
    return tuple(sorted((*(_problem(text, c) for c in found), *rest), key=lambda p: p.span))


def _problem(text: str, conflict: Conflict) -> SyntaxProblem:
    message = (
        f"Git left a conflict here, between `{_name(conflict.here)}` and "
        f"`{_name(conflict.there)}`: keep one of the two sides and remove the marks."
    )
    sides = ((conflict.here, conflict.ours), (conflict.there, conflict.theirs))
    fixes = tuple(
        Fix(
            f"Keep the side of `{_name(name)}`",
            (Edit(conflict.span, text[side.start : side.end]),),
            safe=False,
        )
        for name, side in sides
    )
    line = Span(conflict.span.start, conflict.span.start + 8 + len(conflict.here))
    return SyntaxProblem(line, message, KIND, fixes)


def _name(text: str) -> str:
    """What Git calls a side, short: it may be a whole commit message."""
    return text if len(text) <= 40 else f"{text[:39]}…"
