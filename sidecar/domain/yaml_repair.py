"""Small edits that mend YAML text: quotes around a scalar, indentation of a line."""

from __future__ import annotations

from sidecar.domain.edit import Edit
from sidecar.domain.source import Span

SINGLES = "'\u2018\u2019"
DOUBLES = '"\u201c\u201d'


def quote_edits(text: str, span: Span) -> tuple[Edit, ...]:
    """Put quotes around a scalar and escape what they would change.

    Curly quotes count as quotes, because the products turn them into straight ones.
    """
    source = text[span.start : span.end]
    if not any(char in source for char in SINGLES):
        return _around(span, "'", ())
    inner = tuple(
        Edit(Span(span.start + i, span.start + i + 1), _escaped(char))
        for i, char in enumerate(source)
        if char == "\\" or char in DOUBLES
    )
    return _around(span, '"', inner)


def _escaped(char: str) -> str:
    return f"\\{char}" if char in '"\\' else f"\\u{ord(char):04X}"


def _around(span: Span, quote: str, inner: tuple[Edit, ...]) -> tuple[Edit, ...]:
    before = Edit(Span(span.start, span.start), quote)
    return (before, *inner, Edit(Span(span.end, span.end), quote))


def inner_quote_edits(text: str, span: Span) -> tuple[Edit, ...]:
    """Escape every quote between the first and the last one of a quoted scalar."""
    quote = text[span.start]
    escape = "''" if quote == "'" else '\\"'
    return tuple(
        Edit(Span(at, at + 1), escape)
        for at in range(span.start + 1, span.end - 1)
        if text[at] == quote and text[at - 1] != "\\"
    )


def indent_edit(text: str, line_start: int, column: int) -> Edit:
    """Indent one line by exactly so many spaces."""
    end = line_start
    while end < len(text) and text[end] in " \t":
        end += 1
    return Edit(Span(line_start, end), " " * column)
