"""The domain's words in the protocol's: columns in the client's units, findings, edits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from lsprotocol import types

from sidecar.domain.edit import Edit
from sidecar.domain.finding import Finding, Severity
from sidecar.domain.source import Position, Source, Span

Encoding = Literal["utf-8", "utf-16", "utf-32"]
NAME = "sidecar"

SEVERITIES = {
    Severity.ERROR: types.DiagnosticSeverity.Error,
    Severity.WARNING: types.DiagnosticSeverity.Warning,
    Severity.INFO: types.DiagnosticSeverity.Information,
    Severity.HINT: types.DiagnosticSeverity.Hint,
}
# Without a byte-order mark: the mark would count as a unit.
CODECS = {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2), "utf-32": ("utf-32-le", 4)}


def encoding(name: types.PositionEncodingKind | str | None) -> Encoding:
    """The encoding of a name that a client negotiated; UTF-16 is the protocol's default."""
    match str(getattr(name, "value", name)):
        case "utf-8":
            return "utf-8"
        case "utf-32":
            return "utf-32"
        case _:
            return "utf-16"


def units(text: str, encoding: Encoding) -> int:
    """How many of the client's units a text has."""
    if text.isascii():
        return len(text)
    codec, width = CODECS[encoding]
    return len(text.encode(codec, "surrogatepass")) // width


def code_points(line: str, character: int, encoding: Encoding) -> int:
    """How many code points lie before a client's column; one inside a character is its start."""
    if line.isascii():
        return min(character, len(line))
    codec, width = CODECS[encoding]
    return len(line.encode(codec, "surrogatepass")[: character * width].decode(codec, "ignore"))


def to_position(source: Source, offset: int, encoding: Encoding) -> types.Position:
    """An offset as the client counts."""
    line, character = source.position(offset)
    start = source.line_starts[line]
    return types.Position(line, units(source.text[start : start + character], encoding))


def to_range(source: Source, span: Span, encoding: Encoding) -> types.Range:
    """A span as the client counts, cut to the text."""
    start, end = source.clamp(span)
    return types.Range(to_position(source, start, encoding), to_position(source, end, encoding))


def to_offset(source: Source, position: types.Position, encoding: Encoding) -> int:
    """A client's position as an offset, clamped into the text."""
    if position.line >= len(source.line_starts):
        return len(source.text)
    line = source.slice(source.line_span(position.line))
    column = code_points(line, position.character, encoding)
    return source.offset(Position(position.line, column))


def to_span(source: Source, area: types.Range, encoding: Encoding) -> Span:
    """A client's range as a span; one written backwards is turned round."""
    ends = (to_offset(source, area.start, encoding), to_offset(source, area.end, encoding))
    return Span(min(ends), max(ends))


def to_diagnostic(source: Source, finding: Finding, encoding: Encoding) -> types.Diagnostic:
    """A finding as an editor shows it."""
    return types.Diagnostic(
        range=to_range(source, finding.span, encoding),
        message=finding.message,
        severity=SEVERITIES[finding.severity],
        code=finding.code,
        source=NAME,
        data={"fixes": [fix.title for fix in finding.fixes]} if finding.fixes else None,
    )


def to_text_edits(
    source: Source, edits: Iterable[Edit], encoding: Encoding
) -> list[types.TextEdit]:
    """Edits of one text as the client applies them."""
    return [types.TextEdit(to_range(source, edit.span, encoding), edit.text) for edit in edits]


def to_workspace_edit(
    uri: str, version: int | None, changes: list[types.TextEdit], client: types.ClientCapabilities
) -> types.WorkspaceEdit:
    """Edits of one document, bound to its version where the client can check that."""
    support = client.workspace.workspace_edit if client.workspace else None
    if not (support and support.document_changes):
        return types.WorkspaceEdit(changes={uri: changes})
    identifier = types.OptionalVersionedTextDocumentIdentifier(uri, version)
    return types.WorkspaceEdit(document_changes=[types.TextDocumentEdit(identifier, changes)])
