"""Columns in the client's units, there and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsprotocol import types

from sidecar.domain.edit import Edit, apply_edits, difference
from sidecar.domain.finding import Finding, Fix, Severity
from sidecar.domain.source import Source, Span
from sidecar.lsp.documents import Document, Documents
from sidecar.lsp.translate import Encoding, encoding, to_diagnostic, to_offset, to_range, to_span

# Line ends, what only looks like one, and characters of one to four bytes.
TEXTS = st.text(st.sampled_from("a\n\r\u2028\x85\x0b\x1cé€🔧"), max_size=40)
ENCODINGS = st.sampled_from(["utf-8", "utf-16", "utf-32"])


def inside(text: str, offset: int) -> bool:
    """Whether an offset lies between the two characters of one line end."""
    return text[offset - 1 : offset + 1] == "\r\n" and offset > 0


@given(TEXTS, st.data(), ENCODINGS)
def test_a_span_survives_the_way_to_the_client_and_back(
    text: str, data: st.DataObject, units: Encoding
) -> None:
    ends = st.integers(0, len(text)).filter(lambda offset: not inside(text, offset))
    span = Span(*sorted((data.draw(ends), data.draw(ends))))
    source = Source(text)

    assert to_span(source, to_range(source, span, units), units) == span


@given(TEXTS, TEXTS, st.data(), ENCODINGS)
def test_an_incremental_change_does_what_the_client_did(
    text: str, inserted: str, data: st.DataObject, units: Encoding
) -> None:
    ends = st.integers(0, len(text)).filter(lambda offset: not inside(text, offset))
    span = Span(*sorted((data.draw(ends), data.draw(ends))))
    source = Source(text)
    area = to_range(source, span, units)
    change = types.TextDocumentContentChangePartial(area, inserted)
    after = Document("file:///x", 1, source).changed([change], 2, units)

    assert after.source.text == text[: span.start] + inserted + text[span.end :]
    assert after.version == 2


@given(TEXTS, st.integers(0, 60), st.integers(0, 60), ENCODINGS)
def test_any_position_of_a_client_is_inside_the_text(
    text: str, line: int, character: int, units: Encoding
) -> None:
    assert 0 <= to_offset(Source(text), types.Position(line, character), units) <= len(text)


@given(TEXTS, TEXTS)
def test_the_difference_of_two_texts_leads_from_one_to_the_other(before: str, after: str) -> None:
    assert apply_edits(before, difference(Source(before), Source(after))) == after


@pytest.mark.parametrize(
    ("units", "column"), [("utf-8", 4 + 2 + 1), ("utf-16", 2 + 1 + 1), ("utf-32", 3)]
)
def test_columns_count_bytes_code_units_or_code_points(units: Encoding, column: int) -> None:
    source = Source("first\n🔧é x")
    finding = Finding("X1", Severity.WARNING, Span(9, 10), "message", (Fix("mend", ()),))
    shown = to_diagnostic(source, finding, units)

    assert shown.range.start == types.Position(1, column)
    assert shown.severity == types.DiagnosticSeverity.Warning
    assert (shown.code, shown.source, shown.data) == ("X1", "sidecar", {"fixes": ["mend"]})


def test_a_column_inside_a_character_is_its_start_and_one_behind_the_line_is_its_end() -> None:
    source = Source("🔧é\nx")

    assert to_offset(source, types.Position(0, 1), "utf-16") == 0
    assert to_offset(source, types.Position(0, 5), "utf-8") == 1
    assert to_offset(source, types.Position(0, 99), "utf-16") == 2
    assert to_offset(source, types.Position(99, 0), "utf-16") == 4


def test_a_range_written_backwards_is_turned_round() -> None:
    area = types.Range(types.Position(0, 3), types.Position(0, 1))

    assert to_span(Source("abcd"), area, "utf-16") == Span(1, 3)


def test_an_unknown_encoding_is_the_protocols_default() -> None:
    kinds = types.PositionEncodingKind

    assert [encoding(kinds.Utf8), encoding("utf-32"), encoding("bogus"), encoding(None)] == [
        "utf-8",
        "utf-32",
        "utf-16",
        "utf-16",
    ]


def test_half_a_character_is_replaced_wherever_it_comes_in() -> None:
    documents = Documents()
    documents.open(types.TextDocumentItem("file:///x", "yaml", 1, "a\ud83d"))
    change = types.TextDocumentContentChangeWholeDocument("\udd27b")
    identifier = types.VersionedTextDocumentIdentifier(2, "file:///x")
    document = documents.change(types.DidChangeTextDocumentParams(identifier, [change]))

    assert document is not None
    assert document.source.text == "\ufffdb"


def test_a_document_is_found_however_its_address_is_encoded() -> None:
    documents = Documents()
    documents.open(types.TextDocumentItem("file:///c%3A/a%20b/.roomodes", "yaml", 1, ""))

    assert documents.get("file:///c:/a b/.roomodes") is not None
    assert [document.uri for document in documents] == ["file:///c%3A/a%20b/.roomodes"]
    assert documents.close("file:///C:/other") is None


def test_edits_of_one_insertion_keep_the_rest() -> None:
    edits = difference(Source("a\nb\nc\n"), Source("a\nx\nc\n"))

    assert edits == [Edit(Span(2, 3), "x")]
